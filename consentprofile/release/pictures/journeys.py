"""The shapes of journeys: overlap, funnel, retention, transitions and waiting times, made of the published rows."""

from __future__ import annotations

from typing import Final

from consentprofile.release.figures import ACCOUNTS, Figure
from consentprofile.release.measures.overlap import JOINT
from consentprofile.release.pictures.bars import Bar, Bars
from consentprofile.release.pictures.canvas import number
from consentprofile.release.pictures.dimensions import MOST_ROWS, Asked, Cells, Chosen, whole
from consentprofile.release.pictures.flows import MOST, Flow, Flows
from consentprofile.release.pictures.grid import Grid, Row
from consentprofile.release.pictures.sets import Joint, Sets
from consentprofile.release.pictures.steps import Funnel

FEW: Final = 12
"""The nodes that stand at each side where no transition has a figure."""


def overlap(asked: Asked) -> Chosen:
    """Exclusive sets over the values that are sets of one."""
    sets = tuple(Joint(tuple(key[-1].split(JOINT)), value) for key, value in asked.cells.items())
    shape = Sets(tuple(one.members[0] for one in sets if len(one.members) == 1), sets, asked.off)
    return Chosen(shape, len(shape.drawn), len(sets))


def funnel(asked: Asked) -> Chosen:
    """The steps with all who got as far; where their order is free, how many steps."""
    free = asked.figures.terms.get("order") == "any"
    bars = tuple(Bar("any of the steps" if free else key[-1], value) for key, value in asked.cells.items())
    hidden = tuple(value is None for value in Asked(asked.figures, ACCOUNTS).cells.values())
    return whole(Funnel(bars, asked.off, hidden), asked.cells)


def retention(asked: Asked) -> Chosen:
    """A row for each cohort, and in it the shares of those that it began with; later periods are not over yet."""
    counted = Asked(asked.figures, ACCOUNTS).cells
    cohorts: dict[str, list[Figure]] = {}
    hidden: dict[str, list[bool]] = {}
    for key, value in asked.cells.items():
        cohorts.setdefault(key[0], []).append(value)
        hidden.setdefault(key[0], []).append(counted[key] is None)
    largest = sorted(cohorts, key=lambda name: cohorts[name][0] or 0, reverse=True)[:MOST_ROWS]
    rows = tuple(
        Row(
            name if values[0] is None else f"{name}  ({number(values[0])})",
            _noisy_shares(values, asked.off.most) if asked.figures.intervals else _shares(values),
            _marks(hidden[name]) if asked.column != ACCOUNTS and any(hidden[name]) else (),
        )
        for name, values in cohorts.items()
        if name in largest
    )
    every = str(asked.figures.terms.get("every", "period"))
    columns = tuple(str(after) for after in range(max(len(row.values) for row in rows)))
    shape = Grid(f"{every}, {every}s since", columns, rows, share=True)
    return Chosen(shape, sum(len(row.values) for row in rows), len(asked.cells))


def _shares(values: list[Figure]) -> tuple[float | None, ...]:
    """Parts of the first; none where that is not known, or noise made it none."""
    first = values[0]
    return tuple(None if value is None or first is None or first <= 0 else value / first for value in values)


def _noisy_shares(values: list[Figure], off: float) -> tuple[float | None, ...]:
    """The same where figures have noise: none of what may be nothing, and no share below none or above all."""
    first = values[0] or 0
    return tuple(None if value is None or first <= off else min(max(value / first, 0.0), 1.0) for value in values)


def _marks(hidden: list[bool]) -> tuple[str, ...]:
    """What hidden rows would do to shares of sums: those before make them smaller, the others larger.

    The first share is whole, whatever is hidden.
    """
    marks = {(False, False): "", (True, False): "≤ ", (False, True): "≥ ", (True, True): "~ "}
    return ("", *(marks[any(hidden[:place]), any(hidden[place:])] for place in range(1, len(hidden))))


def waits(asked: Asked) -> Chosen:
    """A bar for each wait; the labels say the longest of it."""
    bars = tuple(Bar(_wait(key[-1]), value) for key, value in asked.cells.items())
    return whole(Bars(bars, asked.off), asked.cells)


def _wait(name: str) -> str:
    """Seconds as people say them; what is no number stays as it is."""
    if not name.isdecimal():
        return name
    seconds = int(name)
    units = [("day", seconds // 86_400), ("hour", seconds // 3_600 % 24), ("minute", seconds // 60 % 60)]
    largest = next((place for place, (_, count) in enumerate(units) if count), 2)
    said = [f"{count} {unit}{'s' * (count > 1)}" for unit, count in units[largest : largest + 2] if count]
    return "within " + (" ".join(said) or f"{seconds} seconds")


def transitions(asked: Asked) -> Chosen:
    """The broadest bands, between those that they lead from and to, in the order of the rows."""
    cells = asked.cells
    known = [key for key, value in cells.items() if value is not None and value > 0]
    broad = set(sorted(known, key=lambda key: cells[key] or 0, reverse=True)[:MOST])
    sources = _ends(cells, broad, 0)
    targets = _ends(cells, broad, 1)
    shown = {key: value for key, value in cells.items() if key in broad or (value is None and key[0] in sources)}
    flows = tuple(Flow(key[0], key[1], value) for key, value in shown.items())
    return Chosen(Flows(sources, targets, flows), len(flows), len(cells))


def _ends(cells: Cells, broad: set[tuple[str, ...]], side: int) -> tuple[str, ...]:
    """The nodes of one side: those of the bands that are drawn, or the first few."""
    every = tuple(dict.fromkeys(key[side] for key in cells))
    return tuple(name for name in every if any(key[side] == name for key in broad)) or every[:FEW]
