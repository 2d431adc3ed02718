"""A month of releases: what is asked day after day, what the ledger makes of it, and how useful it still is.

    python -m tests.release.attacks.month

prints the table of docs/releases.md. Events are counted as a store counts them, without one.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple, TypeAlias

from consentprofile.model.event import Recorded
from consentprofile.release.kept import LedgerCell, Settled
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.threshold import protect
from tests.release.plain import PlainCell
from tests.release.sets import as_plain
from tests.release.shop_policy import tallied
from tests.release.test_shop import accounts, asked
from tests.support.larger_shop import DAYS, FIRST, larger_shop

JUNE: Final = range(28, DAYS)
"""The days after which releases are made: 1 to 30 June 2024, the first day of the data being 4 May."""

CHECKOUT: Final = "['add_to_cart', 'cart', 'shipping_details', 'payment_details', 'purchase']"
WAY: Final = "{ kind = ['product_view', 'add_to_cart', 'cart', 'shipping_details', 'payment_details', 'purchase'] }"
QUESTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "reach by platform": {"measure": '"reach"', "by": '["platform"]'},
    "funnel": {"measure": '"funnel"', "steps": CHECKOUT, "window": '"1 days"'},
    "transitions": {"measure": '"transitions"', "of": '"kind"', "cells_per_account": "48", "where": WAY},
}
WINDOWS: Final[Mapping[str, Callable[[int], int]]] = {
    "the last 7 days": lambda day: day - 6,
    "the last 28 days": lambda day: day - 27,
    "the month to date": lambda day: JUNE[0],
}
"""The first day of the period that ends with a day, that day included."""

CADENCES: Final[Mapping[str, Sequence[int]]] = {"daily": JUNE, "weekly": JUNE[6::7]}

Days: TypeAlias = Sequence[Mapping[int, Sequence[Recorded]]]
"""Day by day from 4 May 2024 on: the events of each account that came."""


class Usefulness(NamedTuple):
    """How many cells were large enough for a figure, how many had one, and how far these were off, all together."""

    large: int
    published: int
    off: int

    @property
    def share(self) -> float:
        """The share of the large cells that had a figure."""
        return self.published / self.large if self.large else 1.0

    @property
    def error(self) -> float:
        """The mean absolute error of the figures, in accounts."""
        return self.off / self.published if self.published else 0.0


class Month(NamedTuple):
    """The whole ledger of a month, oldest first, and its usefulness by question."""

    ledger: list[PlainCell]
    useful: Mapping[str, Usefulness]


def example_shop() -> Days:
    """The example shop: whoever consented to analytics."""
    days: list[dict[int, list[Recorded]]] = [{} for _ in range(DAYS)]
    for number, pairs in accounts().items():
        for told, event in pairs:
            day = (told.at.date() - FIRST).days
            if 0 <= day < DAYS:
                days[day].setdefault(number, []).append(event)
    return days


def month(days: Days, window: str, cadence: str) -> Month:
    """Ask every question for a window after each of the days of a cadence, in one ledger."""
    ledger: list[Settled] = []
    sums = {question: [0, 0, 0] for question in QUESTIONS}
    for day in CADENCES[cadence]:
        for question, terms in QUESTIONS.items():
            spec = asked(_date(WINDOWS[window](day)), _date(day + 1), **terms)
            settled = released(spec, days[WINDOWS[window](day) : day + 1], ledger)
            large = [cell for cell in settled if cell.count >= spec.rules.min_accounts]
            shown = [(cell.value, cell.count) for cell in large if cell.value is not None]
            for place, more in enumerate((len(large), len(shown), sum(abs(value - count) for value, count in shown))):
                sums[question][place] += more
    return Month(
        [cell for settled in ledger for cell in as_plain(settled)],
        {question: Usefulness(*found) for question, found in sums.items()},
    )


def released(spec: ReleaseSpec, days: Days, ledger: list[Settled]) -> tuple[LedgerCell, ...]:
    """What protection makes of these days, which the ledger is told."""
    came: dict[int, list[Recorded]] = {}
    for visits in days:
        for account, events in visits.items():
            came.setdefault(account, []).extend(events)
    settled = protect(tallied(spec, came), spec.rules, ledger, min_accounts=spec.min_accounts).ledger
    ledger.append(settled)
    return settled.cells


def _date(day: int) -> str:
    return (FIRST + timedelta(days=day)).isoformat()


def lines(shop: str, useful: Callable[[str, str], Mapping[str, Usefulness]]) -> Iterator[str]:
    """The rows of the table about one shop, from what came of each window and cadence."""
    for cadence in CADENCES:
        for window in WINDOWS:
            told = " | ".join(f"{found.share:.0%}, ± {found.error:.1f}" for found in useful(window, cadence).values())
            yield f"| {shop} | {window} | {cadence} | {told} |"


def _useful(days: Days, window: str, cadence: str) -> Mapping[str, Usefulness]:
    return month(days, window, cadence).useful


def main() -> None:
    """Print the table, row by row."""
    sys.stdout.write(f"| | period | released | {' | '.join(QUESTIONS)} |\n|---|---|---|{'---|' * len(QUESTIONS)}\n")
    for shop, days in (("example shop", example_shop()), ("20,000 accounts", larger_shop(20_000))):
        for line in lines(shop, functools.partial(_useful, days)):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
