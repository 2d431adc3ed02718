"""Spelling: one question in many forms, to be answered anew once somebody has left, or before it is due."""

from __future__ import annotations

from typing import Final

import pytest

from tests.release.attacks.world import TARGET, figures, people, world
from tests.release.shop_policy import spec_text

PERIOD: Final = {"from_": "2024-01-01", "until": "2024-02-05", "by": '["platform", "kind"]'}
WHERE: Final = "{ kind = ['login', 'purchase'], platform = ['mobile', 'tablet'] }"
SEGMENT: Final = "{ count = 'platform', at_least = 1 }"
BUYS: Final = "{ count = 'events', where = { kind = ['purchase', 'login'] }, at_least = 1 }"

QUESTIONS: Final[dict[str, dict[str, str]]] = {
    "reach": {"where": WHERE},
    "retention": {"measure": '"retention"', "by": "[]", "every": '"week"', "start": '["login", "purchase"]'},
    "a funnel in any order": {"measure": '"funnel"', "by": "[]", "steps": '["login", "purchase"]', "order": '"any"'},
    "time to next": {"measure": '"time-to-next"', "by": "[]", "first": '["login", "purchase"]', "next": '["login"]'},
    "segments": {"measure": '"segments"', "by": "[]", "segments": f"[{{ name = 's', all = [{SEGMENT}, {BUYS}] }}]"},
}

SPELLINGS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "another name": ("reach", {"name": '"reach once more"'}),
    "dimensions the other way round": ("reach", {"by": '["kind", "platform"]'}),
    "filters the other way round": ("reach", {"where": "{ platform=['tablet','mobile'], kind=['purchase','login'] }"}),
    "a filter that names every value": ("reach", {"where": WHERE[:-2] + ", channel = ['app', 'web', 'call-centre'] }"}),
    "a zone of another name": ("reach", {"zone": '"Etc/GMT"'}),
    "a zone that is another one in summer": ("reach", {"zone": '"Europe/London"'}),
    "the minimum left to the policy": ("reach", {"protection": '{ kind = "threshold" }'}),
    "more cells for each account than there are": ("reach", {"cells_per_account": "700"}),
    "kinds in another order": ("retention", {"start": '["purchase", "login"]'}),
    "kinds that are all there are": ("retention", {"return": '["login", "search", "purchase"]'}),
    "the mode that is meant anyway": ("retention", {"mode": '"on-or-after"'}),
    "steps of which any may be first": ("a funnel in any order", {"steps": '["purchase", "login"]'}),
    "the window that is meant anyway": ("time to next", {"window": '"14 days"'}),
    "first ones in another order": ("time to next", {"first": '["purchase", "login"]'}),
    "conditions in another order": ("segments", {"segments": f"[{{ name = 's', all = [{BUYS}, {SEGMENT}] }}]"}),
    "a condition said twice": ("segments", {"segments": f"[{{ name = 's', all = [{SEGMENT}, {BUYS}, {SEGMENT}] }}]"}),
    "a condition with a filter that filters nothing": (
        "segments",
        {"segments": f"[{{ all = [{SEGMENT[:-1]}, where = {{ channel = ['web', 'app', 'call-centre'] }} }},"
                     f" {BUYS}], name = 's' }}]"},
    ),
}  # fmt: skip


def text(question: str, **changes: str) -> str:
    return spec_text(**{**PERIOD, **QUESTIONS[question], **changes})


@pytest.mark.parametrize("question", QUESTIONS)
def test_attack_by_asking_the_same_in_other_words(question: str) -> None:
    """He has the answer of before. Somebody is erased, and he asks the same in every other form that he can think of.

    He is handed the first answer each time, and the ledger has one entry.
    """
    with world() as one:
        one.join([*people(0, 22), TARGET])
        for kind in ("login", "purchase"):
            one.act([*people(0, 22), TARGET], 3, kind, platform="mobile", channel="web")
        one.until(60)
        first = one.ask_for(text(question))
        assert figures(first)
        one.store.erase(TARGET)
        for other, changes in SPELLINGS.values():
            if other == question:
                assert one.ask_for(text(question, **changes)) == first
        blank = "\n".join(f"  # spelling\n{line.replace(' = ', '   =   ')}   " for line in text(question).splitlines())
        assert one.ask_for(blank) == one.ask_for(blank.replace("'", '"')) == first
        assert len(one.store.released()) == 1


@pytest.mark.parametrize(("question", "changes"), SPELLINGS.values(), ids=SPELLINGS)
def test_attack_by_other_words_before_the_cadence_allows_it(question: str, changes: dict[str, str]) -> None:
    """He asks for a week more, a day early, in other words: it is the same question, and it is refused."""
    with world() as one:
        one.join(people(0, 22))
        one.until(60)
        assert figures(one.ask_for(text(question))) == set()
        weekly = question == "retention"  # it is asked by whole weeks, so a week is the least; the minimum differs
        later = {"until": "2024-02-05", "protection": '{ kind = "threshold", min_accounts = 11 }'}
        assert one.ask_for(text(question, **changes, **(later if weekly else {"until": "2024-02-11"}))) == (
            "ReleaseRefused"
        )
