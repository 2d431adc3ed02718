"""Packs: the blocks of neighbouring slots as one row, so that SQLite handles half pages instead of single blocks.

A pack is the canonical MessagePack array of its blocks, each ``[slot, generation, sealed]``, in ascending order. It
holds all blocks that its run has of a slot, however many those are; a pack is cut where the next slot would make it
larger than :data:`PACK_BYTES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from consentprofile.errors import CorruptRecord

PACK_BYTES: Final = 1_990
"""Two packs fill a page of 4,096 bytes. Smaller ones cost more to write, larger ones more to search: a read decodes a
pack of every run (``docs/decisions/0011-block-arrangement.md``)."""

_FRAME: Final = 11
"""Bytes of a block in a pack beside its ciphertext, about: array, slot, generation, length."""

Packed: TypeAlias = tuple[int, int, bytes]
"""Slot, generation and ciphertext of one block."""

SLOT_BITS: Final = 40
"""The id of a pack is its run's number in front of so many bits of its first slot."""

FIRST_SLOT: Final = 0
LAST_SLOT: Final = (1 << SLOT_BITS) - 1
"""Runs are this far apart in the numbers of packs, so no slot is higher."""

_NO_PACK: Final = "a pack of blocks is not of the shape that its format describes; run `consentprofile check`"

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Packed])


def encode(blocks: Sequence[Packed]) -> bytes:
    """The body of one pack of ``blocks``, which are in ascending order."""
    return _encoder.encode(blocks)


def pack(blocks: Sequence[Packed]) -> Iterator[tuple[int, bytes]]:
    """Packs of ``blocks``, which are in ascending order: the first slot and the body of each."""
    start = size = 0
    last = -1
    for index, (slot, _, sealed) in enumerate(blocks):
        added = len(sealed) + _FRAME
        if slot != last:
            if size + added > PACK_BYTES and index > start:
                yield blocks[start][0], encode(blocks[start:index])
                start, size = index, 0
            last = slot
        size += added
    if start < len(blocks):
        yield blocks[start][0], encode(blocks[start:])


def unpack(body: bytes) -> list[Packed]:
    """The blocks of a pack, in ascending order. Raises :class:`CorruptRecord` for anything else than a pack."""
    try:
        blocks = _decoder.decode(body)
    except msgspec.MsgspecError:
        raise CorruptRecord(_NO_PACK) from None
    blocks.sort()  # they are sorted; should somebody have altered that, a search still ends
    if blocks and not FIRST_SLOT <= blocks[0][0] <= blocks[-1][0] <= LAST_SLOT:
        raise CorruptRecord(_NO_PACK)
    return blocks
