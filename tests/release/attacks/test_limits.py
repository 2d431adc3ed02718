"""Attacks that succeed, as docs/releases.md says that they do: shown, not hidden.

A threshold is a heuristic. Each of these tells what the attacker needs, and what he learns.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.release.threshold import rounded
from tests.release.attacks.test_oracles import OWN
from tests.release.attacks.world import TARGET, Answer, K, figures, people, total, world
from tests.release.shop_policy import POLICY, rules

RULES: Final = rules()


# ---- who owns accounts, or knows most of those in a cell --------------------------------------------


def nine_of_his_own(does: bool) -> Answer:
    with world() as one:
        one.join([*people(OWN, K - 1), TARGET])
        one.act([*people(OWN, K - 1), *([TARGET] if does else [])], 3, "search", page="p7")
        one.until(60)
        return one.ask(0, 28, where="{ page = ['p7'] }")


def test_shown_who_owns_nine_accounts_sees_whether_there_is_a_tenth() -> None:
    """He has k - 1 accounts of his own do something rare. There is a figure if anybody else did it, too.

    He learns that somebody did; that it was this person, if nobody else can have. One question is enough.
    """
    assert total(nine_of_his_own(does=True)) == K
    assert total(nine_of_his_own(does=False)) is None


def nine_more(does: bool) -> list[Answer]:
    with world() as one:
        one.join([*people(0, 30), *people(OWN, K - 1), TARGET])
        one.act(people(0, 30), 3)
        one.until(7)
        told = [one.ask(0, 7)]
        one.act([*people(OWN, K - 1), *([TARGET] if does else [])], 8)
        one.until(14)
        return [*told, one.ask(0, 14)]


def test_shown_who_owns_nine_accounts_sees_whether_a_tenth_came_to_a_crowd_with_them() -> None:
    """He has k - 1 accounts of his own join a crowd that has a figure. A new figure says that somebody else came, too.

    He learns that there was a change besides his own, of whomever; in a shop where people come and go all the time
    that is no news, in a group that stands still it is.
    """
    assert [total(answer) for answer in nine_more(does=True)] == [30, 40]
    assert [total(answer) for answer in nine_more(does=False)] == [30, 30]


@pytest.mark.parametrize("crowd", range(20, 25))
def test_shown_who_owns_many_accounts_counts_a_crowd(crowd: int) -> None:
    """He adds 11 of his own at a time, so that figures of their own follow, each cut at another place.

    With 44 accounts, he learns how many others there are, to one.
    """
    with world() as one:
        one.join([*people(0, crowd), *people(OWN, 44)])
        one.act(people(0, crowd), 3)
        told = []
        for number in range(5):
            one.act(people(OWN + 11 * number - 11, 11) if number else [], 7 * number + 1)
            one.until(7 * number + 7)
            told.append(total(one.ask(0, 7 * number + 7)))
    fits = [size for size in range(K, 60) if [rounded(size + 11 * number, RULES) for number in range(5)] == told]
    assert fits == [crowd]


@pytest.mark.parametrize("crowd", range(1, K))
def test_shown_who_adds_accounts_to_a_small_crowd_one_by_one_counts_it(crowd: int) -> None:
    """Every total below k is nothing, and near to it is nothing: the first figure comes k after the last of them.

    With up to 18 accounts, he learns how many others there are.
    """
    with world() as one:
        one.join([*people(0, crowd), *people(OWN, 20)])
        one.act(people(0, crowd), 3)
        one.until(7)
        assert total(one.ask(0, 7)) is None
        for own in range(1, 20):
            one.act(people(OWN + own - 1, 1), 7 * own)
            one.until(7 * own + 7)
            if total(one.ask(0, 7 * own + 7)) is not None:
                break
        assert own == 2 * K - 1 - crowd


def test_shown_a_figure_that_is_gone_says_that_somebody_left() -> None:
    """He sees the same cell before and after: exactly k, and then one has withdrawn.

    He learns that a group has fallen below k, and who knows the others, who it was.
    """
    with world() as one:
        one.join([*people(0, K - 1), TARGET])
        one.act([*people(0, K - 1), TARGET], 3)
        one.until(60)
        assert total(one.ask(0, 28)) == K
        one.store.withdraw_consent(TARGET, ["analytics"])
        assert total(one.ask(0, 35)) is None


def test_shown_accounts_that_were_erased_and_return_count_twice() -> None:
    """Half as many are enough: k / 2 accounts of his own are erased and come back, and the next figure is a new one.

    He sees the crowd at its present size, to the rounding, where it would have looked as it had been.
    """
    with world() as one:
        half = K // 2
        one.join([*people(0, 22), *people(OWN, half), TARGET])
        one.act([*people(0, 22), *people(OWN, half), TARGET], 3)
        one.until(7)
        assert total(one.ask(0, 7)) == 30
        one.store.erase([*people(OWN, half), TARGET])
        one.join(people(OWN, half))
        one.act(people(OWN, half), 8)
        one.until(14)
        assert total(one.ask(0, 14)) == 25


# ---- three figures and more -------------------------------------------------------------------------


def test_shown_a_total_less_two_parts_can_tell_how_many_a_hidden_part_has() -> None:
    """Three figures, each a fair one, of which no two are near: their difference is the row that has none.

    He learns it to one where all three are rounded the worst way for it, and to five mostly.
    """
    with world() as one:
        one.join(people(0, 100))
        one.act(people(0, 32), 3, platform="mobile")
        one.act(people(32, 22), 3, platform="desktop")
        one.act(people(60, 9), 3, platform="tablet")
        one.until(60)
        rows = one.ask(0, 28, by='["platform"]')
        assert not isinstance(rows, str)
        assert rows == {("mobile",): (30,), ("desktop",): (20,), ("tablet",): (None,)}
        whole = total(one.ask(0, 28))
    sizes = range(K, 100)
    of = {figure: [size for size in sizes if rounded(size, RULES) == figure] for figure in (30, 20, whole)}
    fits = {
        hidden
        for every, mobile, desktop in itertools.product(of[whole], of[30], of[20])
        if 0 <= (hidden := every - mobile - desktop) < K
    }
    assert fits == {9}


def test_shown_two_purposes_are_not_held_against_one_another() -> None:
    """The same question of two purposes, of which one person allows one only.

    He learns whether the two figures are rounded alike. Their pseudonyms have nothing in common, so that nobody can
    join what a purpose knows to what another does: neither can the ledger.
    """
    with world() as one:
        one.join(people(0, 22))
        one.join([TARGET], "monthly")
        one.act([*people(0, 22), TARGET], 3)
        one.until(60)
        assert total(one.ask(0, 31)) == 20
        assert total(one.ask(0, 31, purpose='"monthly"')) == 25


def test_shown_a_sum_that_is_missing_beside_a_reach_says_that_one_account_stands_out() -> None:
    """Forty bought, and there is no sum: the largest amount is more than half of all, or the two largest nearly all.

    He learns that, neither who nor how much. Where nobody stands out there is a sum.
    """
    with world() as one:
        one.join([*people(0, 80), TARGET])
        one.act(people(0, 40), 3, "purchase", platform="mobile", total=100)
        one.act(people(40, 40), 3, "purchase", platform="tablet", total=100)
        one.act([TARGET], 3, "purchase", platform="tablet", total=5_000)
        one.until(60)
        assert figures(one.ask(0, 28, by='["platform"]')) == {40}
        sums = one.ask(0, 28, measure='"sums"', field='"total"', limit="5000", by='["platform"]')
        assert sums == {("mobile",): (5_000,), ("desktop",): (None,), ("tablet",): (None,)}


# ---- backups ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [False, True], ids=["the data can still be read", "the data was lost"])
def test_shown_a_ledger_that_was_lost_knows_no_release_since_the_backup(tmp_path: Path, lost: bool) -> None:
    """He has a release of before, and asks again after an erasure and a restored backup of the data.

    The ledger in place is kept where it can be read, and he is handed the same bytes. Where the disk was lost, the
    ledger of the backup goes on: he is answered anew, and sees that somebody left.
    """
    with world() as one:
        one.join([*people(0, 22), TARGET])
        one.act([*people(0, 22), TARGET], 3)
        one.until(60)
        one.store.back_up(tmp_path / "data.backup")
        before = one.ask(0, 28)
        one.store.erase(TARGET)
        one.store.close()
        store = one.folder / "store"
        if lost:
            for path in store.glob("data.db*"):
                path.unlink()
        key = cp.KeyFile(one.folder / "key")
        cp.Store.restore(store, key=key, data=tmp_path / "data.backup", clock=lambda: one.now, policies=[POLICY])
        one.store = one.opened()
        after = one.ask(0, 28)
        assert total(before) == 25
        assert (after == before) is not lost
        assert figures(after) == ({20} if lost else {25})
