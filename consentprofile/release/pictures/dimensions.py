"""Figures by up to three dimensions: bars, lines over time, groups of bars, or a grid, whatever they have room in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

import msgspec

from consentprofile.release.figures import ACCOUNTS, Figure, Figures
from consentprofile.release.pictures.bars import Bar, Bars, Groups, Off
from consentprofile.release.pictures.canvas import SERIES, Shape
from consentprofile.release.pictures.grid import Grid, Row
from consentprofile.release.pictures.lines import Line, Lines

TIMES: Final = ("day", "week", "month")
"""The dimensions that are steps of time: drawn from left to right, in their order."""
ALL: Final = "all"

MOST_BARS: Final = 40
MOST_GROUPED: Final = 36
MOST_PANELS: Final = 6
MOST_COLUMNS: Final = 14
MOST_ROWS: Final = 40

Key: TypeAlias = tuple[str, ...]
Cells: TypeAlias = Mapping[Key, Figure]


class Asked(msgspec.Struct, frozen=True, dict=True):
    """The figures of one ``column`` of a release."""

    figures: Figures
    column: str

    @cached_property
    def cells(self) -> Cells:
        """The figure of each key, in the order of the rows; margins are not drawn among their parts."""
        return dict(islice(self._every(), len(self.figures.parts)))

    @property
    def total(self) -> Figure:
        """The figure of the margin over all dimensions; None where it was not asked for, or has none."""
        levels = self.figures.margins
        return [value for _, value in self._every()][-1] if levels and levels[-1].over == self.figures.by else None

    def _every(self) -> Iterator[tuple[Key, Figure]]:
        place = self.figures.values.index(self.column)
        return ((key, values[place]) for key, values in self.figures.cells())

    @property
    def off(self) -> Off:
        """How far they can be off; where noise was added, how far the widest interval goes."""
        ends = [f"{self.column}_low", f"{self.column}_high"]
        if set(ends) <= set(self.figures.values):
            return Off(max(_apart(self.cells, msgspec.structs.replace(self, column=end).cells) for end in ends))
        least = self.figures.policy_min_accounts if self.column == ACCOUNTS else 0
        return Off(self.figures.largest_error.get(self.column, 0), least)


def _apart(cells: Cells, ends: Cells) -> float:
    """How far an end of an interval is from its figure at most."""
    pairs = [(cells[key], end) for key, end in ends.items()]
    return max((abs(end - value) for value, end in pairs if value is not None and end is not None), default=0)


class Chosen(NamedTuple):
    """A shape, and how many of the figures it shows where that is not all."""

    shape: Shape
    drawn: int
    of: int


def whole(shape: Shape, cells: Cells) -> Chosen:
    """A shape that shows every figure."""
    return Chosen(shape, len(cells), len(cells))


def by_dimensions(asked: Asked) -> Chosen:
    """Bars; lines where a dimension is time; groups of bars or a grid where there are two dimensions and more."""
    cells, off, names = asked.cells, asked.off, asked.figures.by
    axes = [_values(cells, place) for place in range(len(names))]
    if not axes:
        return whole(Bars((Bar(ALL, cells.get(())),), off), cells)
    time = next((place for place, name in enumerate(names) if name in TIMES), None)
    if time is not None:
        return _over_time(asked, axes, time)
    if len(axes) == 1:
        return _bars(cells, off)
    across = min(range(len(axes)), key=lambda place: (len(axes[place]), -place))
    if len(axes) == 2 and len(axes[across]) <= len(SERIES) and len(cells) <= MOST_GROUPED:
        return _grouped(cells, axes, across, off)
    return _grid(asked, axes, across)


def _values(cells: Iterable[Key], place: int) -> tuple[str, ...]:
    """The values of one dimension, in their order."""
    return tuple(dict.fromkeys(key[place] for key in cells))


def _largest(cells: Cells, most: int) -> dict[Key, Figure]:
    """At most ``most`` of the cells, the largest, in their order."""
    kept = sorted(cells, key=lambda key: -math.inf if (value := cells[key]) is None else value, reverse=True)[:most]
    chosen = set(kept)
    return {key: value for key, value in cells.items() if key in chosen}


def _label(key: Iterable[str]) -> str:
    return " · ".join(key)


def _bars(cells: Cells, off: Off) -> Chosen:
    kept = _largest(cells, MOST_BARS)
    return Chosen(Bars(tuple(Bar(_label(key), value) for key, value in kept.items()), off), len(kept), len(cells))


def _grouped(cells: Cells, axes: list[tuple[str, ...]], across: int, off: Off) -> Chosen:
    """A group of bars for each value of the other dimension."""
    series, labels = axes[across], axes[1 - across]
    groups = tuple((label, tuple(cells.get(_joined((label,), across, name)) for name in series)) for label in labels)
    return whole(Groups(series, groups, off), cells)


def _over_time(asked: Asked, axes: list[tuple[str, ...]], time: int) -> Chosen:
    """A line for each combination of the others, in panels; a grid where these would be too many."""
    cells = asked.cells
    steps = tuple(sorted(axes[time]))
    others = tuple(dict.fromkeys((*key[:time], *key[time + 1 :]) for key in cells))
    if len(others) > MOST_PANELS and len(steps) <= MOST_COLUMNS:
        return _grid(asked, axes, time)
    rows = [(rest, tuple(cells.get(_joined(rest, time, step)) for step in steps)) for rest in others]
    kept = sorted(rows, key=lambda row: sum(value or 0 for value in row[1]), reverse=True)[:MOST_PANELS]
    lines = tuple(Line(_label(rest), values) for rest, values in rows if (rest, values) in kept)
    return Chosen(Lines(steps, lines, asked.off), len(lines) * len(steps), len(cells))


def _grid(asked: Asked, axes: list[tuple[str, ...]], across: int) -> Chosen:
    """Columns are the values of one dimension, rows the combinations of the others."""
    cells, columns = asked.cells, axes[across]
    if len(columns) > MOST_COLUMNS:
        return _bars(cells, asked.off)
    others = tuple(dict.fromkeys((*key[:across], *key[across + 1 :]) for key in cells))
    rows = [Row(_label(rest), tuple(cells.get(_joined(rest, across, name)) for name in columns)) for rest in others]
    kept = sorted(rows, key=lambda row: sum(value or 0 for value in row.values), reverse=True)[:MOST_ROWS]
    corner = _label(name for place, name in enumerate(asked.figures.by) if place != across)
    drawn = tuple(row for row in rows if row in kept)
    return Chosen(Grid(corner, columns, drawn), len(drawn) * len(columns), len(cells))


def _joined(rest: Key, place: int, value: str) -> Key:
    return (*rest[:place], value, *rest[place:])
