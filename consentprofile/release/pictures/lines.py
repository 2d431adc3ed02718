"""Figures over time: a line for each value of the other dimensions, each in a panel of its own, all to one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.release.pictures.bars import EXACT, Off
from consentprofile.release.pictures.canvas import (
    FAINT,
    MAIN,
    RULE,
    SMALL,
    WIDTH,
    Sheet,
    no_figure,
    number,
    short,
    top_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL: Final = 1.35
ALONE: Final = 2.6
"""The height of a panel, and of one that is alone."""
GAP: Final = 0.35
FOOT: Final = 0.3
STUB: Final = 0.16
"""The height of the mark for no figure."""
LEFT: Final = 0.95
RIGHT: Final = 0.85
TICKS: Final = 10
"""The most dates that are written out."""


class Line(NamedTuple):
    """One figure for each step of time; None where it is not shown. ``label`` is empty where there is one line."""

    label: str
    values: tuple[float | None, ...]


class Lines(NamedTuple):
    """Lines over the same ``steps``, which are in order."""

    steps: tuple[str, ...]
    lines: tuple[Line, ...]
    off: Off = EXACT

    @property
    def height(self) -> float:
        """Panel below panel, and the dates."""
        return len(self.lines) * (self._panel + GAP) - GAP / 2 + FOOT

    @property
    def _panel(self) -> float:
        return ALONE if len(self.lines) == 1 else PANEL

    def draw(self, sheet: Sheet) -> None:
        """A line is broken where there is no figure, and the mark stands on the ground."""
        shown = [value for line in self.lines for value in line.values if value is not None]
        high = (top_of(shown) + self.off.most) * 1.12
        low = min([0.0, *(self.off.span(value)[0] for value in shown)])
        for place, line in enumerate(self.lines):
            top = GAP / 2 + place * (self._panel + GAP)
            axes = sheet.axes(LEFT, top, WIDTH - LEFT - RIGHT, self._panel)
            if line.label:
                sheet.text(LEFT, top - 0.1, short(line.label, 60), weight="bold", size=9)
            axes.set_xlim(-0.6, len(self.steps) - 0.4)
            axes.set_ylim(low, high)
            _ground(axes, high)
            self._line(axes, line, high)
            last = place == len(self.lines) - 1
            every = self._every(sheet)
            places = range(0, len(self.steps), every)
            axes.set_xticks(list(places), [short(self.steps[at], 12) for at in places] if last else [""] * len(places))
            axes.tick_params(axis="both", labelsize=SMALL)

    def _every(self, sheet: Sheet) -> int:
        """At how many steps there is a date, so that dates do not touch."""
        widest = max(sheet.width_of(short(step, 12), SMALL) for step in self.steps) + 0.15
        room = int((WIDTH - LEFT - RIGHT) / widest)
        return -(-len(self.steps) // max(1, min(TICKS, room)))

    def _line(self, axes: Axes, line: Line, high: float) -> None:
        runs: list[list[int]] = [[]]
        for at, value in enumerate(line.values):
            if value is None:
                no_figure(axes, at - 0.32, 0, 0.64, high * STUB / self._panel)
                runs.append([])
            else:
                runs[-1].append(at)
        last = None
        for run in runs:
            values = [(at, value) for at in run if (value := line.values[at]) is not None]
            if values:
                spans = [self.off.span(value) for _, value in values]
                places, heights = [at for at, _ in values], [value for _, value in values]
                if self.off.most:
                    edges = [at + side for at in places for side in (-0.18, 0.18)] if len(places) == 1 else places
                    twice = spans * 2 if len(places) == 1 else spans
                    axes.fill_between(
                        edges, [low for low, _ in twice], [up for _, up in twice], color=MAIN, alpha=0.16, linewidth=0
                    )
                axes.plot(places, heights, color=MAIN, linewidth=2, marker="o", markersize=4, solid_capstyle="round")
                last = values[-1]
        if last is not None:
            axes.annotate(number(last[1]), last, (9, 0), textcoords="offset points", va="center", annotation_clip=False)


def _ground(axes: Axes, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=high > 5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if high > 5 else f"{value:g}"))
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", colors=FAINT)
    axes.axhline(0, color=FAINT, linewidth=0.8)
