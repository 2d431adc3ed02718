"""Time to next: how long it takes accounts from the first event of one kind to the next of another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import ClassVar, Final

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import AccountMeasure, total
from consentprofile.release.measures.arrays import following, starts
from consentprofile.release.measures.funnel import DAY, LONGEST_WINDOW_DAYS, WINDOW_DAYS
from consentprofile.release.measures.measure import ACCOUNTS, KIND, SUM, Bins, Events, Figure, Key, Words

SHORTEST: Final = 60
"""Seconds that the first row goes up to; each other one goes up to twice as much, the last one to the window."""
NOT_WITHIN: Final = "not within the window"


class TimeToNext(AccountMeasure, frozen=True):
    """An account counts once: from its first event of ``first`` to the next one of ``next`` after it.

    Rows are bounded by seconds, the bound included. Whoever has no such event within ``window_days`` of 24 hours is in
    the last row.
    """

    first: tuple[str, ...]
    first_codes: tuple[int, ...]
    next: tuple[str, ...]
    next_codes: tuple[int, ...]
    window_days: int

    name: ClassVar[str] = "time-to-next"
    exact: ClassVar[bool] = True
    margin: ClassVar[str | None] = SUM

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> TimeToNext | None:
        """The kinds and the window."""
        first = top.texts("first", "a list of kinds of events") or ()
        then = top.texts("next", "a list of kinds of events") or ()
        days = top.days("window", maximum=LONGEST_WINDOW_DAYS, optional=True) or WINDOW_DAYS
        if words is None:
            return None
        listed = words.listed(KIND)
        for key, kinds in (("first", first), ("next", then)):
            top.each_declared(key, kinds, listed, "kind that this purpose collects and the filter lets through")
        begun, after = (tuple(sorted(set(kinds) & set(listed))) for kinds in (first, then))
        return cls(begun, words.places(KIND, begun), after, words.places(KIND, after), days)

    @property
    def terms(self) -> dict[str, object]:
        """The kinds, sorted, and the window."""
        return {"first": list(self.first), "next": list(self.next), "window_days": self.window_days}

    @property
    def fields(self) -> tuple[str, ...]:
        """The kind."""
        return (KIND,)

    @property
    def columns(self) -> tuple[str, ...]:
        """The seconds that a row goes up to."""
        return ("within_seconds",)

    @property
    def ends(self) -> tuple[int, ...]:
        """The last second of each row."""
        window = self.window_days * DAY
        return (*(SHORTEST << number for number in range(32) if SHORTEST << number < window), window)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The last second of each row, and whoever is not within the window."""
        return (*((str(end),) for end in self.ends), (NOT_WITHIN,))

    @property
    def figures(self) -> tuple[str, ...]:
        """The accounts of a row, those up to it, and these in percent of all: the median is where 50 is reached."""
        return (ACCOUNTS, "by_then", "percent_by_then")

    def bins(self, events: Events) -> Bins:
        """The row of an account."""
        import numpy as np

        account, kind = events.account, events.codes[KIND]
        begun = np.flatnonzero(np.isin(kind, self.first_codes))
        begun = begun[starts(account[begun])]
        after = following(np.flatnonzero(np.isin(kind, self.next_codes)), begun)
        gap = events.at[after] - events.at[begun]
        row = np.searchsorted(np.array(self.ends), gap, side="left")
        return Bins(account[begun], np.where((after >= 0) & (account[after] == account[begun]), row, len(self.ends)))

    def derived(self, cells: Mapping[Key, tuple[int | None, ...]]) -> Mapping[Key, tuple[Figure, ...]]:
        """Each row, and the sum up to it, of the figures that are shown."""
        shown = [figures[0] for figures in cells.values()]
        whole = total(shown)
        sums = list(accumulate(shown, lambda one, other: total((one, other))))
        return {
            key: (accounts, by_then, round(100 * by_then / whole, 1) if by_then is not None and whole else None)
            for key, accounts, by_then in zip(cells, shown, sums, strict=True)
        }

    def whole(self, figure: int | None) -> tuple[Figure, ...]:
        """Everybody is in some row: all of them, up to the last."""
        return figure, figure, None if figure is None else 100.0
