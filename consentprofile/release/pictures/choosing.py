"""Which picture a release gets: an entry of :data:`PICTURES` for each measure; by its dimensions where it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from consentprofile.release.figures import ACCOUNTS, Figures
from consentprofile.release.pictures.bars import Bars, Groups
from consentprofile.release.pictures.canvas import Words, render
from consentprofile.release.pictures.dimensions import Asked, Chosen, by_dimensions
from consentprofile.release.pictures.journeys import funnel, overlap, retention, transitions, waits
from consentprofile.release.pictures.lines import Lines
from consentprofile.release.pictures.sets import Sets
from consentprofile.release.pictures.steps import Funnel

SUMS: Final = {
    "reached": "",
    "returned": ", and would make a share smaller (≤), larger (≥) or either (~)",
}
"""Columns that add up the figures of their own row and those that follow, and what hidden ones do to what is drawn."""


class Entry(NamedTuple):
    """The picture of a measure: its title, the column that is drawn (the first that there is), and its shape.

    The title may name a term of the measure (``{field}``), and ``{by}``, the dimensions.
    """

    title: str
    columns: tuple[str, ...]
    shape: Callable[[Asked], Chosen]


def picture(figures: Figures) -> tuple[bytes, bytes]:
    """The picture of a release as SVG and as PNG: the same figures and the same versions, the same bytes.

    Raises :class:`UnsupportedEnvironment` without the extra ``pictures``.
    """
    asked, chosen = choose(figures)
    return render(words(asked, chosen), chosen.shape)


def choose(figures: Figures) -> tuple[Asked, Chosen]:
    """The figures that are drawn, and their shape."""
    entry = _entry(figures)
    asked = Asked(figures, next(name for name in entry.columns if name in figures.values))
    return asked, entry.shape(asked)


def _entry(figures: Figures) -> Entry:
    other = Entry(f"{figures.measure.capitalize()}: {figures.values[0]}{{by}}", figures.values[:1], by_dimensions)
    return PICTURES.get(figures.measure, other)


# ---- words ------------------------------------------------------------------------------------------


def words(asked: Asked, chosen: Chosen) -> Words:
    """What stands around the picture: question and period above, protection below."""
    figures = asked.figures
    by = f" by {' and '.join(figures.by)}" if figures.by else ""
    midnight = "T00:00:00Z"
    days = all(at.endswith(midnight) for at in (figures.since, figures.until))
    since, until = (at.removesuffix(midnight) if days else at for at in (figures.since, figures.until))
    only = "; ".join(f"{name} {_any(values)}" for name, values in sorted(figures.where.items()))
    notes = [_rounding(asked, chosen)]
    if any(value is None for value in asked.cells.values()):
        amounts = set(figures.round_to) - {ACCOUNTS}
        least = f"fewer than {figures.min_accounts:,} accounts" + ", one that dominates" * bool(amounts)
        notes.append(
            f"hatched: no figure, for {least}, or none, or too near a group that had no figure{_besides(figures)}"
        )
    if asked.total is not None:
        notes.append(f"all together ≈ {asked.total:,}, counted anew: no sum of what is drawn")
    if figures.intervals and figures.measure == "retention":
        notes.append("hatched: a share of what may be nothing but noise; a share is held between none and all")
    if chosen.drawn < chosen.of:
        notes.append(
            f"{chosen.drawn:,} of {chosen.of:,} rows are drawn, the largest first; all of them are in the data"
        )
    return Words(
        title=_entry(figures).title.format_map({**figures.terms, "by": by}),
        below=f"{figures.purpose}, from {since} until {until} (UTC)" + (f" · only {only}" if only else ""),
        notes=tuple(notes),
    )


def _besides(figures: Figures) -> str:
    """What else hides a figure where there are margins."""
    return ", or to keep margins from telling another" * bool(figures.margins)


def _any(values: Sequence[str]) -> str:
    """One of these."""
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last


def _rounding(asked: Asked, chosen: Chosen) -> str:
    """How exact the drawn figures are, and what shows it."""
    name, figures = asked.column, asked.figures
    if figures.intervals:
        return _noise(asked, chosen)
    if name in SUMS:
        return f"≈ sums of rounded figures; a hidden one adds nothing{SUMS[name]}"
    if name not in figures.round_to:
        return f"≈ each {name} is made of rounded figures"
    shown = _shown(chosen)
    return f"≈ {name} rounded to {figures.round_to[name]:,}, off by at most {figures.largest_error[name]:,}{shown}"


def _noise(asked: Asked, chosen: Chosen) -> str:
    """What the noise means for what is drawn."""
    spent = ", ".join(f"{name} {value}" for name, value in asked.figures.protection.items() if name != "kind")
    width = f"{asked.off.most:,.2f}".rstrip("0").rstrip(".")
    return f"≈ with noise (differential privacy, {spent}): off by at most {width}, 95 times in 100{_shown(chosen)}"


def _shown(chosen: Chosen) -> str:
    """What shows how far figures can be off."""
    if isinstance(chosen.shape, Bars | Groups | Sets | Funnel):
        return " (fine lines)"
    return " (pale bands)" if isinstance(chosen.shape, Lines) else ""


PICTURES: Final[Mapping[str, Entry]] = {
    "reach": Entry("Reach: accounts{by}", (ACCOUNTS,), by_dimensions),
    "counts": Entry("Counts: events{by}", ("events",), by_dimensions),
    "sums": Entry("Sums of {field}{by}", ("sum",), by_dimensions),
    "means": Entry("Means of {field}{by}", ("mean",), by_dimensions),
    "overlap": Entry("Overlap: accounts by the set of values of {of} that they use", (ACCOUNTS,), overlap),
    "frequency": Entry("Frequency: accounts by the number of their events", (ACCOUNTS,), by_dimensions),
    "funnel": Entry("Funnel: accounts that got as far as each step", ("reached",), funnel),
    "retention": Entry("Retention: the share that came back, by {every}", ("returned", ACCOUNTS), retention),
    "transitions": Entry("Transitions: accounts from one {of} to the next", (ACCOUNTS,), transitions),
    "time-to-next": Entry("Time to next: accounts by the time until they went on", (ACCOUNTS,), waits),
    "segments": Entry("Segments: accounts by the first rule that they fit", (ACCOUNTS,), by_dimensions),
}
"""The picture of each measure."""
