"""Sums and means over the example shop, whose data has no amounts: each event is given one that can be told from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from math import floor
from pathlib import Path
from typing import Final

import msgspec
import pytest

from consentprofile.model.event import Recorded, Value
from consentprofile.model.policy_file import read_policy
from consentprofile.release.spec import ReleaseSpec
from tests.release.plain import Weighed
from tests.release.shop_policy import counted
from tests.release.test_shop import accounts, asked
from tests.test_known_answers import SHOP, Told

POLICY: Final = read_policy(
    (Path(SHOP) / "policy.toml")
    .read_text("utf-8")
    .replace(
        'collect = { "*" = ["channel", "platform", "acquisition"] }',
        'collect = { "*" = ["channel", "platform", "acquisition", "total"] }',
    ),
    "policy.toml",
)


def total(row: Told) -> int | None:
    """The amount of an event, in cents: 0 to 3,599 by minute and second; not every kind has one."""
    return row.at.minute * 60 + row.at.second if row.kind in {"cart", "purchase"} else None


@cache
def with_amounts() -> dict[int, list[tuple[Told, Recorded]]]:
    """What analytics would hold of each account, had the data amounts."""
    found = {}
    for number, pairs in accounts().items():
        found[number] = [
            (row, event if total(row) is None else msgspec.structs.replace(event, fields=_and(event, total(row))))
            for row, event in pairs
        ]
    return found


def _and(event: Recorded, amount: int | None) -> tuple[tuple[str, Value | None], ...]:
    return (*event.fields, ("total", amount))


def told(spec: ReleaseSpec) -> dict[tuple[str, ...], list[int]]:
    """What each member adds to each cell, sorted; where everybody adds one, as many ones."""
    cells = counted(spec, {number: [event for _, event in pairs] for number, pairs in with_amounts().items()})
    adds = {
        key: sorted(members.by_account.values()) if isinstance(members, Weighed) else [1] * len(members)
        for key, members in cells.items()
    }
    return {key: found for key, found in adds.items() if found}


def by_month_and_platform() -> Iterator[dict[tuple[str, str], list[int]]]:
    """The amounts of each account, by month and platform."""
    for pairs in with_amounts().values():
        mine: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row, _ in pairs:
            amount = total(row)
            if amount is not None:
                mine[f"{row.at:%Y-%m}", row.platform].append(amount)
        yield mine


def amounts(**terms: str) -> ReleaseSpec:
    text = {"by": '["month", "platform"]', "field": '"total"', "cells_per_account": "18", **terms}
    return asked("2024-01-01", "2024-07-01", POLICY, **text)


@pytest.mark.parametrize("limit", [500, 6_000])
def test_sums_of_amounts_are_what_the_files_say(limit: int) -> None:
    expected: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for mine in by_month_and_platform():
        for key, found in mine.items():
            expected[key].append(min(sum(min(amount, limit) for amount in found), limit))
    assert told(amounts(measure='"sums"', limit=str(limit))) == {key: sorted(found) for key, found in expected.items()}


@pytest.mark.parametrize("limit", [500, 6_000])
def test_means_of_amounts_are_what_the_files_say(limit: int) -> None:
    """Each account has its own mean, in hundredths, halves up."""
    expected: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for mine in by_month_and_platform():
        for key, found in mine.items():
            mean = floor(Fraction(100 * sum(found), len(found)) + Fraction(1, 2))
            expected[*key, "accounts"].append(1)
            expected[*key, "sum"].append(min(mean, 100 * limit))
    assert told(amounts(measure='"means"', limit=str(limit))) == {key: sorted(found) for key, found in expected.items()}


def test_only_events_with_an_amount_count() -> None:
    """The specification that leaves them out by a filter says the same."""
    filtered = amounts(measure='"sums"', limit="900", where="{ kind = ['cart', 'purchase'] }")
    assert told(filtered) == told(amounts(measure='"sums"', limit="900"))
