"""Associated data: what a sealed record is bound to, so that it opens nowhere else.

One function builds it for every record of a store (``u16`` and ``u64`` are big-endian)::

    version  u8 = 1
    store    u16 length ‖ 16 bytes
    record   u16 length ‖ u8      the record type below
    purpose  u16 length ‖ UTF-8   empty where a record has no purpose
    slot     u16 length ‖ u64     or the number that the record type gives a meaning to
    generation u16 length ‖ u64
    bound    u16 length ‖ bytes   more that is authenticated beside the record; mostly empty

Every field is length-prefixed, so no two different lists of fields give the same bytes.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from consentprofile.crypto.byte_rows import Rows, cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION: Final = 1

_NUMBERS: Final = struct.Struct(">HQHQH")


class RecordType(IntEnum):
    """What a sealed record is. In brackets: what its slot and generation say."""

    EPOCH_KEY = 1
    """A key wrapped by the root (0, epoch); ``purpose`` is the name of the key."""
    COMPARTMENT_KEY = 2
    """A wrapped compartment key and secret (slot, generation); ``bound`` is the slot's header and its terms."""
    ACCOUNT_KEY = 3
    """A wrapped account key (slot, generation); ``bound`` is the slot's header."""
    EVIDENCE_KEY = 4
    """A wrapped evidence key (slot, generation); ``bound`` is the slot's header."""
    BLOCK = 5
    """Events of a compartment (slot, generation)."""
    TRAIL = 6
    """Who read a compartment (its slot, generation), or what an officer did to an account (its slot, generation)."""
    ACCOUNT = 7
    """The account's normalized id (slot, generation of the account key)."""
    EVIDENCE = 8
    """A consent decision (slot, generation of the evidence key)."""
    ACTOR_BOOK = 9
    """Who did what, without any account (sequence of the leaf, epoch)."""
    LEDGER = 10
    """The sealed part of a release (number of the release, epoch)."""


class RecordBinding:
    """Builds the associated data of one store's records of one type and purpose."""

    __slots__ = ("prefix",)

    def __init__(self, store: bytes, record: RecordType, purpose: str) -> None:
        name = purpose.encode()
        self.prefix: Final = b"".join(
            (
                bytes((VERSION,)),
                struct.pack(">H", len(store)),
                store,
                struct.pack(">HB", 1, record),
                struct.pack(">H", len(name)),
                name,
            )
        )

    def associate(self, slot: int, generation: int, bound: bytes = b"") -> bytes:
        """The associated data of one record."""
        return self.prefix + _NUMBERS.pack(8, slot, 8, generation, len(bound)) + bound

    def associate_each(
        self, slots: NDArray[np.integer], generations: NDArray[np.integer], bound: Rows | None = None
    ) -> list[bytes]:
        """The associated data of many records, ``bound`` a row for each. Cost: some 0.1 microseconds each."""
        import numpy as np

        layout = _layout(len(self.prefix), 0 if bound is None else bound.shape[1])
        data = np.zeros(len(slots), dtype=layout)
        data["prefix"] = np.frombuffer(self.prefix, dtype=np.uint8)
        data["slot bytes"] = data["generation bytes"] = 8
        data["slot"], data["generation"] = slots, generations
        if bound is not None:
            data["bound bytes"], data["bound"] = bound.shape[1], bound
        return cut(data.view(np.uint8).reshape(len(slots), layout.itemsize))


class Binding:
    """Builds the associated data of one store's records. Cost: under a microsecond."""

    __slots__ = ("_prefixes", "_store")

    def __init__(self, store: bytes) -> None:
        self._store = store
        self._prefixes: dict[tuple[RecordType, str], bytes] = {}

    def associate(
        self, record: RecordType, slot: int, generation: int, *, purpose: str = "", bound: bytes = b""
    ) -> bytes:
        """The associated data of one record."""
        prefix = self._prefixes.get((record, purpose))
        if prefix is None:
            prefix = self._prefixes[record, purpose] = RecordBinding(self._store, record, purpose).prefix
        return prefix + _NUMBERS.pack(8, slot, 8, generation, len(bound)) + bound


@lru_cache(maxsize=32)
def _layout(prefix: int, bound: int) -> np.dtype[np.void]:
    """Associated data whose first and last parts are so many bytes long, as numpy writes it."""
    import numpy as np

    numbers = [("slot bytes", ">u2"), ("slot", ">u8"), ("generation bytes", ">u2"), ("generation", ">u8")]
    return np.dtype([("prefix", "u1", prefix), *numbers, ("bound bytes", ">u2"), ("bound", "u1", bound)])
