"""Segments: how many accounts fit which rule over what they did; each account counts in the first one that it fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from consentprofile.model.toml_reader import Reader, quoted
from consentprofile.release.filters import Where, read_where
from consentprofile.release.measures.accounts import AccountMeasure
from consentprofile.release.measures.arrays import each_once, starts
from consentprofile.release.measures.measure import SUM, Bins, Events, Key, Words
from consentprofile.release.period import Unit

if TYPE_CHECKING:
    from consentprofile.release.measures.measure import Numbers

MOST_SEGMENTS: Final = 32
MOST_CONDITIONS: Final = 8
OTHERS: Final = "(others)"
"""The row of the accounts that fit no rule."""

EVENTS: Final = "events"
DAYS: Final = "days"
_LARGEST: Final = 1_000_000


class Condition(msgspec.Struct, frozen=True):
    """How many of something an account has: matching events, local days with one, or values of an enum field in them.

    ``codes`` are those of the values that each filter lets through.
    """

    count: str
    where: Where
    codes: tuple[tuple[str, tuple[int, ...]], ...]
    at_least: int
    at_most: int | None

    @property
    def terms(self) -> dict[str, object]:
        """As in a canonical specification."""
        bounds = {"at_least": self.at_least} | ({} if self.at_most is None else {"at_most": self.at_most})
        return {"count": self.count, "where": {name: list(values) for name, values in self.where}, **bounds}

    def holds(self, events: Events, days: tuple[int, ...], accounts: int) -> Numbers:
        """For each account 1 where it holds, else 0."""
        import numpy as np

        met = np.ones(len(events.account), dtype=bool)
        for name, codes in self.codes:
            met &= np.isin(events.codes[name], codes)
        account = events.account[met]
        if self.count == DAYS:
            account = each_once(account, np.searchsorted(np.array(days), events.at[met], side="right")).account
        elif self.count != EVENTS:
            account = each_once(account, events.codes[self.count][met]).account
        counts = np.bincount(account, minlength=accounts)
        held = counts >= self.at_least
        return (held if self.at_most is None else held & (counts <= self.at_most)).astype(np.int64)


class Segment(msgspec.Struct, frozen=True):
    """A name, and the conditions that all have to hold."""

    name: str
    conditions: tuple[Condition, ...]


class Segments(AccountMeasure, frozen=True):
    """Of the accounts with a matching event at all, each is in the first segment whose conditions hold, or in none."""

    segments: tuple[Segment, ...]
    days: tuple[int, ...]

    name: ClassVar[str] = "segments"
    margin: ClassVar[str | None] = SUM

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Segments | None:
        """The segments, in their order."""
        tables = top.tables("segments", "at least one [[segments]] table")
        top.at_most("segments", len(tables), MOST_SEGMENTS, "segments")
        found = [_segment(table, words) for table in tables]
        names = [segment.name for segment in found]
        for name in sorted({name for name in names if names.count(name) > 1} | ({OTHERS} & set(names))):
            top.fault("segments", f"the name {quoted(name)} is taken")
        zoned = None if words is None else words.zoned
        return None if zoned is None or not found else cls(tuple(found), zoned.steps("day").starts)

    @property
    def unit(self) -> Unit | None:
        """The day, where days are counted."""
        return "day" if any(one.count == DAYS for segment in self.segments for one in segment.conditions) else None

    @property
    def terms(self) -> dict[str, object]:
        """The segments in their order, with their names."""
        return {
            "segments": [
                {"name": segment.name, "all": [condition.terms for condition in segment.conditions]}
                for segment in self.segments
            ]
        }

    @property
    def fields(self) -> tuple[str, ...]:
        """What conditions filter by, and whose values they count."""
        conditions = [condition for segment in self.segments for condition in segment.conditions]
        filtered = {name for condition in conditions for name, _ in condition.where}
        return tuple(sorted(filtered | {condition.count for condition in conditions} - {EVENTS, DAYS}))

    @property
    def columns(self) -> tuple[str, ...]:
        """The name of the segment."""
        return ("segment",)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The segments, and the accounts in none of them."""
        return (*((segment.name,) for segment in self.segments), (OTHERS,))

    def bins(self, events: Events) -> Bins:
        """The segment of an account."""
        import numpy as np

        present = events.account[starts(events.account)]
        accounts = int(present[-1]) + 1 if len(present) else 0
        place = np.full(accounts, len(self.segments), dtype=np.int64)
        for number in reversed(range(len(self.segments))):
            held = [condition.holds(events, self.days, accounts) for condition in self.segments[number].conditions]
            place[np.logical_and.reduce(held)] = number
        return Bins(present, place[present])


def _segment(table: Reader, words: Words | None) -> Segment:
    name = table.text("name", "a name of at most 64 characters", maximum=64) or ""
    conditions = table.tables("all", "a list of conditions")
    table.at_most("all", len(conditions), MOST_CONDITIONS, "conditions")
    found = [_condition(condition, words) for condition in conditions]
    table.done()
    conditions_of = {str(one.terms): one for one in found if one is not None}
    return Segment(name, tuple(conditions_of[terms] for terms in sorted(conditions_of)))


def _condition(table: Reader, words: Words | None) -> Condition | None:
    enums = {} if words is None else words.enums
    counted = table.text("count", f"'{EVENTS}', '{DAYS}', or a field whose values are counted") or EVENTS
    if words is not None and counted not in (EVENTS, DAYS):
        table.each_declared("count", [counted], enums, "enum field that this purpose collects")
    where = read_where(table, None if words is None else enums)
    most = table.integer("at_most", "the most of them", minimum=0, maximum=_LARGEST, optional=True)
    least = table.integer("at_least", "the fewest of them", minimum=0, maximum=_LARGEST, optional=True)
    if not table.has("at_least") and not table.has("at_most"):
        table.fault("at_least", "is missing; expected at_least, at_most, or both")
    if least is not None and most is not None and least > most:
        table.fault("at_most", "expected no fewer than at_least")
    table.done()
    if words is None or (counted not in (EVENTS, DAYS) and counted not in enums):
        return None
    kept = tuple((name, where[name]) for name in sorted(where) if set(where[name]) != set(enums[name]))
    known = {name: [value for value in values if value in enums[name]] for name, values in kept}
    codes = tuple((name, words.places(name, known[name])) for name, _ in kept)
    return Condition(counted, kept, codes, least or 0, most)
