"""The page: one table of ratios, one of figures, and what it all ran on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.measure import Ratio, Results, duration, spread

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"


def render(results: Results, machine: Iterable[tuple[str, str]], command: str, size: str) -> str:
    """What a run has found, as Markdown."""
    return "\n".join(_lines(results, machine, command, size)) + "\n"


def _lines(results: Results, machine: Iterable[tuple[str, str]], command: str, size: str) -> Iterator[str]:
    yield f"`{command}`: {size}"
    yield ""
    yield "### Ratios"
    yield ""
    yield from _table(("work", "beside", "ratio", "spread", "ours", "theirs"), map(_ratio, results.ratios))
    yield ""
    yield "### Figures"
    yield ""
    rows = [
        (figure.work.strip(), figure.value, figure.spread, figure.goal, _REACHED[figure.reached])
        for figure in results.figures
    ]
    yield from _table(("work", "median", "spread", "to reach", "reached"), rows)
    for note in results.notes:
        yield ""
        yield note
    yield ""
    yield "### Machine"
    yield ""
    yield from _table(("what", "which"), machine)


_REACHED: Final = {None: "", True: "yes", False: "**no**"}


def _ratio(ratio: Ratio) -> tuple[str, ...]:
    return (
        ratio.work,
        ratio.peer,
        f"**{ratio.median:.2f}**",
        f"{spread(ratio.rounds)}, {len(ratio.rounds)} rounds",
        duration(median(ratio.ours)),
        duration(median(ratio.theirs)),
    )


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
