"""Measures agree with one another: what one says in its rows, another one says in one figure.

Others stand with their measures: overlap (sets add up to reach), retention (it only falls), funnel in order (its first
step is its reach), waiting times and segments (they add up).
"""

from __future__ import annotations

from itertools import combinations

from hypothesis import given

from consentprofile.release.spec import ReleaseSpec
from tests.release.journeys import PLATFORMS, Accounts, journeys
from tests.release.plain import Weighed
from tests.release.shop_policy import counted, spec

DAY = 86400
OVERLAP = spec(measure='"overlap"', of='"platform"')


def cells(asked: ReleaseSpec, accounts: Accounts) -> dict[tuple[str, ...], frozenset[bytes]]:
    """The members of every cell."""
    return {
        key: frozenset(found.by_account) if isinstance(found, Weighed) else found
        for key, found in counted(asked, accounts).items()
    }


def everybody(asked: ReleaseSpec, accounts: Accounts) -> frozenset[bytes]:
    """The members of all cells."""
    return frozenset().union(*cells(asked, accounts).values())


SOME = [some for size in (1, 2) for some in combinations(PLATFORMS, size)]
"""All three of them are no filter: that lets events without a platform pass, too."""
REACH_OF = {some: spec(where=f"{{ platform = {list(some)} }}") for some in SOME}


@given(journeys())
def test_reach_of_some_platforms_is_that_of_the_sets_that_have_any_of_them(accounts: Accounts) -> None:
    sets = cells(OVERLAP, accounts)
    for some, reach in REACH_OF.items():
        any_of = [found for key, found in sets.items() if set(some) & set(key[0].split(" + "))]
        assert frozenset().union(*any_of) == cells(reach, accounts)[()]
        assert sum(map(len, any_of)) == len(cells(reach, accounts)[()])


@given(journeys(step=DAY // 3))
def test_a_funnel_in_any_order_begins_with_the_reach_of_its_steps(accounts: Accounts) -> None:
    steps = spec(measure='"funnel"', steps='["login", "purchase"]', order='"any"', window='"2 days"')
    assert everybody(steps, accounts) == cells(spec(where="{ kind = ['login', 'purchase'] }"), accounts)[()]


@given(journeys())
def test_whoever_was_there_began_and_ended_a_session(accounts: Accounts) -> None:
    found = cells(spec(measure='"transitions"', of='"kind"', cells_per_account="1000"), accounts)
    reach = cells(spec(), accounts)[()]
    assert frozenset().union(*(who for (one, _), who in found.items() if one == "(start)")) == reach
    assert frozenset().union(*(who for (_, other), who in found.items() if other == "(end)")) == reach


@given(journeys(step=DAY))
def test_counts_are_of_those_who_are_reached_and_add_up_over_time(accounts: Accounts) -> None:
    reach = counted(spec(by='["kind"]'), accounts)
    once = counted(spec(measure='"counts"', by='["kind"]', limit="1"), accounts)
    every = counted(spec(measure='"counts"', by='["kind"]', limit="1000"), accounts)
    weekly = counted(
        spec(measure='"counts"', by='["kind", "week"]', limit="1000", cells_per_account="1000", until="2024-04-01"),
        accounts,
    )
    for key, found in once.items():
        assert isinstance(found, Weighed)
        assert found.by_account == dict.fromkeys(reach[key], 1)
    for (kind,), total in every.items():
        assert isinstance(total, Weighed)
        parts = [part.by_account for (own, _), part in weekly.items() if own == kind and isinstance(part, Weighed)]
        assert sum(sum(part.values()) for part in parts) == sum(total.by_account.values())


@given(journeys(step=DAY))
def test_retention_in_each_week_begins_with_all_who_began(accounts: Accounts) -> None:
    terms = {"measure": '"retention"', "every": '"week"', "until": "2024-02-05", "start": '["login"]'}
    on, later = (cells(spec(**terms, mode=f'"{mode}"'), accounts) for mode in ("on", "on-or-after"))
    began = cells(spec(until="2024-02-05", where="{ kind = ['login'] }"), accounts)[()]
    assert frozenset().union(*(who for (_, after), who in on.items() if after == "0")) == began
    assert frozenset().union(*later.values()) == began
