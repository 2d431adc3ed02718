"""Recoding: what a declaration leaves of events that were recorded under an earlier policy.

It is narrowing carried out: what is no longer allowed is left out, and what remains is said with the positions of the
policy in force. Reading and resealing use the same, so what is destroyed in the end is what nobody has seen since.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from consentprofile.errors import CorruptRecord
from consentprofile.model.block import Packed
from consentprofile.model.calendar import Calendar
from consentprofile.model.declaration import Declaration, coarser
from consentprofile.model.policy import AmountField, EnumField, Field, IntegerField, Policy

_LEFT_OUT: Final = -1
_NEVER: Final = -2
"""Of an event that carries this value nothing is left."""

_NOTHING: Final[frozenset[str]] = frozenset()

Words: TypeAlias = tuple[int, ...]
"""The new position of each value of a vocabulary, or what becomes of it."""


class _Place(NamedTuple):
    """What becomes of one field of one kind: its new position, or None; and the values that it may have."""

    position: int | None
    words: Words | None
    bounds: tuple[int, int] | None


class Recoding:
    """Turns events of blocks that name the policy ``before`` into what ``allowed`` leaves of them under ``now``."""

    def __init__(self, before: Policy, now: Policy, allowed: Declaration, calendar: Calendar) -> None:
        self._calendar = calendar
        self._precision: Final = allowed.precision
        kinds = {kind.name: number for number, kind in enumerate(now.kind_list)}
        numbers = {field.name: number for number, field in enumerate(now.field_list)}
        self._kinds = [kinds[kind.name] if kind.name in allowed.fields else None for kind in before.kind_list]
        self._places = [
            [
                _place(field, now.fields.get(field.name), numbers, allowed.withheld, kept=field.name in fields)
                for field in before.field_list
            ]
            for fields in (allowed.fields.get(kind.name, _NOTHING) for kind in before.kind_list)
        ]

    def event(self, packed: Packed) -> Packed | None:
        """What is left of an event, its tokens written out; None where that is nothing.

        Raises :class:`CorruptRecord` for positions that the earlier policy does not have.
        """
        try:
            old: int = packed[2]  # type: ignore[assignment]
            kind, places = self._kinds[old], self._places[old]
            if kind is None:
                return None
            pairs: list[tuple[int, int | bool | bytes]] = []
            for index in range(3, len(packed), 2):
                place, value = places[packed[index]], packed[index + 1]  # type: ignore[index]
                if place.words is not None:
                    value = place.words[value]  # type: ignore[index]
                    if value == _NEVER:
                        return None
                    if value == _LEFT_OUT:
                        continue
                elif place.bounds is not None and not place.bounds[0] <= value <= place.bounds[1]:  # type: ignore[operator]
                    continue
                if place.position is not None:
                    pairs.append((place.position, value))
            at = self._calendar.floor(packed[1], self._precision)  # type: ignore[arg-type]
        except (IndexError, TypeError):
            raise CorruptRecord("a block does not fit the policy that it names; run `consentprofile check`") from None
        pairs.sort(key=lambda pair: pair[0])
        return [packed[0], at, kind, *(part for pair in pairs for part in pair)]

    @staticmethod
    def narrows(before: Packed, left: Packed) -> bool:
        """Whether an event lost a part: a value that is not there any more, or the exactness of its time."""
        return len(left) < len(before) or left[1] != before[1]


def _place(
    field: Field, now: Field | None, numbers: dict[str, int], withheld: frozenset[tuple[str, str]], *, kept: bool
) -> _Place:
    position = numbers[field.name] if kept and now is not None else None
    words: Words | None = None
    bounds: tuple[int, int] | None = None
    if isinstance(field, EnumField):
        known = {value: number for number, value in enumerate(now.values)} if isinstance(now, EnumField) else {}
        words = tuple(
            _NEVER if (field.name, value) in withheld else known.get(value, _LEFT_OUT) for value in field.values
        )
    elif isinstance(now, IntegerField):
        bounds = now.minimum, now.maximum
    elif isinstance(now, AmountField):
        bounds = 0, now.maximum
    return _Place(position, words, bounds)


def needs_recoding(before: Policy, now: Policy, held: Declaration, allowed: Declaration) -> bool:
    """Whether blocks that name policy ``before``, recorded under ``held``, may hold more than ``allowed`` leaves."""
    if any(not fields <= allowed.fields.get(kind, _NOTHING) for kind, fields in held.fields.items()):
        return True
    if not held.fields.keys() <= allowed.fields.keys() or held.keep > allowed.keep:
        return True
    if coarser(held.precision, allowed.precision) != held.precision:
        return True
    kept = {name for fields in held.fields.values() for name in fields}
    return any(
        _has_lost(field, now.fields.get(field.name), allowed.withheld - held.withheld)
        for field in before.field_list
        if field.name in kept
    )


def _has_lost(field: Field, now: Field | None, withheld: frozenset[tuple[str, str]]) -> bool:
    """Whether a field that is still kept may have a value that it may not have any more."""
    if isinstance(field, EnumField):
        words = now.values if isinstance(now, EnumField) else ()
        return not set(field.values) <= set(words) or any((field.name, value) in withheld for value in field.values)
    if isinstance(field, IntegerField) and isinstance(now, IntegerField):
        return now.minimum > field.minimum or now.maximum < field.maximum
    if isinstance(field, AmountField) and isinstance(now, AmountField):
        return now.maximum < field.maximum
    return False
