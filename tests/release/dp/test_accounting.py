"""Losses add up exactly, in any order, and are never counted for less than they are."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.release.dp.accounting import (
    DELTA_UNIT,
    LOSS_UNIT,
    Currency,
    Loss,
    counted_in,
    epsilon_of,
    loss,
    shares,
    total,
)

losses = st.builds(
    Loss, st.sampled_from(["epsilon", "rho"]), st.integers(0, 20 * LOSS_UNIT), st.integers(0, DELTA_UNIT // 1000)
)


def test_figures_are_counted_as_they_are_written() -> None:
    """Ten tenths are one: 0.1 is the decimal, not the floating-point number a little above it."""
    assert total([loss("epsilon", 0.1)] * 10, "epsilon") == Loss("epsilon", LOSS_UNIT)
    assert loss("rho", 1e-12, 1e-18) == Loss("rho", 1, 1)
    assert loss("epsilon", 1e-13) == Loss("epsilon", 1)


@given(st.lists(losses, max_size=8), st.sampled_from(["epsilon", "rho"]))
def test_order_makes_no_difference(found: list[Loss], currency: Currency) -> None:
    assert total(found, currency) == total(sorted(found, key=lambda one: (one.delta, one.amount)), currency)


@given(st.integers(0, 20 * LOSS_UNIT))
def test_epsilon_costs_half_its_square_in_rho_rounded_up(amount: int) -> None:
    counted = counted_in(Loss("epsilon", amount), "rho")
    assert counted is not None
    exact = Fraction(amount, LOSS_UNIT) ** 2 / 2 * LOSS_UNIT
    assert exact <= counted.amount < exact + 1


def test_rho_is_not_counted_in_epsilon() -> None:
    assert counted_in(Loss("rho", 1), "epsilon") is None
    assert total([loss("epsilon", 1), Loss("rho", 1)], "epsilon") is None


@given(losses, losses)
def test_a_sum_is_never_below_its_parts(one: Loss, other: Loss) -> None:
    both = total([one, other], "rho")
    parts = [counted_in(each, "rho") for each in (one, other)]
    assert both is not None
    assert all(part is not None and part.amount <= both.amount and part.delta <= both.delta for part in parts)


def test_epsilon_of_rho_is_that_of_the_theorem_and_holds_for_gaussian_noise() -> None:
    """Bun and Steinke, proposition 1.3; against the exact trade-off of Gaussian noise (Balle and Wang, ICML 2018)."""
    assert epsilon_of(0.5, 1e-6) == pytest.approx(0.5 + 2 * math.sqrt(0.5 * math.log(1e6)))

    def normal(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    for rho in (0.001, 0.05, 0.5, 2.0):
        for delta in (1e-9, 1e-6, 1e-3):
            sigma, epsilon = math.sqrt(1 / (2 * rho)), epsilon_of(rho, delta)
            half, far = 1 / (2 * sigma), epsilon * sigma
            assert normal(half - far) - math.exp(epsilon) * normal(-half - far) <= delta


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1])
def test_no_epsilon_without_a_delta(delta: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        epsilon_of(0.5, delta)


def test_a_loss_is_never_below_zero() -> None:
    with pytest.raises(ValueError, match="below zero"):
        Loss("epsilon", -1)


@given(st.integers(0, 10**15), st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_shares_of_a_loss_never_cost_more_than_it(whole: int, weights: list[int]) -> None:
    parts = shares(whole, tuple(weights))
    assert sum(parts) <= whole < sum(parts) + len(weights)
