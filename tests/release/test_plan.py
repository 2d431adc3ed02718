"""A plan tells what a release would cost, and is no way to ask about few accounts."""

from __future__ import annotations

import pytest

from consentprofile.model.policy import ReleaseRules
from consentprofile.release.kept import LedgerCell
from consentprofile.release.plan import plan
from consentprofile.release.threshold import settle
from tests.release.plain import Cells
from tests.release.sets import as_counted
from tests.release.shop_policy import people, rules, spec

BY_KIND_AND_PLATFORM = spec(by='["kind", "platform"]')
"""Nine cells."""


def settled(cells: Cells, chosen: ReleaseRules) -> tuple[LedgerCell, ...]:
    return settle(as_counted(cells), chosen, ()).cells


def share(full: int) -> int | None:
    members = {
        key: people(*range(100 * number, 100 * number + (20 if number < full else 3)))
        for number, key in enumerate(BY_KIND_AND_PLATFORM.keys)
    }
    return plan(BY_KIND_AND_PLATFORM, settled(members, rules())).suppressed_about


@pytest.mark.parametrize(("full", "percent"), [(0, 100), (1, 100), (2, 75), (5, 50), (7, 25), (8, 0), (9, 0)])
def test_the_share_of_suppressed_cells_is_told_to_the_quarter(full: int, percent: int) -> None:
    assert share(full) == percent


@pytest.mark.parametrize("count", [0, 9, 10, 1000])
def test_for_few_cells_a_plan_says_nothing_about_people(count: int) -> None:
    asked = spec(by='["platform"]')
    cells = {key: people(*range(count)) for key in asked.keys}
    assert plan(asked, settled(cells, rules())).suppressed_about is None


def test_attack_by_ever_stricter_minimums_gets_one_answer() -> None:
    answers = set()
    for least in range(10, 100):
        asked = spec(by='["kind", "platform"]', protection=f"{{ kind = 'threshold', min_accounts = {least} }}")
        cells = {key: people(*range(100 * at, 100 * at + 10 * at)) for at, key in enumerate(asked.keys)}
        answers.add(plan(asked, settled(cells, asked.rules)).suppressed_about)
    assert len(answers) == 1


def test_a_plan_tells_cost_and_bounds() -> None:
    made = plan(BY_KIND_AND_PLATFORM, settled({key: people() for key in BY_KIND_AND_PLATFORM.keys}, rules()))
    assert (made.cells, made.cells_per_account, made.cadence_days, made.largest_error) == (9, 9, 7, 11)
    assert made.guarantee == "heuristic"
