"""What the calendar promises: floors that clocks cannot confuse, and months that retention can count."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consentprofile.model.calendar import Calendar
from consentprofile.model.policy import Precision

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
PRECISIONS: Final[tuple[Precision, ...]] = ("second", "hour", "day", "month")
CALENDARS: Final = {zone: Calendar(zone) for zone in ZONES}


def seconds(text: str) -> int:
    """Epoch seconds of an ISO time with an offset."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(seconds=1)


times = st.integers(min_value=seconds("1970-01-01T00:00:00+00:00"), max_value=seconds("2200-12-31T00:00:00+00:00"))
clock_changes = st.builds(
    lambda change, away: change + away,
    st.sampled_from(
        [
            seconds("2024-03-31T01:00:00+00:00"),  # Berlin, forward
            seconds("2024-10-27T01:00:00+00:00"),  # Berlin, back
            seconds("2024-03-10T07:00:00+00:00"),  # New York, forward
            seconds("2024-11-03T06:00:00+00:00"),  # New York, back
            seconds("2024-10-05T15:30:00+00:00"),  # Lord Howe, forward by half an hour
            seconds("2024-04-06T15:00:00+00:00"),  # Lord Howe, back by half an hour
            seconds("2006-04-02T03:31:00+00:00"),  # St John's, forward at one minute past midnight
            seconds("2006-10-29T02:31:00+00:00"),  # St John's, back over midnight
        ]
    ),
    st.integers(min_value=-2 * 86400, max_value=2 * 86400),
)
zones = st.sampled_from(ZONES)


def local(at: int, zone: str) -> datetime:
    return (EPOCH + timedelta(seconds=at)).astimezone(ZoneInfo(zone))


def looked_up_hour(at: int, zone: str) -> int:
    """Minute by minute back to a full hour on the wall."""
    minute = at - at % 60
    while local(minute, zone).minute != 0:
        minute -= 60
    return minute


def looked_up_day(at: int, zone: str) -> tuple[date, int]:
    """Minute by minute from two days before: the latest date that the wall has shown, and since when."""
    shown, since = date.min, 0
    for minute in range(at - at % 60 - 2 * 86400, at + 1, 60):
        today = local(minute, zone).date()
        if today > shown:
            shown, since = today, minute
    return shown, since


