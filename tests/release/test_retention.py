"""Retention: cohorts by first start, whole calendar periods, and curves that only fall."""

from __future__ import annotations

import pytest
from hypothesis import given

from consentprofile.errors import InvalidSpec
from consentprofile.model.event import Recorded
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from consentprofile.release.table import rows
from consentprofile.release.threshold import PublishedCell
from tests.release.journeys import Accounts, gathered, in_order, journeys, members
from tests.release.shop_policy import POLICY, SINCE, counted, event, name, spec, spec_text

DAY = 86400
TERMS = {
    "measure": '"retention"',
    "start": '["login"]',
    "return": '["search", "login"]',
    "every": '"week"',
    "periods": "3",
    "until": "2024-02-05",
}
"""Five weeks from Monday, 1 January 2024, on."""
LATER, ON = spec(**TERMS), spec(**TERMS, mode='"on"')


def returns(asked: ReleaseSpec, accounts: Accounts) -> dict[bytes, tuple[int, set[int]]]:
    """The cohort of each account, and the weeks after it that it came back in."""
    found = {}
    for account, events in in_order(asked, accounts).items():
        first = next((place for place, event in enumerate(events) if event.kind == "login"), None)
        if first is not None:
            weeks = [(event.at - SINCE) // (7 * DAY) for event in events[first:] if event.kind != "purchase"]
            found[account] = weeks[0], {week - weeks[0] for week in weeks}
    return found


def key(cohort: int, after: int) -> tuple[str, str]:
    return f"2024-W{cohort + 1:02}", str(after)


@given(journeys(step=DAY, longest=40))
def test_on_or_after_has_each_account_once_by_its_last_return(accounts: Accounts) -> None:
    pairs = [
        (key(cohort, min(max(weeks), 3)), account) for account, (cohort, weeks) in returns(LATER, accounts).items()
    ]
    assert members(LATER, accounts) == gathered(pairs)


@given(journeys(step=DAY, longest=40))
def test_on_has_each_account_in_every_week_that_it_came_back_in(accounts: Accounts) -> None:
    pairs = [
        (key(cohort, week), account)
        for account, (cohort, weeks) in returns(ON, accounts).items()
        for week in weeks
        if week <= 3
    ]
    assert members(ON, accounts) == gathered(pairs)


def curves(asked: ReleaseSpec, accounts: Accounts) -> dict[str, list[int]]:
    """The last column, cohort by cohort, as if nothing were protected."""
    found: dict[str, list[int]] = {}
    published = [PublishedCell(key, len(cell)) for key, cell in counted(asked, accounts).items()]
    for (cohort, _), figures in rows(asked, published):
        found.setdefault(cohort, []).append(int(figures[-1] or 0))
    return found


@given(journeys(step=DAY, longest=40))
def test_on_or_after_only_falls_and_is_never_below_on(accounts: Accounts) -> None:
    later, on = curves(LATER, accounts), curves(ON, accounts)
    for cohort, curve in later.items():
        assert curve == sorted(curve, reverse=True)
        assert curve[0] == on[cohort][0]
        assert all(one >= other for one, other in zip(curve, on[cohort], strict=True))
    started = counted(spec(until="2024-02-05", where="{ kind = ['login'] }"), accounts)[()]
    assert sum(curve[0] for curve in later.values()) == len(started)


def test_weeks_that_are_not_over_have_no_row() -> None:
    assert LATER.columns == ("cohort", "after")
    assert LATER.keys == tuple(key(cohort, after) for cohort in range(5) for after in range(min(3, 4 - cohort) + 1))


def test_what_came_before_the_start_is_no_return() -> None:
    events = [event("search", SINCE), event("login", SINCE + 8 * DAY)]
    assert members(LATER, {1: events}) == {("2024-W02", "0"): frozenset({name(1)})}


def test_months_begin_in_the_zone() -> None:
    asked = spec(**TERMS | {"every": '"month"', "until": "2024-04-01", "zone": '"Europe/Berlin"'})
    events: list[Recorded] = [event("login", SINCE - 1800), event("login", SINCE + 60 * DAY)]
    assert members(asked, {1: events}) == {("2024-01", "2"): frozenset({name(1)})}
    assert spec(**TERMS | {"every": '"month"', "until": "2024-04-01"}).canonical != asked.canonical


def test_without_kinds_any_event_starts_and_returns() -> None:
    asked = spec(**{name: text for name, text in TERMS.items() if name not in {"start", "return"}})
    events = [event("purchase", SINCE), event("purchase", SINCE + 7 * DAY)]
    assert members(asked, {1: events}) == {("2024-W01", "1"): frozenset({name(1)})}


FAULTY = {
    "no step of time": ({"every": None}, ["every"], "is missing"),
    "an unknown step": ({"every": '"year"'}, ["every"], "one of day, week, month"),
    "an unknown mode": ({"mode": '"after"'}, ["mode"], "one of on-or-after, on"),
    "too many periods": ({"periods": "16"}, ["periods"], "from 1 to 15"),
    "a kind not collected": ({"start": '["support_chat"]'}, ["start"], "not a declared kind"),
    "weeks that are cut": (
        {"from_": "2024-01-02", "until": "2024-02-04"},
        ["from", "until"],
        "that a week begins with",
    ),
    "too many rows": ({"every": '"day"', "until": "2024-07-01", "periods": "15"}, ["measure"], "at most 1024 cells"),
}


@pytest.mark.parametrize(("terms", "places", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(terms: dict[str, str | None], places: list[str], expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(**{**TERMS, **terms}), "reach.toml", POLICY)
    assert [fault.place for fault in refused.value.faults] == [f"reach.toml: {place}" for place in places]
    assert all(expected in fault.expected for fault in refused.value.faults)
