"""Reach: the accounts with at least one matching event, in each cell."""

from __future__ import annotations

from typing import ClassVar

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import CellMeasure
from consentprofile.release.measures.arrays import each_once
from consentprofile.release.measures.measure import UNION, Bins, Events, Words


class Reach(CellMeasure, frozen=True):
    """An account counts at most once in a cell, and in at most as many cells as the specification allows."""

    name: ClassVar[str] = "reach"
    margin: ClassVar[str | None] = UNION

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Reach:
        """It has no terms of its own."""
        return cls()

    def bins(self, events: Events) -> Bins:
        """The cells that an account has an event in."""
        return each_once(events.account, events.cell)
