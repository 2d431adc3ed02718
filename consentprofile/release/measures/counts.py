"""Counts: the matching events in each cell, of which no account adds more than the specification allows."""

from __future__ import annotations

from typing import ClassVar, Final

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import CellMeasure
from consentprofile.release.measures.arrays import summed
from consentprofile.release.measures.measure import SUM, Bins, Events, Part, Words

MOST: Final = 1_000
"""The largest limit."""


class Counts(CellMeasure, frozen=True):
    """``limit`` is the most events of one account that count in one cell; who has more counts with as many."""

    limit: int

    name: ClassVar[str] = "counts"
    margin: ClassVar[str | None] = SUM

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Counts | None:
        """The limit."""
        limit = top.integer("limit", "the most events of one account that count in a cell", minimum=1, maximum=MOST)
        return None if limit is None else cls(limit)

    @property
    def terms(self) -> dict[str, object]:
        """The limit."""
        return {"limit": self.limit}

    @property
    def parts(self) -> tuple[Part, ...]:
        """The events."""
        return (Part("events", self.limit),)

    def bins(self, events: Events) -> Bins:
        """How many events an account has in each of its cells, up to the limit."""
        import numpy as np

        account, cell, _, count = summed(events.account, events.cell, events.at)
        return Bins(account, cell, (np.minimum(count, self.limit),))
