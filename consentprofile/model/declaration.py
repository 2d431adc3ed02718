"""The declaration of a purpose, and what later policies have left of one that somebody consented to.

A consent holds under the declaration it was given under. What a later policy allows beyond that waits for consent
under its notice; what a later policy takes away is gone at once. So what holds is the :func:`meet` of the declaration
consented to and of all that were accepted since: at most what each of them allows.

Vocabularies are no part of it: which values a field may take is what the policy in force says, for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final, NamedTuple

import msgspec

from consentprofile.model.policy import EnumField, Policy, Precision, ReleaseRules

PRECISIONS: Final[tuple[Precision, ...]] = ("second", "hour", "day", "month")
"""From the finest to the coarsest."""


class Declaration(NamedTuple):
    """What one purpose may do with the data of those who consented to it. Days are of 24 hours.

    ``fields`` are the fields kept of an event, by kind; a kind that is not there is not collected. An event that
    carries one of the ``withheld`` pairs of a field and its value does not exist for the purpose. ``reasons`` are those
    of the suppressions that switch it off.
    """

    fields: Mapping[str, frozenset[str]]
    withheld: frozenset[tuple[str, str]]
    precision: Precision
    keep: int
    retention_months: int
    lifetime_days: int
    grace_days: int
    readers: frozenset[str]
    release: ReleaseRules | None
    gpc_objects: bool
    reasons: frozenset[str]

    @property
    def recorded(self) -> tuple[object, ...]:
        """What of it decides how events are recorded."""
        return self.fields, self.withheld, self.precision, self.retention_months


def declared(policy: Policy, purpose: str) -> Declaration:
    """What ``policy`` declares of ``purpose``, every kind and every reason by its name."""
    rules = policy.purposes[purpose]
    named = {(entry.field, entry.value) for entry in rules.sensitive}
    collected = {kind: rules.collected(kind.name) for kind in policy.kind_list}
    return Declaration(
        fields={
            kind.name: frozenset(kind.fields).intersection(fields)
            for kind, fields in collected.items()
            if fields is not None
        },
        withheld=frozenset(sensitive(policy) - named),
        precision=rules.precision,
        keep=rules.keep,
        retention_months=rules.retention_months,
        lifetime_days=rules.lifetime_days,
        grace_days=rules.grace_days,
        readers=frozenset(rules.readers),
        release=rules.release,
        gpc_objects=rules.gpc_objects,
        reasons=frozenset(reason for reason, purposes in policy.suppressions.items() if purpose in purposes),
    )


def sensitive(policy: Policy) -> set[tuple[str, str]]:
    """The pairs of a field and a sensitive value of it."""
    return {
        (field.name, value) for field in policy.field_list if isinstance(field, EnumField) for value in field.sensitive
    }


def meet(one: Declaration, other: Declaration) -> Declaration:
    """The most that both allow. The order does not matter, nor how often it is done."""
    return Declaration(
        fields={kind: kept & other.fields[kind] for kind, kept in one.fields.items() if kind in other.fields},
        withheld=one.withheld | other.withheld,
        precision=coarser(one.precision, other.precision),
        keep=min(one.keep, other.keep),
        retention_months=min(one.retention_months, other.retention_months),
        lifetime_days=min(one.lifetime_days, other.lifetime_days),
        grace_days=min(one.grace_days, other.grace_days),
        readers=one.readers & other.readers,
        release=_stricter(one.release, other.release),
        gpc_objects=one.gpc_objects or other.gpc_objects,
        reasons=one.reasons | other.reasons,
    )


def meet_all(declarations: Iterable[Declaration]) -> Declaration:
    """The most that all of them, one at least, allow."""
    return reduce(meet, declarations)


def coarser(one: Precision, other: Precision) -> Precision:
    """The one that tells less."""
    return max(one, other, key=PRECISIONS.index)


def _stricter(one: ReleaseRules | None, other: ReleaseRules | None) -> ReleaseRules | None:
    if one is None or other is None:
        return None
    epsilon = _least(one.epsilon_per_year, other.epsilon_per_year)
    return ReleaseRules(
        min_accounts=max(one.min_accounts, other.min_accounts),
        round_to=max(one.round_to, other.round_to),
        cadence_days=max(one.cadence_days, other.cadence_days),
        epsilon_per_year=epsilon or None,
        rho_per_year=_least(one.rho_per_year, other.rho_per_year) or msgspec.UNSET,
        delta_per_year=_least(one.delta_per_year, other.delta_per_year) or msgspec.UNSET,
        approval=True if one.asks_approval or other.asks_approval else msgspec.UNSET,
    )


def _least(*budgets: float | msgspec.UnsetType | None) -> float:
    """The smallest budget; 0 where one of them is not there."""
    return min(budget or 0.0 for budget in budgets)


def may_release(allowed: ReleaseRules | None, rules: ReleaseRules, min_accounts: int) -> bool:
    """Whether a release under ``rules``, about ``min_accounts`` at least, is no looser than what is ``allowed``."""
    if allowed is None:
        return False
    asked = ReleaseRules(
        min_accounts=min_accounts,
        round_to=rules.round_to,
        cadence_days=rules.cadence_days,
        epsilon_per_year=None,  # the budget is that of another protection, which is charged by itself
        approval=rules.approval,
    )
    return _stricter(allowed, asked) == asked


def may_spend(allowed: ReleaseRules | None, rules: ReleaseRules) -> bool:
    """Whether differential privacy with the budget and cadence of ``rules`` is no looser than what is ``allowed``.

    How many accounts stand behind a figure, and how it is rounded, are rules of the other protection.
    """
    if allowed is None:
        return False
    asked = msgspec.structs.replace(rules, min_accounts=allowed.min_accounts, round_to=allowed.round_to)
    return _stricter(allowed, asked) == asked
