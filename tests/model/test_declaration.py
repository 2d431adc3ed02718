"""What is left of a declaration: never more than any of the policies since allows, whatever their order."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.model.change import NARROWING, WIDENING
from consentprofile.model.declaration import Declaration, declared, may_release, may_spend, meet
from consentprofile.model.policy import Policy, ReleaseRules
from consentprofile.model.policy_change import compare
from consentprofile.model.policy_history import PolicyHistory
from tests.model.policy_variants import PURPOSE, policies

declarations = st.builds(lambda policy: declared(policy, PURPOSE), policies())


def is_within(one: Declaration, other: Declaration) -> bool:
    """Whether ``one`` allows nothing that the other one does not."""
    return meet(one, other) == one


@given(declarations, declarations, declarations)
def test_a_meet_is_the_same_in_any_order_and_however_often(
    one: Declaration, other: Declaration, third: Declaration
) -> None:
    assert meet(one, one) == one
    assert meet(one, other) == meet(other, one)
    assert meet(meet(one, other), third) == meet(one, meet(other, third))


@given(declarations, declarations)
def test_a_meet_is_never_wider_than_either(one: Declaration, other: Declaration) -> None:
    both = meet(one, other)
    for allowed in (one, other):
        assert is_within(both, allowed)
        assert both.fields.keys() <= allowed.fields.keys()
        assert all(both.fields[kind] <= allowed.fields[kind] for kind in both.fields)
        assert both.withheld >= allowed.withheld
        assert both.readers <= allowed.readers
        assert both.reasons >= allowed.reasons
        assert both.keep <= allowed.keep
        assert both.retention_months <= allowed.retention_months
        assert both.lifetime_days <= allowed.lifetime_days
        assert both.grace_days <= allowed.grace_days
        assert both.gpc_objects >= allowed.gpc_objects
        assert both.release is None or allowed.release is not None


@given(policies(1, vocabulary=False), policies(2, vocabulary=False))
def test_a_change_is_said_to_widen_exactly_where_more_is_allowed_and_to_narrow_where_less_is(
    old: Policy, new: Policy
) -> None:
    """Two ways to the same answer: the words of the comparison, and the order of declarations."""
    kinds = {change.kind for change in compare([old], new)}
    before, after = declared(old, PURPOSE), declared(new, PURPOSE)
    assert (WIDENING in kinds) is not is_within(after, before)
    assert (NARROWING in kinds) is not is_within(before, after)


@given(policies(1), policies(2), policies(3))
def test_what_holds_for_an_old_consent_shrinks_with_every_policy(one: Policy, two: Policy, three: Policy) -> None:
    histories = [PolicyHistory(dict(enumerate(some, 1))) for some in ((one,), (one, two), (one, two, three))]
    held = [history.holds(PURPOSE, 1) for history in histories]
    for earlier, later in pairwise(held):
        known = later._replace(withheld=later.withheld | earlier.withheld)
        assert is_within(known, earlier)
    assert histories[2].holds(PURPOSE, 3)._replace(withheld=frozenset()) == declared(three, PURPOSE)._replace(
        withheld=frozenset()
    )


def rules(min_accounts: int = 10, round_to: int = 5, cadence_days: int = 7, *, approval: bool = False) -> ReleaseRules:
    return ReleaseRules(
        min_accounts=min_accounts,
        round_to=round_to,
        cadence_days=cadence_days,
        approval=approval or msgspec.UNSET,
    )


def test_whoever_consented_to_stricter_releases_is_in_none_that_is_looser() -> None:
    assert may_release(rules(), rules(), 10)
    assert may_release(rules(), rules(), 12)
    assert may_release(rules(), rules(min_accounts=3), 10)
    assert not may_release(rules(), rules(min_accounts=3), 3)
    assert not may_release(rules(), rules(round_to=1), 10)
    assert not may_release(rules(), rules(cadence_days=1), 10)
    assert not may_release(None, rules(), 10)
    assert may_release(rules(), rules(approval=True), 10)
    assert may_release(rules(approval=True), rules(approval=True), 10)
    assert not may_release(rules(approval=True), rules(), 10)


def test_whoever_consented_to_a_smaller_budget_is_in_no_release_under_a_larger_one() -> None:
    """Minimum and rounding are of the other protection; a budget in another currency is another budget."""
    epsilon = msgspec.structs.replace(rules(), epsilon_per_year=1.0)
    larger = msgspec.structs.replace(rules(), epsilon_per_year=2.0)
    delta = msgspec.structs.replace(epsilon, delta_per_year=1e-6)
    rho = msgspec.structs.replace(rules(), rho_per_year=1.0)
    assert may_spend(epsilon, epsilon)
    assert may_spend(larger, epsilon)
    assert may_spend(delta, epsilon)
    assert may_spend(epsilon, msgspec.structs.replace(epsilon, min_accounts=3, round_to=1))
    assert not may_spend(epsilon, larger)
    assert not may_spend(epsilon, delta)
    assert not may_spend(epsilon, rho)
    assert not may_spend(epsilon, msgspec.structs.replace(epsilon, cadence_days=1))
    assert not may_spend(None, epsilon)
