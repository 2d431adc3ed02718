"""Whoever knows every rule and every figure bounds no hidden row to fewer than k counts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consentprofile.errors import UnsupportedEnvironment
from consentprofile.model.policy import ReleaseRules
from consentprofile.release import threshold
from consentprofile.release.bounds import Interval, Relation, Worlds
from consentprofile.release.cells import Counted
from consentprofile.release.knowledge import Outcome, known
from consentprofile.release.margins import with_margins
from consentprofile.release.protection import Threshold
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.summed import protected
from consentprofile.release.threshold import PublishedCell
from tests.release.adversary import ALL, Adversary, Row
from tests.release.sets import as_counted
from tests.release.shop_policy import name, rules, spec

TWO = "{ platform = ['mobile', 'desktop'], kind = ['login', 'purchase'] }"


def asked(*by: str, chosen: ReleaseRules | None = None, **changes: str) -> ReleaseSpec:
    """A specification with margins over every dimension, under the policy's rules or others."""
    made = spec(by=str(list(by)), margins="true", **changes)
    return (
        made
        if chosen is None
        else msgspec.structs.replace(made, rules=chosen, protection=Threshold(chosen.min_accounts))
    )


def disjoint(made: ReleaseSpec, sizes: Sequence[int]) -> Counted:
    """So many accounts in each row, each in one."""
    starts = np.cumsum([0, *sizes]).tolist()
    rows = zip(made.keys, starts, sizes, strict=False)
    return as_counted({key: frozenset(map(name, range(at, at + size))) for key, at, size in rows})


def table(made: ReleaseSpec, counted: Counted) -> tuple[list[Row], Adversary]:
    """The table as it is published, and somebody who sees it."""
    whole = with_margins(counted, made.margins, made.bound)
    by_rules = threshold.protect(whole, made.rules, (), min_accounts=made.min_accounts).ledger.cells
    published = protected(made, counted, ()).published
    rows: list[Row] = []
    members = [frozenset(cell.members.tolist()) for cell in whole.cells]
    for place, (cell, shown) in enumerate(zip(by_rules, published, strict=True)):
        near = None
        if not cell.own and cell.value is not None:
            near = next(
                other for other, row in enumerate(rows)
                if row.own and row.settled == cell.value
                and len(members[other] ^ members[place]) < made.rules.min_accounts
            )  # fmt: skip
        rows.append(Row(cell.key, len(members[place]), cell.value, cell.own, near, shown.value))
    union = made.measure.margin == "union" and made.bound > 1
    return rows, Adversary(rows, made.rules, union=union)


def figures(made: ReleaseSpec, counted: Counted) -> dict[tuple[str, ...], int | None]:
    return {cell.key: cell.value for cell in protected(made, counted, ()).published}


RULES = st.sampled_from([rules(3, 1), rules(3, 2), rules(4, 3), rules(2, 4)])
SIZES = st.integers(0, 9)


# ---- the attack, by name ------------------------------------------------------------------------


@pytest.mark.parametrize("few", range(10))
@pytest.mark.parametrize("step", [1, 2, 5])
def test_attack_by_totals_minus_parts(few: int, step: int) -> None:
    """The total less the shown platforms is what the hidden one would have shown: another figure goes with it.

    Unless all of them are rounded so far that they tell nothing.
    """
    made = asked("platform", chosen=rules(10, step), cells_per_account="1")
    rows, adversary = table(made, disjoint(made, (30, 40, few)))
    hidden = [row.key for row in rows if row.figure is None]
    assert ("tablet",) in hidden
    assert len(hidden) == 2 or step == 5
    assert adversary.searched(2) == (0, 9)


@pytest.mark.parametrize("few", range(10))
def test_attack_by_a_total_minus_the_only_other_part(few: int) -> None:
    """Such a total is too near the part to have a figure of its own, and what it shows tells nothing of the few."""
    made = asked("platform", cells_per_account="1")
    shown = figures(made, disjoint(made, (30, 0, few)))
    assert shown == {("mobile",): 30, ("desktop",): None, ("tablet",): None, (ALL,): 30}


