"""A block: a list of events of one compartment, before it is sealed.

The plaintext is the canonical MessagePack array ``[policy, tokens, events]``: the number of the policy whose positions
stand for kinds, fields and enum values; the 16-byte digests of tokens that occur in it more than once, each once, in
the order in which events name them; and for each event the flat array ``[id, at, kind, field, value, field, value
...]`` with the 16-byte stored id, seconds since 1970 UTC, the kind's position, and pairs of a field's position and its
value, ascending: an enum's position, an integer or amount in minor units, a boolean, or a token: its 16-byte digest, or
the position of the digest in ``tokens``. An event without fields has three elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

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
    tokens: list[bytes]
    events: list[Packed]


_NO_TOKENS: list[bytes] = []


def encode(policy: int, events: list[Packed]) -> bytes:
    """The plaintext of a block; the tokens in ``events`` are digests, all of them."""
    if len(events) == 1:
        return canonical.pack((policy, _NO_TOKENS, events))
    seen: dict[bytes, int] = {}
    for packed in events:
        for value in packed[4::2]:
            if type(value) is bytes:
                seen[value] = seen.get(value, 0) + 1
    tokens = [digest for digest, times in seen.items() if times > 1]
    if not tokens:
        return canonical.pack((policy, _NO_TOKENS, events))
    positions = {digest: position for position, digest in enumerate(tokens)}
    return canonical.pack((policy, tokens, [_named(packed, positions) for packed in events]))


def _named(packed: Packed, positions: dict[bytes, int]) -> Packed:
    named = packed.copy()
    for index in range(4, len(packed), 2):
        value = packed[index]
        if type(value) is bytes:
            named[index] = positions.get(value, value)
    return named


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


MOST_ARRANGED: Final = 1024
"""Combinations of fields whose arrangement is kept: an app that leaves out fields at will may have any number."""


class _Column(NamedTuple):
    """One field of events that carry the same fields: where its value stands, its name, the pairs of its vocabulary."""

    place: int
    name: str
    words: tuple[tuple[str, str], ...] | None
    is_token: bool


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
        self._tokens = frozenset(
            number for number, field in enumerate(policy.field_list) if isinstance(field, TokenField)
        )
        self._columns: dict[tuple[int | bool | bytes, ...], tuple[_Column, ...]] = {}
        """By the numbers of the fields that events carry: mostly those of a kind, as far as a purpose keeps them."""

    def read(self, packed: Packed, tokens: Sequence[bytes] = ()) -> Recorded:
        """The event behind its array, ``tokens`` being those of its block.

        Raises :class:`CorruptRecord` for positions that the policy or the block does not have.
        """
        return self.read_all((packed,), tokens)[0]

    def read_all(self, events: Iterable[Packed], tokens: Sequence[bytes] = ()) -> list[Recorded]:
        """As :meth:`read`, for events of one block: mostly they repeat a few combinations of values."""
        kinds = self._kinds
        met: dict[tuple[int | bool | bytes, ...], tuple[tuple[str, Value], ...]] = {}
        read: list[Recorded] = []
        try:
            for packed in events:
                values = tuple(packed[3:])
                fields = met.get(values)
                if fields is None:
                    fields = met[values] = self._fields(values, tokens)
                read.append(Recorded(packed[1], kinds[packed[2]], fields, packed[0]))  # type: ignore[index, arg-type]
        except (IndexError, TypeError):
            raise CorruptRecord("a block does not fit the policy that it names; run `consentprofile check`") from None
        return read

    def _fields(self, values: tuple[int | bool | bytes, ...], tokens: Sequence[bytes]) -> tuple[tuple[str, Value], ...]:
        """The pairs of names and words behind those of positions and values, in the order of the names."""
        numbers = values[::2]
        columns = self._columns.get(numbers)
        if columns is None:
            columns = self._arrange(numbers)  # type: ignore[arg-type]  # others raise TypeError
            if len(self._columns) < MOST_ARRANGED:
                self._columns[numbers] = columns
        pairs: list[tuple[str, Value]] = []
        for place, name, words, is_token in columns:
            value = values[place]
            if words is not None:
                pairs.append(words[value])  # type: ignore[index]
            elif type(value) is bytes:
                pairs.append((name, value.hex()))
            elif is_token:
                pairs.append((name, tokens[value].hex()))  # type: ignore[index]
            else:
                pairs.append((name, value))  # type: ignore[arg-type]
        return tuple(pairs)

    def _arrange(self, numbers: Sequence[int]) -> tuple[_Column, ...]:
        """What there is to say of events that carry these fields, in the order of the names."""
        found = [
            _Column(2 * index + 1, self._names[number], self._pairs[number], number in self._tokens)
            for index, number in enumerate(numbers)
        ]
        return tuple(sorted(found, key=attrgetter("name")))

    def plain(self, packed: Packed, tokens: Sequence[bytes]) -> Packed:
        """The event with every token written out, as :func:`encode` takes it. Raises :class:`CorruptRecord`."""
        if not tokens:
            return packed
        try:
            plain = packed.copy()
            for index in range(3, len(packed), 2):
                if packed[index] in self._tokens and type(packed[index + 1]) is not bytes:
                    plain[index + 1] = tokens[packed[index + 1]]  # type: ignore[index]
            return plain
        except (IndexError, TypeError):
            raise CorruptRecord("a block does not fit the policy that it names; run `consentprofile check`") from None
