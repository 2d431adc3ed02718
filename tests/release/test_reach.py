"""Reach counts accounts, not events, and bounds what one account can change."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.model.event import Recorded
from consentprofile.release.counting import Counting
from consentprofile.release.gathering import gathered
from consentprofile.release.spec import ReleaseSpec
from tests.release.plain import Cells
from tests.release.shop_policy import SINCE, UNTIL, counted, event, name, people, spec

TOTAL = spec()
BY_PLATFORM = spec(by='["platform"]')
BY_PAGE = spec(by='["page"]')


def reach(asked: ReleaseSpec, accounts: dict[int, list[Recorded]]) -> Cells:
    return counted(asked, accounts)


def test_without_dimensions_there_is_one_cell() -> None:
    assert reach(TOTAL, {1: [event(), event()], 2: [event("search")], 3: []}) == {(): people(1, 2)}


def test_an_account_counts_once_in_each_of_its_cells() -> None:
    accounts = {
        1: [event(platform="mobile"), event(platform="mobile"), event("purchase", platform="tablet")],
        2: [event(platform="mobile")],
    }
    assert reach(BY_PLATFORM, accounts) == {("mobile",): people(1, 2), ("desktop",): people(), ("tablet",): people(1)}


IGNORED = {
    "before the period": event(at=SINCE - 1, platform="mobile", channel="web"),
    "at the end of the period": event(at=UNTIL, platform="mobile", channel="web"),
    "of another kind": event("purchase", platform="mobile", channel="web"),
    "of a kind that is not collected": event("support_chat", platform="mobile", channel="web"),
    "of another channel": event(platform="mobile", channel="app"),
    "without the field that is filtered": event(platform="mobile"),
    "without the dimension": event(channel="web"),
    "with a value that is no longer declared": event(channel="web", platform="tv"),
}


@pytest.mark.parametrize("ignored", IGNORED.values(), ids=IGNORED)
def test_what_was_not_asked_for_counts_nowhere(ignored: Recorded) -> None:
    asked = spec(by='["platform"]', where="{ kind = ['login', 'search'], channel = ['web'] }")
    matching = event(platform="mobile", channel="web")
    assert reach(asked, {1: [ignored], 2: [matching, ignored]})["mobile",] == people(2)


@pytest.mark.parametrize("at", [SINCE, UNTIL - 1])
def test_the_period_begins_with_its_first_second_and_ends_with_its_last(at: int) -> None:
    assert reach(TOTAL, {1: [event(at=at)]}) == {(): people(1)}


def test_a_total_is_filtered_too() -> None:
    accounts = {1: [event(channel="web")], 2: [event(channel="app")], 3: [event()]}
    assert reach(spec(where="{ channel = ['web'] }"), accounts) == {(): people(1)}


def test_columns_and_keys_have_the_same_order() -> None:
    asked = spec(by='["platform", "kind"]')
    assert reach(asked, {1: [event("purchase", platform="tablet")]})["purchase", "tablet"] == people(1)


def test_an_account_in_many_cells_counts_in_sixteen_of_them() -> None:
    pages = [event("search", page=f"p{number}") for number in range(100)]
    cells = reach(BY_PAGE, dict.fromkeys(range(40), pages))
    counts = [sum(name(number) in members for members in cells.values()) for number in range(40)]
    assert counts == [16] * 40
    chosen = {key for key, members in cells.items() if members}
    assert len(chosen) > 90  # no order by name, which would leave all but sixteen empty


def test_which_cells_count_does_not_depend_on_the_order_of_events() -> None:
    pages = [event("search", page=f"p{number}") for number in range(100)]
    assert reach(BY_PAGE, {1: pages}) == reach(BY_PAGE, {1: pages[::-1]})


def test_a_dropped_account_is_as_one_that_never_was() -> None:
    both = [event(platform="mobile"), event(platform="tablet")]
    assert counted(BY_PLATFORM, {1: both, 2: both}, gone=[1, 3]) == reach(BY_PLATFORM, {2: both})


def test_an_account_cannot_be_counted_in_parts() -> None:
    measure = Counting(TOTAL)
    measure.add(name(1), [event()])
    measure.add(name(1), [event()])
    with pytest.raises(ValueError, match="once"):
        gathered(TOTAL, [measure.portion()])


def test_a_pseudonym_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Counting(TOTAL).add(b"short", [event()])


# ---- promises about every input -----------------------------------------------------------------

EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(["login", "search", "purchase"]),
        st.integers(SINCE - 10, SINCE + 10),
        platform=st.sampled_from(["mobile", "desktop", "tablet"]),
        page=st.sampled_from([f"p{number}" for number in range(30)]),
    ),
    max_size=30,
)
ACCOUNTS = st.dictionaries(st.integers(0, 10**6), EVENTS, min_size=1, max_size=12)
SPECS = st.sampled_from([TOTAL, BY_PLATFORM, BY_PAGE, spec(by='["kind", "platform"]')])


@given(SPECS, ACCOUNTS, st.data())
def test_one_account_changes_at_most_the_bounded_cells_by_at_most_one(
    asked: ReleaseSpec, accounts: dict[int, list[Recorded]], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(accounts)))
    before = reach(asked, accounts)
    after = reach(asked, {number: events for number, events in accounts.items() if number != gone})
    changes = [len(before[key]) - len(after[key]) for key in before]
    assert list(before) == list(after) == list(asked.keys)
    assert set(changes) <= {0, 1}
    assert sum(changes) <= asked.bound


@given(SPECS, ACCOUNTS, st.randoms(use_true_random=False))
def test_the_order_of_accounts_and_events_changes_nothing(
    asked: ReleaseSpec, accounts: dict[int, list[Recorded]], random: Random
) -> None:
    order = random.sample(sorted(accounts), len(accounts))
    shuffled = {number: random.sample(accounts[number], len(accounts[number])) for number in order}
    assert reach(asked, shuffled) == reach(asked, accounts)


@given(st.sampled_from([TOTAL, BY_PLATFORM, spec(by='["kind", "platform"]')]), ACCOUNTS)
def test_the_names_of_accounts_change_no_count(asked: ReleaseSpec, accounts: dict[int, list[Recorded]]) -> None:
    """Where no account exceeds the bound; who does keeps sixteen cells, whichever they are."""
    renamed = {number + 10**7: events for number, events in accounts.items()}
    before, after = reach(asked, accounts), reach(asked, renamed)
    assert {key: len(members) for key, members in before.items()} == {key: len(after[key]) for key in after}


@given(ACCOUNTS)
def test_under_any_name_an_account_keeps_as_many_cells(accounts: dict[int, list[Recorded]]) -> None:
    renamed = {number + 10**7: events for number, events in accounts.items()}
    before, after = reach(BY_PAGE, accounts), reach(BY_PAGE, renamed)
    assert sum(map(len, before.values())) == sum(map(len, after.values()))
