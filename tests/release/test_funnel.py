"""Funnels: the longest chain over all entries, each account once, at its furthest step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import InvalidSpec
from consentprofile.model.event import Recorded
from consentprofile.release.spec_file import read_spec
from consentprofile.release.table import rows
from consentprofile.release.threshold import PublishedCell
from tests.release.journeys import Accounts, gathered, in_order, journeys, members
from tests.release.shop_policy import POLICY, SINCE, counted, event, name, spec, spec_text

STEPS = ("login", "search", "purchase")
DAY = 86400


def funnel(order: str = "ordered", window: str = "14 days", steps: tuple[str, ...] = STEPS) -> dict[str, str]:
    return {"measure": '"funnel"', "steps": str(list(steps)), "order": f'"{order}"', "window": f'"{window}"'}


def chain(events: list[Recorded], entry: int, order: str, window: int) -> int:
    """How many steps the chain from this entry has, tried one by one."""
    within = [event.kind for event in events[entry:] if event.at - events[entry].at <= window]
    if order == "any":
        return len(set(within) & set(STEPS))
    if order == "strict":
        return next((place for place, step in enumerate(STEPS) if within[place : place + 1] != [step]), len(STEPS))
    done = 0
    for kind in within:
        done += done < len(STEPS) and kind == STEPS[done]
    return done


@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
@given(accounts=journeys(step=DAY // 2))
def test_an_account_is_at_the_furthest_step_of_its_longest_chain(order: str, accounts: Accounts) -> None:
    asked = spec(**funnel(order, "3 days"))
    pairs = []
    for account, events in in_order(asked, accounts).items():
        entries = [place for place, event in enumerate(events) if event.kind == "login" or order == "any"]
        furthest = max((chain(events, entry, order, 3 * DAY) for entry in entries), default=0)
        if furthest:
            pairs.append(((str(furthest) if order == "any" else STEPS[furthest - 1],), account))
    assert members(asked, accounts) == gathered(pairs)


@given(journeys(), st.sampled_from(["ordered", "strict"]))
def test_step_one_is_its_reach(accounts: Accounts, order: str) -> None:
    asked = spec(**funnel(order))
    published = [PublishedCell(key, len(found)) for key, found in counted(asked, accounts).items()]
    reached = [figures[1] for _, figures in rows(asked, published)]
    assert reached[0] == len(counted(spec(where="{ kind = ['login'] }"), accounts)[()])
    assert reached == sorted(reached, key=lambda figure: -(figure or 0))


def at(*steps: tuple[str, int]) -> list[Recorded]:
    return [event(kind, SINCE + seconds) for kind, seconds in steps]


FURTHEST = {
    "the window ends with its last second": (at(("login", 0), ("search", 14 * DAY)), "ordered", "search"),
    "a second later is too late": (at(("login", 0), ("search", 14 * DAY + 1)), "ordered", "login"),
    "a later entry may get further": (
        at(("login", 0), ("login", 10 * DAY), ("search", 20 * DAY), ("purchase", 21 * DAY)),
        "ordered",
        "purchase",
    ),
    "other events may lie between": (at(("login", 0), ("purchase", 1), ("search", 2)), "ordered", "search"),
    "but not where it is strict": (at(("login", 0), ("purchase", 1), ("search", 2)), "strict", "login"),
    "the wrong order": (at(("search", 0), ("login", 1)), "ordered", "login"),
    "any order": (at(("search", 0), ("login", 1)), "any", "2"),
    "any order begins with whichever comes first": (at(("purchase", 0), ("login", 14 * DAY + 1)), "any", "1"),
}


@pytest.mark.parametrize(("events", "order", "furthest"), FURTHEST.values(), ids=FURTHEST)
def test_how_far_an_account_gets(events: list[Recorded], order: str, furthest: str) -> None:
    assert members(spec(**funnel(order)), {1: events}) == {(furthest,): frozenset({name(1)})}


def test_a_filter_decides_what_a_strict_chain_passes_over() -> None:
    events = at(("login", 0), ("purchase", 1), ("search", 2))
    asked = spec(**funnel("strict", steps=("login", "search")), where="{ kind = ['login', 'search'] }")
    assert members(asked, {1: events}) == {("search",): frozenset({name(1)})}


def test_the_order_of_steps_is_part_of_the_question_unless_any_will_do() -> None:
    turned = STEPS[::-1]
    assert spec(**funnel(steps=turned)).series != spec(**funnel()).series
    assert spec(**funnel("any", steps=turned)).canonical == spec(**funnel("any")).canonical
    assert spec(measure='"funnel"', steps=str(list(STEPS))).canonical == spec(**funnel()).canonical


# ---- time to next -------------------------------------------------------------------------------

NEXT = {"measure": '"time-to-next"', "first": '["login"]', "next": '["purchase", "search"]', "window": '"1 days"'}
ENDS = [60 * 2**number for number in range(11)] + [DAY]


def test_rows_double_up_to_the_window() -> None:
    assert [key for (key,) in spec(**NEXT).keys] == [*map(str, ENDS), "not within the window"]


@given(journeys(step=1800, longest=90))
def test_an_account_is_in_the_row_of_its_first_wait(accounts: Accounts) -> None:
    asked = spec(**NEXT)
    pairs = []
    for account, events in in_order(asked, accounts).items():
        first = next((place for place, event in enumerate(events) if event.kind == "login"), None)
        if first is not None:
            later = [event.at - events[first].at for event in events[first + 1 :] if event.kind != "login"]
            row = next((str(end) for end in ENDS if later and later[0] <= end), "not within the window")
            pairs.append(((row,), account))
    assert members(asked, accounts) == gathered(pairs)
    assert sum(map(len, counted(asked, accounts).values())) == len(
        counted(spec(where="{ kind = ['login'] }"), accounts)[()]
    )


def test_the_median_is_where_half_of_all_are_reached() -> None:
    asked = spec(**NEXT)
    values = [20, None, 20, *[None] * (len(asked.keys) - 4), 40]
    shown = dict(rows(asked, [PublishedCell(key, value) for key, value in zip(asked.keys, values, strict=True)]))
    assert shown["60",] == (20, 20, 25.0)
    assert shown["120",] == (None, 20, 25.0)
    assert shown["240",] == (20, 40, 50.0)
    assert shown["not within the window",] == (40, 80, 100.0)


def test_one_kind_may_be_waited_for_twice() -> None:
    asked = spec(**NEXT | {"next": '["login"]'})
    assert members(asked, {1: at(("login", 0), ("login", 61))}) == {("120",): frozenset({name(1)})}


FAULTY = {
    "no steps": (funnel(steps=()), "steps", "a list of kinds"),
    "one step": (funnel(steps=("login",)), "steps", "expected 2 to 16 steps"),
    "a step twice": (funnel(steps=("login", "login")), "steps", "twice"),
    "a step not collected": (funnel(steps=("login", "support_chat")), "steps", "not a declared kind"),
    "a step that the filter leaves out": (
        funnel() | {"where": "{ kind = ['login', 'search'] }"},
        "steps",
        "'purchase' is not a declared kind that this purpose collects and the filter lets through",
    ),
    "an unknown order": (funnel("backwards"), "order", "one of ordered, strict, any"),
    "a window of hours": (funnel(window="3 hours"), "window", "whole days"),
    "too long a window": (funnel(window="367 days"), "window", "from 1 to 366"),
    "a purpose that keeps no order": (
        funnel(steps=("login", "search")) | {"purpose": '"monthly"'},
        "measure",
        "does not tell the order of events that funnel goes by",
    ),
    "no next": ({"measure": '"time-to-next"', "first": '["login"]'}, "next", "is missing"),
    "an unknown next": (NEXT | {"next": '["serch"]'}, "next", "did you mean 'search'?"),
}


@pytest.mark.parametrize(("terms", "place", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(terms: dict[str, str], place: str, expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(spec_text(**terms), "reach.toml", POLICY)
    assert [(fault.place, expected in fault.expected) for fault in refused.value.faults] == [
        (f"reach.toml: {place}", True)
    ]
