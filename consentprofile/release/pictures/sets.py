"""Exclusive sets, UpSet-style: how many accounts were on exactly these, and no others.

After A. Lex et al., UpSet: Visualization of Intersecting Sets (https://upset.app), without the sizes of whole sets:
those would be margins.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from consentprofile.release.pictures.bars import EXACT, Off
from consentprofile.release.pictures.canvas import (
    FAINT,
    INK,
    MAIN,
    MARGIN,
    RULE,
    SMALL,
    WIDTH,
    Sheet,
    no_figure,
    number,
    short,
    top_of,
)

TALL: Final = 2.4
"""The height of the bars."""
ROW: Final = 0.3
GAP: Final = 0.15
STUB: Final = 0.14
MOST: Final = 20
"""The most sets that are drawn."""


class Joint(NamedTuple):
    """The accounts that were on all of ``members`` and on nothing else; None where the figure is not shown."""

    members: tuple[str, ...]
    value: float | None


class Sets(NamedTuple):
    """Exclusive sets over ``members``. The largest are drawn first, then those without a figure; at most 20."""

    members: tuple[str, ...]
    sets: tuple[Joint, ...]
    off: Off = EXACT

    @property
    def height(self) -> float:
        """Bars, and a row of dots for each member."""
        return TALL + GAP + len(self.members) * ROW

    @property
    def drawn(self) -> tuple[Joint, ...]:
        """The sets in the order in which they stand; equal ones stay in theirs."""
        known = [one for one in self.sets if one.value is not None]
        known.sort(key=lambda one: -(one.value or 0))
        return tuple([*known, *(one for one in self.sets if one.value is None)][:MOST])

    def draw(self, sheet: Sheet) -> None:
        """Bars above, and below each the dots of its members, joined."""
        drawn = self.drawn
        left = MARGIN + max(sheet.width_of(short(name)) for name in self.members) + 0.2
        step = min((WIDTH - MARGIN - left) / max(len(drawn), 1), 0.85)
        width = step * len(drawn)
        shown = [one.value for one in drawn if one.value is not None]
        size = 9 if step > 0.55 else SMALL - 1
        room = max((sheet.width_of(number(value), size) for value in shown), default=0.0)
        turned = room > step - 0.04  # figures side by side would touch
        high = (top_of(shown) + self.off.most) * (1 + (room / TALL + 0.04 if turned else 0.12))
        bars = sheet.axes(left, 0, width, TALL)
        dots = sheet.axes(left, TALL + GAP, width, len(self.members) * ROW)
        bars.set_ylim(0, high)
        dots.set_ylim(len(self.members), 0)
        for axes in (bars, dots):
            axes.set_xlim(0, len(drawn))
            axes.set_xticks([])
            axes.set_yticks([])
        bars.axhline(0, color=FAINT, linewidth=0.8)
        for row, name in enumerate(self.members):
            sheet.text(left - 0.2, TALL + GAP + (row + 0.5) * ROW, short(name), align="right")
            if row % 2 == 0:
                dots.axhspan(row, row + 1, color="#F4F4F4", linewidth=0)
        for place, one in enumerate(drawn):
            x = place + 0.5
            if one.value is None:
                no_figure(bars, x - 0.28, 0, 0.56, high * STUB / TALL)
            else:
                bars.bar(x, one.value, width=0.56, color=MAIN)
                low, up = self.off.span(one.value)
                if self.off.most:
                    bars.plot([x, x], [low, up], color=INK, linewidth=0.9, alpha=0.75)
                bars.text(
                    x,
                    max(up, 0) + high * 0.02,
                    number(one.value),
                    ha="center",
                    va="bottom",
                    size=size,
                    rotation=90 * turned,
                )
            rows = [self.members.index(name) for name in one.members]
            for row in range(len(self.members)):
                dots.plot(x, row + 0.5, marker="o", markersize=7, color=INK if row in rows else RULE)
            if rows:
                dots.plot([x, x], [min(rows) + 0.5, max(rows) + 0.5], color=INK, linewidth=1.8)
