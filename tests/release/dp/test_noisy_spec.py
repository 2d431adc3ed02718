"""A specification of differential privacy is refused with every fault at its place, and has one canonical form."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
import pytest

from consentprofile.errors import InvalidSpec
from consentprofile.model.policy import Policy
from consentprofile.model.policy_file import read_policy
from consentprofile.release.dp.plan import planned_noise
from consentprofile.release.spec_file import read_spec
from tests.release.dp.shop import EPSILON, IN_EPSILON, MANY_KEYS, RHO, RULES, asked, policy
from tests.release.shop_policy import POLICY, POLICY_TEXT, spec, spec_text

NO_DELTA = policy(IN_EPSILON)
WITH_INTERVALS = read_policy(
    re.sub(r"\baccounts\b", "accounts_low", POLICY_TEXT).replace(RULES, IN_EPSILON, 1), "policy.toml"
)
"""A field that is called like the lower end of an interval."""

REFUSED: Mapping[str, tuple[str, Policy, Mapping[str, str], str, str]] = {
    "no budget": ("epsilon = 1", POLICY, {}, "protection.kind", "no privacy budget"),
    "no loss": ("delta = 1e-7", EPSILON, {}, "protection.epsilon", "either epsilon"),
    "two losses": ("epsilon = 1, rho = 1", RHO, {}, "protection.epsilon", "either epsilon"),
    "nothing": ("epsilon = 0", EPSILON, {}, "protection.epsilon", "above zero"),
    "next to nothing": ("epsilon = 0.0001", EPSILON, {}, "protection.epsilon", "from 0.001 to 20"),
    "no protection at all": ("epsilon = 21", EPSILON, {}, "protection.epsilon", "from 0.001 to 20"),
    "a text": ("epsilon = '1'", EPSILON, {}, "protection.epsilon", "above zero"),
    "more than a year's": ("epsilon = 9", EPSILON, {}, "protection.epsilon", "budget of a year, epsilon 8"),
    "more than a year's in rho": ("epsilon = 3", RHO, {}, "protection.epsilon", "rho 2 (it costs rho 4.5)"),
    "rho in a budget of epsilon": ("rho = 0.1", EPSILON, {}, "protection.rho", "kept in epsilon"),
    "rho beyond reason": ("rho = 100", RHO, {}, "protection.rho", "from 1e-07 to 20"),
    "a minimum": ("epsilon = 1, min_accounts = 10", EPSILON, {}, "protection.min_accounts", "is not known"),
    "delta for listed keys": ("epsilon = 1, delta = 1e-7", EPSILON, {}, "protection", "delta is for keys to be found"),
    "no delta for many keys": ("epsilon = 1", EPSILON, MANY_KEYS, "protection", "delta is missing"),
    "a delta that is large": ("epsilon = 1, delta = 0.1", EPSILON, MANY_KEYS, "protection.delta", "from 1e-15"),
    "delta beyond the budget": (
        "epsilon = 1, delta = 1e-5",
        EPSILON,
        MANY_KEYS,
        "protection.delta",
        "budget of a year, 1e-06",
    ),
    "delta without a budget": ("epsilon = 1, delta = 1e-7", NO_DELTA, MANY_KEYS, "protection.delta", "has no delta"),
    "many keys of amounts": (
        "epsilon = 1, delta = 1e-7",
        EPSILON,
        {**MANY_KEYS, "measure": '"counts"', "limit": "2"},
        "by",
        "at most 1,024 cells with this measure",
    ),
    "too many keys": (
        "epsilon = 1, delta = 1e-7",
        EPSILON,
        {"by": '["page", "day"]'},
        "by",
        "at most 65536 keys",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("protection", "under", "changes", "place", "said"), REFUSED.values(), ids=REFUSED)
def test_a_fault_is_refused_at_its_place(
    protection: str, under: Policy, changes: Mapping[str, str], place: str, said: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        asked(protection, under, **changes)
    assert [f"noisy.toml: {place}"] == [fault.place for fault in refused.value.faults]
    assert said in refused.value.faults[0].expected


def test_a_dimension_that_reads_as_an_interval_is_refused_under_noise_alone() -> None:
    assert read_spec(spec_text(by='["accounts_low"]'), "plain.toml", WITH_INTERVALS).columns == ("accounts_low",)
    with pytest.raises(InvalidSpec, match="column of its own"):
        asked("epsilon = 1", WITH_INTERVALS, by='["accounts_low"]')


def test_what_means_the_same_is_one_specification_and_the_loss_makes_another() -> None:
    assert asked("epsilon = 1").canonical == asked("epsilon = 1.0").canonical == asked("epsilon = 1e0").canonical
    assert asked("epsilon = 1").canonical != asked("epsilon = 0.5").canonical
    assert asked("epsilon = 1").series == asked("epsilon = 0.5").series == spec().series


def test_a_threshold_keeps_its_canonical_form() -> None:
    """Releases are found by these bytes: what came later must not change them."""
    assert spec().canonical == (
        b'{"by":[],"format":1,"from":"2024-01-01T00:00:00Z","measure":"reach",'
        b'"protection":{"kind":"threshold","min_accounts":10},"purpose":"analytics","until":"2024-07-01T00:00:00Z",'
        b'"where":{}}'
    )


def test_a_plan_suggests_no_more_cells_than_a_specification_may_ask_for() -> None:
    """Under a minimum of a million accounts even all of 15,600 cells would be narrow enough."""
    found = asked("epsilon = 1, delta = 1e-7", RHO, **MANY_KEYS)
    wide = msgspec.structs.replace(found, rules=msgspec.structs.replace(found.rules, min_accounts=1_000_000))
    assert found.noise is not None
    suggested = planned_noise(
        wide, found.noise.loss, found.noise.loss, found.noise.loss, None
    ).suggested_cells_per_account
    assert suggested is not None
    again = asked("epsilon = 1, delta = 1e-7", RHO, **{**MANY_KEYS, "cells_per_account": str(suggested)})
    assert again.bound == suggested
