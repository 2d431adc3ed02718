"""Frequency: how many accounts have how many matching events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import AccountMeasure, from_here_on
from consentprofile.release.measures.arrays import starts
from consentprofile.release.measures.measure import ACCOUNTS, SUM, Bins, Events, Figure, Key, Words

USUAL_MOST: Final = 10
LARGEST_MOST: Final = 100


class Frequency(AccountMeasure, frozen=True):
    """An account counts once, by the number of its matching events; ``most`` and more are one row."""

    most: int

    name: ClassVar[str] = "frequency"
    margin: ClassVar[str | None] = SUM

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Frequency:
        """The number that the last row begins with."""
        expected = "the number of events that the last row begins with"
        return cls(top.integer("most", expected, minimum=2, maximum=LARGEST_MOST, optional=True) or USUAL_MOST)

    @property
    def terms(self) -> dict[str, object]:
        """The number that the last row begins with."""
        return {"most": self.most}

    @property
    def columns(self) -> tuple[str, ...]:
        """The number of events."""
        return ("events",)

    @property
    def keys(self) -> tuple[Key, ...]:
        """1, 2, 3 and so on, the last with a plus."""
        return (*((str(number),) for number in range(1, self.most)), (f"{self.most}+",))

    @property
    def figures(self) -> tuple[str, ...]:
        """The accounts with just as many events, and those with at least as many."""
        return (ACCOUNTS, "at_least")

    def bins(self, events: Events) -> Bins:
        """The number of an account's events."""
        import numpy as np

        first = starts(events.account)
        counts = np.diff(first, append=len(events.account))
        return Bins(events.account[first], np.minimum(counts, self.most) - 1)

    def derived(self, cells: Mapping[Key, tuple[int | None, ...]]) -> Mapping[Key, tuple[Figure, ...]]:
        """Each number, and the sum from it on, of the figures that are shown."""
        counted = [figures[0] for figures in cells.values()]
        return dict(zip(cells, zip(counted, from_here_on(counted), strict=True), strict=True))
