"""Opening the compartments of one purpose by hundreds, as releases do: keys come and go, none is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from consentprofile.crypto.aead import KEY_BYTES, SealingKey, open_under_each
from consentprofile.crypto.binding import RecordBinding, RecordType
from consentprofile.crypto.byte_rows import Rows, cut, joined
from consentprofile.crypto.slot_columns import SlotColumns
from consentprofile.crypto.tags import members


class OpenedCompartments(NamedTuple):
    """The first of the compartments that were to be opened: a pseudonym of 16 bytes for each, and all of their blocks,
    those of each compartment together, in their order."""

    pseudonyms: Rows
    blocks: list[bytes]

    def __repr__(self) -> str:
        return "<OpenedCompartments, content withheld>"


class CompartmentOpener:
    """The key of one purpose, for opening what it wraps straight from the bytes of slots."""

    __slots__ = ("_block", "_key", "_wrapping")

    def __init__(self, store: bytes, wrapping: SealingKey, purpose: str) -> None:
        self._key = RecordBinding(store, RecordType.COMPARTMENT_KEY, purpose)
        self._block = RecordBinding(store, RecordType.BLOCK, purpose)
        self._wrapping = wrapping

    def open(
        self, slots: SlotColumns, terms: Rows, blocks: Sequence[Sequence[bytes]], more: Callable[[], bool]
    ) -> OpenedCompartments:
        """The compartments in ``slots``, each of which has a key, one at least, and the others while ``more`` answers
        true.

        For each, ``terms`` has what binds its key to its terms, and ``blocks`` the blocks that are to be opened. Raises
        :class:`CorruptRecord`. Cost: about 6 microseconds each with one block of ten events.
        """
        opened = self._unwrapped(slots, terms)
        bound = self._block.associate_each(slots.number, slots.generation)
        number, plain = open_under_each(cut(opened[:, :KEY_BYTES]), blocks, bound, more)
        return OpenedCompartments(members(opened[:number, KEY_BYTES:]), plain)

    def pseudonyms(self, slots: SlotColumns, terms: Rows) -> Rows:
        """The pseudonyms alone. Raises :class:`CorruptRecord`."""
        return members(self._unwrapped(slots, terms)[:, KEY_BYTES:])

    def _unwrapped(self, slots: SlotColumns, terms: Rows) -> Rows:
        """Key and secret of each."""
        import numpy as np

        bound = self._key.associate_each(slots.number, slots.generation, np.concatenate((slots.header, terms), axis=1))
        return joined(self._wrapping.open_each(slots.wrapped, bound), 2 * KEY_BYTES)

    def __repr__(self) -> str:
        return "<CompartmentOpener, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")
