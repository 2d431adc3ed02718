"""Days, hours and months as a policy's time zone cuts them.

Times are whole seconds since 1970-01-01T00:00:00Z, negative ones included. A local day begins at the first instant
whose local date is that day or later, whatever the clocks do about midnight, and lasts until the next one begins;
months are made of days. An hour begins when the local clock shows a full hour: where a clock change of half an hour
swallows one, the hour before lasts longer, so that no hour is ever finer than an hour. Therefore flooring never goes
forward, never changes the order of two times, and flooring twice is flooring once.

Good for the years 2 to 9998; outside them ``OverflowError`` or ``ValueError`` is raised, except by UTC arithmetic on
seconds, hours and days. Time zone rules change with the installed tz database: what was floored stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from consentprofile.model.policy import Precision

_HOUR: Final = 3600
_DAY: Final = 86400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_SECOND: Final = timedelta(seconds=1)
_UTC_NAMES: Final = frozenset({"UTC", "Etc/UTC", "Etc/GMT", "GMT", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu"})
_CACHED: Final = 100_000
"""The most days that a calendar remembers: more than the days from 1970 to 2200, about 10 MB when full."""


class Calendar:
    """The calendar of one IANA time zone.

    Raises ``zoneinfo.ZoneInfoNotFoundError`` (a ``KeyError``) or ``ValueError`` for a name that is not a time zone;
    policies with such a name are refused before. Keep a calendar: it remembers the days that it has met.
    """

    __slots__ = ("_months", "_offsets", "_starts", "_utc", "_zone", "time_zone")

    def __init__(self, time_zone: str) -> None:
        self.time_zone = time_zone
        self._utc = time_zone in _UTC_NAMES
        self._zone = UTC if self._utc else ZoneInfo(time_zone)
        # By UTC day number. Each entry is a pure function of its key, so that threads may race to store it.
        self._offsets: dict[int, int | None] = {}
        self._months: dict[int, tuple[int, int]] = {}
        self._starts: dict[int, int] = {}  # by month

    def __repr__(self) -> str:
        return f"Calendar({self.time_zone!r})"

    def floor(self, at: int, precision: Precision) -> int:
        """The beginning of the second, hour, day or month that ``at`` lies in."""
        if precision == "second":
            return at
        if precision == "month":
            return self.month_start(self.month(at))
        if self._utc:
            return at - at % (_HOUR if precision == "hour" else _DAY)
        offset = self._steady_offset(at)
        if offset is not None:
            return at - (at + offset) % (_HOUR if precision == "hour" else _DAY)
        if precision == "hour":
            return self._hour_start(at)
        return self.day_start(self.day_number(at))

    def month(self, at: int) -> int:
        """The month that ``at`` lies in, as year * 12 + (month - 1)."""
        number = at // _DAY
        try:
            month, following = self._months[number]
        except KeyError:
            first = self.day(number * _DAY)
            month = first.year * 12 + first.month - 1
            following = self.month_start(month + 1)
            if len(self._months) >= _CACHED:
                self._months.clear()
            self._months[number] = month, following
        return month if at < following else month + 1

    def month_start(self, month: int) -> int:
        """The first second of ``month`` (year * 12 + month - 1)."""
        start = self._starts.get(month)
        if start is None:
            start = self.day_start(date(month // 12, month % 12 + 1, 1).toordinal() - _EPOCH_ORDINAL)
            self._starts[month] = start
        return start

    def oldest_month(self, now: int, retention_months: int) -> int:
        """The oldest month that is still kept at ``now``: ``retention_months`` before the current one.

        With 12 months, all of July 2024 keeps events from July 2023 on, and the first second of August 2024 lets go of
        July 2023 as a whole. So an event is kept for its full retention, and beyond it for no longer than the part of
        the current month that has passed.
        """
        return self.month(now) - retention_months

    def kept_from(self, now: int, retention_months: int) -> int:
        """The first second of the oldest month that is still kept at ``now`` (:meth:`oldest_month`)."""
        return self.month_start(self.oldest_month(now, retention_months))

    def day(self, at: int) -> date:
        """The local date that ``at`` lies in."""
        return self.day_of(self.day_number(at))

    def day_number(self, at: int) -> int:
        """The local date that ``at`` lies in, as days since 1970-01-01. It never falls as ``at`` rises."""
        if self._utc:
            return at // _DAY
        offset = self._steady_offset(at)
        if offset is not None:
            return (at + offset) // _DAY
        number = (at + self._offset(at)) // _DAY
        # Clocks put back over midnight show the old date again: the new day has begun nevertheless.
        return number + 1 if self.day_start(number + 1) <= at else number

    def day_numbers(self, times: Iterable[int]) -> list[int]:
        """:meth:`day_number` of each of ``times``."""
        if self._utc:
            return [at // _DAY for at in times]
        return [self.day_number(at) for at in times]

    @staticmethod
    def day_of(number: int) -> date:
        """The date that lies ``number`` days after 1970-01-01."""
        return date.fromordinal(number + _EPOCH_ORDINAL)

    def day_start(self, number: int) -> int:
        """The first second of the local date that lies ``number`` days after 1970-01-01.

        A date that the zone skipped as a whole begins where the next one does.
        """
        if self._utc:
            return number * _DAY
        day = self.day_of(number)
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        start = (midnight - _EPOCH) // _SECOND
        wall = number * _DAY
        if start + self._offset(start) == wall:
            return start  # the first of two midnights, where there are two
        # There is no such midnight. Read with the offset after the gap it lies before the gap, else not before its end.
        before = (midnight.replace(fold=1) - _EPOCH) // _SECOND
        while start - before > 1:
            middle = (before + start) // 2
            if middle + self._offset(middle) < wall:
                before = middle
            else:
                start = middle
        return start

    def _offset(self, at: int) -> int:
        """Seconds east of UTC at ``at``."""
        offset = (_EPOCH + timedelta(seconds=at)).astimezone(self._zone).utcoffset()
        return 0 if offset is None else offset // _SECOND

    def _steady_offset(self, at: int) -> int | None:
        """The offset of the UTC day of ``at`` if it holds there and for two days on either side, else None.

        A local day lasts less than the two days that are looked back on, so wherever this is a number the local day
        and hour of ``at`` began under the same offset, and plain arithmetic is right. (No zone has ever changed its
        clocks and taken the change back between two of the days that are looked at.)
        """
        number = at // _DAY
        try:
            return self._offsets[number]
        except KeyError:
            pass
        found = {self._offset((number + days) * _DAY) for days in range(-2, 4)}
        steady = found.pop() if len(found) == 1 else None
        if len(self._offsets) >= _CACHED:
            self._offsets.clear()
        self._offsets[number] = steady
        return steady

    def _hour_start(self, at: int) -> int:
        """The latest second, not after ``at``, at which the local clock showed a full hour."""
        start = at - (at + self._offset(at)) % _HOUR
        if (start + self._offset(start)) % _HOUR == 0:
            return start
        # The clocks changed between start and at. The hour that ran before may have ended before they did.
        earlier = self._hour_start(start)
        later = earlier + _HOUR
        return later if later <= at and (later + self._offset(later)) % _HOUR == 0 else earlier
