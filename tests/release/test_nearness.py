"""Cells over arrays are settled as plain Python settles sets, whoever is behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.model.policy import ReleaseRules
from consentprofile.release import nearness, threshold
from consentprofile.release.measures.measure import COUNTED, Part
from tests.release import plain
from tests.release.plain import Cells, Members, PlainCell, Weighed
from tests.release.sets import as_counted, as_plain, as_settled
from tests.release.shop_policy import rules

PARTS = (*COUNTED, Part("events", 9, 1), Part("sum", 9, 0), Part("sum", 4, -4))


def spread(number: int) -> bytes:
    """A pseudonym as it is in a store: it begins with any byte. Some end with zeros, some begin with them."""
    return canonical.digest(b"%d" % number)[: 16 - number % 3].ljust(16, b"\0") if number else bytes(16)


def crowd(draw: st.DrawFn) -> Members:
    """Ranges of accounts with a few that come and go: cells that are near one another, and cells that are not."""
    first, count = draw(st.sampled_from([0, 3, 40])), draw(st.integers(0, 34))
    numbers = set(range(first, first + count)) ^ draw(st.frozensets(st.integers(0, 80), max_size=6))
    part = draw(st.sampled_from(PARTS))
    if part.counts:
        return frozenset(map(spread, numbers))
    usual = draw(st.integers(part.least, part.limit))
    odd = draw(st.dictionaries(st.integers(0, 40), st.integers(part.least, part.limit), max_size=5))
    return Weighed({spread(number): odd.get(number, usual) for number in numbers}, part)


@st.composite
def releases(draw: st.DrawFn) -> list[Cells]:
    return [
        {(str(row),): crowd(draw) for row in range(draw(st.integers(1, 5)))} for _ in range(draw(st.integers(1, 4)))
    ]


RULES = st.sampled_from([rules(3, 2), rules(5, 5), rules(10, 5), rules(4, 1)])


@given(releases(), RULES)
def test_arrays_are_settled_as_sets_are(asked: list[Cells], chosen: ReleaseRules) -> None:
    ledger: list[tuple[PlainCell, ...]] = []
    for cells in asked:
        expected = plain.settle(cells, chosen, (cell for release in ledger for cell in release))
        earlier = (as_settled(release) for release in ledger)
        assert [shown(cell) for cell in as_plain(threshold.settle(as_counted(cells), chosen, earlier))] == [
            shown(cell) for cell in expected
        ]
        ledger.append(expected)


def shown(cell: PlainCell) -> tuple[object, ...]:
    """Everything that a cell says; amounts that are all ones are none."""
    return cell.key, cell.pseudonyms, cell.value, cell.own, cell.limit, cell.adds, cell.accounts


@given(releases(), RULES)
def test_no_pair_that_is_near_is_passed_over_by_size_and_spread(asked: list[Cells], chosen: ReleaseRules) -> None:
    """What is compared account by account is chosen by a bound that is never above the true difference."""
    counted = as_counted({(f"{at}", *key): members for at, cells in enumerate(asked) for key, members in cells.items()})
    edges = nearness._edges(counted.pseudonyms)
    spreads = [nearness._spread(cell.members, edges) for cell in counted.cells]
    for one, its in zip(counted.cells, spreads, strict=True):
        assert its.sum() == len(one.members)
        for other, those in zip(counted.cells, spreads, strict=True):
            differing = nearness._differing(one.members, one.amounts, other.members, other.amounts)
            assert abs(its - those).sum() <= differing
            assert differing == nearness._differing(other.members, other.amounts, one.members, one.amounts)


def test_cells_of_one_size_and_other_members_are_told_apart_without_comparing_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a thousand cells of a hundred thousand members would cost fifty milliards of steps."""
    compared = []
    differing = nearness._differing

    def comparing(*cells: Any) -> int:  # noqa: ANN401 - whatever it takes
        compared.append(cells)
        return differing(*cells)

    monkeypatch.setattr(nearness, "_differing", comparing)
    cells: Cells = {(str(row),): frozenset(map(spread, range(1 + 200 * row, 201 + 200 * row))) for row in range(30)}
    cells = {**cells, ("again",): frozenset(map(spread, range(1, 201)))}
    first = threshold.settle(as_counted(cells), rules(), ())
    assert [cell.own for cell in first.cells] == [True] * 30 + [False]
    assert len(compared) == 1
    again = threshold.settle(as_counted(cells), rules(), iter([first]))
    assert not any(cell.own for cell in again.cells)
    assert len(compared) == 1 + 31


def test_an_account_that_is_gone_counts_as_changed_though_its_cell_is_as_large() -> None:
    before = as_counted({(): frozenset(map(spread, range(1, 21)))})
    earlier = threshold.settle(before, rules(5, 5), ())
    for few, own in ((4, False), (5, True)):
        now = as_counted({(): frozenset(map(spread, range(1 + few, 21)))})
        assert threshold.settle(now, rules(5, 5), iter([earlier])).cells[0].own is own


def test_nobody_at_all_is_near_nothing() -> None:
    empty = as_counted({("web",): frozenset(), ("app",): frozenset()})
    some = threshold.settle(as_counted({(): frozenset(map(spread, range(9)))}), rules(), ())
    settled = threshold.settle(empty, rules(), iter([some]))
    assert settled.joined == b""
    assert [(cell.count, cell.value, cell.own) for cell in settled.cells] == [(0, None, True)] * 2
    assert np.array_equal(nearness._Before(some, empty.pseudonyms).here, np.full(9, -1))
