"""The profile: the deterministic fold of one account's events for one purpose. It is computed, never stored.

Same facts, same profile: neither the order of arrival nor repetition, batching or splitting makes a difference.
What the stored precision cannot support is None, never guessed. docs/profile.md defines each part in plain words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from consentprofile import canonical
from consentprofile.model import journey
from consentprofile.model.calendar import Calendar
from consentprofile.model.event import Recorded, Value
from consentprofile.model.policy import RESERVED_FIELDS, AmountField, EnumField, Policy, Precision, Purpose, TokenField
from consentprofile.model.withheld import Withheld

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# One calendar for each time zone: it remembers the days that it has met.
_calendar = lru_cache(maxsize=32)(Calendar)


class Device(Withheld, frozen=True, kw_only=True):
    """A device: the platforms it was seen on, by name, and when it was seen first and last (see :class:`Profile`)."""

    platforms: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime


class Stated(Withheld, frozen=True, kw_only=True):
    """The last value of a field, and the local day it is of.

    ``value`` is None where the last hour, day or month with the field holds different values, for which of them came
    last is not known; with precision second the order of events decides. ``on`` is None with precision month.
    """

    value: Value | None
    on: date | None


class Profile(Withheld, frozen=True, kw_only=True):
    """What one account's events for one purpose add up to.

    Times are aware, in UTC, and begin what the precision knows: with precision day ``first_seen`` is the beginning of
    the day in ``time_zone``. Days are local days of ``time_zone``. Mappings are sorted by name, ``devices`` (keyed by
    the token's digest in hex) by first seen and digest. Only what occurred is in a mapping. ``sessions`` is None unless
    the precision is second; ``active_days`` and ``interests`` are None with precision month.

    ``msgspec.json.encode(profile)`` gives its JSON, and ``msgspec.json.decode(text, type=Profile)`` the profile again.
    """

    purpose: str
    precision: Precision
    time_zone: str
    events: int
    first_seen: datetime | None
    last_seen: datetime | None
    active_days: int | None
    kinds: Mapping[str, int]
    channels: Mapping[str, int]
    platforms: Mapping[str, int]
    devices: Mapping[str, Device]
    sessions: journey.Sessions | None
    path: tuple[journey.Step, ...]
    path_cut: int
    interests: Mapping[str, Mapping[str, int]] | None
    preferences: Mapping[str, Stated]
    last: Mapping[str, Stated]


def dedupe(events: Iterable[Recorded]) -> list[Recorded]:
    """Each event once, by (time, canonical content, id).

    Of events with one id the one with the smallest canonical encoding stays, whatever else they say.
    """
    given = list(events)
    by_id = {event.id: event for event in given}
    if len(by_id) != len(given):
        by_id = {}
        for event in given:
            known = by_id.setdefault(event.id, event)
            if known is not event and _encoding(event) < _encoding(known):
                by_id[event.id] = event
    kept = list(by_id.values())
    # The order of Recorded raises where one field holds a text here and a number there (its declaration changed).
    # _order agrees with it wherever it does not raise and is total, so both sorts can only end in the same order.
    try:
        kept.sort()
    except TypeError:
        kept.sort(key=_order)
    return kept


def fold(events: Iterable[Recorded], policy: Policy, purpose: Purpose) -> Profile:
    """The profile of ``events``, all of one account, for ``purpose``.

    Repeats are dropped, and of the rest only the newest ``purpose.keep`` count. Times finer than the purpose's
    precision are shown no finer than it. Fields that the policy does not declare are passed over. Retention is not
    judged here: events that are past it must not be handed in.
    """
    kept = dedupe(events)
    if len(kept) > purpose.keep:
        del kept[: len(kept) - purpose.keep]
    precision = purpose.precision
    calendar = _calendar(policy.time_zone)
    times = [event.at for event in kept]
    if precision != "second":
        times = [calendar.floor(at, precision) for at in times]
    days = None if precision == "month" else calendar.day_numbers(times)
    # Events of a block that say the same share one tuple of fields: it is looked into once.
    shared = {id(event.fields): event.fields for event in kept}
    dictionaries = {known: dict(fields) for known, fields in shared.items()}
    said = [dictionaries[id(event.fields)] for event in kept]
    others: set[str] = set().union(*dictionaries.values()).difference(RESERVED_FIELDS)
    channels, platforms, used = _column(said, "channel"), _column(said, "platform"), _column(said, "device")
    steps, steps_cut = journey.path(zip(times, channels, platforms, strict=True))  # type: ignore[arg-type]  # are texts
    preferences, last = _last_values(said, others, times, days, policy, precision)
    return Profile(
        purpose=purpose.name,
        precision=precision,
        time_zone=policy.time_zone,
        events=len(kept),
        first_seen=_moment(times[0]) if times else None,
        last_seen=_moment(times[-1]) if times else None,
        active_days=None if days is None else len(set(days)),
        kinds=_sorted_counts([event.kind for event in kept]),
        channels=_sorted_counts(channels),
        platforms=_sorted_counts(platforms),
        devices=_devices(times, used, platforms),
        sessions=journey.sessions(times) if precision == "second" else None,
        path=steps,
        path_cut=steps_cut,
        interests=None if days is None else _interests(said, others, days, policy),
        preferences=preferences,
        last=last,
    )


def _encoding(event: Recorded) -> bytes:
    """The canonical bytes of what an event says, its id apart."""
    return canonical.pack((event.at, event.kind, event.fields))


def _order(event: Recorded) -> tuple[int, str, tuple[tuple[str, bool, Value], ...], bytes]:
    """The order of :class:`Recorded`, made total: numbers and booleans before texts."""
    fields = tuple((name, isinstance(value, str), value) for name, value in event.fields)
    return event.at, event.kind, fields, event.id


def _moment(at: int) -> datetime:
    return _EPOCH + timedelta(seconds=at)


def _sorted_counts(values: Iterable[Value | None]) -> dict[str, int]:
    """How often each value occurs, by its name; None is nothing."""
    counts = Counter(values)
    counts.pop(None, None)
    return dict(sorted([(str(value), count) for value, count in counts.items()]))


def _column(said: Iterable[Mapping[str, Value]], name: str) -> list[Value | None]:
    """What each event says in one field."""
    return [fields.get(name) for fields in said]


def _devices(times: Sequence[int], used: Sequence[Value | None], on: Sequence[Value | None]) -> dict[str, Device]:
    """Devices by digest, in the order of first seen and digest."""
    first: dict[Value, int] = {}
    latest: dict[Value, int] = {}
    platforms: dict[Value, set[Value | None]] = {}
    for at, device, platform in zip(times, used, on, strict=True):
        if device is not None:
            if device not in first:
                first[device] = at
                platforms[device] = set()
            latest[device] = at
            platforms[device].add(platform)
    return {
        str(digest): Device(
            platforms=tuple(sorted([str(platform) for platform in platforms[digest] if platform is not None])),
            first_seen=_moment(seen),
            last_seen=_moment(latest[digest]),
        )
        for digest, seen in sorted(first.items(), key=lambda item: (item[1], str(item[0])))
    }


def _interests(
    said: Sequence[Mapping[str, Value]], names: Iterable[str], days: Sequence[int], policy: Policy
) -> dict[str, dict[str, int]]:
    """Distinct days by value by field, for the fields of these names that have closed vocabularies."""
    result: dict[str, dict[str, int]] = {}
    for name in sorted(names):
        if isinstance(policy.fields.get(name), EnumField):
            daily = set(zip(_column(said, name), days, strict=True))
            result[name] = _sorted_counts([value for value, _ in daily])
    return result


def _last_values(
    said: Sequence[Mapping[str, Value]],
    names: Iterable[str],
    times: Sequence[int],
    days: Sequence[int] | None,
    policy: Policy,
    precision: Precision,
) -> tuple[dict[str, Stated], dict[str, Stated]]:
    """The last values of preferences among the fields of these names, and of the others."""
    missing = set(names)
    newest: dict[str, int] = {}
    for index in range(len(said) - 1, -1, -1):
        if not missing:
            break
        for name in missing.intersection(said[index]):
            newest[name] = index
            missing.discard(name)
    preferences: dict[str, Stated] = {}
    last: dict[str, Stated] = {}
    for name, place in sorted(newest.items()):
        field = policy.fields.get(name)
        if field is None:
            continue
        value: Value | None = said[place][name]
        if precision != "second" and _is_disputed(said, times, place, name):
            value = None
        stated = Stated(value=value, on=None if days is None else Calendar.day_of(days[place]))
        preferred = not isinstance(field, AmountField | TokenField) and field.preference
        (preferences if preferred else last)[name] = stated
    return preferences, last


def _is_disputed(said: Sequence[Mapping[str, Value]], times: Sequence[int], place: int, name: str) -> bool:
    """Whether other events of the time of event ``place``, the newest that carries ``name``, say something else."""
    value = said[place][name]
    index = place - 1
    while index >= 0 and times[index] == times[place]:
        if said[index].get(name, value) != value:
            return True
        index -= 1
    return False
