"""The example shop: every measure says what plain Python says of its files, and the stories in them can be seen.

The measures are fed from the CSV here; that a release of a store says the same is for tests/test_known_answers.py.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from consentprofile import canonical
from consentprofile.model.event import Recorded
from consentprofile.model.policy import Policy
from consentprofile.model.policy_file import read_policy
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from consentprofile.release.table import rows as table
from tests.release.plain import Members, Weighed
from tests.release.sets import protect
from tests.release.shop_policy import counted
from tests.test_known_answers import PRESENT, ROOT, SHOP, Told, kept, told

POLICY: Final = read_policy((Path(SHOP) / "policy.toml").read_text("utf-8"), "policy.toml")
CHECKOUT: Final = ("add_to_cart", "cart", "shipping_details", "payment_details", "purchase")
GAP: Final = timedelta(minutes=30)


def asked(
    since: str = "2024-01-01", until: str = "2024-07-01", policy: Policy = POLICY, /, **terms: str
) -> ReleaseSpec:
    said = {
        "format": "1", "name": '"shop"', "purpose": '"analytics"', "from": since, "until": until, "zone": '"UTC"',
        "protection": '{ kind = "threshold" }', **terms,
    }  # fmt: skip
    return read_spec("".join(f"{key} = {value}\n" for key, value in said.items()), "shop.toml", policy)


@cache
def accounts() -> Mapping[int, Sequence[tuple[Told, Recorded]]]:
    """What analytics holds of each account, each row as plain Python and as an event, by (time, id)."""
    found = {}
    for number, account in enumerate(told()):
        pairs = []
        for place, row in enumerate(kept(account, "analytics", PRESENT) or ()):
            fields = (("acquisition", row.acquisition), ("channel", "web"), ("platform", row.platform))
            id = canonical.digest(canonical.pack((number, place)))[:16]
            pairs.append((row, Recorded(int(row.at.timestamp()), row.kind, fields, id)))
        found[number] = sorted(pairs, key=lambda pair: (pair[1].at, pair[1].id))
    return found


def journeys() -> list[list[Told]]:
    return [[row for row, _ in pairs] for pairs in accounts().values() if pairs]


def counts(spec: ReleaseSpec) -> dict[tuple[str, ...], int]:
    """The exact figure of every cell that is not empty."""
    cells = counted(spec, {number: [event for _, event in pairs] for number, pairs in accounts().items()})
    return {key: size for key, members in cells.items() if (size := whole(members))}


def whole(members: Members) -> int:
    return sum(members.by_account.values()) if isinstance(members, Weighed) else len(members)


def published(spec: ReleaseSpec) -> dict[tuple[str, ...], tuple[int | float | None, ...]]:
    """The table that leaves."""
    cells = counted(spec, {number: [event for _, event in pairs] for number, pairs in accounts().items()})
    return dict(table(spec, protect(cells, spec.rules, (), min_accounts=spec.min_accounts).published))


def test_the_specifications_of_the_document_are_such() -> None:
    """The first is whole; the others leave out what it says of purpose, period and protection."""
    whole, *others = re.findall(
        r"```toml\n(.*?)```", (ROOT / "docs" / "releases.md").read_text("utf-8"), flags=re.DOTALL
    )
    general = [line for line in whole.splitlines() if not re.match("measure|by|where", line)]
    first = general.index("[protection]")
    measures = [read_spec(whole, "releases.md", POLICY).measure.name]
    for own in others:
        tables = own.find("[[")
        keys, rest = (own, "") if tables < 0 else (own[:tables], own[tables:])
        text = "\n".join([*general[:first], textwrap.dedent(keys), *general[first:], textwrap.dedent(f"  {rest}")])
        measures.append(read_spec(text, "releases.md", POLICY).measure.name)
    assert measures == ["reach", "funnel", "segments"]


# ---- known answers ------------------------------------------------------------------------------


def test_reach_by_three_dimensions() -> None:
    expected = Counter(
        key for rows in journeys() for key in {(row.acquisition, f"{row.at:%Y-%m}", row.platform) for row in rows}
    )
    spec = asked(measure='"reach"', by='["month", "platform", "acquisition"]', cells_per_account="90")
    assert counts(spec) == expected


def test_counts_of_kinds_by_week() -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for rows in journeys():
        mine = Counter((row.kind, "{}-W{:02}".format(*row.at.isocalendar())) for row in rows)
        expected += Counter({key: min(count, 5) for key, count in mine.items()})
    spec = asked(measure='"counts"', by='["week", "kind"]', limit="5", cells_per_account="1000")
    assert counts(spec) == expected


def test_overlap_of_platforms() -> None:
    order = ("desktop", "mobile", "tablet")
    expected = Counter(" + ".join(sorted({row.platform for row in rows}, key=order.index)) for rows in journeys())
    assert counts(asked(measure='"overlap"', of='"platform"')) == {(key,): count for key, count in expected.items()}


def test_overlap_of_channels() -> None:
    assert counts(asked(measure='"overlap"', of='"channel"')) == {("web",): len(journeys())}


def test_frequency_of_purchases() -> None:
    bought = [sum(row.kind == "purchase" for row in rows) for rows in journeys()]
    expected = Counter(str(count) if count < 5 else "5+" for count in bought if count)
    spec = asked(measure='"frequency"', most="5", where="{ kind = ['purchase'] }")
    assert counts(spec) == {(key,): count for key, count in expected.items()}


def furthest(rows: Sequence[Told]) -> int:
    """How many steps of the checkout the best entry gets to within a day."""
    best = 0
    for entry, first in enumerate(rows):
        if first.kind == CHECKOUT[0]:
            done = 0
            for row in rows[entry:]:
                if row.at - first.at <= timedelta(days=1) and done < len(CHECKOUT) and row.kind == CHECKOUT[done]:
                    done += 1
            best = max(best, done)
    return best


def test_the_funnel_of_the_checkout() -> None:
    expected = Counter(CHECKOUT[steps - 1] for rows in journeys() if (steps := furthest(rows)))
    spec = asked(measure='"funnel"', steps=str(list(CHECKOUT)), window='"1 days"')
    assert counts(spec) == {(step,): count for step, count in expected.items()}


def strictly(rows: Sequence[Told]) -> int:
    """How many steps of the checkout follow each other without anything between them, at best."""
    runs = [[row.kind for row in rows[entry : entry + len(CHECKOUT)]] for entry in range(len(rows))]
    in_time = [
        sum(row.at - rows[entry].at <= timedelta(days=1) for row in rows[entry : entry + len(CHECKOUT)])
        for entry in range(len(rows))
    ]
    lengths = [
        next((place for place, step in enumerate(CHECKOUT) if run[:within][place : place + 1] != [step]), len(CHECKOUT))
        for run, within in zip(runs, in_time, strict=True)
    ]
    return max(lengths)


def together(rows: Sequence[Told]) -> int:
    """How many steps of the checkout there are within a day of one of them, in any order, at best."""
    steps = [row for row in rows if row.kind in CHECKOUT]
    return max(
        (
            len({row.kind for row in steps[entry:] if row.at - first.at <= timedelta(days=1)})
            for entry, first in enumerate(steps)
        ),
        default=0,
    )


def test_the_funnel_of_the_checkout_step_upon_step() -> None:
    expected = Counter(CHECKOUT[steps - 1] for rows in journeys() if (steps := strictly(rows)))
    spec = asked(measure='"funnel"', steps=str(list(CHECKOUT)), window='"1 days"', order='"strict"')
    assert counts(spec) == {(step,): count for step, count in expected.items()}
    assert len(expected) > 2


def test_the_funnel_of_the_checkout_in_any_order() -> None:
    expected = Counter(str(steps) for rows in journeys() if (steps := together(rows)))
    spec = asked(measure='"funnel"', steps=str(list(CHECKOUT)), window='"1 days"', order='"any"')
    assert counts(spec) == {(steps,): count for steps, count in expected.items()}


def test_retention_in_each_month() -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for rows in journeys():
        months = sorted({row.at.month for row in rows})
        expected.update((f"2024-{months[0]:02}", str(month - months[0])) for month in months)
    assert counts(asked(measure='"retention"', every='"month"', mode='"on"')) == expected


def test_retention_of_weeks_from_a_purchase_to_the_next_one_but_three() -> None:
    """Whole weeks from Monday, 1 January 2024, on; whoever returns later than in the third week counts there."""
    expected: Counter[tuple[str, str]] = Counter()
    for rows in journeys():
        weeks = [(row.at.date() - date(2024, 1, 1)).days // 7 for row in rows if row.kind == "purchase"]
        if weeks:
            cohort = "{}-W{:02}".format(*(date(2024, 1, 1) + timedelta(weeks=weeks[0])).isocalendar())
            expected[cohort, str(min(weeks[-1] - weeks[0], 3))] += 1
    kinds = {"start": "['purchase']", "return": "['purchase']"}
    assert counts(asked(measure='"retention"', every='"week"', periods="3", **kinds)) == expected


def test_retention_of_months() -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for rows in journeys():
        months = [row.at.month for row in rows]
        expected[f"2024-{months[0]:02}", str(max(months) - months[0])] += 1
    assert counts(asked(measure='"retention"', every='"month"')) == expected


def test_transitions_of_kinds() -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for rows in journeys():
        mine = set()
        for before, row in zip([None, *rows], [*rows, None], strict=True):
            together = before is not None and row is not None and row.at - before.at <= GAP
            if together and before is not None and row is not None:
                mine.add((before.kind, row.kind))
            else:
                mine |= {(before.kind, "(end)")} if before else set()
                mine |= {("(start)", row.kind)} if row else set()
        expected += Counter(mine)
    assert counts(asked(measure='"transitions"', of='"kind"', cells_per_account="500")) == expected


def test_time_from_cart_to_purchase() -> None:
    ends = [60 * 2**number for number in range(15)] + [14 * 86400]
    expected: Counter[str] = Counter()
    for rows in journeys():
        first = next((place for place, row in enumerate(rows) if row.kind == "add_to_cart"), None)
        if first is not None:
            waits = [(row.at - rows[first].at).total_seconds() for row in rows[first + 1 :] if row.kind == "purchase"]
            expected[next((str(end) for end in ends if waits and waits[0] <= end), "not within the window")] += 1
    spec = asked(measure='"time-to-next"', first='["add_to_cart"]', next='["purchase"]')
    assert counts(spec) == {(key,): count for key, count in expected.items()}


def test_segments_of_buyers() -> None:
    expected: Counter[str] = Counter()
    for rows in journeys():
        bought = sum(row.kind == "purchase" for row in rows)
        roams = len({row.platform for row in rows}) >= 2
        once = len({row.at.date() for row in rows}) == 1
        buyer = "buys here and there" if roams else "buys"
        expected[buyer if bought else "once" if once else "(others)"] += 1
    buys = "{ count = 'events', where = { kind = ['purchase'] }, at_least = 1 }"
    here_and_there = "{ count = 'platform', at_least = 2 }"
    segments = [
        f"{{ name = 'buys here and there', all = [{buys}, {here_and_there}] }}",
        f"{{ name = 'buys', all = [{buys}] }}",
        "{ name = 'once', all = [{ count = 'days', at_most = 1 }] }",
    ]
    spec = asked(measure='"segments"', segments=f"[{', '.join(segments)}]")
    assert counts(spec) == {(key,): count for key, count in expected.items()}


# ---- the stories, as protection lets them through -----------------------------------------------


STEPS: Final = "['add_to_cart', 'cart', 'shipping_details', 'payment_details', 'purchase', 'checkout_bug']"


@pytest.mark.parametrize(
    ("since", "until", "back", "on"),
    [
        ("2024-03-09", "2024-04-09", None, None),
        ("2024-04-09", "2024-05-10", 15, None),
        ("2024-05-10", "2024-06-10", 10, 15),
    ],
    ids=["the month before", "while it lasts", "the month after"],
)
def test_the_checkout_bug_on_mobile_is_a_loop(since: str, until: str, back: int | None, on: int | None) -> None:
    """From 9 April to 9 May shipping leads back to the cart, and hardly anybody gets on to the payment."""
    where = f"{{ platform = ['mobile'], kind = {STEPS} }}"
    shown = published(asked(since, until, measure='"transitions"', of='"kind"', where=where, cells_per_account="60"))
    assert shown["shipping_details", "add_to_cart"] == (back,)
    assert shown["shipping_details", "payment_details"] == (on,)


@pytest.mark.parametrize(
    ("since", "until", "began", "bought"),
    [("2024-04-29", "2024-05-19", 55, 25), ("2024-05-19", "2024-06-08", 70, 15), ("2024-06-08", "2024-06-28", 90, 40)],
    ids=["the three weeks before", "while it lasts", "the three weeks after"],
)
def test_the_payment_incident_is_a_fall_of_the_funnel(since: str, until: str, began: int, bought: int) -> None:
    """From 19 May to 7 June more begin to pay than before, and fewer of them end with a purchase."""
    spec = asked(since, until, measure='"funnel"', steps='["payment_details", "purchase"]', window='"1 days"')
    assert [figures[1] for figures in published(spec).values()] == [began, bought]
