"""Figures as fields of a grid, the darker the more: two dimensions and more, and retention by cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.release.pictures.canvas import FAINT, MARGIN, SMALL, WIDTH, Sheet, no_figure, short, top_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW: Final = 0.32
HEAD: Final = 0.35
PALE: Final = (236, 243, 248)
DARK: Final = (9, 70, 110)
"""The fields for nothing and for the most, red, green, blue: one hue, so that lightness alone tells."""
TURN: Final = 0.55
"""From this share of the most on, figures are written in white."""


class Row(NamedTuple):
    """A labelled row of figures; None where one is not shown. A row that ends early has nothing to show yet.

    ``marks``, where there are any, stand before the figures.
    """

    label: str
    values: tuple[float | None, ...]
    marks: tuple[str, ...] = ()


class Grid(NamedTuple):
    """Rows of figures under ``columns``. ``share`` writes them as percentages, and makes one whole the most."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    share: bool = False

    @property
    def height(self) -> float:
        """A head and rows."""
        return HEAD + len(self.rows) * ROW

    def draw(self, sheet: Sheet) -> None:
        """Each figure stands in its field; a field without one is hatched."""
        labels = [short(row.label, 36) for row in self.rows]
        left = MARGIN + max(sheet.width_of(label, 9) for label in [*labels, self.corner]) + 0.15
        width = WIDTH - MARGIN - left
        field = min(width / len(self.columns), 1.6)
        axes = sheet.axes(left, HEAD, field * len(self.columns), self.height - HEAD)
        axes.set_xlim(0, len(self.columns))
        axes.set_ylim(len(self.rows), 0)
        axes.set_xticks([])
        axes.set_yticks([])
        sheet.text(left - 0.15, HEAD / 2, self.corner, size=SMALL, color=FAINT, align="right")
        letters = max(3, int(field * 12))
        for place, column in enumerate(self.columns):
            sheet.text(left + (place + 0.5) * field, HEAD / 2, short(column, letters), size=SMALL, align="center")
        most = 1.0 if self.share else top_of([value for row in self.rows for value in row.values if value is not None])
        for place, row in enumerate(self.rows):
            sheet.text(left - 0.15, HEAD + (place + 0.5) * ROW, labels[place], size=9, align="right")
            for at, value in enumerate(row.values):
                mark = row.marks[at] if row.marks else ""
                self._field(axes, (at, place), value, mark, most, small=field < 0.6)

    def _field(
        self, axes: Axes, corner: tuple[int, int], value: float | None, mark: str, most: float, *, small: bool
    ) -> None:
        from matplotlib.patches import Rectangle

        at, place = corner
        if value is None:
            no_figure(axes, at + 0.04, place + 0.06, 0.92, 0.88)
            return
        part = min(abs(value) / most, 1.0)
        shade = tuple((pale + (dark - pale) * part) / 255 for pale, dark in zip(PALE, DARK, strict=True))
        axes.add_patch(Rectangle((at + 0.02, place + 0.03), 0.96, 0.94, facecolor=shade, linewidth=0))
        text = f"{value:.0%}" if self.share else f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
        ink = "white" if part >= TURN else "#222222"
        size = 7.5 if small else 9
        axes.text(at + 0.5, place + 0.5, mark + text, color=ink, size=size, ha="center", va="center")
