"""A block: a list of events of one compartment and one calendar month, before it is sealed.

The plaintext is the canonical MessagePack array ``[policy, month, events]``: the number of the policy whose positions
stand for kinds, fields and enum values; the calendar month in the policy's time zone as ``year * 12 + month - 1``; and
for each event the flat array ``[id, at, kind, field, value, field, value ...]`` with the 16-byte stored id, seconds
since 1970 UTC, the kind's position, and pairs of a field's position and its value, ascending: an enum's position, an
integer or amount in minor units, a boolean, or a token's 16-byte digest. An event without fields has three elements.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from consentprofile import canonical
from consentprofile.errors import CorruptRecord
from consentprofile.model.event import Recorded, Value
from consentprofile.model.policy import EnumField, Policy

Packed: TypeAlias = list[int | bool | bytes]
"""One event as it stands in a block."""


class Block(msgspec.Struct, frozen=True, array_like=True):
    """The plaintext of a block."""

    policy: int
    month: int
    events: list[Packed]


def encode(policy: int, month: int, events: list[Packed]) -> bytes:
    """The plaintext of a block."""
    return canonical.pack((policy, month, events))


_decoder = msgspec.msgpack.Decoder(Block)


def decode(plaintext: bytes) -> Block:
    """The block behind its plaintext. Raises :class:`CorruptRecord` for another shape.

    That the encoding is the canonical one is not looked at: the plaintext comes out of a seal that only a holder of the
    compartment's key can make, and a profile is read from many blocks.
    """
    try:
        return _decoder.decode(plaintext)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CorruptRecord(
            "a block is not of the shape that its format describes; run `consentprofile check`"
        ) from None


class Codebook:
    """Turns positions back into words, for one policy."""

    def __init__(self, policy: Policy) -> None:
        self._kinds = tuple(kind.name for kind in policy.kind_list)
        self._names = tuple(field.name for field in policy.field_list)
        # The pairs of closed vocabularies are made once: (name, word) by field and position.
        self._pairs = tuple(
            tuple((field.name, word) for word in field.values) if isinstance(field, EnumField) else None
            for field in policy.field_list
        )

    def read(self, packed: Packed) -> Recorded:
        """The event behind its array. Raises :class:`CorruptRecord` for positions that the policy does not have."""
        names, vocabularies = self._names, self._pairs
        try:
            pairs: list[tuple[str, Value]] = []
            for index in range(3, len(packed), 2):
                number: int = packed[index]  # type: ignore[assignment]  # another type raises TypeError below
                value = packed[index + 1]
                words = vocabularies[number]
                if words is not None:
                    pairs.append(words[value])  # type: ignore[index]
                elif type(value) is bytes:
                    pairs.append((names[number], value.hex()))
                else:
                    pairs.append((names[number], value))  # type: ignore[arg-type]
            pairs.sort()
            return Recorded(packed[1], self._kinds[packed[2]], tuple(pairs), packed[0])  # type: ignore[index, arg-type]
        except (IndexError, TypeError):
            raise CorruptRecord("a block does not fit the policy that it names; run `consentprofile check`") from None
