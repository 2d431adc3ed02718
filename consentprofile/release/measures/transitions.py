"""Transitions: which touchpoint follows which within a session, and where sessions begin and end."""

from __future__ import annotations

from typing import ClassVar, Final

from consentprofile.model.journey import SESSION_GAP
from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import AccountMeasure
from consentprofile.release.measures.arrays import each_once, placed
from consentprofile.release.measures.measure import Bins, Events, Key, Words

START, END = "(start)", "(end)"
MOST_VALUES: Final = 31
"""So that every pair of them, with start and end, makes at most 1,024 rows."""


class Transitions(AccountMeasure, frozen=True):
    """An account counts once in each of its transitions, and in at most as many as ``cells_per_account`` says.

    A touchpoint is the value of the field ``of`` (a kind, a platform, a channel or any enum); events without it are
    passed over. A transition is from one event to the next of the same session, be the value the same or not. A session
    ends when no event follows within 30 minutes.
    """

    of: str
    values: tuple[str, ...]
    codes: tuple[int, ...]

    name: ClassVar[str] = "transitions"
    exact: ClassVar[bool] = True

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Transitions | None:
        """The field."""
        of = top.text("of", "'kind' or an enum field that the purpose collects")
        if of is None or words is None:
            return None
        top.each_declared("of", [of], words.enums, "enum field that this purpose collects")
        if of not in words.enums:
            return None
        values = words.listed(of)
        top.at_most("of", len(values), MOST_VALUES, f"values; let fewer of them through by where.{of}")
        if {START, END} & set(values):
            top.fault("of", f"a value of this field is called {START} or {END}, as the ends of sessions are")
        return cls(of, values[:MOST_VALUES], words.places(of, values[:MOST_VALUES]))

    @property
    def terms(self) -> dict[str, object]:
        """The field."""
        return {"of": self.of}

    @property
    def fields(self) -> tuple[str, ...]:
        """The field."""
        return (self.of,)

    @property
    def columns(self) -> tuple[str, ...]:
        """Where from, and where to."""
        return ("from", "to")

    @property
    def bound(self) -> int | None:
        """As the specification says."""
        return None

    @property
    def keys(self) -> tuple[Key, ...]:
        """From the start to each value, from each value to each, and from each value to the end."""
        return (
            *((START, value) for value in self.values),
            *((one, other) for one in self.values for other in self.values),
            *((value, END) for value in self.values),
        )

    def bins(self, events: Events) -> Bins:
        """The transitions of an account."""
        import numpy as np

        place = placed(self.codes, events.codes[self.of])
        met = place >= 0
        account, at, place = events.account[met], events.at[met], place[met]
        count = len(self.values)
        first = np.ones(len(place), dtype=bool)
        first[1:] = (account[1:] != account[:-1]) | (at[1:] - at[:-1] > SESSION_GAP)
        last = np.roll(first, -1)  # where the next session begins, and the first element always begins one
        inner = np.flatnonzero(~first)
        cells = (place[first], count + place[inner - 1] * count + place[inner], count + count * count + place[last])
        return each_once(np.concatenate((account[first], account[inner], account[last])), np.concatenate(cells))
