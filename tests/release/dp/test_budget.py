"""A budget is kept in every year, whenever it begins, and gives back what is a year old and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consentprofile.release.dp.accounting import LOSS_UNIT, Loss, counted_in, loss, total
from consentprofile.release.dp.budget import HOUR, YEAR, Charge, affordable_at, left, more_at, spent

ALLOWED = {"epsilon": loss("epsilon", 2, 1e-6), "rho": loss("rho", 2, 1e-6)}
asks = st.lists(
    st.tuples(
        st.integers(0, 3 * YEAR),
        st.builds(Loss, st.just("epsilon"), st.integers(0, 2 * LOSS_UNIT), st.sampled_from([0, 10**11, 10**12])),
    ),
    max_size=25,
)


def made(allowed: Loss, asked: list[tuple[int, Loss]]) -> list[Charge]:
    """The charges of those who ask one after the other, each only where it can be paid for at once."""
    charges: list[Charge] = []
    for number, (second, cost) in enumerate(sorted(asked, key=lambda ask: ask[0]), 1):
        if affordable_at(allowed, cost, charges, second) == second:
            charges.append(Charge(number, second // HOUR * HOUR, cost))
    return charges


@given(st.sampled_from(["epsilon", "rho"]), asks)
def test_no_year_whenever_it_begins_pays_more_than_the_budget(currency: str, asked: list[tuple[int, Loss]]) -> None:
    allowed = ALLOWED[currency]
    charges = made(allowed, asked)
    for first in charges:
        year = [one.loss for one in charges if first.hour <= one.hour < first.hour + YEAR and one.loss is not None]
        whole = total(year, allowed.currency)
        assert whole is not None
        assert whole.amount <= allowed.amount
        assert whole.delta <= allowed.delta


@given(asks, st.integers(0, 3 * YEAR), st.integers(0, 2 * LOSS_UNIT))
def test_the_date_of_a_refusal_is_the_first_on_which_it_can_be_paid_for(
    asked: list[tuple[int, Loss]], now: int, amount: int
) -> None:
    allowed, cost = ALLOWED["epsilon"], Loss("epsilon", amount)
    charges = made(allowed, [ask for ask in asked if ask[0] <= now])
    when = affordable_at(allowed, cost, charges, now)
    assert when is not None
    assert left(allowed, charges, when).amount >= cost.amount
    assert when == now or left(allowed, charges, when - 1).amount < cost.amount


def test_what_is_larger_than_the_budget_or_in_another_currency_is_never_affordable() -> None:
    assert affordable_at(ALLOWED["epsilon"], loss("epsilon", 2.1), [], 0) is None
    assert affordable_at(ALLOWED["epsilon"], loss("epsilon", 1, 1e-5), [], 0) is None
    assert affordable_at(ALLOWED["epsilon"], loss("rho", 0.1), [], 0) is None
    assert affordable_at(ALLOWED["rho"], loss("epsilon", 2), [], 0) == 0


def test_a_charge_that_nobody_can_tell_or_count_takes_all_of_it_for_a_year() -> None:
    """The end of the log was lost; or the policy keeps its budget in epsilon since, in which rho is not counted."""
    for unknown in (Charge(None, 7 * HOUR, None), Charge(1, 7 * HOUR, loss("rho", 1e-6))):
        assert left(ALLOWED["epsilon"], [unknown], 8 * HOUR).amount == 0
        assert affordable_at(ALLOWED["epsilon"], loss("epsilon", 0.001), [unknown], 8 * HOUR) == 8 * HOUR + YEAR
        assert left(ALLOWED["epsilon"], [unknown], unknown.until) == ALLOWED["epsilon"]


def test_a_smaller_budget_counts_what_was_spent_under_a_larger_one() -> None:
    charges = [Charge(1, 0, loss("epsilon", 1.5)), Charge(2, YEAR // 2 // HOUR * HOUR, loss("epsilon", 0.4))]
    smaller = loss("epsilon", 0.5)
    assert spent(smaller, charges, YEAR // 2 + HOUR).value == 1.9
    assert left(smaller, charges, YEAR // 2 + HOUR).amount == 0
    assert affordable_at(smaller, loss("epsilon", 0.1), charges, YEAR // 2 + HOUR) == charges[0].until
    assert more_at(charges, charges[0].until) == charges[1].until
    assert more_at(charges, charges[1].until) is None


@given(st.lists(st.integers(1, LOSS_UNIT // 50), max_size=50))
def test_many_small_releases_cost_less_in_rho_than_in_epsilon(amounts: list[int]) -> None:
    """The reason for that currency: squares of small numbers are smaller, rounding up aside."""
    losses = [Loss("epsilon", amount) for amount in amounts]
    whole = total(losses, "rho")
    assert whole is not None
    assert whole.amount <= sum(amounts) // 100 + len(amounts)
    assert counted_in(Loss("rho", 1), "rho") == Loss("rho", 1)
