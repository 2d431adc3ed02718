"""What holds of every measure: one account changes little, and neither order nor names change anything."""

from __future__ import annotations

import sys
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import InvalidSpec, UnsupportedEnvironment
from consentprofile.release import counting
from consentprofile.release.measures.named import MEASURES, TERMS
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from tests.release.journeys import Accounts, journeys
from tests.release.plain import Cells, names, split
from tests.release.sets import as_sets, protect, settle
from tests.release.shop_policy import POLICY, counted, name, rules, spec, spec_text, tallied

TERMS_OF = {
    "reach": {"by": '["platform", "kind", "day"]', "until": "2024-01-08", "cells_per_account": "5"},
    "counts": {"by": '["platform"]', "limit": "2"},
    "sums": {"field": '"total"', "limit": "2"},
    "means": {"field": '"total"', "limit": "2"},
    "overlap": {"of": '"platform"'},
    "frequency": {"most": "3"},
    "funnel": {"steps": '["login", "search", "purchase"]', "order": '"ordered"', "window": '"1 days"'},
    "retention": {
        "every": '"week"',
        "until": "2024-02-05",
        "start": '["login"]',
        "return": '["login"]',
        "mode": '"on"',
        "periods": "3",
    },
    "transitions": {"of": '"kind"', "cells_per_account": "5"},
    "time-to-next": {"first": '["login"]', "next": '["search"]', "window": '"1 days"'},
    "segments": {"segments": "[{ name = 'often', all = [{ count = 'days', at_least = 2 }] }]"},
}
ASKED = {name: spec(measure=f'"{name}"', **terms) for name, terms in TERMS_OF.items()}
RULES = rules(3, 2)
ANY = st.sampled_from(list(ASKED.values()))
EACH = pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)


def test_every_measure_and_every_term_is_held_to_it() -> None:
    assert set(TERMS_OF) == set(MEASURES)
    told = {term for terms in TERMS_OF.values() for term in terms}
    assert told - {"by", "until", "cells_per_account"} == set(TERMS)


@pytest.mark.parametrize("name", TERMS_OF)
def test_a_faulty_purpose_is_the_only_fault_of_what_is_right_otherwise(name: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(measure=f'"{name}"', purpose='"nothing"', **TERMS_OF[name]), "x.toml", POLICY)
    assert [fault.place for fault in refused.value.faults] == ["x.toml: purpose"]


@pytest.mark.parametrize("name", TERMS_OF)
def test_the_terms_of_one_measure_are_none_of_another(name: str) -> None:
    others = {term: text for terms in TERMS_OF.values() for term, text in terms.items() if term not in TERMS_OF[name]}
    strangers = others.keys() - {"by", "until", "cells_per_account"}
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(measure=f'"{name}"', **{**TERMS_OF[name], **others, "by": None}), "x.toml", POLICY)
    unknown = {fault.place.removeprefix("x.toml: ") for fault in refused.value.faults if "not known" in fault.expected}
    assert unknown - {"cells_per_account"} == strangers


@given(asked=ANY, accounts=journeys().filter(bool), data=st.data())
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


@given(asked=ANY, accounts=journeys(), random=st.randoms(use_true_random=False))
def test_the_order_of_accounts_and_events_changes_nothing(
    asked: ReleaseSpec, accounts: Accounts, random: Random
) -> None:
    order = random.sample(sorted(accounts), len(accounts))
    shuffled = {number: random.sample(accounts[number], len(accounts[number])) for number in order}
    assert counted(asked, shuffled) == counted(asked, accounts)


@given(asked=ANY, accounts=journeys())
def test_the_names_of_accounts_change_no_count(asked: ReleaseSpec, accounts: Accounts) -> None:
    """Where the bound chooses for somebody, it chooses as many under any name."""
    renamed = sizes(counted(asked, {number + 10**7: events for number, events in accounts.items()}))
    found = sizes(counted(asked, accounts))
    assert sum(renamed.values()) == sum(found.values())
    if asked.cells_per_account != 5:
        assert renamed == found


@given(asked=ANY, accounts=journeys())
def test_batches_make_no_difference(asked: ReleaseSpec, accounts: Accounts) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "BATCH", 3)
        in_batches = counted(asked, accounts)
    assert in_batches == counted(asked, accounts)


@given(asked=ANY, accounts=journeys(), data=st.data())
def test_only_accounts_that_count_are_numbered_and_members_rise(
    asked: ReleaseSpec, accounts: Accounts, data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(accounts)))) if accounts else set()
    found = tallied(asked, accounts, gone=gone)
    behind = {account for members in as_sets(found).values() for account in names(members)}
    assert behind.isdisjoint(map(name, gone))
    assert split(found.pseudonyms.tobytes()) == sorted(behind)
    for cell in found.cells:
        assert (np.diff(cell.members.astype(np.int64)) > 0).all()
        assert cell.amounts is None or (len(cell.amounts) == len(cell.members) and not cell.part.counts)


@EACH
def test_nobody_is_a_table_of_rows_without_anybody(asked: ReleaseSpec) -> None:
    assert set(sizes(counted(asked, {})).values()) == {0}
    assert set(sizes(counted(asked, {1: []})).values()) == {0}


# ---- attacks ------------------------------------------------------------------------------------


@given(asked=ANY, accounts=journeys().filter(bool), data=st.data())
def test_attack_by_one_account_that_comes_or_goes_sees_no_new_figure(
    asked: ReleaseSpec, accounts: Accounts, data: st.DataObject
) -> None:
    """Asked again under another name for the same: whatever had a figure of its own is given an earlier one."""
    one = data.draw(st.sampled_from(sorted(accounts)))
    without = {number: events for number, events in accounts.items() if number != one}
    for first, second in ((accounts, without), (without, accounts)):
        earlier = settle(counted(asked, first), RULES, ())
        later = settle(counted(asked, second), RULES, earlier)
        for before, after in zip(earlier, later, strict=True):
            if before.own and after.count >= RULES.min_accounts:
                assert not after.own
            if after.count < RULES.min_accounts:
                assert after.value is None


@given(asked=ANY, accounts=journeys())
def test_a_row_that_only_few_accounts_are_in_has_no_figure(asked: ReleaseSpec, accounts: Accounts) -> None:
    cells = counted(asked, accounts)
    published = protect(cells, RULES, (), min_accounts=RULES.min_accounts).published
    assert all(len(names(cells[cell.key])) >= 3 for cell in published if cell.value is not None)


# ---- the extra ----------------------------------------------------------------------------------


def test_without_numpy_a_release_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(UnsupportedEnvironment, match=r"consentprofile\[release\]"):
        counting.Counting(spec())
