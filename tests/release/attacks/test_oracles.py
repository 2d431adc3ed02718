"""Oracles: asking whether a figure is there, or where it changes, to learn whether somebody is behind it.

The attacker owns accounts and moves them as he likes, or finds a value that only one account has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from consentprofile.model.event import Value
from consentprofile.release.measures.named import MEASURES
from tests.release.attacks.world import TARGET, Answer, K, World, figures, people, seen, total, world

OWN: Final = 900
"""Accounts from this number on are the attacker's."""


# ---- accounts of one's own --------------------------------------------------------------------------


def grown(one: World, crowd: int, own: int) -> list[object]:
    """The total week by week, while the attacker lets one account of his own after the other join a crowd."""
    one.join([*people(0, crowd), *people(OWN, own)])
    one.act(people(0, crowd), 3)
    one.until(10)
    told: list[object] = [total(one.ask(0, 7))]
    for number in range(own):
        day = 7 * number + 10
        one.act(people(OWN + number, 1), day)
        one.until(day + 4)
        told.append(total(one.ask(0, day + 4)))
    return told


@pytest.mark.parametrize(("crowd", "other"), [(4, 8), (1, 9), (13, 17), (18, 22), (23, 27)])
def test_attack_by_adding_accounts_one_by_one_up_to_k(crowd: int, other: int) -> None:
    """He adds k - 1 of his own, to see where the figure appears or where it goes over to the next one.

    He learns the figure that he had before he began: crowds that had the same one look alike all the way.
    """
    with world() as one, world() as another:
        told = grown(one, crowd, K - 1)
        assert told == grown(another, other, K - 1)
        assert len(set(told)) == 1


def test_attack_by_taking_accounts_away_again() -> None:
    """He takes his own out of a crowd that has a figure, one by one: it stays until it is gone, below k."""

    def life(one: World, does: bool) -> Iterator[Answer]:
        crowd = 12 if does else 11
        one.join([*people(0, crowd), *people(OWN, 9)])
        one.act([*people(0, crowd), *people(OWN, 9)], 3)
        one.until(10)
        yield one.ask(0, 7)
        for number in range(9):
            one.store.erase(people(OWN + number, 1))
            one.until(14 + 7 * number)
            yield one.ask(0, 14 + 7 * number)

    twelve, eleven = seen(life)
    assert twelve == eleven
    assert figures(*twelve) == {20}


# ---- a value that only one account has --------------------------------------------------------------

CROWD: Final = 23
USUAL: Final[tuple[tuple[int, str, dict[str, Value]], ...]] = (
    (1, "login", {"platform": "mobile", "channel": "web"}),
    (2, "purchase", {"platform": "mobile", "topic": "delivery", "total": 40}),
)

RARE: Final = {
    "reach": {"by": '["page"]', "where": "{ page = ['p0', 'p7'] }"},
    "reach, alone": {"where": "{ page = ['p7'] }"},
    "counts": {"measure": '"counts"', "limit": "50", "by": '["page"]', "where": "{ page = ['p0', 'p7'] }"},
    "sums": {"measure": '"sums"', "field": '"total"', "limit": "500", "by": '["platform"]'},
    "means": {"measure": '"means"', "field": '"total"', "limit": "500", "by": '["platform"]'},
    "overlap": {"measure": '"overlap"', "of": '"platform"'},
    "frequency": {"measure": '"frequency"', "most": "9"},
    "funnel": {"measure": '"funnel"', "steps": '["login", "purchase", "search"]'},
    "funnel, strict": {"measure": '"funnel"', "steps": '["login", "purchase", "search"]', "order": '"strict"'},
    "funnel, any order": {"measure": '"funnel"', "steps": '["search", "purchase"]', "order": '"any"'},
    "retention": {"measure": '"retention"', "every": '"week"'},
    "retention, on": {"measure": '"retention"', "every": '"week"', "mode": '"on"'},
    "transitions": {"measure": '"transitions"', "of": '"platform"'},
    "time to next": {"measure": '"time-to-next"', "first": '["purchase"]', "next": '["search"]'},
    "segments": {
        "measure": '"segments"',
        "segments": "[{ name = 'rare', all = [{ count = 'events', where = { page = ['p7'] }, at_least = 1 }] }]",
    },
}
"""Each has a row that nobody of the crowd is in."""


def rare(one: World, does: bool) -> None:
    """A crowd that does the usual, and a person who does something besides that nobody else does, or does not."""
    one.join([*people(0, CROWD), TARGET])
    for day, kind, fields in USUAL:
        one.act([*people(0, CROWD), TARGET], day, kind, **fields)
    if does:
        one.act([TARGET], 11, "login", platform="tablet", channel="call-centre")
        one.act([TARGET], 12, "purchase", platform="tablet", total=400)
        one.act([TARGET], 13, "search", page="p7")
    one.until(60)


@pytest.mark.parametrize("asked", RARE.values(), ids=RARE)
def test_attack_by_a_value_that_only_one_account_has(asked: dict[str, str]) -> None:
    """He asks for every measure in which the person has a row of his own, and knows what the crowd does.

    What he is handed is the same in every byte whether the person was there or not: all declared rows are listed, and
    those of few look like those of nobody.
    """

    def life(one: World, does: bool) -> Iterator[Answer]:
        rare(one, does)
        yield one.ask(0, 28, **asked)

    there, away = seen(life)
    assert there == away
    assert not isinstance(there[0], str)
    assert any(row[0] is None for row in there[0].values())


def test_every_measure_has_a_row_that_only_one_account_is_in() -> None:
    """Or the attack above would be none: the ledger has them in every question."""
    with world() as one:
        rare(one, does=True)
        for asked in RARE.values():
            before = len(one.ledger())
            one.ask(0, 28, **asked)
            assert 1 in {len(cell.members) for cell in one.ledger()[before:]}
    assert {str(asked.get("measure", '"reach"')).strip('"') for asked in RARE.values()} == set(MEASURES)
