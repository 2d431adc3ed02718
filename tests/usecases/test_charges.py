"""Charges are followed through the log: no further than it is new, and always to its end before another is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.store.log import Log
from consentprofile.store.ports import StoredLeaf
from consentprofile.usecases.budget import Charges
from tests.usecases.noisy_shop import NoisyShop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[NoisyShop]:
    made = NoisyShop(tmp_path)
    yield made
    made.store.close()


def test_what_another_process_is_charged_while_one_counts_is_not_there_for_both(shop: NoisyShop) -> None:
    """A year has 2: it could have paid for either."""
    mine, theirs = shop.spec("epsilon = 1.5", name="mine"), shop.spec(name="theirs", until="2024-03-20")
    others: list[int] = []

    def meanwhile(done: int, total: int) -> None:
        if not others:
            others.append(shop.elsewhere(lambda store: store.release(theirs, shop.folder / "theirs")))

    with pytest.raises(cp.ReleaseRefused, match="has epsilon 1 left"):
        shop.store.release(mine, shop.folder / "mine", progress=meanwhile)
    assert others == [0]
    assert [charge.amount for charge in shop.budget().charges] == [1]


def test_while_others_wait_only_what_is_new_in_the_log_is_looked_through(
    shop: NoisyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[int, int]] = []
    mentioning = Log.mentioning

    def looking(log: Log, words: Sequence[str], start: int, stop: int) -> list[StoredLeaf]:
        if "budget-charged" in words:
            looked.append((start, stop))
        return mentioning(log, words, start, stop)

    before = len(shop.leaves())
    monkeypatch.setattr(Log, "mentioning", looking)
    shop.release(shop.spec())
    assert looked[0] == (0, before)
    assert all(start >= before for start, _ in looked[1:])


def test_charges_that_are_followed_twice_are_counted_once(shop: NoisyShop) -> None:
    charges = Charges(shop.store._session, "planning")
    assert charges.made({}) == []
    first = shop.release(shop.spec(name="first"))
    assert [charge.number for charge in charges.made({})] == [first.number]
    second = shop.release(shop.spec(name="second", until="2024-03-20"), "second")
    for _ in range(2):
        assert [charge.number for charge in charges.made({})] == [first.number, second.number]
    assert charges.made({}) == Charges(shop.store._session, "planning").made({})
