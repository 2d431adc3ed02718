"""Segments: rules over what an account did, and each account in the first one that it fits."""

from __future__ import annotations

import pytest
from hypothesis import given

from consentprofile.errors import InvalidSpec
from consentprofile.release.measures.measure import Key
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from tests.release.journeys import Accounts, gathered, in_order, journeys, members
from tests.release.shop_policy import POLICY, SINCE, counted, event, name, spec, spec_text

DAY = 86400

BUYS = "{ name = 'buys', all = [{ count = 'events', where = { kind = ['purchase'] }, at_least = 2 }] }"
ROAMS = "{ name = 'roams', all = [{ count = 'platform', at_least = 2 }, { count = 'days', at_least = 2 }] }"
RARE = "{ name = 'rare', all = [{ count = 'events', at_most = 2 }] }"


def asked(*segments: str, **terms: str) -> ReleaseSpec:
    return spec(measure='"segments"', segments=f"[{', '.join(segments)}]", **terms)


THREE = asked(BUYS, ROAMS, RARE)


@given(journeys(step=DAY // 3, longest=9))
def test_an_account_is_in_the_first_segment_that_it_fits(accounts: Accounts) -> None:
    pairs: list[tuple[Key, bytes]] = []
    for account, events in in_order(THREE, accounts).items():
        bought = sum(event.kind == "purchase" for event in events)
        platforms = {dict(event.fields)["platform"] for event in events if "platform" in dict(event.fields)}
        days = {event.at // DAY for event in events}
        if bought >= 2:
            pairs.append((("buys",), account))
        elif len(platforms) >= 2 and len(days) >= 2:
            pairs.append((("roams",), account))
        elif events:
            pairs.append((("rare" if len(events) <= 2 else "(others)",), account))
    assert members(THREE, accounts) == gathered(pairs)


@given(journeys())
def test_segments_add_up_to_reach(accounts: Accounts) -> None:
    assert sum(map(len, counted(THREE, accounts).values())) == len(counted(spec(), accounts)[()])


def test_an_account_without_a_matching_event_is_in_no_row() -> None:
    only = asked(RARE, where="{ kind = ['login'] }")
    assert members(only, {1: [event("purchase")], 2: [event("login")]}) == {("rare",): frozenset({name(2)})}


def test_days_are_those_of_the_zone() -> None:
    late = [event(at=SINCE + 22 * 3600), event(at=SINCE + 23 * 3600 + 1800)]
    days = "{ name = 'two days', all = [{ count = 'days', at_least = 2 }] }"
    assert members(asked(days), {1: late}) == {("(others)",): frozenset({name(1)})}
    assert members(asked(days, zone='"Europe/Berlin"'), {1: late}) == {("two days",): frozenset({name(1)})}


def test_the_order_of_segments_is_part_of_the_question_and_that_of_conditions_is_not() -> None:
    turned = "{ name = 'roams', all = [{ count = 'days', at_least = 2 }, { count = 'platform', at_least = 2 }] }"
    assert asked(turned).canonical == asked(ROAMS).canonical
    assert asked(BUYS, ROAMS).series != asked(ROAMS, BUYS).series
    spelt = "{ name = 'rare', all = [{ count = 'events', at_least = 0, at_most = 2 }] }"
    assert asked(spelt).canonical == asked(RARE).canonical


def test_where_days_begin_matters_only_where_days_are_counted() -> None:
    assert asked(ROAMS).cuts
    assert not asked(BUYS, RARE).cuts


def one(condition: str) -> str:
    return f"[{{ name = 'a', all = [{condition}] }}]"


FAULTY = {
    "none": ("[]", "segments", "at least one"),
    "no name": ("[{ all = [{ count = 'events', at_least = 1 }] }]", "segments[1].name", "is missing"),
    "no conditions": ("[{ name = 'a' }]", "segments[1].all", "is missing"),
    "a name twice": (f"[{RARE}, {RARE}]", "segments", "the name 'rare' is taken"),
    "the name of the rest": (f"[{RARE.replace('rare', '(others)')}]", "segments", "is taken"),
    "no bounds": (one("{ count = 'events' }"), "segments[1].all[1].at_least", "at_least, at_most, or both"),
    "bounds the wrong way round": (
        one("{ count = 'events', at_least = 3, at_most = 2 }"),
        "segments[1].all[1].at_most",
        "no fewer than at_least",
    ),
    "a field not collected": (
        one("{ count = 'platfrom', at_least = 1 }"),
        "segments[1].all[1].count",
        "did you mean 'platform'?",
    ),
    "a filter on a kind not collected": (
        one("{ count = 'events', at_least = 1, where = { kind = ['support_chat'] } }"),
        "segments[1].all[1].where.kind",
        "not a declared value",
    ),
    "an unknown key": (
        one("{ count = 'events', at_least = 1, of = 'x' }"),
        "segments[1].all[1].of",
        "is not known here",
    ),
}


@pytest.mark.parametrize(("segments", "place", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(segments: str, place: str, expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(measure='"segments"', segments=segments), "reach.toml", POLICY)
    found = [(fault.place.removeprefix("reach.toml: "), fault.expected) for fault in refused.value.faults]
    assert [(where, expected in said) for where, said in found] == [(place, True)]


def test_days_of_a_purpose_that_keeps_months_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="does not tell where each day"):
        asked(ROAMS, purpose='"monthly"')
