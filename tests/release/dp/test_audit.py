"""The observer of the audit finds releases out that claim too little, and none that claims enough."""

from __future__ import annotations

from tests.release.dp.audit import audit
from tests.release.dp.shop import RHO, asked

DRAWS = 4_000


def test_what_costs_enough_gives_away_no_more_than_it_claims() -> None:
    found = audit("total", asked("epsilon = 1.0"), DRAWS)
    assert 0.5 < found.at_least <= 1.0
    found = audit("total", asked("rho = 1.0", RHO), DRAWS)
    assert 0.3 < found.at_least <= 1.0


def test_too_little_noise_is_found_out() -> None:
    """Of half the width that it has to have: that gives away twice the epsilon, and four times the rho."""
    assert audit("total", asked("epsilon = 1.0"), DRAWS, weaker=2.0).at_least > 1.0
    assert audit("total", asked("rho = 1.0", RHO), DRAWS, weaker=2.0).at_least > 1.0
