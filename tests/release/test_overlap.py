"""Overlap and frequency: every account in exactly one row, and what is derived from the rows agrees with reach."""

from __future__ import annotations

import pytest
from hypothesis import given

from consentprofile.errors import InvalidSpec
from consentprofile.model.policy_file import read_policy
from consentprofile.release.spec_file import read_spec
from consentprofile.release.table import rows
from consentprofile.release.threshold import PublishedCell
from tests.release.journeys import PLATFORMS, Accounts, gathered, in_order, journeys, members
from tests.release.shop_policy import POLICY, POLICY_TEXT, counted, spec, spec_text

OVERLAP = spec(measure='"overlap"', of='"platform"')
FREQUENCY = spec(measure='"frequency"', most="4")
POLICY_OF_NINE = read_policy(
    POLICY_TEXT.replace('["web", "app", "call-centre"]', str([f"c{number}" for number in range(9)])), "policy.toml"
)


def test_every_set_is_listed_small_ones_first() -> None:
    assert OVERLAP.columns == ("platforms",)
    assert [key for (key,) in OVERLAP.keys] == [
        "mobile",
        "desktop",
        "tablet",
        "mobile + desktop",
        "mobile + tablet",
        "desktop + tablet",
        "mobile + desktop + tablet",
    ]


@given(journeys())
def test_an_account_is_in_the_set_of_the_platforms_that_it_used(accounts: Accounts) -> None:
    pairs = []
    for account, events in in_order(OVERLAP, accounts).items():
        used = {dict(event.fields).get("platform") for event in events}
        if key := " + ".join(platform for platform in PLATFORMS if platform in used):
            pairs.append(((key,), account))
    assert members(OVERLAP, accounts) == gathered(pairs)


def shown(accounts: Accounts) -> dict[str, tuple[int, int]]:
    """Every set with its two figures, as if nothing were protected."""
    cells = counted(OVERLAP, accounts)
    return {
        key: (int(exact or 0), int(at_least or 0))
        for (key,), (exact, at_least) in rows(OVERLAP, [PublishedCell(key, len(found)) for key, found in cells.items()])
    }


@given(journeys())
def test_exclusive_sets_add_up_to_reach_and_so_do_those_that_contain_a_platform(accounts: Accounts) -> None:
    found = shown(accounts)
    by_platform = counted(spec(by='["platform"]'), accounts)
    assert sum(exact for exact, _ in found.values()) == len(frozenset().union(*map(frozenset, by_platform.values())))
    for platform in PLATFORMS:
        assert found[platform][1] == len(by_platform[platform,])
    mobile, desktop = by_platform["mobile",], by_platform["desktop",]
    assert found["mobile + desktop"][1] == len(frozenset(mobile) & frozenset(desktop))
    # Reach of A or B is the sum over the sets that have either.
    either = sum(exact for key, (exact, _) in found.items() if {"mobile", "desktop"} & set(key.split(" + ")))
    assert either == len(frozenset(mobile) | frozenset(desktop))


def test_a_filter_leaves_values_out_of_the_sets() -> None:
    asked = spec(measure='"overlap"', of='"platform"', where="{ platform = ['tablet', 'mobile'] }")
    assert asked.keys == (("mobile",), ("tablet",), ("mobile + tablet",))


@given(journeys())
def test_frequency_counts_events_up_to_the_most(accounts: Accounts) -> None:
    pairs = [
        ((str(len(events)) if len(events) < 4 else "4+",), account)
        for account, events in in_order(FREQUENCY, accounts).items()
        if events
    ]
    assert members(FREQUENCY, accounts) == gathered(pairs)
    assert sum(map(len, counted(FREQUENCY, accounts).values())) == len(counted(spec(), accounts)[()])


def test_what_is_derived_takes_suppressed_figures_for_nothing() -> None:
    published = [PublishedCell(key, value) for key, value in zip(FREQUENCY.keys, (40, None, 10, None), strict=True)]
    assert dict(rows(FREQUENCY, published)) == {
        ("1",): (40, 50),
        ("2",): (None, 10),
        ("3",): (10, 10),
        ("4+",): (None, None),
    }


FAULTY = {
    "overlap of what": ({"measure": '"overlap"'}, "of", "is missing"),
    "overlap of a field that is neither": ({"measure": '"overlap"', "of": '"page"'}, "of", "one of platform, channel"),
    "overlap of a field not collected": (
        {"measure": '"overlap"', "of": '"channel"', "purpose": '"monthly"'},
        "of",
        "does not collect",
    ),
    "overlap by a dimension": ({"measure": '"overlap"', "of": '"platform"', "by": '["kind"]'}, "by", "no dimensions"),
    "a bound of its own": (
        {"measure": '"overlap"', "of": '"platform"', "cells_per_account": "3"},
        "cells_per_account",
        "is not known here",
    ),
    "a frequency of one": ({"measure": '"frequency"', "most": "1"}, "most", "from 2 to 100"),
}


@pytest.mark.parametrize(("terms", "place", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(terms: dict[str, str], place: str, expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(**terms), "reach.toml", POLICY)
    assert [(fault.place, expected in fault.expected) for fault in refused.value.faults] == [
        (f"reach.toml: {place}", True)
    ]


def test_a_field_of_many_values_is_refused_until_a_filter_leaves_eight() -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(measure='"overlap"', of='"channel"'), "reach.toml", POLICY_OF_NINE)
    assert "let fewer of them through by where.channel" in refused.value.faults[0].expected
    eight = "{ channel = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7'] }"
    assert (
        len(read_spec(spec_text(measure='"overlap"', of='"channel"', where=eight), "reach.toml", POLICY_OF_NINE).keys)
        == 255
    )
