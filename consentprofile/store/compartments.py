"""The compartments of one purpose, slice by slice: their slots as they stand, and the blocks that lie under them.

A release goes through every compartment of its purpose. What it needs of the two files for a slice is fetched here in
two statements, slots as bare bytes: it may be most of the keyring.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from consentprofile.crypto.slots import VERSION, SlotKind
from consentprofile.store.blocks import Blocks
from consentprofile.store.copying import reading_connection
from consentprofile.store.files import DATA, KEYS
from consentprofile.store.keyring import Keyring
from consentprofile.store.keyring_file import WAIT
from consentprofile.store.locks import GATE, GATE_TURN, FileLock
from consentprofile.store.packs import Packed

# The slot's first two bytes are version and kind, its twelfth and thirteenth the purpose (consentprofile.crypto.slots).
# Most slots are of another kind: two comparisons pass them over, where a function would make a text of each.
_SLOTS: Final = (
    "SELECT number, record FROM slot WHERE number BETWEEN ? AND ? AND record >= ? AND record < ? "
    "AND substr(record, 12, 2) = ? ORDER BY number LIMIT ?"
)
_FROM: Final = bytes((VERSION, SlotKind.COMPARTMENT))
_BELOW: Final = bytes((VERSION, SlotKind.COMPARTMENT + 1))


MOST_BYTES: Final = 1 << 20
"""Bytes of blocks that are fetched at once: a thousand compartments may have little in them, or a lot."""


class Slice(NamedTuple):
    """The slots of some compartments, rising: number and bytes of each. And all sealed blocks that name one of them, in
    ascending order, whatever generation they name."""

    slots: list[tuple[int, bytes]]
    blocks: list[Packed]


class Compartments:
    """The compartments over a connection to each of the two files."""

    def __init__(self, keys: sqlite3.Connection, data: sqlite3.Connection) -> None:
        self._keys = keys
        self._blocks = Blocks(data)

    def last(self) -> int:
        """The highest number of a slot, 0 where there is none."""
        return int(self._keys.execute("SELECT ifnull(max(number), 0) FROM slot").fetchone()[0])

    def slots(self, first: int, last: int, purpose: int, most: int) -> list[tuple[int, bytes]]:
        """The number and bytes of slots from ``first`` to ``last`` that are compartments of the purpose with this
        number, ``most`` of them at most. The caller holds the gate.
        """
        return self._keys.execute(_SLOTS, (first, last, _FROM, _BELOW, purpose.to_bytes(2, "big"), most)).fetchall()

    def between(self, first: int, last: int, purpose: int, most: int) -> Slice:
        """The same, with their blocks: of one compartment all, of more no more than about :data:`MOST_BYTES`; then
        there are fewer than there might be. None at all where there is no compartment."""
        slots = self.slots(first, last, purpose, most)
        while len(slots) > 1:
            blocks = self._blocks.light_between(slots[0][0], slots[-1][0], MOST_BYTES)
            if blocks is not None:
                return Slice(slots, blocks)
            del slots[len(slots) // 2 :]
        return Slice(slots, self._blocks.sorted_between(slots[0][0], slots[0][0]) if slots else [])


class CompartmentFiles:
    """The compartments for a process that reads them slice by slice under the gate, and has nothing else open.

    Whoever it is opened for has the store open. It writes nothing and never checkpoints.
    """

    def __init__(self, directory: Path) -> None:
        with ExitStack() as opened:
            keys = opened.enter_context(reading_connection(directory / KEYS))
            data = opened.enter_context(reading_connection(directory / DATA))
            self._keyring, self._compartments = Keyring(keys), Compartments(keys, data)
            self._gate = FileLock(directory / GATE, wait=WAIT, turn=directory / GATE_TURN)
            opened.callback(self._gate.close)
            self._opened = opened.pop_all()

    @contextmanager
    def reading(self) -> Iterator[tuple[Keyring, Compartments]]:
        """Hold the gate, shared, for one slice that sees one state of the keyring. Raises :class:`StoreBusy`."""
        with self._gate.held(shared=True), self._keyring.snapshot():
            yield self._keyring, self._compartments

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()
