"""Protection: no figure about few accounts, no difference of two figures about few accounts."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consentprofile.model.policy import ReleaseRules
from consentprofile.release.spec import Key
from consentprofile.release.threshold import fewest, largest_error, publish, rounded
from tests.release.plain import Cells, PlainCell
from tests.release.sets import as_settled, protect, settle
from tests.release.shop_policy import name, people, rules

RULES = rules()
K = RULES.min_accounts


def group(first: int, count: int) -> frozenset[bytes]:
    return people(*range(first, first + count))


def values(cells: Cells, earlier: tuple[PlainCell, ...] = (), *, least: int = K) -> dict[Key, int | None]:
    published = protect(cells, RULES, earlier, min_accounts=least).published
    assert [cell.key for cell in published] == list(cells)
    return {cell.key: cell.value for cell in published}


def total(members: frozenset[bytes], earlier: tuple[PlainCell, ...] = ()) -> int | None:
    return values({(): members}, earlier)[()]


def released(members: frozenset[bytes], earlier: tuple[PlainCell, ...] = ()) -> tuple[PlainCell, ...]:
    return (*earlier, *settle({(): members}, RULES, earlier))


# ---- one release --------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "figure"), [(0, None), (1, None), (9, None), (10, 10), (12, 10), (13, 15), (18, 20)])
def test_figures_are_rounded_and_small_cells_have_none(count: int, figure: int | None) -> None:
    assert total(group(0, count)) == figure


def test_zero_and_suppressed_look_the_same_and_every_key_is_listed() -> None:
    with_few = values({("web",): group(0, 20), ("app",): group(100, 9)})
    with_none = values({("web",): group(0, 20), ("app",): people()})
    assert with_few == with_none == {("web",): 20, ("app",): None}


@given(st.integers(0, 200), st.integers(1, 9))
def test_a_key_that_only_few_accounts_have_never_has_a_figure(many: int, few: int) -> None:
    """Nor does it where all of them are in another cell as well, in this release or in an earlier one."""
    everybody, some = group(0, max(many, few)), group(0, few)
    assert values({("web",): everybody, ("app",): some})["app",] is None
    assert values({("app",): some}, released(everybody))["app",] is None


@given(st.integers(3, 60), st.integers(1, 30), st.integers(0, 300))
def test_a_figure_stands_for_several_counts_and_none_below_the_minimum(least: int, step: int, above: int) -> None:
    chosen = rules(least, step)
    figure = rounded(least + above, chosen)
    counts = [count for count in range(least, least + above + 3 * step + 1) if rounded(count, chosen) == figure]
    assert figure % step == 0
    assert figure >= least
    assert len(counts) >= step // 2 + 1
    assert counts[0] == fewest(figure, chosen)
    assert counts == list(range(counts[0], counts[-1] + 1))


def test_attack_by_ever_stricter_minimums_learns_no_more_than_the_figure() -> None:
    """Counts that have the same figure are hidden by the same minimums."""
    for one, other in combinations(range(K, 60), 2):
        if rounded(one, RULES) == rounded(other, RULES):
            for least in range(K, 60):
                assert values({(): group(0, one)}, least=least) == values({(): group(0, other)}, least=least)


def test_a_stricter_minimum_holds() -> None:
    published = {
        (count, least): values({(): group(0, count)}, least=least)[()] for count in range(60) for least in range(K, 60)
    }
    shown = [pair for pair, value in published.items() if value is not None]
    assert all(count >= least for count, least in shown)
    assert (12, 10) in shown
    assert (23, 23) in shown


# ---- the ledger: attacks by difference ----------------------------------------------------------


@given(st.integers(0, 60), st.integers(0, 9), st.integers(0, 9))
def test_attack_by_adding_and_removing_few_accounts_sees_the_same_figure(start: int, added: int, removed: int) -> None:
    """Fewer than k accounts differ; a cell that falls below k has no figure, and that is all it tells."""
    before = group(0, start)
    after = (before - group(0, removed)) | group(1000, added)
    assume(len(before ^ after) < K)
    seen = total(after, released(before))
    assert seen == (total(before) if len(after) >= K else None)


@pytest.mark.parametrize("few", range(1, K))
def test_attack_by_any_few_accounts_sees_the_same_figure(few: int) -> None:
    assert total(group(few, 40 - few), released(group(0, 40))) == 40
    assert total(group(0, 40 + few), released(group(0, 40))) == 40
    assert total(group(0, 40 - few) | group(100, K - few - 1), released(group(0, 40))) == 40


def test_attack_by_leaving_one_filter_value_out_sees_the_same_figure() -> None:
    everybody = group(0, 23)
    assert total(everybody - people(7), released(everybody)) == total(everybody) == 25


def test_attack_by_growing_over_the_threshold_sees_nothing() -> None:
    assert total(group(0, 12), released(group(0, 9))) is None


def test_k_changes_are_a_figure_of_their_own() -> None:
    assert total(group(0, 30), released(group(0, 20))) == 30


def test_members_count_not_sizes() -> None:
    assert total(group(100, 22), released(group(0, 20))) == 20
    assert total(group(5, 22), released(group(0, 20))) == 20  # 5 gone, 7 come: 12 have changed
    assert settle({(): group(5, 22)}, RULES, released(group(0, 20)))[0].own


def test_the_key_of_the_earlier_cell_does_not_matter() -> None:
    earlier = settle({("web", "login"): group(0, 33)}, RULES, ())
    assert values({("web",): group(0, 38)}, earlier) == {("web",): 35}


def test_cells_of_one_release_are_compared_too() -> None:
    assert values({("login",): group(0, 100), ("purchase",): group(0, 92)}) == {("login",): 100, ("purchase",): 100}


def test_cells_of_one_release_that_differ_by_k_have_figures_of_their_own() -> None:
    assert values({("login",): group(0, 30), ("purchase",): group(0, 40)}) == {("login",): 30, ("purchase",): 40}


def test_a_small_cell_does_not_hide_a_larger_one_of_its_own_release() -> None:
    assert values({("web",): group(0, 9), ("app",): group(0, 12)}) == {("web",): None, ("app",): 10}


def test_a_slow_growth_is_followed_within_k() -> None:
    """Copies are not compared with, or the first figure would stand for ever."""
    ledger: tuple[PlainCell, ...] = ()
    for count in range(50, 200, 3):
        ledger = released(group(0, count), ledger)
        figure = ledger[-1].value
        assert figure is not None
        assert abs(figure - count) <= largest_error(RULES)
    assert len({cell.value for cell in ledger}) > 10


def test_the_earliest_of_several_near_cells_decides() -> None:
    ledger = released(group(3, 34), released(group(0, 30)))
    assert [(cell.own, cell.value) for cell in ledger] == [(True, 30), (True, 35)]
    again = released(group(2, 33), ledger)[-1]
    assert [len(again.members ^ cell.members) for cell in ledger] == [7, 3]
    assert (again.own, again.value) == (False, 30)


def test_an_erased_member_counts_as_changed() -> None:
    """Its pseudonym is gone with its secret: ten of them, and the cell is another one."""
    ledger = released(group(0, 40))
    returned = group(10, 30) | group(5000, 10)
    assert settle({(): returned}, RULES, ledger)[0].own


MEMBERS = st.frozensets(st.integers(0, 24), max_size=25).map(lambda numbers: people(*numbers))
RELEASES = st.lists(st.dictionaries(st.sampled_from([("a",), ("b",), ("c",)]), MEMBERS, min_size=1), max_size=5)


@given(RELEASES, st.sampled_from([rules(3, 2), rules(5, 5), rules(10, 5), rules(4, 1)]))
def test_no_two_figures_are_about_members_that_differ_by_few(releases: list[Cells], chosen: ReleaseRules) -> None:
    ledger: list[PlainCell] = []
    for cells in releases:
        settled = settle(cells, chosen, iter(ledger))
        for cell in settled:
            assert cell.members == cells[cell.key]
            assert cell.value is None or cell.count >= chosen.min_accounts
            if cell.value is not None:
                assert abs(cell.value - cell.count) <= largest_error(chosen)
        ledger += settled
    figures = [cell for cell in ledger if cell.own and cell.value is not None]
    for one, other in combinations(figures, 2):
        assert len(one.members ^ other.members) >= chosen.min_accounts


@given(RELEASES)
def test_the_names_of_accounts_change_no_figure(releases: list[dict[Key, frozenset[bytes]]]) -> None:
    def run(shift: int) -> list[int | None]:
        ledger: list[PlainCell] = []
        for cells in releases:
            moved = {
                key: frozenset(name((int.from_bytes(member, "big") * 7 + shift) % 1009) for member in members)
                for key, members in cells.items()
            }
            ledger += settle(moved, RULES, tuple(ledger))
        return [cell.value for cell in publish(as_settled(ledger).cells, RULES, K)]

    assert run(0) == run(500)


def test_a_ledger_cell_withholds_its_content() -> None:
    cell = settle({("secret",): group(0, 20)}, RULES, ())[0]
    assert "secret" not in repr(cell)
    assert repr(protect({("secret",): group(0, 20)}, RULES, (), min_accounts=K)).count("secret") == 0
