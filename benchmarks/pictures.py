"""Pictures of the curves: SVG files beside the page, drawn from what the runs have kept."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.peers import COMMON, FERNET, INDEX, PLAIN, SAME_WORK, TUNED
from benchmarks.results import CALLS, RATE, READS, Curve, Part

# Okabe and Ito's colours, which people tell apart whatever colours they see; ours are the two strongest.
BLUE, RED, GREEN, ORANGE, SKY, PINK, GREY, INK = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#8A8A8A", "#222222",
)  # fmt: skip

_COLOURS: Final = {
    PLAIN: GREY,
    INDEX: GREEN,
    COMMON: ORANGE,
    TUNED: SKY,
    SAME_WORK: "#A06A00",
    FERNET: PINK,
    "consentprofile": BLUE,
    "consentprofile, 1 worker process": RED,
    "consentprofile, compacted": RED,
    "consentprofile, compacted, cold": RED,
    "record, relaxed": BLUE,
    "record, full": RED,
    "bare commit, relaxed": SKY,
    "bare commit, full": ORANGE,
    "record, relaxed, while another process compacts": GREEN,
}
_CAPTIONS: Final = {
    "rate.svg": "Events a second by the events in the store, one purpose, accounts in random order, 1,000 events in a "
    "transaction. Ours includes the compaction that recording does on its way. Stretches shorter than a tenth of what "
    "is in the store are drawn together, at their mean.",
    "calls.svg": "How long single calls took: half of them less than the value at 1 in 2, all but one in a hundred "
    "less than that at 1 in 100.",
    "reads.svg": "Time of one profile by the number of its events, median, audit entry included.",
}

_CLOSEST: Final = 1.1
"""How many times as far as the last one the next point of a rate lies, at least."""
_LONGEST: Final = 34
"""Letters of a name that still stand in one line."""

Line = tuple[str, Sequence[float], Sequence[float]]


def draw(parts: Iterable[Part], folder: Path) -> list[tuple[str, str]]:
    """Draw what there is into ``folder``; (file, caption) of each picture. :class:`ImportError` without matplotlib."""
    curves = [(part.size, curve) for part in parts for curve in part.curves]
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, picture, painter in (
        ("rate.svg", f"{RATE} 1000", _rate),
        ("calls.svg", CALLS, _calls),
        ("reads.svg", READS, _reads),
    ):
        lines = list(_joined(curve for _, curve in curves if curve.picture == picture))
        if painter is _rate:
            lines = [_averaged(line) for line in lines]
        if lines:
            _paint(lines, folder / name, painter)
            drawn.append((name, _CAPTIONS[name]))
    return drawn


def _joined(curves: Iterable[Curve]) -> Iterator[Line]:
    """One line for each name: where several runs have one, each point is of the shortest run that reaches so far."""
    named: dict[str, list[Curve]] = {}
    for curve in curves:
        named.setdefault(curve.name, []).append(curve)
    for name, found in named.items():
        points: list[tuple[float, float]] = []
        for curve in sorted(found, key=lambda one: max(one.x)):
            end = points[-1][0] if points else 0.0
            points += [point for point in zip(curve.x, curve.y, strict=True) if point[0] > end]
        yield name, [x for x, _ in points], [y for _, y in points]


def _averaged(rate: Line) -> Line:
    """The same rate in stretches that grow with what is there: on a logarithmic axis equal ones would lie on a heap."""
    name, x, y = rate
    points, begin, seconds = [(x[0], y[0])], x[0], 0.0
    for (before, at), speed in zip(pairwise(x), y[1:], strict=True):
        seconds += (at - before) / speed
        if at >= begin * _CLOSEST or at == x[-1]:
            points.append((at, (at - begin) / seconds))
            begin, seconds = at, 0.0
    return name, [at for at, _ in points], [speed for _, speed in points]


# ---- matplotlib, which has no types worth the name for what is done here ---------------------------


def _paint(lines: list[Line], path: Path, painter: Callable[[Any, list[Line]], None]) -> None:
    matplotlib = importlib.import_module("matplotlib")
    figures = importlib.import_module("matplotlib.figure")
    style = {
        "svg.hashsalt": "consentprofile",  # the same curves make the same file
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "text.color": INK,
    }
    with matplotlib.rc_context(style):
        figure = figures.Figure(figsize=(9.4, 5.0), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.grid(visible=True, which="major", color="#E3E3E3", linewidth=0.8)
        axes.set_axisbelow(True)
        painter(axes, lines)
        _label(figure, axes, lines)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, metadata=metadata, dpi=110)


def _colour(name: str) -> str:
    return _COLOURS.get(name, _COLOURS.get(name.rpartition(", ")[0], INK))


def _plot(axes: Any, line: Line, **more: object) -> None:  # noqa: ANN401 - see above
    name, x, y = line
    ours = name.startswith(("consentprofile", "record"))
    far = "cold" in name or "million" in name
    axes.plot(
        x, y, color=_colour(name), linewidth=2.4 if ours else 1.5, linestyle="--" if far else "-",
        zorder=3 if ours else 2, solid_capstyle="round", **more,
    )  # fmt: skip


def _label(figure: Any, axes: Any, lines: list[Line]) -> None:  # noqa: ANN401 - see above
    """Name each line at the right, in its colour and in the order of the ends, moved apart where names would touch."""
    right = max(x[-1] for _, x, _ in lines)
    axes.set_xlim(axes.get_xlim()[0], right)
    figure.canvas.draw()  # (lays everything out, so that heights can be told)
    box = axes.get_window_extent()
    step = 12.5 * figure.dpi / 72
    ends = sorted((float(axes.transData.transform((x[-1], y[-1]))[1]), name, x[-1], y[-1]) for name, x, y in lines)
    texts = [name if len(name) < _LONGEST else ",\n".join(name.rsplit(", ", 1)) for _, name, _, _ in ends]
    halves = [step * (text.count("\n") + 1) / 2 for text in texts]
    heights = [end[0] for end in ends]
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + halves[index - 1] + halves[index])
    limit = float(box.y1) + step
    for index in reversed(range(len(heights))):  # what has been pushed out at the top moves down again
        heights[index] = min(heights[index], limit - halves[index])
        limit = heights[index] - halves[index]
    for (_, name, x, y), text, height in zip(ends, texts, heights, strict=True):
        level = (height - box.y0) / box.height
        if x < right:
            axes.annotate(
                "", (x, y), (1.01, level), xycoords="data", textcoords="axes fraction", annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": _colour(name), "linewidth": 0.7, "linestyle": ":"}, zorder=1,
            )  # fmt: skip
        axes.annotate(
            text, (1.0, level), xycoords="axes fraction", xytext=(8, 0), textcoords="offset points", va="center",
            color=_colour(name), fontsize=9, linespacing=1.1,
            fontweight="bold" if name.startswith(("consentprofile", "record")) else "normal",
        )  # fmt: skip


def _scale(axis: Any, values: Iterable[float], show: Callable[[float], str], *, steps: Sequence[int]) -> None:  # noqa: ANN401
    """A logarithmic axis with ticks at ``steps`` times powers of ten, written out."""
    ticker = importlib.import_module("matplotlib.ticker")
    axis._set_axes_scale("log")
    low, high = min(values), max(values)
    ticks = [step * 10.0**power for power in range(-1, 12) for step in steps]
    inside = [tick for tick in ticks if low <= tick <= high]
    axis.set_major_locator(ticker.FixedLocator(inside))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: show(value)))
    axis.set_minor_locator(ticker.NullLocator())


def _short(number: float) -> str:
    for size, letter in ((1e6, "\nmillion"), (1e3, ",000")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def _time(microseconds: float) -> str:
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:g} s"
    return f"{microseconds / 1e3:g} ms" if microseconds >= 1e3 else f"{microseconds:g} µs"


def _around(lines: Iterable[Line]) -> tuple[float, float]:
    values = [value for _, _, y in lines for value in y]
    return min(values) / 1.25, max(values) * 1.25


def _rate(axes: Any, lines: list[Line]) -> None:  # noqa: ANN401
    for line in lines:
        _plot(axes, line)
    xs = [value for _, x, _ in lines for value in x]
    _scale(axes.xaxis, (min(xs) / 1.1, max(xs) * 1.1), _short, steps=(1,))
    low, high = _around(lines)
    _scale(axes.yaxis, (low, high), _short, steps=(1, 2, 5))
    axes.set_xlim(min(xs))
    axes.set_ylim(low, high)
    axes.set_xlabel("events in the store")
    axes.set_ylabel("events recorded a second")


def _calls(axes: Any, lines: list[Line]) -> None:  # noqa: ANN401
    ticker = importlib.import_module("matplotlib.ticker")
    moved: list[Line] = [(name, [1 / (1 - share) for share in x], [value / 1e3 for value in y]) for name, x, y in lines]
    for line in moved:
        _plot(axes, line)
    lines[:] = moved
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.FixedLocator([2, 10, 100, 1000]))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"1 in {value:,.0f}"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    low, high = _around(moved)
    _scale(axes.yaxis, (low, high), _time, steps=(1, 2, 5))
    axes.set_xlim(min(x[0] for _, x, _ in moved))
    axes.set_ylim(low, high)
    axes.set_xlabel("calls that took longer")
    axes.set_ylabel("time of one call")


def _reads(axes: Any, lines: list[Line]) -> None:  # noqa: ANN401
    moved: list[Line] = [(name, x, [value / 1e3 for value in y]) for name, x, y in lines]
    for line in moved:
        _plot(axes, line, marker="o", markersize=4.5)
    lines[:] = moved
    xs = [value for _, x, _ in lines for value in x]
    _scale(axes.xaxis, (min(xs), max(xs)), _short, steps=(1,))
    low, high = _around(moved)
    _scale(axes.yaxis, (low, high), _time, steps=(1, 2, 5))
    axes.set_ylim(low, high)
    axes.set_xlabel("events of the profile")
    axes.set_ylabel("time of one profile")
