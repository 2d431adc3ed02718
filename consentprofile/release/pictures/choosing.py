"""Which picture a release gets: one entry of :data:`SHAPES` for each measure; by its dimensions where it has none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from consentprofile.release.figures import ACCOUNTS, Figure, Figures
from consentprofile.release.pictures.bars import Bar, Bars, Groups, Off
from consentprofile.release.pictures.canvas import SERIES, Shape, Words, render
from consentprofile.release.pictures.grid import Grid, Row
from consentprofile.release.pictures.lines import Line, Lines

TIMES: Final = ("day", "week", "month")
"""The dimensions that are steps of time: drawn from left to right, in their order."""
ALL: Final = "all accounts"

MOST_BARS: Final = 40
MOST_GROUPED: Final = 36
MOST_PANELS: Final = 6
MOST_COLUMNS: Final = 14
MOST_ROWS: Final = 40

Key: TypeAlias = tuple[str, ...]
Cells: TypeAlias = Mapping[Key, Figure]


class Chosen(NamedTuple):
    """A shape, and how many of the figures it shows where that is not all."""

    shape: Shape
    drawn: int
    of: int


def picture(figures: Figures) -> tuple[bytes, bytes]:
    """The picture of a release as SVG and as PNG: the same figures and the same versions, the same bytes.

    Raises :class:`UnsupportedEnvironment` without the extra ``pictures``.
    """
    chosen = SHAPES.get(figures.measure, by_dimensions)(figures)
    return render(words(figures, chosen), chosen.shape)


def words(figures: Figures, chosen: Chosen) -> Words:
    """What stands around the picture: question and period above, protection below."""
    by = f" by {' and '.join(figures.by)}" if figures.by else ""
    midnight = "T00:00:00Z"
    days = all(at.endswith(midnight) for at in (figures.since, figures.until))
    since, until = (at.removesuffix(midnight) if days else at for at in (figures.since, figures.until))
    only = "; ".join(f"{name} {' or '.join(values)}" for name, values in sorted(figures.where.items()))
    notes = [_rounding(figures, chosen.shape)]
    if any(value is None for _, values in figures.cells() for value in values):
        least = f"fewer than {figures.min_accounts:,} accounts"
        notes.append(f"hatched: no figure, for {least}, or none, or too near a group that had no figure")
    if chosen.drawn < chosen.of:
        notes.append(f"{chosen.drawn:,} of {chosen.of:,} figures are drawn, the largest; all of them are in the data")
    return Words(
        title=f"{figures.measure.capitalize()}: {figures.values[-1]}{by}",
        below=f"{figures.purpose}, from {since} until {until} (UTC)" + (f" · only {only}" if only else ""),
        notes=tuple(notes),
    )


def _rounding(figures: Figures, shape: Shape) -> str:
    """How exact the drawn figures are, and what shows it."""
    name = figures.values[-1]
    if name not in figures.round_to:
        return f"≈ each {name} is made of rounded figures"
    shown = " (pale bands)" if isinstance(shape, Lines) else "" if isinstance(shape, Grid) else " (fine lines)"
    return f"≈ {name} rounded to {figures.round_to[name]:,}, off by at most {figures.largest_error[name]:,}{shown}"


# ---- by dimensions ----------------------------------------------------------------------------------


def by_dimensions(figures: Figures) -> Chosen:
    """Bars; lines where a dimension is time; groups of bars or a grid where there are two dimensions and more."""
    cells: dict[Key, Figure] = {key: values[-1] for key, values in figures.cells()}
    off = _off(figures)
    axes = [_values(cells, place) for place in range(len(figures.by))]
    if not axes:
        return _whole(Bars((Bar(ALL, cells.get(())),), off), cells)
    time = next((place for place, name in enumerate(figures.by) if name in TIMES), None)
    if time is not None:
        return _over_time(figures, cells, axes, time, off)
    if len(axes) == 1:
        return _bars(cells, off)
    across = min(range(len(axes)), key=lambda place: (len(axes[place]), -place))
    if len(axes) == 2 and len(axes[across]) <= len(SERIES) and len(cells) <= MOST_GROUPED:
        return _grouped(cells, axes, across, off)
    return _grid(figures, cells, axes, across)


def _off(figures: Figures) -> Off:
    name = figures.values[-1]
    return Off(figures.largest_error.get(name, 0), figures.policy_min_accounts if name == ACCOUNTS else 0)


def _values(cells: Iterable[Key], place: int) -> tuple[str, ...]:
    """The values of one dimension, in their order."""
    return tuple(dict.fromkeys(key[place] for key in cells))


def _whole(shape: Shape, cells: Cells) -> Chosen:
    return Chosen(shape, len(cells), len(cells))


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
    return _whole(Groups(series, groups, off), cells)


def _over_time(figures: Figures, cells: Cells, axes: list[tuple[str, ...]], time: int, off: Off) -> Chosen:
    """A line for each combination of the others, in panels; a grid where these would be too many."""
    steps = tuple(sorted(axes[time]))
    others = tuple(dict.fromkeys((*key[:time], *key[time + 1 :]) for key in cells))
    if len(others) > MOST_PANELS and len(steps) <= MOST_COLUMNS:
        return _grid(figures, cells, axes, time)
    rows = [(rest, tuple(cells.get(_joined(rest, time, step)) for step in steps)) for rest in others]
    kept = sorted(rows, key=lambda row: sum(value or 0 for value in row[1]), reverse=True)[:MOST_PANELS]
    lines = tuple(Line(_label(rest), values) for rest, values in rows if (rest, values) in kept)
    return Chosen(Lines(steps, lines, off), len(lines) * len(steps), len(cells))


def _grid(figures: Figures, cells: Cells, axes: list[tuple[str, ...]], across: int) -> Chosen:
    """Columns are the values of one dimension, rows the combinations of the others."""
    columns = axes[across]
    if len(columns) > MOST_COLUMNS:
        return _bars(cells, _off(figures))
    others = tuple(dict.fromkeys((*key[:across], *key[across + 1 :]) for key in cells))
    rows = [Row(_label(rest), tuple(cells.get(_joined(rest, across, name)) for name in columns)) for rest in others]
    kept = sorted(rows, key=lambda row: sum(value or 0 for value in row.values), reverse=True)[:MOST_ROWS]
    corner = _label(name for place, name in enumerate(figures.by) if place != across)
    drawn = tuple(row for row in rows if row in kept)
    return Chosen(Grid(corner, columns, drawn), len(drawn) * len(columns), len(cells))


def _joined(rest: Key, place: int, value: str) -> Key:
    return (*rest[:place], value, *rest[place:])


SHAPES: Final[Mapping[str, Callable[[Figures], Chosen]]] = {
    "reach": by_dimensions,
}
"""The picture of each measure."""
