"""Counts, sums and means: what one account adds is bounded, and no figure is about one account that stands out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import InvalidSpec
from consentprofile.model.event import Recorded
from consentprofile.release import ledger
from consentprofile.release.manifest import manifest
from consentprofile.release.measures.measure import Key, Part
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from consentprofile.release.threshold import largest_error, rounded, step
from consentprofile.release.writers import render
from tests.release.plain import PlainCell, Weighed
from tests.release.sets import as_plain, protect, settle
from tests.release.shop_policy import POLICY, SINCE, counted, event, name, people, rules, spec, spec_text

COUNTS = spec(measure='"counts"', limit="3", by='["platform"]')
SUMS = spec(measure='"sums"', field='"total"', limit="500", by='["platform"]')
RATINGS = spec(measure='"sums"', field='"rating"', limit="4")
MEANS = spec(measure='"means"', field='"rating"', limit="4", by='["platform"]')

EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(["login", "purchase"]),
        st.integers(SINCE - 5, SINCE + 50),
        platform=st.sampled_from(["mobile", "desktop", "tablet"]),
        total=st.integers(0, 1_000),
        rating=st.integers(-2, 5),
    ),
    max_size=12,
)
ACCOUNTS = st.dictionaries(st.integers(0, 10**6), EVENTS, max_size=8)


def adds(asked: ReleaseSpec, accounts: Mapping[int, list[Recorded]]) -> dict[Key, dict[bytes, int]]:
    """What each member adds to each cell, cells of accounts as ones."""
    return {
        key: dict(members.by_account) if isinstance(members, Weighed) else dict.fromkeys(members, 1)
        for key, members in counted(asked, accounts).items()
    }


def held(value: int, limit: int) -> int:
    return max(-limit, min(limit, value))


@given(ACCOUNTS)
def test_every_account_adds_what_its_events_say_within_the_limit(accounts: dict[int, list[Recorded]]) -> None:
    counts, sums, means = (adds(asked, accounts) for asked in (COUNTS, SUMS, MEANS))
    for platform in ("mobile", "desktop", "tablet"):
        matching = {
            name(number): [
                dict(found.fields) for found in events if found.at >= SINCE and ("platform", platform) in found.fields
            ]
            for number, events in accounts.items()
        }
        matching = {account: found for account, found in matching.items() if found}
        assert counts[platform,] == {account: min(len(found), 3) for account, found in matching.items()}
        assert sums[platform,] == {
            account: held(sum(int(fields["total"]) for fields in found), 500) for account, found in matching.items()
        }
        hundredths = {
            account: (200 * sum(int(fields["rating"]) for fields in found) + len(found)) // (2 * len(found))
            for account, found in matching.items()
        }
        assert means[platform, "accounts"] == dict.fromkeys(matching, 1)
        assert means[platform, "sum"] == {account: held(value, 400) for account, value in hundredths.items()}


@given(st.sampled_from([COUNTS, SUMS, RATINGS, MEANS]), ACCOUNTS, st.randoms(use_true_random=False))
def test_the_order_and_the_names_of_accounts_change_nothing(
    asked: ReleaseSpec, accounts: dict[int, list[Recorded]], random: Random
) -> None:
    order = random.sample(sorted(accounts), len(accounts))
    shuffled = {number: random.sample(accounts[number], len(accounts[number])) for number in order}
    assert adds(asked, shuffled) == adds(asked, accounts)
    renamed = adds(asked, {number + 10**7: events for number, events in accounts.items()})
    assert {key: sorted(found.values()) for key, found in renamed.items()} == {
        key: sorted(found.values()) for key, found in adds(asked, accounts).items()
    }


@given(st.sampled_from([COUNTS, SUMS, RATINGS, MEANS]), ACCOUNTS.filter(bool), st.data())
def test_one_account_changes_each_total_by_at_most_the_limit(
    asked: ReleaseSpec, accounts: dict[int, list[Recorded]], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(accounts)))
    before = adds(asked, accounts)
    after = adds(asked, {number: events for number, events in accounts.items() if number != gone})
    for (key, part), found in zip(asked.cells, before.values(), strict=True):
        change = sum(found.values()) - sum(after[key].values())
        assert min(0, part.least) <= change <= part.limit
        assert len(found) - len(after[key]) in {0, 1}


def test_the_sum_of_an_account_is_held_within_the_limit_and_not_each_of_its_values() -> None:
    """5 and -2 are 3 under a limit of 4, and 4 and 1 are 4: what is nowhere near a limit counts as it is."""
    tight = spec(measure='"sums"', field='"rating"', limit="4")
    rated = {number: [event(rating=one), event(rating=other)] for number, one, other in ((1, 5, -2), (2, 4, 1))}
    assert adds(tight, rated) == {(): {name(1): 3, name(2): 4}}


def test_events_without_the_number_count_nowhere() -> None:
    assert adds(SUMS, {1: [event("purchase", platform="mobile")]}) == {key: {} for key in SUMS.keys}
    assert adds(MEANS, {1: [event("purchase", platform="mobile", total=5)]})["mobile", "accounts"] == {}


# ---- protection ---------------------------------------------------------------------------------

RULES = rules()
EUROS = Part("sum", 100, 0)


def weighed(amounts: Mapping[int, int], part: Part = EUROS) -> Weighed:
    return Weighed({name(number): amount for number, amount in amounts.items()}, part)


def value(members: Weighed | frozenset[bytes], earlier: tuple[PlainCell, ...] = (), least: int = 10) -> int | None:
    return protect({(): members}, RULES, earlier, min_accounts=least).published[0].value


def released(members: Weighed | frozenset[bytes], earlier: tuple[PlainCell, ...] = ()) -> tuple[PlainCell, ...]:
    return (*earlier, *settle({(): members}, RULES, earlier))


def even(count: int, amount: int = 20, first: int = 0) -> dict[int, int]:
    return dict.fromkeys(range(first, first + count), amount)


@pytest.mark.parametrize(("count", "figure"), [(9, None), (10, 200), (12, 200), (13, 300), (100, 2000)])
def test_a_sum_is_a_multiple_of_what_one_account_can_add(count: int, figure: int | None) -> None:
    assert value(weighed(even(count))) == figure


def test_an_account_that_is_more_than_half_of_a_sum_hides_it() -> None:
    assert value(weighed(even(20, 2) | {99: 40})) == 100
    assert value(weighed(even(20, 2) | {99: 41})) is None
    assert value(weighed(even(20, 0) | {98: 50, 99: -50}, Part("sum", 100, -100))) is None


def test_a_second_account_that_could_work_out_the_first_hides_the_sum() -> None:
    """All but the two largest make up less than 15 % of the largest."""
    others = even(14, 1)
    assert value(weighed(others | {98: 94, 99: 94})) is None
    assert value(weighed(others | {98: 93, 99: 93})) == 200


def test_attack_by_few_changed_amounts_sees_the_same_figure() -> None:
    ledger_ = released(weighed(even(40)))
    for few in range(1, 10):
        assert value(weighed(even(40) | even(few, 100)), ledger_) == 800
    assert value(weighed(even(40) | even(10, 100)), ledger_) == 1600


def test_the_same_accounts_with_other_amounts_are_another_figure() -> None:
    assert value(weighed(even(40, 50)), released(weighed(even(40)))) == 2000


def test_attack_by_a_larger_limit_before_gives_no_figure_that_is_further_off_than_it_says() -> None:
    before = weighed(even(40) | even(3, 900), Part("sum", 1000, 0))
    now = weighed(even(40) | even(3, 100))
    assert value(now) is not None
    assert value(now, released(before)) is None


def test_events_that_are_as_many_as_accounts_are_compared_with_them() -> None:
    """Everybody came once: a count of events must not tell apart what a count of accounts does not."""
    events = Part("events", 10, 1)
    ones = weighed(even(38, 1), events)
    assert value(ones, released(people(*range(40)))) == value(people(*range(40))) == 40
    assert value(people(*range(40)), released(ones)) is None  # it may be off by more than reach says


def test_a_stricter_minimum_hides_sums_by_the_rounded_number_of_accounts() -> None:
    """Sums of the same rounded number of accounts are hidden by the same minimums."""
    for least in range(10, 30):
        shown = {count: value(weighed(even(count)), least=least) is not None for count in range(10, 40)}
        assert all(count >= least for count, is_shown in shown.items() if is_shown)
        for one, other in combinations(shown, 2):
            if rounded(one, RULES) == rounded(other, RULES):
                assert shown[one] == shown[other]


AMOUNTS = st.dictionaries(st.integers(0, 20), st.integers(-9, 9), max_size=21)
PARTS = st.sampled_from([Part("sum", 9, -9), Part("sum", 9, 0), Part("events", 9, 1), Part("accounts")])
RELEASES = st.lists(st.tuples(AMOUNTS, PARTS), max_size=5)


@given(RELEASES, st.sampled_from([rules(3, 2), rules(5, 5), rules(4, 1)]))
def test_no_two_figures_differ_by_few_accounts_and_each_is_as_near_as_it_says(
    releases: list[tuple[dict[int, int], Part]], chosen: object
) -> None:
    terms = rules(chosen.min_accounts, chosen.round_to)  # type: ignore[attr-defined]
    settled: list[PlainCell] = []
    for amounts, part in releases:
        within = {number: max(part.least, min(part.limit, amount)) for number, amount in amounts.items()}
        members = people(*within) if part.counts else weighed(within, part)
        (cell,) = settle({(): members}, terms, iter(settled))
        assert cell.count == len(amounts)
        if cell.value is not None:
            assert cell.count >= terms.min_accounts
            assert abs(cell.value - sum(cell.adds)) <= largest_error(terms, part)
            assert cell.value % step(terms, part) == 0 or not cell.own
        settled.append(cell)
    figures = [dict(zip(sorted(cell.members), cell.adds, strict=True)) for cell in settled if cell.own and cell.value]
    for one, other in combinations(figures, 2):
        changed = [account for account in one.keys() | other.keys() if one.get(account) != other.get(account)]
        assert len(changed) >= terms.min_accounts


# ---- what leaves, and what is kept --------------------------------------------------------------


def files(asked: ReleaseSpec, accounts: Mapping[int, list[Recorded]]) -> tuple[dict[str, bytes], ledger.LedgerEntry]:
    protected = protect(counted(asked, accounts), asked.rules, (), min_accounts=asked.min_accounts)
    made = render(asked, protected.published, manifest(asked, POLICY, salt=bytes(32), root=bytes(32)))
    return made, ledger.entry(asked, policy=POLICY.digest, salt=bytes(32), settled=protected.ledger, files=made)


def ratings(count: int, *stars: int) -> dict[int, list[Recorded]]:
    return {number: [event("purchase", platform="mobile", rating=one) for one in stars] for number in range(count)}


def test_a_mean_is_made_of_rounded_figures() -> None:
    """52 accounts whose own mean is 3.5, in steps of 5 accounts and of 4 stars: 180 over 50."""
    made, _ = files(MEANS, ratings(52, 3, 4))
    assert made["data.csv"] == b"platform,accounts,mean\nmobile,50,3.6\ndesktop,,\ntablet,,\n"
    assert json.loads(made["data.json"])["cells"][0] == {"key": {"platform": "mobile"}, "accounts": 50, "mean": 3.6}
    parameters = json.loads(made["manifest.json"])["parameters"]
    assert parameters["amounts"] == [{"name": "sum", "limit": 400, "step": 400, "largest_error": 200 + 9 * 800}]
    assert parameters["largest_error"] == 11


def test_counts_and_sums_have_a_column_of_their_own() -> None:
    made, _ = files(COUNTS, {number: [event(platform="mobile")] * 5 for number in range(30)})
    assert made["data.csv"].splitlines()[:2] == [b"platform,events", b"mobile,90"]
    assert "largest_error" not in json.loads(made["manifest.json"])["parameters"]
    made, _ = files(SUMS, {number: [event("purchase", platform="mobile", total=300)] for number in range(30)})
    assert made["data.csv"].splitlines()[:2] == [b"platform,sum", b"mobile,9000"]


KEPT = {
    "counts": (COUNTS, {("mobile",): (2,)}),
    "sums": (SUMS, {("mobile",): (60,)}),
    "means": (MEANS, {("mobile", "accounts"): (1,), ("mobile", "sum"): (100,)}),
}


@pytest.mark.parametrize(("asked", "kept"), KEPT.values(), ids=KEPT)
def test_the_ledger_keeps_what_each_account_added(asked: ReleaseSpec, kept: dict[Key, tuple[int, ...]]) -> None:
    _, entry = files(asked, {7: [event("purchase", platform="mobile", total=30, rating=1)] * 2})
    again = ledger.unpack(ledger.pack(entry))
    assert again == entry
    assert {cell.key: cell.adds for cell in as_plain(again.settled()) if cell.count} == kept


FAULTY = {
    "no limit": ({"measure": '"counts"'}, "limit", "is missing"),
    "a limit of nothing": ({"measure": '"counts"', "limit": "0"}, "limit", "from 1 to"),
    "no field": ({"measure": '"sums"', "limit": "5"}, "field", "is missing"),
    "a field that is no number": ({"measure": '"sums"', "limit": "5", "field": '"platform"'}, "field", "no amount"),
    "a misspelt field": ({"measure": '"means"', "limit": "5", "field": '"totl"'}, "field", "did you mean 'total'?"),
    "a term of another measure": ({"limit": "5"}, "limit", "is not known here"),
    "four dimensions": (
        {"measure": '"counts"', "limit": "5", "by": "['kind', 'channel', 'platform', 'month']"},
        "by",
        "at most 3 dimensions",
    ),
}


@pytest.mark.parametrize(("terms", "place", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(terms: dict[str, str], place: str, expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(**terms), "reach.toml", POLICY)
    assert any(fault.place == f"reach.toml: {place}" and expected in fault.expected for fault in refused.value.faults)


def test_field_and_limit_are_part_of_what_is_asked() -> None:
    variants = [COUNTS, SUMS, MEANS, spec(measure='"sums"', field='"total"', limit="501", by='["platform"]')]
    assert len({asked.series for asked in variants}) == len(variants)
