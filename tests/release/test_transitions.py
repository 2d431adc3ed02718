"""Transitions: what follows what within a session, each account once in each, and in few of them."""

from __future__ import annotations

import pytest
from hypothesis import given

from consentprofile.errors import InvalidSpec
from consentprofile.model.event import Recorded
from consentprofile.model.policy_file import read_policy
from consentprofile.release.spec_file import read_spec
from tests.release.journeys import Accounts, gathered, in_order, journeys, members
from tests.release.shop_policy import POLICY, POLICY_TEXT, SINCE, event, name, spec, spec_text

GAP = 30 * 60
PLATFORMS = spec(measure='"transitions"', of='"platform"', cells_per_account="20")


def edges(events: list[Recorded]) -> set[tuple[str, str]]:
    """The transitions of one account, session by session."""
    met = [(event.at, str(dict(event.fields)["platform"])) for event in events if "platform" in dict(event.fields)]
    sessions: list[list[str]] = []
    before = None
    for at, platform in met:
        if before is None or at - before > GAP:
            sessions.append(["(start)"])
        sessions[-1].append(platform)
        before = at
    return {pair for session in sessions for pair in zip(session, [*session[1:], "(end)"], strict=True)}


@given(journeys())
def test_an_account_is_once_in_each_of_its_transitions(accounts: Accounts) -> None:
    pairs = [(edge, account) for account, events in in_order(PLATFORMS, accounts).items() for edge in edges(events)]
    assert members(PLATFORMS, accounts) == gathered(pairs)


def test_every_pair_with_start_and_end_is_listed() -> None:
    assert PLATFORMS.columns == ("from", "to")
    assert len(PLATFORMS.keys) == 3 + 9 + 3
    assert PLATFORMS.keys[0] == ("(start)", "mobile")
    assert PLATFORMS.keys[-1] == ("tablet", "(end)")


SESSIONS = {
    "30 minutes are one session": (GAP, {("(start)", "mobile"), ("mobile", "mobile"), ("mobile", "(end)")}),
    "a second more is another": (GAP + 1, {("(start)", "mobile"), ("mobile", "(end)")}),
}


@pytest.mark.parametrize(("gap", "found"), SESSIONS.values(), ids=SESSIONS)
def test_where_a_session_ends(gap: int, found: set[tuple[str, str]]) -> None:
    events = [event(at=SINCE + at, platform="mobile") for at in (0, gap)]
    assert set(members(PLATFORMS, {1: events})) == found


def test_events_without_the_field_are_passed_over() -> None:
    events = [event(at=SINCE, platform="mobile"), event("search", SINCE + 1), event(at=SINCE + 2, platform="tablet")]
    assert ("mobile", "tablet") in members(PLATFORMS, {1: events})


@given(journeys())
def test_an_account_counts_in_at_most_so_many_transitions(accounts: Accounts) -> None:
    asked = spec(measure='"transitions"', of='"platform"', cells_per_account="4")
    found = members(asked, accounts)
    for account, events in in_order(asked, accounts).items():
        counts = sum(account in cell for cell in found.values())
        assert counts == min(4, len(edges(events)))


def test_kinds_are_touchpoints_too() -> None:
    events = [event("login", SINCE), event("purchase", SINCE + 5)]
    assert set(members(spec(measure='"transitions"', of='"kind"'), {1: events})) == {
        ("(start)", "login"),
        ("login", "purchase"),
        ("purchase", "(end)"),
    }
    assert members(spec(measure='"transitions"', of='"kind"'), {1: events})["login", "purchase"] == {name(1)}


FAULTY = {
    "of nothing": ({}, "of", "is missing"),
    "of a field not collected": ({"of": '"device"'}, "of", "not a declared enum field"),
    "of too many values": ({"of": '"page"'}, "of", "let fewer of them through by where.page"),
    "by a dimension": ({"of": '"platform"', "by": '["kind"]'}, "by", "no dimensions"),
    "without an order": ({"of": '"platform"', "purpose": '"monthly"'}, "measure", "does not tell the order"),
}


@pytest.mark.parametrize(("terms", "place", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(terms: dict[str, str], place: str, expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(measure='"transitions"', **terms), "reach.toml", POLICY)
    assert any(fault.place == f"reach.toml: {place}" and expected in fault.expected for fault in refused.value.faults)


def test_a_value_that_is_called_as_the_ends_are_is_refused() -> None:
    policy = read_policy(POLICY_TEXT.replace('"call-centre"', '"(end)"'), "policy.toml")
    with pytest.raises(InvalidSpec, match="as the ends of sessions are"):
        read_spec(spec_text(measure='"transitions"', of='"channel"'), "reach.toml", policy)
