"""What somebody knows of a table with margins who knows every rule, the policy, and whatever was published.

He is taken to know more than anybody can: which rows have no figure because fewer than k accounts stand behind them,
which were hidden because of these, and which figures were made of other accounts than their row's. He does not know
exact numbers. Everything here is made of the figures and of these facts, never of an exact number, so what is decided
by it tells no more of the exact numbers than they do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from consentprofile.model.policy import ReleaseRules
from consentprofile.release.bounds import Interval, Relation
from consentprofile.release.cells import Cell, Counted
from consentprofile.release.kept import LedgerCell
from consentprofile.release.margins import Margin
from consentprofile.release.measures.measure import Part
from consentprofile.release.threshold import fewest, rounded, step


class Known(NamedTuple):
    """What is known of one row.

    ``shown`` is what its figure stands for, None where it has none; ``hidden`` is what is known without the figure.
    ``source`` is the row whose figure it shows: itself, one of this release that it is near, or None for one of an
    earlier release, which everybody knows already.
    """

    shown: Interval | None
    hidden: Interval
    source: int | None


class Outcome(NamedTuple):
    """A table as protection left it: the cells of its rows, what was settled for them, and the figures that are shown.

    Three of the same length, margins last.
    """

    counted: Counted
    ledger: Sequence[LedgerCell]
    figures: Sequence[int | None]


def known(outcome: Outcome, rules: ReleaseRules, min_accounts: int) -> list[Known]:
    """What is known of every row."""
    least = _least_shown(rules, min_accounts)
    return [_known(place, outcome, rules, least) for place in range(len(outcome.ledger))]


def _known(place: int, outcome: Outcome, rules: ReleaseRules, least: int) -> Known:
    part, cell, figure = outcome.counted.cells[place].part, outcome.ledger[place], outcome.figures[place]
    if figure is None:
        few = len(outcome.counted.cells[place].members) < least
        return Known(None, _of_accounts(0, least - 1, part) if few else _of_accounts(0, inf, part), place)
    shown = stands_for(figure, rules, part)
    if cell.own:
        hidden = _of_accounts(least, inf, part)
        return Known(Interval(max(shown.low, hidden.low), shown.high), hidden, place)
    away = (rules.min_accounts - 1) * part.span
    hidden = _of_accounts(rules.min_accounts, inf, part)
    near = Interval(max(hidden.low, shown.low - away), shown.high + away)
    return Known(near, hidden, _source(place, outcome, rules.min_accounts))


def stands_for(figure: int, rules: ReleaseRules, part: Part) -> Interval:
    """The exact totals that a row's own figure stands for."""
    by = step(rules, part)
    floor = _of_accounts(rules.min_accounts, inf, part).low
    low = floor if part.least > 0 and figure == rounded(int(floor), rules, part) else max(floor, figure - (by - 1) // 2)
    return Interval(low, figure + by // 2)


def _of_accounts(least: float, most: float, part: Part) -> Interval:
    """What ``least`` to ``most`` accounts can add up to."""
    return Interval((most if part.least < 0 else least) * part.least if part.least else 0.0, most * part.limit)


def _least_shown(rules: ReleaseRules, min_accounts: int) -> int:
    """The fewest accounts that have a figure of their own under a specification's ``min_accounts``."""
    figure = rounded(rules.min_accounts, rules)
    while fewest(figure, rules) < min_accounts:
        figure += rules.round_to
    return fewest(figure, rules)


def _source(place: int, outcome: Outcome, least: int) -> int | None:
    """The first row of this release with the same figure, its own, and members of whom fewer than ``least`` differ."""
    cells, given = outcome.counted.cells, outcome.ledger[place].value
    for earlier in range(place):
        candidate = outcome.ledger[earlier]
        if candidate.own and candidate.value == given and _differing(cells[earlier], cells[place]) < least:
            return earlier
    return None


def _differing(one: Cell, other: Cell) -> int:
    """How many accounts stand in one only, or add something else to the other."""
    import numpy as np

    _, here, there = np.intersect1d(one.members, other.members, assume_unique=True, return_indices=True)
    alike = len(here)
    if one.amounts is not None and other.amounts is not None:
        alike = int(np.count_nonzero(one.amounts[here] == other.amounts[there]))
    return len(one.members) + len(other.members) - len(here) - alike


# ---- between rows -------------------------------------------------------------------------------


def relations(
    outcome: Outcome, margins: Sequence[Margin], rows: Sequence[Known], least: int, *, union: int | None
) -> Iterator[Relation]:
    """What is known of rows together: how they add up, and how near rows are to each other by the rules.

    ``union``: an account can stand in as many parts as this, so they add up to more than their margin; None where it
    stands in one, or adds to the margin whatever it adds to each. ``least`` is the policy's ``min_accounts``.
    """
    base = len(rows) - len(margins)
    own = [row.shown is not None and cell.own for row, cell in zip(rows, outcome.ledger, strict=True)]
    for place, margin in enumerate(margins, base):
        for line in margin.lines:
            yield from [_sum(place, line)] if union is None else _union(place, line)
        if union is not None and union < len(margin.parts):
            yield Relation(-inf, 0, (*((part, 1.0) for part in margin.parts), (place, -float(union))))
        if outcome.counted.cells[place].part.counts:
            for beneath in _beneath(place, margins, own):
                yield Relation(least, inf, ((place, 1.0), (beneath, -1.0)), by_figures=True)
    for place, row in enumerate(rows):
        if row.shown is not None and row.source not in (None, place):
            away = (least - 1) * outcome.counted.cells[place].part.span
            yield Relation(-away, away, ((place, 1.0), (row.source or 0, -1.0)), by_figures=True)


def _sum(margin: int, line: Sequence[int]) -> Relation:
    return Relation(0, 0, (*((part, 1.0) for part in line), (margin, -1.0)))


def _union(margin: int, line: Sequence[int]) -> Iterator[Relation]:
    """At least as many as in the largest part, and no more than in all of them together."""
    yield Relation(0, inf, _sum(margin, line).terms)
    for part in line:
        yield Relation(0, inf, ((margin, 1.0), (part, -1.0)))


def _beneath(margin: int, margins: Sequence[Margin], own: Sequence[bool]) -> Iterator[int]:
    """Where a margin has a figure of its own: the rows beneath it that have one, too, each of the highest.

    Rule 2 did not find these near, so the margin has at least k accounts more, and more still than what is beneath
    them.
    """
    base = len(own) - len(margins)
    ahead, reached = [margin], {margin}
    while ahead and own[margin]:
        above = ahead.pop()
        for place in (place for line in margins[above - base].lines for place in line if place not in reached):
            reached.add(place)
            if own[place]:
                yield place
            elif place >= base:
                ahead.append(place)
