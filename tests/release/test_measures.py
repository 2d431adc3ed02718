"""What holds of every measure: one account changes little, and neither order nor names change anything."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.release import counting
from consentprofile.release.cells import Cells, names
from consentprofile.release.measures.named import MEASURES, TERMS
from consentprofile.release.spec import ReleaseSpec
from tests.release.journeys import Accounts, journeys
from tests.release.shop_policy import counted, name, spec

ASKED = {
    "reach": spec(by='["platform", "kind", "day"]', until="2024-01-08", cells_per_account="5"),
    "counts": spec(measure='"counts"', by='["platform"]', limit="2"),
    "sums": spec(measure='"sums"', field='"total"', limit="2"),
    "means": spec(measure='"means"', field='"total"', limit="2"),
    "overlap": spec(measure='"overlap"', of='"platform"'),
    "frequency": spec(measure='"frequency"'),
    "funnel": spec(measure='"funnel"', steps='["login", "search", "purchase"]'),
    "retention": spec(measure='"retention"', every='"week"', until="2024-02-05"),
    "transitions": spec(measure='"transitions"', of='"kind"', cells_per_account="5"),
    "time-to-next": spec(measure='"time-to-next"', first='["login"]', next='["search"]'),
    "segments": spec(measure='"segments"', segments="[{ name = 'often', all = [{ count = 'days', at_least = 2 }] }]"),
}
EACH = pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)


def test_every_measure_is_held_to_it() -> None:
    assert [asked.measure.name for asked in ASKED.values()] == list(ASKED)
    assert set(ASKED) == set(MEASURES)
    told = {term for asked in ASKED.values() for term in asked.question}
    assert {"window" if term == "window_days" else term for term in told} - {
        "format", "purpose", "measure", "by", "where", "cells_per_account",
    } == set(TERMS)  # fmt: skip


@EACH
@given(accounts=journeys().filter(bool), data=st.data())
def test_one_account_changes_at_most_the_bounded_rows_by_itself_alone(
    asked: ReleaseSpec, accounts: Accounts, data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(accounts)))
    before = counted(asked, accounts)
    after = counted(asked, {number: events for number, events in accounts.items() if number != gone})
    assert list(before) == list(after) == [key for key, _ in asked.cells]
    changed = [key for key, members in before.items() if members != after[key]]
    assert len(changed) <= asked.bound * len(asked.measure.parts)
    for key in changed:
        assert set(names(before[key])) - set(names(after[key])) == {name(gone)}
        assert set(names(after[key])) < set(names(before[key]))


def sizes(cells: Cells) -> dict[tuple[str, ...], int]:
    return {key: len(names(members)) for key, members in cells.items()}


@EACH
@given(accounts=journeys(), random=st.randoms(use_true_random=False))
def test_the_order_of_accounts_and_events_changes_nothing(
    asked: ReleaseSpec, accounts: Accounts, random: Random
) -> None:
    order = random.sample(sorted(accounts), len(accounts))
    shuffled = {number: random.sample(accounts[number], len(accounts[number])) for number in order}
    assert counted(asked, shuffled) == counted(asked, accounts)


@EACH
@given(accounts=journeys())
def test_the_names_of_accounts_change_no_count(asked: ReleaseSpec, accounts: Accounts) -> None:
    """Where the bound chooses for somebody, it chooses as many under any name."""
    renamed = sizes(counted(asked, {number + 10**7: events for number, events in accounts.items()}))
    found = sizes(counted(asked, accounts))
    assert sum(renamed.values()) == sum(found.values())
    if asked.cells_per_account != 5:
        assert renamed == found


@EACH
@given(accounts=journeys())
def test_batches_make_no_difference(asked: ReleaseSpec, accounts: Accounts) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BATCH", 3)
        in_batches = counted(asked, accounts)
    assert in_batches == counted(asked, accounts)


@EACH
def test_nobody_is_a_table_of_rows_without_anybody(asked: ReleaseSpec) -> None:
    assert set(sizes(counted(asked, {})).values()) == {0}
    assert set(sizes(counted(asked, {1: []})).values()) == {0}