FLOORS: Final[list[tuple[str, Precision, str, str]]] = [
    ("UTC", "second", "2024-02-29T23:59:59+00:00", "2024-02-29T23:59:59+00:00"),
    ("UTC", "hour", "2024-02-29T23:59:59+00:00", "2024-02-29T23:00:00+00:00"),
    ("UTC", "day", "2024-02-29T23:59:59+00:00", "2024-02-29T00:00:00+00:00"),
    ("UTC", "month", "2024-02-29T23:59:59+00:00", "2024-02-01T00:00:00+00:00"),
    ("UTC", "hour", "1969-12-31T23:59:59+00:00", "1969-12-31T23:00:00+00:00"),
    ("UTC", "day", "1969-12-31T23:59:59+00:00", "1969-12-31T00:00:00+00:00"),
    ("UTC", "month", "1969-12-31T23:59:59+00:00", "1969-12-01T00:00:00+00:00"),
    ("UTC", "month", "2200-12-31T23:59:59+00:00", "2200-12-01T00:00:00+00:00"),
    ("Europe/Berlin", "day", "2024-03-31T23:30:00+02:00", "2024-03-31T00:00:00+01:00"),
    ("Europe/Berlin", "day", "2024-10-27T23:30:00+01:00", "2024-10-27T00:00:00+02:00"),
    ("Europe/Berlin", "month", "2024-03-31T23:30:00+02:00", "2024-03-01T00:00:00+01:00"),
    ("Europe/Berlin", "month", "2024-10-31T23:59:59+01:00", "2024-10-01T00:00:00+02:00"),
    ("Europe/Berlin", "month", "2023-12-31T23:30:00+00:00", "2024-01-01T00:00:00+01:00"),
    ("Europe/Berlin", "hour", "2024-03-31T03:10:00+02:00", "2024-03-31T03:00:00+02:00"),
    ("Europe/Berlin", "hour", "2024-10-27T02:10:00+02:00", "2024-10-27T02:00:00+02:00"),
    ("Europe/Berlin", "hour", "2024-10-27T02:10:00+01:00", "2024-10-27T02:00:00+01:00"),
    ("Europe/Berlin", "day", "1969-07-20T21:17:40+01:00", "1969-07-20T00:00:00+01:00"),
    ("America/New_York", "day", "2024-03-10T03:30:00-04:00", "2024-03-10T00:00:00-05:00"),
    ("America/New_York", "day", "2024-11-03T23:59:59-05:00", "2024-11-03T00:00:00-04:00"),
    ("America/New_York", "hour", "2024-11-03T01:59:59-05:00", "2024-11-03T01:00:00-05:00"),
    ("America/New_York", "month", "2024-11-30T23:59:59-05:00", "2024-11-01T00:00:00-04:00"),
    ("Australia/Lord_Howe", "hour", "2024-04-07T01:45:00+11:00", "2024-04-07T01:00:00+11:00"),
    ("Australia/Lord_Howe", "hour", "2024-04-07T01:45:00+10:30", "2024-04-07T01:00:00+11:00"),
    ("Australia/Lord_Howe", "hour", "2024-04-07T02:15:00+10:30", "2024-04-07T02:00:00+10:30"),
    ("Australia/Lord_Howe", "hour", "2024-10-06T02:45:00+11:00", "2024-10-06T01:00:00+10:30"),
    ("Australia/Lord_Howe", "hour", "2024-10-06T03:15:00+11:00", "2024-10-06T03:00:00+11:00"),
    ("Australia/Lord_Howe", "day", "2024-04-07T23:00:00+10:30", "2024-04-07T00:00:00+11:00"),
    # Clocks put forward by 25:08 at one minute past midnight: the hour had begun by the old clock.
    ("Europe/Athens", "hour", "1916-07-28T00:30:00+02:00", "1916-07-28T00:00:00+01:34:52"),
    ("Europe/Athens", "day", "1916-07-28T00:30:00+02:00", "1916-07-28T00:00:00+01:34:52"),
    ("Asia/Kathmandu", "hour", "2024-05-05T05:50:00+05:45", "2024-05-05T05:00:00+05:45"),
    ("America/Sao_Paulo", "day", "2018-11-04T12:00:00-02:00", "2018-11-04T01:00:00-02:00"),  # no midnight
    ("America/Sao_Paulo", "day", "2018-02-17T23:30:00-03:00", "2018-02-17T00:00:00-02:00"),  # 25 hours
    ("America/St_Johns", "day", "2006-10-28T23:30:00-03:30", "2006-10-29T00:00:00-02:30"),  # the 29th had begun
    ("America/St_Johns", "day", "2006-10-29T12:00:00-03:30", "2006-10-29T00:00:00-02:30"),
    ("America/Toronto", "day", "1919-03-31T12:00:00-04:00", "1919-03-31T00:30:00-04:00"),  # a gap across midnight
    ("Pacific/Apia", "day", "2011-12-31T12:00:00+14:00", "2011-12-31T00:00:00+14:00"),  # after a skipped day
    ("Pacific/Apia", "day", "2011-12-29T23:59:59-10:00", "2011-12-29T00:00:00-10:00"),
]


@pytest.mark.parametrize(("zone", "precision", "at", "expected"), FLOORS)
def test_floor_follows_the_local_clock(zone: str, precision: Precision, at: str, expected: str) -> None:
    """Each case is a moment at which careless arithmetic goes wrong."""
    assert Calendar(zone).floor(seconds(at), precision) == seconds(expected)


@given(zone=zones, at=times | clock_changes)
@example(zone="Australia/Lord_Howe", at=seconds("2024-10-06T02:30:00+11:00"))
@example(zone="America/St_Johns", at=seconds("2006-10-29T00:00:59-02:30"))
@settings(max_examples=60, deadline=None)
def test_floor_agrees_with_watching_the_clock_on_the_wall(zone: str, at: int) -> None:
    """An independent look, minute by minute, finds the same hour, the same day and the same date."""
    calendar = CALENDARS[zone]
    shown, since = looked_up_day(at, zone)
    assert calendar.floor(at, "hour") == looked_up_hour(at, zone)
    assert calendar.floor(at, "day") == since
    assert calendar.day(at) == shown
    assert calendar.month(at) == shown.year * 12 + shown.month - 1


@given(zone=zones, at=times | clock_changes | st.integers(min_value=-10_000_000_000, max_value=0))
def test_floor_is_idempotent_never_ahead_and_never_finer_than_asked(zone: str, at: int) -> None:
    """Flooring twice is flooring once, and a coarser floor of a finer one is the coarser floor."""
    calendar = CALENDARS[zone]
    floors = [calendar.floor(at, precision) for precision in PRECISIONS]
    assert floors == sorted(floors, reverse=True)
    assert floors[0] == at
    for precision, floor in zip(PRECISIONS, floors, strict=True):
        assert calendar.floor(floor, precision) == floor
    assert calendar.floor(floors[2], "month") == floors[3]


@given(zone=zones, pair=st.tuples(clock_changes, clock_changes) | st.tuples(times, times))
def test_floor_keeps_the_order_of_times(zone: str, pair: tuple[int, int]) -> None:
    """Earlier times never get later floors, days or months, even where clocks are put back over midnight."""
    calendar = CALENDARS[zone]
    earlier, later = sorted(pair)
    for precision in PRECISIONS:
        assert calendar.floor(earlier, precision) <= calendar.floor(later, precision)
    assert calendar.day_number(earlier) <= calendar.day_number(later)
    assert calendar.month(earlier) <= calendar.month(later)


