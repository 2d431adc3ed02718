"""Funnel: how far accounts get along a list of steps within a window of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import AccountMeasure, from_here_on
from consentprofile.release.measures.arrays import following, starts
from consentprofile.release.measures.measure import ACCOUNTS, KIND, SUM, Bins, Events, Figure, Key, Words

if TYPE_CHECKING:
    from consentprofile.release.measures.measure import Numbers, Truths

ORDERS: Final = ("ordered", "strict", "any")
FEWEST_STEPS, MOST_STEPS = 2, 16
WINDOW_DAYS: Final = 14
"""The window where the specification does not say."""
LONGEST_WINDOW_DAYS: Final = 366
DAY: Final = 86400


class Funnel(AccountMeasure, frozen=True):
    """An account counts once, at the furthest step of its longest chain; every event of the first step begins one.

    A chain is as long as its last step lies within ``window_days`` of 24 hours of its first event, the last second
    included. ``ordered``: other events may lie between the steps. ``strict``: each step is the very next event that
    passes the filters. ``any``: the steps may come in any order, and whichever comes first begins the chain.
    """

    steps: tuple[str, ...]
    codes: tuple[int, ...]
    order: str
    window_days: int

    name: ClassVar[str] = "funnel"
    exact: ClassVar[bool] = True
    margin: ClassVar[str | None] = SUM

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Funnel | None:
        """The steps, their order, and the window."""
        steps = top.texts("steps", "a list of kinds of events, in the order of the steps") or ()
        order = top.choice("order", ORDERS, optional=True) or ORDERS[0]
        days = top.days("window", maximum=LONGEST_WINDOW_DAYS, optional=True) or WINDOW_DAYS
        if steps and not FEWEST_STEPS <= len(steps) <= MOST_STEPS:
            top.fault("steps", f"expected {FEWEST_STEPS} to {MOST_STEPS} steps, found {len(steps)}")
        if words is None or not steps:
            return None
        top.each_declared(
            "steps", steps, words.listed(KIND), "kind that this purpose collects and the filter lets through"
        )
        if not set(steps) <= set(words.listed(KIND)):
            return None
        return cls(steps, words.places(KIND, steps), order, days)

    @property
    def terms(self) -> dict[str, object]:
        """Steps, order, window. The steps of a funnel in any order are a set."""
        steps = sorted(self.steps) if self.order == "any" else list(self.steps)
        return {"steps": steps, "order": self.order, "window_days": self.window_days}

    @property
    def fields(self) -> tuple[str, ...]:
        """The kind."""
        return (KIND,)

    @property
    def columns(self) -> tuple[str, ...]:
        """The furthest step; in any order, how many steps."""
        return ("steps",) if self.order == "any" else ("step",)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The steps in their order, or the numbers of them."""
        if self.order == "any":
            return tuple((str(number),) for number in range(1, len(self.steps) + 1))
        return tuple((step,) for step in self.steps)

    @property
    def figures(self) -> tuple[str, ...]:
        """The accounts that got just this far, and those that got at least this far."""
        return (ACCOUNTS, "reached")

    def bins(self, events: Events) -> Bins:
        """The furthest step of an account."""
        import numpy as np

        kind = events.codes[KIND]
        steps = [np.flatnonzero(kind == code) for code in self.codes]
        if self.order == "any":
            entry = np.flatnonzero(np.isin(kind, self.codes))
            depth = self._any(events, steps, entry)
        else:
            entry = steps[0]
            depth = self._in_order(events, steps)
        account = events.account[entry]
        first = starts(account)
        return Bins(account[first], np.maximum.reduceat(depth, first) if len(first) else depth)

    def _in_order(self, events: Events, steps: list[Numbers]) -> Numbers:
        """For each entry the place of the last step that its chain gets to.

        To take the earliest event of each step never shortens a chain.
        """
        import numpy as np

        entry = place = steps[0]
        depth = np.zeros(len(entry), dtype=np.int64)
        going = np.ones(len(entry), dtype=bool)
        for number, candidates in enumerate(steps[1:], 1):
            following_event = following(candidates, place)
            going = going & self._continues(events, entry, following_event)
            if self.order == "strict":
                going &= following_event == place + 1
            depth[going] = number
            place = np.where(going, following_event, place)
        return depth

    def _any(self, events: Events, steps: list[Numbers], entry: Numbers) -> Numbers:
        """For each entry the number of other steps that lie in its window."""
        import numpy as np

        done = np.zeros(len(entry), dtype=np.int64)
        for candidates in steps:
            done += self._continues(events, entry, following(candidates, entry, or_same=True))
        return done - 1

    def _continues(self, events: Events, entry: Numbers, place: Numbers) -> Truths:
        """Whether there is an event at ``place``, of the same account and within the window."""
        within: Truths = (
            (place >= 0)
            & (events.account[place] == events.account[entry])
            & (events.at[place] - events.at[entry] <= self.window_days * DAY)
        )
        return within

    def derived(self, cells: Mapping[Key, tuple[int | None, ...]]) -> Mapping[Key, tuple[Figure, ...]]:
        """Each step, and the sum from it on, of the figures that are shown."""
        furthest = [figures[0] for figures in cells.values()]
        return dict(zip(cells, zip(furthest, from_here_on(furthest), strict=True), strict=True))
