"""What releases are asked for: four questions, as specifications for the store and in words for the page.

The same questions are put to data frames in :mod:`benchmarks.in_pandas` and :mod:`benchmarks.in_polars`, over the same
events in the clear. An answer there is the number of accounts for each cell, by the cell's key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from benchmarks.workload import KINDS, PLATFORMS, PURPOSE
from consentprofile import Figures

Answer: TypeAlias = dict[tuple[str, ...], int]
"""Accounts by key; cells with nobody in them may be left out."""

SINCE: Final = datetime(2024, 1, 1, tzinfo=UTC)
UNTIL: Final = datetime(2024, 4, 1, tzinfo=UTC)
STEPS: Final = ("login", "search", "add_to_cart", "purchase")
WINDOW: Final = timedelta(days=14)
GAP: Final = timedelta(minutes=30)
"""A session ends when no event follows within it."""
START, END = "(start)", "(end)"

_EDGES: Final = len(KINDS) * (len(KINDS) + 2)


def _spec(name: str, measure: str) -> str:
    steps = str(list(STEPS)).replace("'", '"')
    return f"""
format = 1
name = "{name}"
purpose = "{PURPOSE}"
from = {SINCE:%Y-%m-%d}
until = {UNTIL:%Y-%m-%d}
zone = "UTC"
{measure.format(steps=steps, days=WINDOW.days, edges=_EDGES)}
[protection]
kind = "threshold"
"""


QUESTIONS: Final = {
    "reach": "reach by kind and platform",
    "overlap": "overlap of platforms",
    "funnel": "funnel of four steps",
    "transitions": "transitions between kinds",
}
"""In the order in which they are asked, one after the other, of one store."""

SPECS: Final = {
    "reach": _spec("reach", 'measure = "reach"\nby = ["kind", "platform"]\n'),
    "overlap": _spec("overlap", 'measure = "overlap"\nof = "platform"\n'),
    "funnel": _spec("funnel", 'measure = "funnel"\nsteps = {steps}\norder = "ordered"\nwindow = "{days} days"\n'),
    "transitions": _spec("transitions", 'measure = "transitions"\nof = "kind"\ncells_per_account = {edges}\n'),
}
"""No account is in more cells than count for it, so that whoever counts without bounds counts the same."""


def furthest(reached: Mapping[str, int]) -> Answer:
    """The accounts that got just so far, from those that got at least so far, by the steps in their order."""
    numbers = [*reached.values(), 0]
    return {(step,): numbers[place] - numbers[place + 1] for place, step in enumerate(reached)}


def joined(bits: int) -> str:
    """A set of platforms, one bit for each, as a release writes it."""
    return " + ".join(name for place, name in enumerate(PLATFORMS) if bits >> place & 1)


def compare(question: str, figures: Figures, answer: Answer) -> None:
    """Hold a release against an answer that knows no protection.

    Raises :class:`RuntimeError` where a figure is further off than the release says it can be, or where one is missing
    though there are too many accounts behind it: then the two were not asked the same, or one of them is wrong.
    """
    error, hidden = figures.largest_error["accounts"], 2 * figures.policy_min_accounts
    published = {key: shown[0] for key, shown in figures.cells()}
    off = [key for key, count in answer.items() if count and key not in published]
    for key, shown in published.items():
        count = answer.get(key, 0)
        if count >= hidden if shown is None else abs(shown - count) > error:
            off.append(key)
    if off:
        raise RuntimeError(f"{QUESTIONS[question]}: the peer counts otherwise in {len(off)} of {len(published)} cells")