@given(zone=zones, year=st.integers(min_value=1970, max_value=2200), month=st.integers(min_value=1, max_value=12))
def test_a_month_begins_exactly_where_the_one_before_ends(zone: str, year: int, month: int) -> None:
    """The first second belongs to the month, the second before it to the month before."""
    calendar = CALENDARS[zone]
    number = year * 12 + month - 1
    start = calendar.month_start(number)
    assert calendar.month(start) == number
    assert calendar.month(start - 1) == number - 1
    assert calendar.day(start) == date(year, month, 1)
    # At midnight, or where the clock jumped over midnight (Kathmandu, 1986), right after the jump.
    assert local(start, zone).date() == date(year, month, 1)
    assert local(start - 1, zone).date() < date(year, month, 1)


@given(zone=zones, at=times | clock_changes)
def test_days_have_numbers_and_dates(zone: str, at: int) -> None:
    """A time lies between the start of its day and the start of the next."""
    calendar = CALENDARS[zone]
    number = calendar.day_number(at)
    assert calendar.day_start(number) <= at < calendar.day_start(number + 1)
    assert calendar.day(at) == date(1970, 1, 1) + timedelta(days=number) == calendar.day_of(number)


def test_a_skipped_day_holds_no_time() -> None:
    """Samoa had no 30 December 2011: the 30th begins where the 31st does."""
    calendar = Calendar("Pacific/Apia")
    skipped = date(2011, 12, 30).toordinal() - date(1970, 1, 1).toordinal()
    assert calendar.day_start(skipped) == calendar.day_start(skipped + 1) == seconds("2011-12-30T10:00:00+00:00")
    assert calendar.day(calendar.day_start(skipped)) == date(2011, 12, 31)
    assert calendar.day(calendar.day_start(skipped) - 1) == date(2011, 12, 29)


RETENTION: Final[list[tuple[str, str, int, tuple[int, int]]]] = [
    ("UTC", "2024-07-01T00:00:00+00:00", 12, (2023, 7)),
    ("UTC", "2024-07-15T12:00:00+00:00", 12, (2023, 7)),
    ("UTC", "2024-07-31T23:59:59+00:00", 12, (2023, 7)),
    ("UTC", "2024-08-01T00:00:00+00:00", 12, (2023, 8)),
    ("UTC", "2024-01-31T00:00:00+00:00", 1, (2023, 12)),
    ("Europe/Berlin", "2024-07-31T22:30:00+00:00", 6, (2024, 2)),
    ("America/New_York", "2024-08-01T03:30:00+00:00", 6, (2024, 1)),
]


@pytest.mark.parametrize(("zone", "now", "retention", "expected"), RETENTION)
def test_retention_counts_whole_calendar_months(zone: str, now: str, retention: int, expected: tuple[int, int]) -> None:
    """The current month and as many before it as the retention says are kept, in the policy's time zone."""
    year, month = expected
    assert Calendar(zone).oldest_month(seconds(now), retention) == year * 12 + month - 1


@given(zone=zones, now=times, retention=st.integers(min_value=1, max_value=120))
def test_retention_keeps_what_it_states_and_at_most_the_begun_month_more(zone: str, now: int, retention: int) -> None:
    """What is a full retention old at the start of this month is kept; the month before that is gone."""
    calendar = CALENDARS[zone]
    oldest = calendar.oldest_month(now, retention)
    this_month = local(calendar.floor(now, "month"), zone)
    kept_since = local(calendar.month_start(oldest), zone)
    assert (this_month.year - kept_since.year) * 12 + this_month.month - kept_since.month == retention
    assert calendar.month(calendar.month_start(oldest) - 1) < oldest


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../Berlin", ""])
def test_what_is_not_a_time_zone_is_refused(name: str) -> None:
    """There is no quiet fall-back to UTC."""
    with pytest.raises((ZoneInfoNotFoundError, ValueError)):
        Calendar(name)


def test_a_calendar_forgets_rather_than_grows_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its memory full it answers the same."""
    monkeypatch.setattr("consentprofile.model.calendar._CACHED", 2)
    calendar = Calendar("Europe/Berlin")
    days = [seconds("2024-03-25T12:00:00+00:00") + 86400 * day for day in range(12)]
    again = [*days, *days]
    assert [calendar.floor(at, "day") for at in again] == [CALENDARS["Europe/Berlin"].floor(at, "day") for at in again]
    assert [calendar.month(at) for at in again] == [CALENDARS["Europe/Berlin"].month(at) for at in again]
