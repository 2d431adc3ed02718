"""Attacks by totals: what is hidden is not to be had by taking what is shown from what it adds up to."""

from __future__ import annotations

import pytest

from tests.release.attacks.world import TARGET, Answer, K, people, world

ALL = "(all)"
TERMS = {"by": '["platform"]', "cells_per_account": "1"}


def platforms(does: bool) -> list[Answer]:
    """28 accounts on mobile, 38 on desktop, one or none on a tablet; the table with its total, and each row alone."""
    with world() as one:
        everybody = [*people(0, 28), *people(100, 38), TARGET]
        one.join(everybody)
        one.act(people(0, 28), 3, platform="mobile")
        one.act(people(100, 38), 3, platform="desktop")
        if does:
            one.act([TARGET], 3, platform="tablet")
        one.until(60)
        alone = [f"{{ platform = ['{name}'] }}" for name in ("mobile", "desktop", "tablet")]
        return [
            one.ask(0, 28, **TERMS, margins="true"),
            one.ask(0, 28),
            *(one.ask(0, 28, where=only) for only in alone),
        ]


@pytest.mark.parametrize("does", [True, False])
def test_attack_by_the_total_of_exclusive_rows(does: bool) -> None:
    """65 in all, 30 and 40 shown: then rounding would leave less than two for the tablet. So one of these is hidden."""
    table, *_ = platforms(does)
    assert not isinstance(table, str)
    hidden = {key for key, (figure, *_) in table.items() if figure is None}
    assert ("tablet",) in hidden
    assert len(hidden) == 2


@pytest.mark.parametrize("does", [True, False])
def test_attack_by_asking_for_each_row_of_it_alone(does: bool) -> None:
    """Whatever was hidden beside the tablet is not handed out by another question either."""
    table, total, *alone = platforms(does)
    shown = [answer for answer in (total, *alone) if not isinstance(answer, str)]
    assert not isinstance(table, str)
    assert len(shown) == 4
    figures = [next(iter(answer.values()))[0] for answer in shown]
    told = dict(zip([(ALL,), ("mobile",), ("desktop",), ("tablet",)], figures, strict=True))
    assert told == {key: figure for key, (figure, *_) in table.items()}


def test_one_person_on_a_tablet_changes_nothing_that_is_told() -> None:
    assert platforms(does=True) == platforms(does=False)


@pytest.mark.parametrize("few", [0, 1, K - 1])
def test_a_total_that_tells_nothing_is_shown(few: int) -> None:
    """Where accounts are on several platforms, a total says little of the last one, and everything else stays."""
    with world() as one:
        one.join([*people(0, 60), *people(200, few)])
        for name in ("mobile", "desktop"):
            one.act(people(0, 60) if name == "mobile" else people(0, 45), 3, platform=name)
        if few:
            one.act(people(200, few), 3, platform="tablet")
        one.until(60)
        table = one.ask(0, 28, by='["platform"]', margins="true")
    assert not isinstance(table, str)
    assert [key for key, (figure, *_) in table.items() if figure is None] == [("tablet",)]
