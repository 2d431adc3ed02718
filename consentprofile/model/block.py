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
from consentprofile.model.policy import EnumField, Policy, TokenField

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


def decode(plaintext: bytes) -> Block:
    """The block behind its plaintext. Raises :class:`CorruptRecord`."""
    return canonical.unpack(plaintext, Block)


class Codebook:
    """Turns positions back into words, for one policy."""

    def __init__(self, policy: Policy) -> None:
        self._kinds = tuple(kind.name for kind in policy.kind_list)
        self._fields = tuple(
            (field.name, field.values if isinstance(field, EnumField) else None, isinstance(field, TokenField))
            for field in policy.field_list
        )

    def read(self, packed: Packed) -> Recorded:
        """The event behind its array. Raises :class:`CorruptRecord` for positions that the policy does not have."""
        try:
            pairs: list[tuple[str, Value]] = []
            for index in range(3, len(packed), 2):
                name, words, token = self._fields[packed[index]]  # type: ignore[index]  # an IndexError says so
                value = packed[index + 1]
                if words is not None:
                    value = words[value]  # type: ignore[assignment, index]
                elif token:
                    value = value.hex()  # type: ignore[assignment, union-attr]
                pairs.append((name, value))  # type: ignore[arg-type]
            pairs.sort()
            return Recorded(packed[1], self._kinds[packed[2]], tuple(pairs), packed[0])  # type: ignore[index, arg-type]
        except (IndexError, TypeError, AttributeError):
            raise CorruptRecord("a block does not fit the policy that it names; run `consentprofile check`") from None
