"""Minimization: what of an event a purpose may keep. It happens before sealing, and it is pure.

A policy is compiled once into a :class:`Projector`. :meth:`Projector.check` refuses what the policy does not declare;
:meth:`Projector.project` answers, for one purpose, the kept fields or None. Strings of closed vocabularies become
their position in the policy here, so nothing after this point knows the words.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from consentprofile.errors import InvalidEvent
from consentprofile.model.declaration import Declaration
from consentprofile.model.event import Event, Value
from consentprofile.model.policy import (
    AmountField,
    BooleanField,
    EnumField,
    Field,
    IntegerField,
    Policy,
    Precision,
    TokenField,
)
from consentprofile.model.withheld import Withheld

FUTURE_SECONDS: Final = 300
"""How far ahead of the store's clock an event may be: clocks of servers differ."""

MAXIMUM_TOKEN_BYTES: Final = 256

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)

Pair: TypeAlias = tuple[int, int | bool | str]
"""The number of a field, and its encoded value."""

Encoder: TypeAlias = Callable[[Value], Pair]


class Checked(Withheld, frozen=True, array_like=True):
    """An event that the policy declares. ``values`` are (field number, encoded value), ascending; tokens as given."""

    kind: int
    at: int
    values: list[Pair]
    sensitive: frozenset[tuple[int, int]]


class _KindPlan(NamedTuple):
    number: int
    fields: dict[str, Encoder]


class _PurposePlan(NamedTuple):
    kept: list[frozenset[int] | None]
    """By kind number: the field numbers kept, or None where the kind is not collected."""
    whole: frozenset[int]
    """The kinds of which every field is kept."""
    sensitive: frozenset[tuple[int, int]]


class Narrowed(NamedTuple):
    """The compiled rules of consents that allow less than the policy declares: see :meth:`Projector.narrowed`."""

    kept: list[frozenset[int] | None]
    """By kind number: the field numbers kept, or None where the kind is not collected."""
    withheld: frozenset[tuple[int, int]]
    precision: Precision
    retention_months: int