def test_the_total_of_exclusive_rows_is_hidden_rather_than_all_of_them() -> None:
    """The last figure beside a hidden one goes with it; the rest and the total stay."""
    made = asked("platform", "kind", chosen=rules(10, 1), cells_per_account="1")
    sizes = [60, 45, 80, 70, 4, 90, 55, 65, 75]
    shown = figures(made, disjoint(made, sizes))
    hidden = [key for key, value in shown.items() if value is None]
    assert len(hidden) == 4
    assert not [key for key in hidden if ALL in key]
    assert {len({key[place] for key in hidden}) for place in (0, 1)} == {2}  # the corners of a rectangle


def test_accounts_in_several_rows_need_no_more_to_be_hidden() -> None:
    """Where many stand in two rows, the total less the shown parts says nothing about the hidden one."""
    made = asked("platform")
    both = frozenset(map(name, range(100)))
    counted = as_counted(dict(zip(made.keys, (both, both | {name(500)}, frozenset(map(name, range(3)))), strict=True)))
    shown = figures(made, counted)
    assert [value is None for value in shown.values()] == [False, False, True, False]


def test_a_row_that_was_hidden_for_margins_is_not_shown_to_whoever_asks_for_it_alone() -> None:
    made = asked("platform", chosen=rules(10, 1), cells_per_account="1")
    first = disjoint(made, (35, 40, 5))
    kept = protected(made, first, ())
    hidden = [place for place, cell in enumerate(kept.published) if cell.value is None]
    whole = with_margins(first, made.margins, made.bound)
    assert len(hidden) == 2
    for cell in (whole.cells[place] for place in hidden):
        alone = Counted(whole.pseudonyms, (cell,))
        again = threshold.protect(alone, made.rules, [kept.ledger], min_accounts=10).published
        assert again == (PublishedCell(cell.key, None),)


def test_what_earlier_releases_have_given_is_known_and_not_hidden_in_vain() -> None:
    made = asked("platform", chosen=rules(10, 1), cells_per_account="1")
    counted = disjoint(made, (35, 40, 5))
    parts = threshold.settle(counted, made.rules, ())
    total = with_margins(counted, made.margins, made.bound)
    alone = threshold.settle(Counted(total.pseudonyms, total.cells[-1:]), made.rules, [parts])
    published = protected(made, counted, (parts, alone)).published
    assert [cell.value for cell in published] == [35, 40, None, 80]


def test_where_nothing_is_left_to_choose_from_every_margin_is_hidden_and_the_parts_are_as_without() -> None:
    made = asked("platform", "kind", chosen=rules(3, 1), where=TWO, cells_per_account="1")
    counted = disjoint(made, [0, 1, 3, 2])
    shown = [cell.value for cell in protected(made, counted, ()).published]
    plain = threshold.protect(counted, made.rules, (), min_accounts=3).published
    assert shown == [*(cell.value for cell in plain), *[None] * 5]


# ---- against somebody who enumerates every table ------------------------------------------------


def hidden_rows(rows: Sequence[Row]) -> list[int]:
    """Those without a figure; without the margins, where every margin is hidden: what is shown adds up to some."""
    margins = [row for row in rows if ALL in row.key]
    kept = rows if any(row.figure is not None for row in margins) else rows[: -len(margins)]
    return [place for place, row in enumerate(kept) if row.figure is None]


