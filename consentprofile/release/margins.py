"""Margins: rows that sum over columns, and the lines in which rows add up to them.

A margin is a row like any other, made of the same bounded parts, and protected by the same rules. Its key says
``(all)`` in the columns that it sums over. An account stands in a margin if it stands in any of its parts, and adds to
it what it adds to them together; so a margin is the sum of its parts, or their union where an account can be in more
than one.

Whoever sees a margin and all of its parts but one knows the one. What is hidden because of that is decided in
:mod:`~consentprofile.release.complementary`, by the lines that are drawn here: they follow from the specification
alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.model.toml_reader import Reader, quoted
from consentprofile.release.cells import Cell, Counted
from consentprofile.release.measures.measure import Key, Measure, Part
from consentprofile.release.protection import DifferentialPrivacy, Protection

if TYPE_CHECKING:
    from consentprofile.release.cells import Places
    from consentprofile.release.measures.measure import Numbers

MOST_ROWS: Final = 512
"""The most rows of a release with margins: as many as can be audited within seconds."""

_EXPECTED: Final = "true, or a list of columns to sum over"

ALL: Final = "(all)"
"""What stands in a column that a row sums over; no declared value may be called so where margins are asked for."""


class Margin(NamedTuple):
    """One row that sums over the columns ``over``.

    ``parts`` are the places, among the rows, of all rows beneath it that sum over nothing. ``lines`` has an element
    for each column of ``over``: the places of the rows that differ in this column alone, and together make the margin.
    """

    key: Key
    over: tuple[str, ...]
    parts: tuple[int, ...]
    lines: tuple[tuple[int, ...], ...]

    def part(self, part: Part, bound: int) -> Part:
        """``part`` as far as this margin goes, where one account counts in at most ``bound`` rows that are no margins.

        What an account may add to each of them, it may add to the margin as many times.
        """
        times = 1 if part.counts else min(bound, len(self.parts))
        return part._replace(limit=part.limit * times, least=part.least * (times if part.least < 0 else 1))


def margins(columns: Sequence[str], keys: Sequence[Key], over: Sequence[str]) -> tuple[Margin, ...]:
    """Every margin over one or more of the columns ``over``: those over one first, the total last.

    ``keys`` are the rows that sum over nothing; margins stand behind them, in this order.
    """
    places = {key: place for place, key in enumerate(keys)}
    parts: dict[Key, list[int]] = {}
    above: list[tuple[Key, tuple[str, ...]]] = []
    summed = [column for column in columns if column in over]
    for chosen in (chosen for size in range(1, len(summed) + 1) for chosen in combinations(summed, size)):
        for place, key in enumerate(keys):
            over_it = tuple(ALL if column in chosen else word for column, word in zip(columns, key, strict=True))
            if over_it not in parts:
                places[over_it] = len(places)
                above.append((over_it, chosen))
            parts.setdefault(over_it, []).append(place)
    found = []
    for margin, chosen in above:
        lines = []
        for column in chosen:
            at = columns.index(column)
            words = dict.fromkeys(keys[place][at] for place in parts[margin])
            lines.append(tuple(places[(*margin[:at], word, *margin[at + 1 :])] for word in words))
        found.append(Margin(margin, chosen, tuple(parts[margin]), tuple(lines)))
    return tuple(found)


def read_margins(
    top: Reader, measure: Measure | None, dimensions: Mapping[str, Sequence[str]], protection: Protection | None
) -> tuple[str, ...]:
    """The columns that ``margins`` asks to sum over; ``dimensions`` are the values of each."""
    asked = top.raw("margins", _EXPECTED, optional=True)
    if asked is None or asked is False or measure is None:
        return ()
    columns = (*dimensions, *measure.columns)
    over = columns if asked is True else top.texts("margins", _EXPECTED, empty=True) or ()
    if isinstance(protection, DifferentialPrivacy):
        top.fault("margins", "there are none with noise: what it draws for rows adds up to no margin")
        return ()
    if measure.margin is None:
        top.fault("margins", f"{measure.name} has none: its rows do not add up to anything")
        return ()
    top.each_declared("margins", over, columns, "column of this release that can be summed over")
    if asked is True and not columns:
        top.fault("margins", "there is nothing to sum over; expected dimensions in 'by'")
    if any(ALL in words for words in (*dimensions.values(), *measure.keys)):
        top.fault("margins", f"a value is called {quoted(ALL)}, as what is summed over is")
    summed = tuple(column for column in columns if column in over)
    rows = math.prod(len(words) + (name in summed) for name, words in dimensions.items())
    rows *= len(measure.keys) + any(name in summed for name in measure.columns)
    top.at_most("margins", rows, MOST_ROWS, "rows, margins included")
    return summed


def with_margins(counted: Counted, wanted: Sequence[Margin], bound: int) -> Counted:
    """What was counted, and the cells of its margins behind it.

    ``counted`` has a cell for each row that sums over nothing, in their order, and one part. Costs a sort of the
    memberships beneath each margin.
    """
    cells = counted.cells
    made = [_together(margin, [cells[place] for place in margin.parts], bound) for margin in wanted]
    return counted._replace(cells=(*cells, *made))


def _together(margin: Margin, parts: Sequence[Cell], bound: int) -> Cell:
    """The accounts of any of the parts, each with what it adds to all of them."""
    import numpy as np

    part = margin.part(parts[0].part, bound)
    members: Places = np.concatenate([cell.members for cell in parts])
    amounts = [cell.amounts for cell in parts if cell.amounts is not None]
    if not amounts:
        return Cell(margin.key, part, np.unique(members), None)
    order = np.argsort(members, kind="stable")
    distinct, first = np.unique(members[order], return_index=True)
    added: Numbers = np.concatenate(amounts)[order]
    return Cell(margin.key, part, distinct, np.add.reduceat(added, first) if len(first) else added)