class Projector:
    """The compiled rules of one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        numbers = {field.name: number for number, field in enumerate(policy.field_list)}
        encoders = [_encoder(number, field) for number, field in enumerate(policy.field_list)]
        self.tokens: Final = {
            number: field.name for number, field in enumerate(policy.field_list) if isinstance(field, TokenField)
        }
        self._kinds = {
            kind.name: _KindPlan(number, {name: encoders[numbers[name]] for name in kind.fields})
            for number, kind in enumerate(policy.kind_list)
        }
        self._sensitive = frozenset(
            (numbers[field.name], field.values.index(value))
            for field in policy.field_list
            if isinstance(field, EnumField)
            for value in field.sensitive
        )
        self._purposes: dict[str, _PurposePlan] = {}
        for purpose in policy.purpose_list:
            collected = [purpose.collected(kind.name) for kind in policy.kind_list]
            named = set()
            for entry in purpose.sensitive:
                number, place = encoders[numbers[entry.field]](entry.value)
                named.add((number, int(place)))
            kept = [None if fields is None else frozenset(numbers[name] for name in fields) for fields in collected]
            whole = frozenset(
                number
                for number, fields in enumerate(kept)
                if fields is not None and fields.issuperset(numbers[name] for name in policy.kind_list[number].fields)
            )
            self._purposes[purpose.name] = _PurposePlan(kept, whole, frozenset(named))

    def check(self, event: Event, now: int) -> Checked:
        """Validate an event against the policy at ``now`` (seconds since 1970, UTC). Raises :class:`InvalidEvent`.

        The message names the kind or field as declared, never a value.
        """
        plan = self._kinds.get(event.kind) if isinstance(event.kind, str) else None
        if plan is None:
            raise InvalidEvent("the policy declares no such kind of event; `policy show` lists the kinds")
        at = event.at
        if not isinstance(at, datetime) or at.tzinfo is None:
            raise InvalidEvent("an event's time is a datetime with a time zone")
        second = (at - _EPOCH) // _SECOND
        if second > now + FUTURE_SECONDS:
            raise InvalidEvent("an event's time is more than 5 minutes ahead of the store's clock")
        if second < 0:
            raise InvalidEvent("an event's time is before 1970")
        if event.id is not None and not _is_token(event.id):
            raise InvalidEvent(f"an event's id is a text of 1 to {MAXIMUM_TOKEN_BYTES} bytes")
        values = []
        number, fields = plan
        refused = None
        for name, value in event.fields.items():
            encode = fields.get(name)
            if encode is None:
                raise InvalidEvent(
                    f"events of kind {event.kind!r} carry a field that the policy does not declare for it"
                )
            try:
                values.append(encode(value))
            except (KeyError, TypeError, ValueError):
                refused = name
                break
        if refused is not None:
            # Outside the handler: its error holds the value, and would travel along as context.
            raise InvalidEvent(f"the field {refused!r} of kind {event.kind!r} has a value that is not declared")
        if len(values) > 1:
            values.sort()
        sensitive = self._sensitive.intersection(values) if self._sensitive else self._sensitive
        return Checked(number, second, values, sensitive)

    def project(self, purpose: str, checked: Checked) -> list[Pair] | None:
        """The values that ``purpose`` keeps of the event, or None where it does not exist for this purpose."""
        plan = self._purposes[purpose]
        kept = plan.kept[checked.kind]
        if kept is None or (checked.sensitive and not checked.sensitive <= plan.sensitive):
            return None
        if checked.kind in plan.whole:
            return checked.values
        return [pair for pair in checked.values if pair[0] in kept]

    def narrowed(self, holds: Declaration) -> Narrowed:
        """The rules of consents that ``holds`` is left of, which the policy declares more than."""
        numbers = {field: number for number, field in enumerate(self._policy.fields)}
        collected = [holds.fields.get(kind) for kind in self._policy.kinds]
        words = {
            (field.name, value): (number, place)
            for number, field in enumerate(self._policy.field_list)
            if isinstance(field, EnumField)
            for place, value in enumerate(field.values)
        }
        return Narrowed(
            [None if fields is None else frozenset(numbers[name] for name in fields) for fields in collected],
            frozenset(words[pair] for pair in holds.withheld if pair in words),
            holds.precision,
            holds.retention_months,
        )

    @staticmethod
    def project_narrowed(rules: Narrowed, checked: Checked) -> list[Pair] | None:
        """As :meth:`project`, for consents that allow less."""
        kept = rules.kept[checked.kind]
        if kept is None or not rules.withheld.isdisjoint(checked.values):
            return None
        return [pair for pair in checked.values if pair[0] in kept]


def _is_token(value: object) -> bool:
    """Whether this is a text of 1 to :data:`MAXIMUM_TOKEN_BYTES` bytes of UTF-8."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return 0 < len(value) <= MAXIMUM_TOKEN_BYTES
    try:
        return len(value.encode()) <= MAXIMUM_TOKEN_BYTES
    except UnicodeEncodeError:
        return False


def _encoder(number: int, field: Field) -> Encoder:
    """What encodes the values of the field with this number."""
    if isinstance(field, EnumField):
        # A dictionary lookup refuses unknown values (KeyError) and unhashable ones (TypeError).
        return {value: (number, place) for place, value in enumerate(field.values)}.__getitem__  # type: ignore[return-value]
    if isinstance(field, IntegerField):
        return _bounded(number, field.minimum, field.maximum)
    if isinstance(field, AmountField):
        return _bounded(number, 0, field.maximum)
    if isinstance(field, BooleanField):
        return _boolean(number)
    return _token(number)


def _bounded(number: int, minimum: int, maximum: int) -> Encoder:
    def encode(value: Value) -> Pair:
        if type(value) is not int or not minimum <= value <= maximum:
            raise ValueError
        return number, value

    return encode


def _boolean(number: int) -> Encoder:
    def encode(value: Value) -> Pair:
        if type(value) is not bool:
            raise ValueError
        return number, value

    return encode


def _token(number: int) -> Encoder:
    def encode(value: Value) -> Pair:
        if type(value) is not str or not _is_token(value):
            raise ValueError
        return number, value

    return encode
