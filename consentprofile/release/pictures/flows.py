"""Transitions as a Sankey diagram: from what, at the left, to what, at the right, each band as broad as its figure.

Nodes carry no sums: one account may be in several bands, and some bands have no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.release.pictures.canvas import FAINT, INK, MARGIN, SERIES, SMALL, WIDTH, Sheet, no_figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BROAD: Final = 3.2
"""The height of all bands together, and thereby the scale: the least, where there are many of them, ..."""
EACH: Final = 0.15
"""... for then each of them has so much on average, ..."""
BROADEST: Final = 0.9
"""... and the most that one of them has: few bands do not fill the sheet, however few are behind them."""
THINNEST: Final = 0.03
PAD: Final = 0.16
"""The space between nodes."""
STUB: Final = 0.13
"""The height of the mark for bands without a figure."""
SMALLEST: Final = 7.0
WRITTEN: Final = 0.085
"""From this breadth on a band has its figure written into it."""
LABEL: Final = 0.24
"""The least height of a node, so that its label has room."""
NODE: Final = 0.12
COLOURS: Final = (*SERIES, "#B0578A", "#7A858C")
MOST: Final = 30
"""The most bands that are drawn, the broadest first."""


class Flow(NamedTuple):
    """How many went from ``source`` to ``target``; None where the figure is not shown."""

    source: str
    target: str
    value: float | None


class _Node(NamedTuple):
    name: str
    top: float
    broad: float
    hidden: int

    @property
    def height(self) -> float:
        """Its bands, and below them the mark for those without a figure."""
        return self.broad + (STUB + 0.05) * bool(self.hidden)


class Flows(NamedTuple):
    """Bands from ``sources`` to ``targets``, both in the order in which they stand below each other."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    flows: tuple[Flow, ...]

    @property
    def drawn(self) -> tuple[Flow, ...]:
        """The bands that have a figure above zero, at most 30, in the order of their sources and targets."""
        known = [flow for flow in self.flows if flow.value is not None and flow.value > 0]
        kept = sorted(known, key=lambda flow: -(flow.value or 0))[:MOST]
        return tuple(flow for flow in known if flow in kept)

    @property
    def height(self) -> float:
        """The higher of both sides."""
        return max(_end(self._left()), _end(self._right())) + 0.1

    def _scale(self) -> float:
        """Inches for one of what is counted."""
        values = [flow.value or 0 for flow in self.drawn] or [1]
        return min(max(BROAD, EACH * len(values)) / sum(values), BROADEST / max(values))

    def _left(self) -> tuple[_Node, ...]:
        hidden = dict.fromkeys(self.sources, 0)
        for flow in self.flows:
            hidden[flow.source] += flow.value is None
        return self._side(self.sources, hidden, lambda flow: flow.source)

    def _right(self) -> tuple[_Node, ...]:
        return self._side(self.targets, {}, lambda flow: flow.target)

    def _side(self, names: Iterable[str], hidden: dict[str, int], of: Callable[[Flow], str]) -> tuple[_Node, ...]:
        nodes, top = [], 0.0
        for name in names:
            broad = sum(self._breadth(flow) for flow in self.drawn if of(flow) == name)
            nodes.append(_Node(name, top, max(broad, LABEL), hidden.get(name, 0)))
            top += nodes[-1].height + PAD
        return tuple(nodes)

    def _breadth(self, flow: Flow) -> float:
        return max((flow.value or 0) * self._scale(), THINNEST)

    def draw(self, sheet: Sheet) -> None:
        """Bands in the colour of their source; a hatched mark below a source counts its bands without a figure."""
        left, right = self._left(), self._right()
        names = [sheet.width_of(short(node.name, 22)) for node in (*left, *right)]
        notes = [sheet.width_of(_hidden(node), SMALLEST) for node in left if node.hidden]
        start = MARGIN + max(*names, *notes, 0) + 0.12
        width = WIDTH - 2 * start
        axes = sheet.axes(start, 0, width, self.height)
        axes.set_xlim(0, width)
        axes.set_ylim(self.height, 0)
        axes.set_xticks([])
        axes.set_yticks([])
        for node in left:
            sheet.text(start - 0.12, node.top + node.broad / 2, short(node.name, 22), align="right")
            if node.hidden:
                below = node.top + node.height - STUB
                no_figure(axes, 0, below, 0.5, STUB)
                sheet.text(start - 0.12, below + STUB / 2, _hidden(node), size=SMALLEST, color=FAINT, align="right")
        for node in right:
            sheet.text(start + width + 0.12, node.top + node.broad / 2, short(node.name, 22))
        self._bands(axes, width, left, right)

    def _bands(self, axes: Axes, width: float, left: tuple[_Node, ...], right: tuple[_Node, ...]) -> None:
        from matplotlib.patches import Rectangle

        leaving, arriving = ({node.name: node.top for node in side} for side in (left, right))
        order = {node.name: place for place, node in enumerate(left)}
        ends = {node.name: place for place, node in enumerate(right)}
        for flow in sorted(self.drawn, key=lambda flow: (order[flow.source], ends[flow.target])):
            broad, colour = self._breadth(flow), COLOURS[order[flow.source] % len(COLOURS)]
            top, below = leaving[flow.source], arriving[flow.target]
            _band(axes, width, top, below, broad, colour)
            for x in (0.0, width - NODE):
                y = top if x == 0 else below
                axes.add_patch(Rectangle((x, y), NODE, broad, facecolor=INK, linewidth=0))
            if broad >= WRITTEN and flow.value is not None:
                size = SMALL if broad > STUB else SMALLEST
                axes.text(NODE + 0.08, top + broad / 2, f"≈ {flow.value:,}", size=size, va="center")
            leaving[flow.source] += broad
            arriving[flow.target] += broad


def _band(axes: Axes, width: float, top: float, below: float, broad: float, colour: str) -> None:
    """A band that leaves and arrives level."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    first, last, middle = NODE, width - NODE, width / 2
    points = [(first, top), (middle, top), (middle, below), (last, below)]
    points += [
        (last, below + broad),
        (middle, below + broad),
        (middle, top + broad),
        (first, top + broad),
        (first, top),
    ]
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    axes.add_patch(PathPatch(Path(points, codes), facecolor=colour, alpha=0.6, edgecolor="white", linewidth=0.6))


def _hidden(node: _Node) -> str:
    return f"{node.hidden} without a figure"


def _end(nodes: tuple[_Node, ...]) -> float:
    return nodes[-1].top + nodes[-1].height if nodes else LABEL
