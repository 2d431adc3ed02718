"""The page: ratios, goals, pictures, figures, and what it all ran on, made of what the runs have kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import goals
from benchmarks.measure import duration
from benchmarks.parts import PARTS
from benchmarks.peers import EVERY
from benchmarks.results import Part, Ratio
from benchmarks.sizes import SIZES

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"


def render(parts: Iterable[Part], pictures: Iterable[tuple[str, str]] = ()) -> str:
    """What runs have found, as Markdown; ``pictures`` are (file, caption)."""
    sizes, names = list(SIZES), list(PARTS)
    ordered = sorted(parts, key=lambda part: (names.index(part.part), sizes.index(part.size)))
    return "\n".join(_lines(ordered, list(pictures))) + "\n"


def _lines(parts: list[Part], pictures: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "## Ratios"
    yield ""
    yield "Our time as a multiple of the peer's: **below 1 we are faster**. The median of the rounds, and their range."
    for part in parts:
        if part.ratios:
            yield from _head(part)
            yield from _ratios(part.ratios)
    yield ""
    yield "## What was to be reached"
    yield ""
    yield from _table(("work", "must", "aim", "measured", "reached", "run"), goals.rows(parts))
    if pictures:
        yield ""
        yield "## Curves"
        for file, caption in pictures:
            yield from ("", f"![{caption}]({file})", "", f"*{caption}*")
    yield ""
    yield "## Figures"
    for part in parts:
        yield from _head(part)
        rows = [(figure.work, figure.shown, figure.spread) for figure in part.figures if figure.work]
        if rows:
            yield from _table(("work", "value", "spread"), rows)
        for note in part.notes:
            yield from ("", note)
    yield ""
    yield "## Machine"
    yield from _machines(parts)


def _head(part: Part) -> Iterator[str]:
    yield from ("", f"### {part.title}", "")
    yield f"Size {part.size}, part `{part.part}` of `{part.command}`, {part.date}, {_took(part.seconds)} in all."
    yield ""


def _took(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _ratios(ratios: Sequence[Ratio]) -> Iterator[str]:
    """One line for each work, one column for each peer."""
    peers = sorted(dict.fromkeys(one.peer for one in ratios), key=[*EVERY, *(one.peer for one in ratios)].index)
    found = {(one.work, one.peer): one for one in ratios}
    rows = []
    for work in dict.fromkeys(one.work for one in ratios):
        mine = next(one for one in ratios if one.work == work).ours
        cells = (_cell(found.get((work, peer))) for peer in peers)
        rows.append((work, duration(median(mine)), *cells))
    yield from _table(("work", "ours takes", *(f"beside {peer}" for peer in peers)), rows)


def _cell(ratio: Ratio | None) -> str:
    if ratio is None:
        return ""
    rounds = ratio.rounds
    return f"**{ratio.median:.2f}**" + (f" ({min(rounds):.2f} to {max(rounds):.2f})" if len(rounds) > 1 else "")


def _machines(parts: Iterable[Part]) -> Iterator[str]:
    """One table for each machine, or state of one, with the runs it was measured on."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for part in parts:
        found.setdefault(tuple((what, which) for what, which in part.machine), []).append(f"{part.size} `{part.part}`")
    for machine, runs in found.items():
        yield ""
        if len(found) > 1:
            yield f"{', '.join(runs)}:"
            yield ""
        yield from _table(("what", "which"), machine)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"


def put(page: str, measured: str) -> str:
    """``page`` with what stands between its two marks replaced. Raises :class:`ValueError` for a page without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for what is measured: both marks must stand in it")
    return f"{before}{BEGIN}\n\n{measured}\n{END}{after}"
