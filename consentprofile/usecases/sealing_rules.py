"""What sealing goes by: the policy in force, compiled, and how far back each purpose keeps events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from consentprofile.model.calendar import Calendar
from consentprofile.model.policy import Policy, Precision
from consentprofile.model.projection import Projector


class Rule(NamedTuple):
    """One purpose: its name and number, the first second, UTC, that is kept, and how exactly times are."""

    name: str
    number: int
    oldest: int
    precision: Precision


class Rules:
    """A policy as sealing needs it: under its number, with the numbers of the purposes that are sealed for."""

    def __init__(
        self, policy: Policy, number: int, projector: Projector, calendar: Calendar, purposes: Mapping[str, int]
    ) -> None:
        self.policy: Final = number
        self.projector: Final = projector
        self.calendar: Final = calendar
        self._purposes = [(declared, purposes[name]) for name, declared in policy.purposes.items() if name in purposes]
        # What is kept changes with the month: a month and its rules, replaced as one, so threads may race to do so.
        self._newest: tuple[int, tuple[Rule, ...]] = -1, ()

    def at(self, now: int) -> tuple[Rule, ...]:
        """The rule of each purpose at a second, UTC, in the order of the policy."""
        month = self.calendar.month(now)
        known, rules = self._newest
        if known != month:
            kept_from = self.calendar.kept_from
            rules = tuple(
                Rule(purpose.name, number, kept_from(now, purpose.retention_months), purpose.precision)
                for purpose, number in self._purposes
            )
            self._newest = month, rules
        return rules
