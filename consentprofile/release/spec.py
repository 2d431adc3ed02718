"""The specification of a release: what is asked, over which period, how it is protected.

Two specifications that ask the same have the same canonical bytes: the order of dimensions and of filter values, the
name of the release, a filter that names every value, and two time zones in which the period, and the steps that it is
cut into, begin and end at the same instants make no difference. "Once for each (canonical specification, period)"
would else be evaded by spelling.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.model.calendar import Calendar
from consentprofile.model.policy import Policy, ReleaseRules
from consentprofile.release import period as periods
from consentprofile.release.filters import Where
from consentprofile.release.margins import Margin, margins
from consentprofile.release.measures.measure import ACCOUNTS, KIND, Key, Measure, Part
from consentprofile.release.period import Period, Unit, instant
from consentprofile.release.protection import MAXIMUM_CELLS, DifferentialPrivacy, Protection, Threshold

__all__ = ["ACCOUNTS", "KIND", "Dimension", "Key", "Period", "ReleaseSpec", "check_period"]

FORMAT: Final = 1
"""The format of release specifications that this version reads."""

CELLS_PER_ACCOUNT: Final = 16
"""The most cells that one account counts in where the specification does not say."""

NOT_ASKED: Final = ("from", "until", "protection", "cuts")
"""The terms that are no part of the question: releases that differ in them only are one series."""


class Dimension(msgspec.Struct, frozen=True):
    """What a release is broken down by, and the values that it lists.

    ``kind`` or an enum field, in policy order; or days, weeks or months, whose first seconds are ``starts``.
    """

    name: str
    values: tuple[str, ...]
    starts: tuple[int, ...] | None = None

    @property
    def unit(self) -> Unit | None:
        """The step of time that it lists, if it does."""
        return None if self.starts is None else self.name  # type: ignore[return-value]  # only units have starts


class ReleaseSpec(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A specification that the policy allows. Made by ``read_spec`` only, so it is always consistent.

    ``dimensions`` are sorted by name, which is the order of the columns, whatever the file says. ``where`` is sorted by
    name, its values too; a filter that would name every value is not in it. ``words`` are the vocabularies of the
    columns that are read. ``over`` are the columns that margins sum over, in their order. ``cuts`` say where the steps
    of time begin. ``rules`` are the policy's, which ``protection`` is no looser than.
    """

    name: str
    purpose: str
    measure: Measure
    dimensions: tuple[Dimension, ...]
    where: Where
    words: Mapping[str, tuple[str, ...]]
    period: Period
    cuts: Mapping[str, list[tuple[str, int]]]
    instants: tuple[int, ...]
    cells_per_account: int
    protection: Protection
    rules: ReleaseRules
    over: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are no figures: dimensions, then the measure's own."""
        return (*(dimension.name for dimension in self.dimensions), *self.measure.columns)

    @functools.cached_property
    def keys(self) -> tuple[Key, ...]:
        """Every declared key, in the order of the rows. It depends on the policy and this specification alone."""
        listed = itertools.product(*(dimension.values for dimension in self.dimensions))
        return tuple((*key, *own) for key in listed for own in self.measure.keys)

    @functools.cached_property
    def cells(self) -> tuple[tuple[Key, Part], ...]:
        """Every protected cell: the keys, and where there are several parts, each with the name of its part."""
        parts = self.measure.parts
        if len(parts) == 1:
            return tuple((key, parts[0]) for key in self.keys)
        return tuple(((*key, part.name), part) for key in self.keys for part in parts)

    @functools.cached_property
    def margins(self) -> tuple[Margin, ...]:
        """The rows that sum over columns, behind all others, in their order."""
        return margins(self.columns, self.keys, self.over)

    @property
    def rows(self) -> int:
        """How many rows there are, margins included."""
        return len(self.keys) + len(self.margins)

    @property
    def min_accounts(self) -> int:
        """The fewest accounts behind a figure; the policy's where noise protects them."""
        asked = self.protection
        return asked.min_accounts if isinstance(asked, Threshold) else self.rules.min_accounts

    @property
    def noise(self) -> DifferentialPrivacy | None:
        """The terms of differential privacy, where that is the protection."""
        return self.protection if isinstance(self.protection, DifferentialPrivacy) else None

    @property
    def finds_keys(self) -> bool:
        """Whether there are too many keys to list: those with accounts are found, and the others not shown."""
        return self.noise is not None and len(self.keys) > MAXIMUM_CELLS

    @property
    def bound(self) -> int:
        """The most rows that one account counts in, margins left aside."""
        own = self.measure.bound
        return min(len(self.keys), self.cells_per_account if own is None else own)

    @property
    def question(self) -> dict[str, object]:
        """What is asked, without period and protection."""
        asked: dict[str, object] = {
            "format": FORMAT,
            "purpose": self.purpose,
            "measure": self.measure.name,
            "by": [dimension.name for dimension in self.dimensions],
            "where": {name: list(values) for name, values in self.where},
            **self.measure.terms,
        }
        bound = self._telling(self.cells_per_account)
        if self.measure.bound is None and bound != self._telling(CELLS_PER_ACCOUNT):
            asked["cells_per_account"] = bound
        if self.over:
            asked["margins"] = list(self.over)
        return asked

    def _telling(self, cells_per_account: int) -> int:
        """So many cells as far as it makes a difference: more than there are rows are as many as there are.

        Where rows are steps of time, how many there are depends on the period, which is no part of the question.
        """
        return cells_per_account if self.cuts else min(cells_per_account, len(self.keys))

    @property
    def terms(self) -> dict[str, object]:
        """Everything that makes this specification the one it is: the question, its period, its protection."""
        return {
            **self.question,
            **({"cuts": dict(self.cuts)} if self.cuts else {}),
            "from": instant(self.period.since),
            "until": instant(self.period.until),
            "protection": self.protection.terms,
        }

    @functools.cached_property
    def canonical(self) -> bytes:
        """Canonical JSON of :attr:`terms`: equal for specifications that mean the same."""
        return canonical.json_bytes(self.terms)

    @functools.cached_property
    def digest(self) -> bytes:
        """SHA-256 of :attr:`canonical`."""
        return canonical.digest(self.canonical)

    @functools.cached_property
    def series(self) -> bytes:
        """SHA-256 of the canonical JSON of :attr:`question`: releases that differ in their period (or protection)."""
        return canonical.digest(canonical.json_bytes(self.question))


def check_period(spec: ReleaseSpec, policy: Policy, calendar: Calendar, now: int, earlier: Iterable[Period]) -> None:
    """Refuse what the clock, the retention or the ledger does not allow, as :func:`periods.check_period` says."""
    months = policy.purposes[spec.purpose].retention_months
    periods.check_period(spec.period, spec.rules.cadence_days, months, calendar, now, earlier)
