"""Figures as bars: one for each value of a dimension, in groups where there are two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.release.pictures.canvas import (
    FAINT,
    INK,
    MAIN,
    MARGIN,
    NORMAL,
    SERIES,
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

THICK: Final = 0.26
"""The height of a bar."""
SPACE: Final = 0.14
"""The space between bars, or between groups of them."""
STUB: Final = 0.32
"""The width of the mark for no figure."""
LEGEND: Final = 0.35


class Off(NamedTuple):
    """How far a figure can be from the exact one, in its own unit, and what the exact one never falls below."""

    most: float = 0.0
    least: float = 0.0

    def span(self, value: float) -> tuple[float, float]:
        """Between what the exact value lies."""
        low = value - self.most
        return low if value < 0 else max(low, min(self.least, value)), value + self.most


EXACT: Final = Off()


class Bar(NamedTuple):
    """A labelled figure; None where it is not shown."""

    label: str
    value: float | None


class Bars(NamedTuple):
    """One bar for each label, in their order."""

    bars: tuple[Bar, ...]
    off: Off = EXACT

    @property
    def height(self) -> float:
        """One bar below the other."""
        return len(self.bars) * (THICK + SPACE)

    def draw(self, sheet: Sheet) -> None:
        """Labels at the left, figures at the ends of the bars, a fine line for what they can be off."""
        left = MARGIN + max(sheet.width_of(short(bar.label)) for bar in self.bars) + 0.12
        axes, scale = _plane(sheet, left, self.height, [bar.value for bar in self.bars], self.off)
        for place, bar in enumerate(self.bars):
            middle = place * (THICK + SPACE) + (THICK + SPACE) / 2
            sheet.text(left - 0.12, middle, short(bar.label), align="right")
            _bar(axes, scale, middle, bar.value, MAIN, self.off)


class Groups(NamedTuple):
    """A group of bars for each label, and in it one bar for each of the ``series``: at most as many as colours."""

    series: tuple[str, ...]
    groups: tuple[tuple[str, tuple[float | None, ...]], ...]
    off: Off = EXACT

    @property
    def height(self) -> float:
        """One group below the other, and what the colours mean."""
        return LEGEND + len(self.groups) * self._group

    @property
    def _group(self) -> float:
        return len(self.series) * THICK * 0.8 + SPACE

    def draw(self, sheet: Sheet) -> None:
        """Groups below each other; the order of colours is that of the legend."""
        left = MARGIN + max(sheet.width_of(short(label)) for label, _ in self.groups) + 0.12
        every = [value for _, values in self.groups for value in values]
        axes, scale = _plane(sheet, left, self.height, every, self.off, LEGEND)
        self._legend(sheet, axes, left, scale)
        step = THICK * 0.8
        for place, (label, values) in enumerate(self.groups):
            top = LEGEND + place * self._group + SPACE / 2
            sheet.text(left - 0.12, top + step * len(values) / 2, short(label), align="right")
            for at, value in enumerate(values):
                _bar(axes, scale, top + step * (at + 0.5), value, SERIES[at], self.off, thick=step * 0.88)

    def _legend(self, sheet: Sheet, axes: Axes, left: float, scale: float) -> None:
        x = 0.0
        for name, colour in zip(self.series, SERIES, strict=False):
            axes.barh(0.12, 0.14 * scale, left=x * scale, height=0.14, color=colour, edgecolor=FAINT, linewidth=0.4)
            sheet.text(left + x + 0.2, 0.12, short(name, 22), size=SMALL)
            x += 0.45 + sheet.width_of(short(name, 22), SMALL)


def _plane(
    sheet: Sheet, left: float, height: float, values: list[float | None], off: Off, head: float = 0.0
) -> tuple[Axes, float]:
    """Axes whose y is in inches from the top, and the value that one inch of x stands for."""
    shown = [value for value in values if value is not None]
    room = max((sheet.width_of(number(value), NORMAL) for value in shown), default=0.0)
    width = WIDTH - MARGIN - left
    low = min([0.0, *(off.span(value)[0] for value in shown)])
    scale = (top_of(shown) + off.most - low) / max(width - room - 0.25, 1.0)
    axes = sheet.axes(left, 0, width, height)
    axes.set_xlim(low, low + scale * width)
    axes.set_ylim(height, 0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.plot([0, 0], [head, height], color=FAINT, linewidth=0.8)
    return axes, scale


def _bar(
    axes: Axes, scale: float, middle: float, value: float | None, colour: str, off: Off, thick: float = THICK
) -> None:
    if value is None:
        no_figure(axes, 0, middle - thick / 2, STUB * scale, thick)
        axes.text((STUB + 0.08) * scale, middle, "no figure", size=SMALL, color=FAINT, va="center")
        return
    edge = FAINT if colour in SERIES[2:] else colour
    axes.barh(middle, value, height=thick, color=colour, edgecolor=edge, linewidth=0.5)
    end = max(value, 0.0)
    if off.most:
        low, end = off.span(value)
        axes.plot([low, end], [middle, middle], color=INK, linewidth=0.9, alpha=0.75)
        for tip in (low, end):
            axes.plot([tip, tip], [middle - 0.04, middle + 0.04], color=INK, linewidth=0.9, alpha=0.75)
    axes.text(max(end, 0.0) + 0.08 * scale, middle, number(value), va="center", size=NORMAL if thick > 0.2 else SMALL)
