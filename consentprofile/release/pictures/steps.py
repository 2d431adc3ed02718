"""A funnel: how many got as far as each step, and what share of those before them went on.

Shares are made of the rounded figures, so they are as rough as these.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from consentprofile.release.pictures.bars import EXACT, Bar, Off
from consentprofile.release.pictures.canvas import (
    FAINT,
    INK,
    MAIN,
    MARGIN,
    SMALL,
    WIDTH,
    Sheet,
    no_figure,
    number,
    short,
    top_of,
)

THICK: Final = 0.42
BETWEEN: Final = 0.34
STUB: Final = 0.32


class Funnel(NamedTuple):
    """The steps in order, each with the accounts that got as far; None where the figure is not shown.

    ``hidden`` says of each step whether those who got just as far have no figure: then all who got as far, or less far,
    are at least as many as their figure says, and shares would be of nothing.
    """

    steps: tuple[Bar, ...]
    off: Off = EXACT
    hidden: tuple[bool, ...] = ()

    @property
    def height(self) -> float:
        """Steps below each other, with room for what share went on."""
        return len(self.steps) * (THICK + BETWEEN) - BETWEEN

    def draw(self, sheet: Sheet) -> None:
        """Bars from the left; between them the share that went on, where both figures are known."""
        labels = [f"{place}  {short(step.label)}" for place, step in enumerate(self.steps, 1)]
        left = MARGIN + max(sheet.width_of(label) for label in labels) + 0.15
        shown = [step.value for step in self.steps if step.value is not None]
        width = WIDTH - MARGIN - left
        scale = (top_of(shown) + self.off.most) / max(width - 1.6, 1.0)
        axes = sheet.axes(left, 0, width, self.height)
        axes.set_xlim(0, scale * width)
        axes.set_ylim(self.height, 0)
        axes.set_xticks([])
        axes.set_yticks([])
        whole = not any(self.hidden)
        first = self.steps[0].value if whole else None
        for place, step in enumerate(self.steps):
            middle = place * (THICK + BETWEEN) + THICK / 2
            sheet.text(left - 0.15, middle, labels[place], align="right")
            if step.value is None:
                no_figure(axes, 0, middle - THICK / 2, STUB * scale, THICK)
                axes.text((STUB + 0.08) * scale, middle, "no figure", size=SMALL, color=FAINT, va="center")
                continue
            axes.barh(middle, step.value, height=THICK, color=MAIN)
            low, up = self.off.span(step.value)
            if self.off.most:
                axes.plot([low, up], [middle, middle], color=INK, linewidth=0.9, alpha=0.75)
            share = f"  {step.value / first:.0%} of step 1" if place and first and first > 0 else ""
            figure = number(step.value) + " or more" * any(self.hidden[place:])
            axes.text(max(up, 0) + 0.08 * scale, middle, figure + share, va="center")
            before = self.steps[place - 1].value if place and whole else None
            if before and before > 0:
                text = f"↓ {step.value / before:.0%} go on"
                axes.text(0.06 * scale, middle - (THICK + BETWEEN) / 2, text, size=SMALL, color=FAINT, va="center")
