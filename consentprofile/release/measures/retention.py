"""Retention: of the accounts that began in a calendar period, how many came back in or after later ones."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import ClassVar, Final

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import AccountMeasure, from_here_on
from consentprofile.release.measures.arrays import each_once, starts
from consentprofile.release.measures.measure import ACCOUNTS, KIND, Bins, Events, Figure, Key, Words
from consentprofile.release.period import UNITS, Unit

MODES: Final = ("on-or-after", "on")
USUAL_PERIODS: Final = 8
MOST_PERIODS: Final = 15
"""So that an account is in at most 16 rows where it counts in every period that it came back in."""


class Retention(AccountMeasure, frozen=True):
    """The cohort of an account is the period of its first event of ``start``; later periods are counted from it.

    ``on-or-after``: an account counts once, by the last period in which it came back, that is had an event of
    ``return`` after its first one of ``start``; ``periods`` and more are one row. ``on``: it counts in every period in
    which it came back, up to ``periods``. Row 0 has everybody, or ``on-or-after`` those that did not come back later.
    Rows of periods that are not over when the release ends are not there.
    """

    start: tuple[str, ...]
    start_codes: tuple[int, ...]
    back: tuple[str, ...]
    back_codes: tuple[int, ...]
    every: Unit
    mode: str
    periods: int
    names: tuple[str, ...]
    begins: tuple[int, ...]

    name: ClassVar[str] = "retention"

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Retention | None:
        """The kinds, the step of time, the mode and the number of periods."""
        started = top.texts("start", "a list of kinds of events that an account begins with", optional=True)
        back = top.texts("return", "a list of kinds of events that an account comes back with", optional=True)
        chosen = top.choice("every", UNITS)
        every = next((unit for unit in UNITS if unit == chosen), None)
        mode = top.choice("mode", MODES, optional=True) or MODES[0]
        expected = "the last period after the first that is looked at"
        periods = top.integer("periods", expected, minimum=1, maximum=MOST_PERIODS, optional=True) or USUAL_PERIODS
        if words is None or every is None or words.zoned is None:
            return None
        listed = words.listed(KIND)
        for key, kinds in (("start", started or ()), ("return", back or ())):
            top.each_declared(key, kinds, listed, "kind that this purpose collects and the filter lets through")
        begun, returned = (tuple(sorted(set(kinds or listed) & set(listed))) for kinds in (started, back))
        steps = words.zoned.steps(every)
        for key, at in zip(("from", "until"), words.zoned.ends, strict=True):
            if not words.zoned.begins(every, at):
                top.fault(key, f"expected a day that a {every} begins with, because retention is counted in whole ones")
        return cls(
            begun, words.places(KIND, begun), returned, words.places(KIND, returned), every, mode, periods,
            steps.names, steps.starts,
        )  # fmt: skip

    @property
    def unit(self) -> Unit | None:
        """The step of time."""
        return self.every

    @property
    def terms(self) -> dict[str, object]:
        """The kinds, sorted, the step of time, the mode and the number of periods."""
        return {
            "start": list(self.start),
            "return": list(self.back),
            "every": self.every,
            "mode": self.mode,
            "periods": self.periods,
        }

    @property
    def fields(self) -> tuple[str, ...]:
        """The kind."""
        return (KIND,)

    @property
    def columns(self) -> tuple[str, ...]:
        """The period that accounts began in, and the number of periods since."""
        return ("cohort", "after")

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every cohort with every period since that is over."""
        return tuple(
            (cohort, str(after)) for place, cohort in enumerate(self.names) for after in range(self._last(place) + 1)
        )

    def _last(self, cohort: int) -> int:
        """The last period after this cohort's own that is looked at and over."""
        return min(self.periods, len(self.names) - 1 - cohort)

    @property
    def bound(self) -> int | None:
        """One row, or one for each period."""
        return 1 if self.mode == "on-or-after" else self.periods + 1

    @property
    def figures(self) -> tuple[str, ...]:
        """The accounts; on or after: those whose last return it was, and those that came back then or later."""
        return (ACCOUNTS, "returned") if self.mode == "on-or-after" else (ACCOUNTS,)

    def bins(self, events: Events) -> Bins:
        """The cohort of an account with its last return, or with each."""
        import numpy as np

        account, kind = events.account, events.codes[KIND]
        period = np.searchsorted(np.array(self.begins), events.at, side="right") - 1
        begun = np.flatnonzero(np.isin(kind, self.start_codes))
        first = begun[starts(account[begun])]
        entry = np.full(account[-1] + 1 if len(account) else 0, len(account))
        entry[account[first]] = first
        back = np.flatnonzero(np.isin(kind, self.back_codes) & (np.arange(len(account)) > entry[account]))
        who = np.concatenate((account[first], account[back]))
        cohort = period[entry[who]]
        after = np.concatenate((np.zeros_like(first), period[back] - period[entry[account[back]]]))
        base = np.cumsum([0, *(self._last(place) + 1 for place in range(len(self.names)))])
        if self.mode == "on":
            return each_once(who, np.where(after <= self.periods, base[cohort] + after, -1))
        latest = np.full(len(entry), -1)
        np.maximum.at(latest, who, np.minimum(after, self.periods))
        return Bins(account[first], base[period[first]] + latest[account[first]])

    def derived(self, cells: Mapping[Key, tuple[int | None, ...]]) -> Mapping[Key, tuple[Figure, ...]]:
        """On or after: each row, and the sum from it on within its cohort, of the figures that are shown."""
        if self.mode == "on":
            return cells
        derived: dict[Key, tuple[Figure, ...]] = {}
        for _, rows in groupby(cells.items(), key=lambda row: row[0][0]):
            cohort = [(key, figures[0]) for key, figures in rows]
            later = from_here_on([accounts for _, accounts in cohort])
            derived |= {key: (accounts, sums) for (key, accounts), sums in zip(cohort, later, strict=True)}
        return derived
