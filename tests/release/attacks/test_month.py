"""A month of daily releases: thirty looks at the same people, of whom a few come and go between one and the next.

The attacker subtracts every figure from every other one, across days, questions and periods. No two that are about
different people are about people that differ by fewer than k. What the month is still good for is measured, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Final

import numpy as np
import pytest

from consentprofile.release.threshold import largest_error
from tests.release.attacks.month import CADENCES, QUESTIONS, WINDOWS, Days, Month, example_shop, lines, month
from tests.release.attacks.world import K, Kept, figures, people, world
from tests.release.plain import PlainCell
from tests.release.shop_policy import rules
from tests.support.larger_shop import larger_shop
from tests.test_known_answers import ROOT

MONTHS: Final = [(window, cadence) for window in WINDOWS for cadence in CADENCES]


@cache
def shop() -> Days:
    return example_shop()


@cache
def of_shop(window: str, cadence: str) -> Month:
    return month(shop(), window, cadence)


def nearest(figures_of: Sequence[frozenset[bytes]]) -> int:
    """By how many members the two of them differ that differ least; some may have the same ones by no chance at all."""
    place = {name: number for number, name in enumerate(sorted(frozenset().union(*figures_of)))}
    is_in = np.zeros((len(figures_of), len(place)), dtype=np.float32)
    for row, members in enumerate(figures_of):
        is_in[row, [place[name] for name in members]] = 1
    sizes = is_in.sum(axis=1)
    differ = sizes[:, None] + sizes[None, :] - 2 * (is_in @ is_in.T)
    np.fill_diagonal(differ, np.inf)
    return int(differ.min())


def hold(ledger: Sequence[PlainCell | Kept]) -> int:
    """That no figure of a ledger is about few, and no difference of two; the number of figures of their own."""
    own: dict[int, list[frozenset[bytes]]] = {}
    for cell in ledger:
        if cell.value is not None:
            members = cell.members
            assert len(members) >= K
            assert abs(cell.value - len(members)) <= largest_error(rules())
            if cell.own:
                own.setdefault(cell.value, []).append(members)
            else:  # given again: the figure is about others, who are near, and were told of before
                assert any(len(others ^ members) < K for others in own[cell.value])
    every = [members for found in own.values() for members in found]
    assert nearest(every) >= K
    return len(every)


@pytest.mark.parametrize(("window", "cadence"), MONTHS)
def test_attack_by_a_month_of_releases_finds_no_two_figures_that_few_tell_apart(window: str, cadence: str) -> None:
    """The example shop in June: three questions after each day or week, all in one ledger."""
    assert hold(of_shop(window, cadence).ledger) > 50


def test_attack_by_a_month_of_daily_releases_of_a_store() -> None:
    """The same through the face of a store that lets figures out every day: 80 accounts, each there now and then.

    He asks for the last seven days, for the month to date and for the day alone, whose ends are a day apart.
    """
    random = Random(6)  # a made-up crowd needs no secrets
    with world(cadence=1) as one:
        one.join(people(0, 80))
        for day in range(37):
            came = random.sample(people(0, 80), 14)
            one.act(came[:9], day, platform="mobile")
            one.act(came[7:], day, platform="desktop")
            if day >= 7:
                one.until(day + 1)
                told = [
                    one.ask(day - 6, day + 1, by='["platform"]'),
                    one.ask(7, day + 1, measure='"transitions"', of='"platform"'),
                    one.ask(day, day + 1),
                ]
                assert "ReleaseRefused" not in told
                assert figures(*told)
        ledger = one.ledger()
    assert len({cell.members for cell in ledger}) > 200
    assert hold(ledger) > 40


# ---- what it is still good for ----------------------------------------------------------------------


def documented() -> list[str]:
    """The rows of the table in docs/releases.md that are about the example shop."""
    page = (ROOT / "docs" / "releases.md").read_text("utf-8")
    return [line for line in page.splitlines() if line.startswith("| example shop |")]


def test_the_usefulness_of_a_month_is_what_the_document_says() -> None:
    assert list(lines("example shop", lambda window, cadence: of_shop(window, cadence).useful)) == documented()


def test_a_larger_shop_keeps_its_figures() -> None:
    """2,000 accounts: where cells are a few times k, hardly a figure is lost over a month of weekly releases."""
    days = larger_shop(2_000)
    useful = month(days, "the last 28 days", "weekly").useful
    assert list(useful) == list(QUESTIONS)
    for question, found in useful.items():
        assert found.share > 0.95, question
        assert found.error < 2.5, question


def test_a_made_up_shop_is_the_same_for_the_same_seed() -> None:
    assert larger_shop(20) == larger_shop(20) != larger_shop(20, seed=1)
