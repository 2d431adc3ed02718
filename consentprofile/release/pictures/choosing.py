"""Which picture a release gets: an entry of :data:`PICTURES` for each measure; by its dimensions where it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from consentprofile.release.figures import ACCOUNTS, Figures
from consentprofile.release.measures.overlap import JOINT
from consentprofile.release.pictures.canvas import Words, render
from consentprofile.release.pictures.dimensions import Asked, Chosen, by_dimensions
from consentprofile.release.pictures.grid import Grid
from consentprofile.release.pictures.lines import Lines
from consentprofile.release.pictures.sets import Joint, Sets


class Entry(NamedTuple):
    """The picture of a measure: the column of figures that is drawn, and what makes the shape of it."""

    column: str
    shape: Callable[[Asked], Chosen]


def picture(figures: Figures) -> tuple[bytes, bytes]:
    """The picture of a release as SVG and as PNG: the same figures and the same versions, the same bytes.

    Raises :class:`UnsupportedEnvironment` without the extra ``pictures``.
    """
    asked, chosen = choose(figures)
    return render(words(asked, chosen), chosen.shape)


def choose(figures: Figures) -> tuple[Asked, Chosen]:
    """The figures that are drawn, and their shape."""
    entry = PICTURES.get(figures.measure, Entry(figures.values[0], by_dimensions))
    asked = Asked(figures, entry.column)
    return asked, entry.shape(asked)


# ---- words ------------------------------------------------------------------------------------------


def words(asked: Asked, chosen: Chosen) -> Words:
    """What stands around the picture: question and period above, protection below."""
    figures = asked.figures
    of = f" of {figures.terms['field']}" if "field" in figures.terms else ""
    by = f" by {' and '.join(figures.by)}" if figures.by else ""
    midnight = "T00:00:00Z"
    days = all(at.endswith(midnight) for at in (figures.since, figures.until))
    since, until = (at.removesuffix(midnight) if days else at for at in (figures.since, figures.until))
    only = "; ".join(f"{name} {' or '.join(values)}" for name, values in sorted(figures.where.items()))
    notes = [_rounding(asked, chosen)]
    if any(value is None for value in asked.cells.values()):
        least = f"fewer than {figures.min_accounts:,} accounts" + ", one that dominates" * (asked.column != ACCOUNTS)
        notes.append(f"hatched: no figure, for {least}, or none, or too near a group that had no figure")
    if chosen.drawn < chosen.of:
        notes.append(f"{chosen.drawn:,} of {chosen.of:,} figures are drawn, the largest; all of them are in the data")
    return Words(
        title=f"{figures.measure.capitalize()}{of}: {asked.column}{by}",
        below=f"{figures.purpose}, from {since} until {until} (UTC)" + (f" · only {only}" if only else ""),
        notes=tuple(notes),
    )


def _rounding(asked: Asked, chosen: Chosen) -> str:
    """How exact the drawn figures are, and what shows it."""
    name, figures = asked.column, asked.figures
    if name not in figures.round_to:
        return f"≈ each {name} is made of rounded figures"
    shown = " (fine lines)"
    if isinstance(chosen.shape, Lines):
        shown = " (pale bands)"
    elif isinstance(chosen.shape, Grid):
        shown = ""
    return f"≈ {name} rounded to {figures.round_to[name]:,}, off by at most {figures.largest_error[name]:,}{shown}"


# ---- measures with a shape of their own -------------------------------------------------------------


def overlap(asked: Asked) -> Chosen:
    """Exclusive sets over the values that are sets of one."""
    sets = tuple(Joint(tuple(key[-1].split(JOINT)), value) for key, value in asked.cells.items())
    shape = Sets(tuple(one.members[0] for one in sets if len(one.members) == 1), sets, asked.off)
    return Chosen(shape, len(shape.drawn), len(sets))


PICTURES: Final[Mapping[str, Entry]] = {
    "reach": Entry(ACCOUNTS, by_dimensions),
    "counts": Entry("events", by_dimensions),
    "sums": Entry("sum", by_dimensions),
    "means": Entry("mean", by_dimensions),
    "overlap": Entry(ACCOUNTS, overlap),
    "frequency": Entry(ACCOUNTS, by_dimensions),
}
"""The picture of each measure."""
