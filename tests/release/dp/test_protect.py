"""What is drawn costs no more than allowed, whatever one account does, and shows every figure as it was drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.model.event import Recorded
from consentprofile.release.cells import Counted
from consentprofile.release.dp.accounting import LOSS_UNIT, Loss, loss
from consentprofile.release.dp.mechanisms import Noise, Reach, noise_for
from consentprofile.release.dp.protect import Mechanism, mechanism, protect
from consentprofile.release.spec import ReleaseSpec
from tests.release.dp.shop import MANY_KEYS, MEASURES, RHO, asked, no_noise
from tests.release.journeys import Accounts, journeys
from tests.release.shop_policy import event, tallied


def drawn_with(spec: ReleaseSpec) -> Mechanism:
    assert spec.noise is not None
    return mechanism(spec, spec.noise.loss)


def exact(spec: ReleaseSpec, accounts: Mapping[int, list[Recorded]]) -> tuple[list[int], int]:
    """What noise would be added to: the value of each cell, and the number of accounts at a bound."""
    noisy = protect(spec, tallied(spec, accounts), drawn_with(spec), source=no_noise)
    return [value or 0 for value in noisy.values], noisy.at_bound or 0


@pytest.mark.parametrize("changes", MEASURES.values(), ids=MEASURES)
@given(data=st.data())
def test_one_account_changes_no_more_than_it_is_charged_for(changes: Mapping[str, str], data: st.DataObject) -> None:
    """The sensitivity that scales are made of, against any neighbour: at most B cells, each by its limit."""
    spec = asked("epsilon = 1", **changes)
    accounts: Accounts = {
        number: [rated(event) for event in events] for number, events in data.draw(journeys(step=40_000)).items()
    }
    for number in accounts:
        (with_it, bound), (without, other) = (
            exact(spec, some) for some in (accounts, {n: e for n, e in accounts.items() if n != number})
        )
        assert abs(bound - other) <= 1
        parts = len(spec.measure.parts)
        for place, part in enumerate(spec.measure.parts):
            pairs = zip(with_it[place::parts], without[place::parts], strict=True)
            changed = [abs(one - two) for one, two in pairs if one != two]
            assert len(changed) <= spec.bound
            assert all(far <= part.limit for far in changed)


def rated(event: Recorded) -> Recorded:
    """With a number that is sometimes beyond every limit, and sometimes below zero."""
    fields = dict(event.fields) | {"rating": event.at % 97 % 8 - 2}
    return Recorded(event.at, event.kind, tuple(sorted(fields.items())), event.id)


@pytest.mark.parametrize("changes", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("allowed", [loss("epsilon", 0.7), loss("rho", 0.02)], ids=["laplace", "gaussian"])
def test_what_is_drawn_together_costs_no_more_than_the_release(changes: Mapping[str, str], allowed: Loss) -> None:
    """Parts and bounding compose: their costs, found anew from scales and limits, add up to the loss at most."""
    spec = asked(f"{allowed.currency} = {allowed.value}", RHO, **changes)
    drawn = drawn_with(spec)
    reaches = [Reach(spec.bound, part.limit) for part in spec.measure.parts]
    together = math.fsum(cost(noise, reach) for noise, reach in zip(drawn.parts, reaches, strict=True))
    if drawn.bounding is not None:
        together += cost(drawn.bounding, Reach(1, 1))
    assert together <= allowed.value * (1 + 1e-12)
    assert together >= allowed.value * (1 - 1e-6)


def cost(noise: Noise, reach: Reach) -> float:
    if noise.distribution == "laplace":
        return reach.cells * reach.limit / noise.scale
    return reach.cells * reach.limit**2 / (2 * noise.scale**2)


def test_the_number_of_accounts_at_a_bound_takes_a_twentieth_and_nothing_where_nothing_is_cut() -> None:
    bounded = drawn_with(asked(by='["platform"]', cells_per_account="2"))
    assert bounded.bounding == noise_for(Loss("epsilon", LOSS_UNIT // 20), Reach(1, 1))
    assert drawn_with(asked(by='["platform"]')).bounding is None
    assert drawn_with(asked(measure='"overlap"', of='"platform"')).bounding is None
    assert drawn_with(asked(measure='"sums"', field='"total"', limit="100")).bounding is not None


def test_accounts_at_a_bound_are_those_that_may_have_been_cut() -> None:
    platforms = [event(platform=platform) for platform in ("mobile", "desktop", "tablet")]
    accounts = {1: platforms[:1], 2: platforms[:2], 3: platforms}
    assert exact(asked(by='["platform"]', cells_per_account="2"), accounts)[1] == 2
    bought = {n: [event("purchase", total=total)] for n, total in ((1, 99), (2, 100), (3, 4_000))}
    assert exact(asked(measure='"sums"', field='"total"', limit="100"), bought) == ([299], 2)


def test_whoever_is_not_at_a_bound_counts_for_all_that_they_did() -> None:
    """Also where values below zero take back what others were too much: of 5 and -2 nothing is cut under 4."""
    spec = asked(measure='"sums"', field='"rating"', limit="4")
    both = {1: [event("purchase", rating=5), event("purchase", rating=-2)], 2: [event("purchase", rating=5)]}
    assert exact(spec, both) == ([3 + 4], 1)


def test_every_listed_cell_has_a_value_whoever_is_there() -> None:
    spec = asked(by='["platform", "kind"]')
    noisy = protect(spec, tallied(spec, {}), drawn_with(spec))
    assert len(noisy.values) == len(spec.keys)
    assert None not in noisy.values
    assert any(
        value and value < 0 for value in protect(spec, tallied(spec, {}), drawn_with(spec)).values + noisy.values
    )


@pytest.mark.parametrize("loss", ["epsilon = 1.0", "rho = 0.1"])
def test_among_many_keys_those_with_many_accounts_are_found_and_no_others(loss: str) -> None:
    spec = asked(f"{loss}, delta = 1e-7", RHO, **MANY_KEYS)
    many = {number: [event("search", page="p7")] for number in range(400)}
    alone = {1_000 + number: [event("search", page=f"p{100 + number}")] for number in range(60)}
    found = protect(spec, tallied(spec, many | alone), drawn_with(spec))
    shown = {key: value for key, value in zip(spec.keys, found.values, strict=True) if value is not None}
    assert list(shown) == [("p7", "2024-W01")]
    assert abs(shown[("p7", "2024-W01")] - 400) < 150
    assert protect(spec, tallied(spec, {}), drawn_with(spec)).values.count(None) == len(spec.keys)


def test_what_was_counted_is_not_to_be_seen_in_what_is_told() -> None:
    spec = asked()
    held: Counted = tallied(spec, {1: [event()]})
    assert "1" not in repr(held)


@pytest.mark.parametrize("protection", ["epsilon = 0.001", "rho = 1e-7"])
def test_the_largest_limits_and_the_smallest_losses_are_drawn_and_have_intervals(protection: str) -> None:
    spec = asked(
        protection, RHO, measure='"sums"', field='"total"', limit="1_000_000_000", by='["day"]', cells_per_account="182"
    )
    drawn = drawn_with(spec)
    noisy = protect(spec, tallied(spec, {1: [event("purchase", total=5)]}), drawn)
    assert None not in noisy.values
    assert all(10**9 < interval < 2**62 for interval in drawn.intervals)
    assert any(abs(value or 0) > drawn.intervals[0] // 20 for value in noisy.values)
