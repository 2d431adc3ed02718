"""Differencing: two questions whose answers are about the same people but for one, who would be the difference.

Each attack holds the published figures, and knows of whom he wants to learn something. What he learns at most is told
with each: nothing, where figures stay the same whatever the person does.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Final

import pytest

import consentprofile as cp
from tests.release.attacks.world import TARGET, Answer, World, figures, people, seen, total, world
from tests.release.shop_policy import spec_text

EDGES: Final = (12, 22)
"""Sizes of crowds whose figure one more person would change, had the larger crowd a figure of its own."""
BY_PLATFORM: Final = {"by": '["platform"]'}
BY_KIND: Final = {"by": '["kind"]'}


# ---- by date -------------------------------------------------------------------------------------


@pytest.mark.parametrize("crowd", EDGES)
def test_attack_by_a_period_that_is_a_day_longer(crowd: int) -> None:
    """He asks for 28 days, then for one day more, on which he expects the person: refused, it is not the cadence.

    So he asks for the longer one in other words, as another question. He gets the figure of the 28 days again.
    """

    def life(one: World, does: bool) -> Iterator[Answer]:
        one.join([*people(0, crowd), TARGET])
        one.act(people(0, crowd), 10, platform="mobile", channel="web")
        if does:
            one.act([TARGET], 28, platform="mobile", channel="web")
        one.until(60)
        yield one.ask(0, 28)
        yield one.ask(0, 29)
        yield one.ask(0, 29, **BY_PLATFORM)
        yield one.ask(0, 29, **BY_KIND)
        yield one.ask(0, 29, where="{ channel = ['web'] }")
        yield one.ask(0, 35)

    with_person, without = seen(life)
    assert with_person == without
    assert with_person[1] == "ReleaseRefused"
    assert total(with_person[0]) == total(with_person[-1])


@pytest.mark.parametrize("first", [0, 7])
def test_attack_by_days_beside_their_sum(first: int) -> None:
    """He asks for each day, and for all of them together: the day that the person came on alone has no figure.

    The total of the days is no sum of them, for each of the others came on several.
    """

    def life(one: World, does: bool) -> Iterator[Answer]:
        one.join([*people(0, 24), TARGET])
        for day in (first, first + 1, first + 3):
            one.act(people(0, 24), day)
        if does:
            one.act([TARGET], first + 2)
        one.until(60)
        yield one.ask(first, first + 7, by='["day"]')
        yield one.ask(first, first + 7)

    with_person, without = seen(life)
    assert with_person == without


def test_attack_by_weekly_windows_that_overlap() -> None:
    """Ten sliding windows of four weeks, as the cadence allows: whoever comes once comes into four and leaves four.

    He sees the crowd alone, ten times.
    """

    def life(one: World, does: bool) -> Iterator[Answer]:
        one.join([*people(0, 22), TARGET])
        for day in range(0, 98, 7):
            one.act(people(0, 22), day)
        if does:
            one.act([TARGET], 40)
        one.until(100)
        for week in range(10):
            yield one.ask(7 * week, 7 * week + 28)

    with_person, without = seen(life)
    assert with_person == without
    assert {total(answer) for answer in with_person} == {20}


# ---- by filter -----------------------------------------------------------------------------------

BUYS_ON_TABLET: Final = (("purchase", "tablet"),)
TWO_QUESTIONS: Final[dict[str, tuple[tuple[tuple[str, str], ...], dict[str, str], dict[str, str]]]] = {
    "every platform, and all but one": (BUYS_ON_TABLET, {}, {"where": "{ platform = ['mobile', 'desktop'] }"}),
    "every kind, and all but one": (BUYS_ON_TABLET, {}, {"where": "{ kind = ['login', 'search'] }"}),
    "a total, and its rows by platform": (BUYS_ON_TABLET, {}, BY_PLATFORM),
    "rows by platform, and by platform and kind": (
        (("purchase", "mobile"),),
        BY_PLATFORM,
        {"by": '["kind", "platform"]', "where": "{ platform = ['mobile'] }"},
    ),
    "once or more, and twice or more": (
        BUYS_ON_TABLET,
        {"measure": '"segments"', "segments": "[{ name = 'x', all = [{ count = 'events', at_least = 1 }] }]"},
        {"measure": '"segments"', "segments": "[{ name = 'x', all = [{ count = 'events', at_least = 2 }] }]"},
    ),
    "events counted up to 2, and up to 3": (
        (("purchase", "tablet"), ("login", "tablet"), ("login", "tablet")),
        {"measure": '"frequency"', "most": "2"},
        {"measure": '"frequency"', "most": "3"},
    ),
    "a funnel of two steps, and one of three": (
        (("login", "mobile"), ("search", ""), ("purchase", "mobile")),
        {"measure": '"funnel"', "steps": '["login", "search"]'},
        {"measure": '"funnel"', "steps": '["login", "search", "purchase"]'},
    ),
    "platforms together, with tablets and without": (
        (("login", "mobile"), ("login", "tablet")),
        {"measure": '"overlap"', "of": '"platform"'},
        {"measure": '"overlap"', "of": '"platform"', "where": "{ platform = ['mobile', 'desktop'] }"},
    ),
}
"""What one person does, beside a crowd of which everybody logs in on a mobile and then searches; and two questions."""


@pytest.mark.parametrize("crowd", EDGES)
@pytest.mark.parametrize(("does", "one", "other"), TWO_QUESTIONS.values(), ids=TWO_QUESTIONS)
@pytest.mark.parametrize("turned", [False, True], ids=["in this order", "the other way round"])
def test_attack_by_two_questions_that_one_person_tells_apart(
    does: tuple[tuple[str, str], ...], one: dict[str, str], other: dict[str, str], crowd: int, turned: bool
) -> None:
    """He subtracts. Both figures that the crowd is behind are the same one, so what is left is nothing.

    The person alone is behind no figure: whatever is about fewer than k has none.
    """
    with world() as here:
        here.join([*people(0, crowd), TARGET])
        here.act(people(0, crowd), 3, "login", platform="mobile")
        here.act(people(0, crowd), 4, "search")
        for day, (kind, platform) in enumerate(does, 3):
            here.act([TARGET], day, kind, **({"platform": platform} if platform else {}))
        here.until(60)
        first, second = (here.ask(0, 28, **terms) for terms in ((other, one) if turned else (one, other)))
        assert len(figures(first)) == len(figures(second)) == 1
        assert figures(first) == figures(second)


@pytest.mark.parametrize("crowd", EDGES)
@pytest.mark.parametrize("kind", ["login", "purchase"])
def test_attack_by_two_rows_of_one_release(crowd: int, kind: str) -> None:
    """One table by kind has both figures at once: whichever row the person is in, both rows have the same one."""
    with world() as one:
        one.join([*people(0, crowd), TARGET])
        for each in ("login", "purchase"):
            one.act([*people(0, crowd), *([TARGET] if each == kind else [])], 3, each, platform="mobile")
        one.until(60)
        assert len(figures(one.ask(0, 28, **BY_KIND))) == 1


def test_attack_by_a_crowd_that_differs_by_k_is_no_attack() -> None:
    """What is left after subtracting is about k accounts, which have a figure of their own: nothing is held back."""
    with world() as one:
        one.join(people(0, 40))
        one.act(people(0, 30), 3, platform="mobile")
        one.act(people(30, 10), 3, platform="tablet")
        one.until(60)
        assert total(one.ask(0, 28)) == 40
        assert figures(one.ask(0, 28, **BY_PLATFORM)) == {30, 10}


# ---- by what ends --------------------------------------------------------------------------------

ENDS: Final = {
    "erasure": lambda one: one.store.erase(TARGET),
    "withdrawal": lambda one: one.store.withdraw_consent(TARGET, ["analytics"]),
    "invalidation": lambda one: one.store.invalidate_consent(TARGET, ["analytics"]),
    "suppression": lambda one: one.store.suppress(TARGET, "deceased"),
}


@pytest.mark.parametrize("crowd", EDGES)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_attack_by_asking_before_and_after_somebody_leaves(end: Callable[[World], object], crowd: int) -> None:
    """He has the figures of before. Afterwards he asks the same again, the next period, and other questions.

    The same question is answered with the same bytes, all others with the figure of before.
    """

    def life(one: World, does: bool) -> Iterator[Answer]:
        one.join([*people(0, crowd), TARGET])
        one.act([*people(0, crowd), TARGET], 3, platform="mobile", channel="web")
        one.until(60)
        yield one.ask(0, 28)
        if does:
            end(one)
        yield one.ask(0, 28)
        yield one.ask(0, 35)
        yield one.ask(0, 28, **BY_PLATFORM)
        yield one.ask(0, 28, measure='"counts"', limit="5", **BY_KIND)
        yield one.ask(0, 28, measure='"overlap"', of='"platform"')
        yield one.ask(0, 28, measure='"transitions"', of='"kind"')

    left, stayed = seen(life)
    assert left == stayed
    assert len(figures(*left)) == 1


@pytest.mark.parametrize("end", list(ENDS.values())[:3], ids=list(ENDS)[:3])
def test_attack_by_somebody_who_leaves_and_returns_again_and_again(end: Callable[[World], object]) -> None:
    """Each return is under a new key, so the ledger takes the person for somebody else each time.

    He asks every week. Against the first figure there are never more than two changes: the one who went, and the one
    who came.
    """

    def life(one: World, does: bool) -> Iterator[Answer]:
        one.join([*people(0, 22), TARGET])
        one.act([*people(0, 22), TARGET], 3)
        one.until(10)
        yield one.ask(0, 7)
        for week in range(2, 10):
            if does:
                end(one)
                yield one.ask(0, 7 * week - 7, **BY_KIND)
                one.join([TARGET])
            else:
                yield one.ask(0, 7 * week - 7, **BY_KIND)
            one.act([TARGET], 7 * week - 3)
            one.until(7 * week)
            yield one.ask(0, 7 * week)

    with_person, without = seen(life)
    assert with_person == without
    assert len(figures(*with_person)) == 1


def test_attack_by_a_consent_that_runs_out() -> None:
    """He knows when the person consented, and asks in the week before and after the 395 days are over."""

    def life(one: World, does: bool) -> Iterator[Answer]:
        one.join([TARGET] if does else [])
        one.until(40)
        one.join([*people(0, 22), *([] if does else [TARGET])])
        one.act([*people(0, 22), TARGET], 75, platform="mobile")
        for day in (393, 398):
            one.until(day)
            for terms in (BY_PLATFORM, BY_KIND) if day == 398 else ({},):
                yield one.ask(70, 98, **terms)

    ran_out, goes_on = seen(life)
    assert ran_out == goes_on
    assert figures(*ran_out) == {25}


def test_attack_by_suppressing_somebody_and_lifting_it_again() -> None:
    """He sees the weeks before, while and after: the figure is that of before throughout."""

    def life(one: World, does: bool) -> Iterator[Answer]:
        one.join([*people(0, 22), TARGET])
        one.act([*people(0, 22), TARGET], 3)
        one.until(60)
        yield one.ask(0, 28)
        if does:
            one.store.suppress(TARGET, "deceased")
        yield one.ask(0, 35)
        if does:
            one.store.lift_suppression(TARGET, "deceased")
        yield one.ask(0, 42)

    suppressed, left_alone = seen(life)
    assert suppressed == left_alone
    assert figures(*suppressed) == {25}


def test_attack_by_new_keys_of_the_store_between_two_questions() -> None:
    """He has the keys rotated between two releases: pseudonyms come of secrets that survive it, so nothing is new."""
    with world() as one:
        one.join([*people(0, 22), TARGET])
        one.act([*people(0, 22), TARGET], 3)
        one.until(60)
        before = one.ask(0, 28)
        one.store.rotate_keys(cp.KeyFile(one.folder / "new.key"))
        one.store.withdraw_consent(TARGET, ["analytics"])
        assert one.ask(0, 28) == before
        assert figures(one.ask(0, 35), before) == {25}


def test_attack_by_two_questions_at_the_same_moment() -> None:
    """He asks the same twice at once, with the person and without, so that neither answer knows the other one.

    Each process reads the ledger anew under the lock under which it writes to it: one of them knows the other's.
    """
    with world() as one:
        one.join([*people(0, 22), TARGET])
        one.act(people(0, 22), 3, platform="mobile")
        one.act([TARGET], 3, platform="tablet")
        one.until(60)
        one.store.close()
        common = ["--store", one.folder / "store", "--key-file", one.folder / "key", "--as-of", "2024-04-01"]
        asking = []
        for number, where in enumerate(("{ platform = ['mobile', 'desktop'] }", "{ kind = ['login'] }")):
            spec = one.folder / f"question-{number}.toml"
            spec.write_text(spec_text(from_="2024-01-01", until="2024-01-29", where=where), "utf-8")
            command = [sys.executable, "-c", "from consentprofile.cli.main import main; main()", *map(str, common)]
            arguments = ["release", str(spec), "--plain", "--out", str(one.folder / f"answer-{number}")]
            asking.append(subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL))
        assert [process.wait(60) for process in asking] == [0, 0]
        answers = [cp.read_figures(one.folder / f"answer-{number}").rows for number in range(2)]
        assert answers[0] == answers[1]
        one.store = one.opened()


# ---- totals less parts ---------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", range(10))
def test_attack_by_a_total_less_its_one_part_that_has_a_figure(hidden: int) -> None:
    """A total and its two rows, of which one has no figure: however many are behind that, the difference is nothing."""
    with world() as one:
        one.join(people(0, 41))
        one.act(people(0, 32), 3, platform="mobile")
        one.act(people(32, hidden), 3, platform="tablet")
        one.until(60)
        rows = one.ask(0, 28, **BY_PLATFORM)
        assert not isinstance(rows, str)
        assert rows["tablet",] == rows["desktop",] == (None,)
        assert total(one.ask(0, 28)) == rows["mobile",][0] == 30
