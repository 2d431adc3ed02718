"""The period of a release, the steps of time that it is cut into, and when the clock and the ledger allow it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from consentprofile.errors import ReleaseRefused
from consentprofile.model.calendar import Calendar
from consentprofile.model.policy import Precision
from consentprofile.model.toml_reader import Reader

Unit: TypeAlias = Literal["day", "week", "month"]
UNITS: Final[tuple[Unit, ...]] = ("day", "week", "month")
"""Steps of time: local days, weeks from Monday on, and calendar months."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2999
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DAY: Final = 86400


class Period(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """From ``since`` until ``until``, exclusive, in seconds since 1970-01-01T00:00:00Z."""

    since: int
    until: int


class Steps(msgspec.Struct, frozen=True):
    """The days, weeks or months that a period touches: their names (2024-01-31, 2024-W05, 2024-01) and first seconds.

    The first one may begin before the period, and the last one may end after it.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...]

    @property
    def offsets(self) -> list[tuple[str, int]]:
        """How many seconds before midnight UTC of its first date each step begins, named where that changes.

        Two zones that cut a period alike have the same offsets.
        """
        runs: list[tuple[str, int]] = []
        for name, start in zip(self.names, self.starts, strict=True):
            offset = _first_date(name) * _DAY - start
            if not runs or runs[-1][1] != offset:
                runs.append((name, offset))
        return runs


class Zoned(NamedTuple):
    """A period with the calendar of the zone that its days begin in."""

    period: Period
    calendar: Calendar

    @property
    def ends(self) -> tuple[int, int]:
        """Its first second, and the first one after it."""
        return self.period.since, self.period.until

    def inside(self, steps: Steps) -> Iterable[int]:
        """The seconds within the period, its first one left out, that steps begin with."""
        return (start for start in steps.starts if self.period.since < start < self.period.until)

    def begins(self, unit: Unit, at: int) -> bool:
        """Whether a step of ``unit`` begins at this second."""
        return Zoned(Period(at, at + 1), self.calendar).steps(unit).starts[0] == at

    def steps(self, unit: Unit) -> Steps:
        """The period in steps of ``unit``."""
        calendar, (since, last) = self.calendar, (self.period.since, self.period.until - 1)
        if unit == "month":
            months = range(calendar.month(since), calendar.month(last) + 1)
            names = tuple(f"{month // 12:04}-{month % 12 + 1:02}" for month in months)
            return Steps(names, tuple(map(calendar.month_start, months)))
        days = range(calendar.day_number(since), calendar.day_number(last) + 1)
        if unit == "day":
            return Steps(tuple(map(_day_name, days)), tuple(map(calendar.day_start, days)))
        weeks = range(days[0] - (days[0] + 3) % 7, days[-1] + 1, 7)  # day 0, 1970-01-01, was a Thursday
        return Steps(tuple(map(_week_name, weeks)), tuple(map(calendar.day_start, weeks)))


def _day_name(number: int) -> str:
    return Calendar.day_of(number).isoformat()


def _week_name(number: int) -> str:
    year, week, _ = Calendar.day_of(number).isocalendar()
    return f"{year:04}-W{week:02}"


def _first_date(name: str) -> int:
    """The first date of a step, in days since 1970-01-01, from its name."""
    if "W" in name:
        first = date.fromisocalendar(int(name[:4]), int(name[6:]), 1)
    else:
        first = date.fromisoformat(name if len(name) == len("2024-01-31") else f"{name}-01")
    return first.toordinal() - _EPOCH_ORDINAL


def instant(at: int) -> str:
    """A second as published: ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- reading ------------------------------------------------------------------------------------


def read_period(top: Reader) -> Zoned | None:
    """The period of a specification, its days cut in the specification's zone."""
    first, last = _date(top, "from"), _date(top, "until")
    zone = top.time_zone("zone")
    if first is None or last is None or zone is None:
        return None
    if first >= last:
        top.fault("until", "expected a day after 'from' (it is exclusive)")
        return None
    calendar = Calendar(zone)
    return Zoned(Period(*(calendar.day_start(day.toordinal() - _EPOCH_ORDINAL) for day in (first, last))), calendar)


def is_told(calendar: Calendar, precision: Precision, instants: Iterable[int]) -> bool:
    """Whether times kept with this precision, cut by ``calendar``, tell what lies before and after each instant."""
    return all(calendar.floor(at, precision) == at for at in instants)


def _date(top: Reader, key: str) -> date | None:
    expected = f"a day, such as 2024-01-01, from {_FIRST_YEAR} to {_LAST_YEAR}"
    value = top.raw(key, expected)
    if value is None:
        return None
    if not isinstance(value, date) or isinstance(value, datetime) or not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        top.fault(key, f"expected {expected}")
        return None
    return value


# ---- the clock and the ledger -------------------------------------------------------------------


def check_period(
    period: Period, cadence: int, retention_months: int, calendar: Calendar, now: int, earlier: Iterable[Period]
) -> None:
    """Refuse what the clock, the retention or the ledger does not allow: :class:`ReleaseRefused`.

    ``calendar`` is that of the policy's time zone, ``now`` in seconds since 1970-01-01T00:00:00Z. ``earlier`` are the
    periods already released in this specification's series; a specification that the ledger answers is not checked.

    The cadence: measured against each earlier period, ``from`` is the same or at least ``cadence`` days away, and so
    is ``until``. Otherwise two windows a day apart would show what happened on that day alone. (Days are counted to
    the nearest, so that a change of clocks does not matter.)
    """
    if period.since >= now:
        raise ReleaseRefused("the period has not begun; a release is about a period that is over")
    if period.until > now:
        raise ReleaseRefused("the period is still open; ask again once it is over")
    if calendar.month(period.since) < calendar.oldest_month(now, retention_months):
        raise ReleaseRefused(
            "the period begins before the oldest month that the purpose still keeps, so its figures would be too "
            "small; ask for a later 'from'"
        )
    for other in earlier:
        if period == other:
            raise ReleaseRefused(
                "this question was answered for this period under another protection or zone; ask for it as it was "
                "asked then"
            )
        moved = (abs(period.since - other.since), abs(period.until - other.until))
        if any(0 < seconds < cadence * _DAY - _DAY // 2 for seconds in moved):
            raise ReleaseRefused(
                f"an earlier release of the same question begins or ends less than {cadence} days away, the policy's "
                "cadence; keep 'from' or 'until' as it was, or move it further"
            )