def widths(rows: Sequence[Row], tables: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> list[int]:
    assert len(tables)
    return [int(np.ptp(tables[:, place])) for place in hidden_rows(rows)]


@given(st.lists(SIZES, min_size=3, max_size=3), RULES)
def test_no_table_of_exclusive_rows_bounds_a_hidden_one(sizes: list[int], chosen: ReleaseRules) -> None:
    made = asked("platform", chosen=chosen, cells_per_account="1")
    rows, adversary = table(made, disjoint(made, sizes))
    assert all(width >= chosen.min_accounts - 1 for width in widths(rows, adversary.enumerated()))


@given(st.lists(SIZES, min_size=4, max_size=4), RULES)
def test_no_table_of_two_dimensions_bounds_a_hidden_row(sizes: list[int], chosen: ReleaseRules) -> None:
    made = asked("platform", "kind", chosen=chosen, where=TWO, cells_per_account="1")
    rows, adversary = table(made, disjoint(made, sizes))
    assume(sum(row.figure is None for row in rows[:4]) < 4)
    assert all(width >= chosen.min_accounts - 1 for width in widths(rows, adversary.enumerated()))


SETS = st.lists(st.frozensets(st.integers(0, 14), max_size=12), min_size=3, max_size=3)


@given(SETS, RULES)
def test_no_table_of_rows_that_share_accounts_bounds_a_hidden_one(
    sets: list[frozenset[int]], chosen: ReleaseRules
) -> None:
    made = asked("platform", chosen=chosen)
    people = (frozenset(map(name, members)) for members in sets)
    rows, adversary = table(made, as_counted(dict(zip(made.keys, people, strict=True))))
    assert all(width >= chosen.min_accounts - 1 for width in widths(rows, adversary.enumerated()))


# ---- against integer programming ----------------------------------------------------------------

LARGER = st.sampled_from([asked("platform", "kind"), asked("platform", "kind", "channel")])


@settings(max_examples=12)
@given(st.data(), LARGER, st.booleans(), st.sampled_from([rules(10, 5), rules(5, 2), rules(3, 1)]))
def test_no_program_bounds_a_hidden_row(
    data: st.DataObject, larger: ReleaseSpec, exclusive: bool, chosen: ReleaseRules
) -> None:
    most = 4 * chosen.min_accounts
    made = msgspec.structs.replace(
        larger,
        rules=chosen,
        protection=Threshold(chosen.min_accounts),
        cells_per_account=1 if exclusive else 27,
    )
    sizes = data.draw(st.lists(st.integers(0, most), min_size=len(made.keys), max_size=len(made.keys)))
    counted = disjoint(made, sizes)
    if not exclusive:
        keys = zip(made.keys, sizes, range(len(sizes)), strict=True)
        counted = as_counted({key: frozenset(map(name, range(at, at + size))) for key, size, at in keys})
    rows, adversary = table(made, counted)
    hidden = hidden_rows(rows)
    for place in hidden[:: max(1, len(hidden) // 4)]:
        least, most_of_it = adversary.searched(place)
        assert most_of_it - least >= chosen.min_accounts - 1


@given(st.lists(st.integers(0, 40), min_size=9, max_size=9), st.integers(1, 3))
def test_no_program_bounds_a_hidden_sum(sizes: list[int], limit: int) -> None:
    """Sums of events: no narrower than what k - 1 accounts may add to a row."""
    made = asked("platform", "kind", measure='"counts"', limit=str(limit))
    part = made.measure.parts[0]
    cells = [
        cell._replace(part=part, amounts=1 + np.arange(len(cell.members)) % limit)
        for cell in disjoint(made, sizes).cells
    ]
    counted = Counted(disjoint(made, sizes).pseudonyms, tuple(cells))
    published = protected(made, counted, ()).published
    whole = with_margins(counted, made.margins, made.bound)
    ledger = threshold.protect(whole, made.rules, (), min_accounts=10).ledger.cells
    known = []
    for cell, kept, shown in zip(whole.cells, ledger, published, strict=True):
        by, far = max(5, cell.part.limit), 9 * cell.part.limit
        if shown.value is None:
            known.append((0, far if len(cell.members) < 10 else 10**6))
        else:
            away = 0 if kept.own else far
            first = max(10, shown.value - by + 1 if shown.value - by < 10 else shown.value - by // 2)
            known.append((max(10, first - away), shown.value + by // 2 + away))
    for place in [place for place, shown in enumerate(published) if shown.value is None][::2]:
        least, most = _program(made, known, place)
        assert most - least >= 9 * limit


def _program(made: ReleaseSpec, known: Sequence[tuple[int, int]], place: int) -> tuple[float, float]:
    import scipy.optimize

    lines = [(at, line) for at, margin in enumerate(made.margins, len(made.keys)) for line in margin.lines]
    matrix = np.zeros((len(lines), len(known)))
    for number, (margin, line) in enumerate(lines):
        matrix[number, list(line)] = 1
        matrix[number, margin] = -1
    cost = np.zeros(len(known))
    ends = []
    for sense in (1, -1):
        cost[place] = sense
        solved = scipy.optimize.linprog(cost, A_eq=matrix, b_eq=np.zeros(len(lines)), bounds=known)
        assert solved.success
        ends.append(sense * solved.fun)
    return ends[0], ends[1]


@given(st.lists(st.integers(0, 40), min_size=3, max_size=3), st.integers(10, 30), RULES)
def test_to_hide_a_row_tells_nothing_of_it_that_its_figure_did_not(
    sizes: list[int], fewest: int, chosen: ReleaseRules
) -> None:
    """A figure of events tells how many accounts the specification's minimum asks for, too."""
    made = asked("platform", measure='"counts"', limit="5", chosen=chosen)
    part = made.measure.parts[0]
    cells = [
        cell._replace(part=part, amounts=np.ones_like(cell.members, np.int64)) for cell in disjoint(made, sizes).cells
    ]
    whole = with_margins(disjoint(made, sizes)._replace(cells=tuple(cells)), made.margins, made.bound)
    left = threshold.protect(whole, chosen, (), min_accounts=fewest)
    rows = known(Outcome(whole, left.ledger.cells, [cell.value for cell in left.published]), chosen, fewest)
    for row, cell in zip(rows, whole.cells, strict=True):
        if row.shown is not None:
            assert row.hidden.low <= row.shown.low <= len(cell.members) <= row.shown.high <= row.hidden.high


# ---- the choice ---------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 60), min_size=9, max_size=9), st.integers(0, 10**6))
def test_the_same_table_hides_the_same_rows_whoever_the_accounts_are(sizes: list[int], shift: int) -> None:
    made = asked("platform", "kind", cells_per_account="1")
    starts = np.cumsum([0, *sizes]).tolist()
    rows = [*zip(made.keys, starts, sizes, strict=False)]
    moved = as_counted({key: frozenset(name(shift + at + n) for n in range(size)) for key, at, size in rows})
    assert figures(made, moved) == figures(made, disjoint(made, sizes))


@given(st.permutations(range(31, 40)), st.integers(0, 8))
def test_no_figure_takes_part_in_the_choice(sizes: list[int], small: int) -> None:
    """Figures that let the audit pass alike are hidden alike, however they are ordered by size."""
    made = asked("platform", "kind", chosen=rules(10, 1), cells_per_account="1")
    counts = [3 if place == small else 5 * size for place, size in enumerate(sizes)]
    alike = [3 if place == small else 170 for place in range(9)]
    hidden = [
        [key for key, value in figures(made, disjoint(made, these)).items() if value is None]
        for these in (counts, alike)
    ]
    assert hidden[0] == hidden[1]
    assert len(hidden[0]) == 4


def test_nothing_more_is_hidden_where_the_rules_hide_nothing() -> None:
    made = asked("platform", "kind", cells_per_account="1")
    assert None not in figures(made, disjoint(made, [50, 60, 70, 80, 90, 100, 110, 120, 130])).values()


# ---- bounds -------------------------------------------------------------------------------------


def test_a_row_between_figures_is_bounded_by_them() -> None:
    worlds = Worlds(
        [Interval(0, 9), Interval(18, 22), Interval(28, 32)], [Relation(0, 0, ((0, 1.0), (1, 1.0), (2, -1.0)))]
    )
    assert worlds.differs(0, 3)
    assert not worlds.differs(0, 4)
    worlds.hide(1, Interval(10, float("inf")))
    assert worlds.differs(0, 9)
    assert worlds.differs(1, 9)


def test_what_is_known_by_figures_is_known_as_long_as_they_are_shown() -> None:
    near = Relation(-1, 1, ((0, 1.0), (1, -1.0)), by_figures=True)
    worlds = Worlds([Interval(0, 20), Interval(10, 10), Interval(0, 5)], [near])
    assert not worlds.differs(0, 3)
    worlds.hide(2, Interval(0, 9))
    assert not worlds.differs(0, 3)
    worlds.hide(1, Interval(5, 20))
    assert worlds.differs(0, 20)


def test_half_an_account_is_in_no_world() -> None:
    """Three that add up to one in pairs would be halves; so there are no such accounts."""
    pairs = [Relation(1, 1, ((one, 1.0), (other, 1.0))) for one, other in ((0, 1), (1, 2), (0, 2))]
    assert not Worlds([Interval(0, 1)] * 3, pairs).differs(0, 0)
    assert Worlds([Interval(0, 2)] * 3, pairs, unit=2).differs(0, 0)


def test_what_contradicts_itself_has_no_worlds() -> None:
    assert not Worlds([Interval(0, 1), Interval(5, 6)], [Relation(0, 0, ((0, 1.0), (1, -1.0)))]).differs(0, 0)


def test_without_highspy_margins_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    made = asked("platform", cells_per_account="1")
    with pytest.raises(UnsupportedEnvironment, match=r"consentprofile\[release\]"):
        protected(made, disjoint(made, (35, 40, 5)), ())
