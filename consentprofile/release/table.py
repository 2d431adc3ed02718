"""A release as a table: a row for each key, with the figures that its measure shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consentprofile.release.dp.protect import Noisy
from consentprofile.release.dp.rows import noisy_rows
from consentprofile.release.measures.measure import Figure, Key
from consentprofile.release.protection import interval_columns
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.threshold import PublishedCell


def columns(spec: ReleaseSpec) -> tuple[str, ...]:
    """The names of all columns: those of the keys, then those of the figures."""
    return (*spec.columns, *figures(spec))


def figures(spec: ReleaseSpec) -> tuple[str, ...]:
    """The names of the figures: those of the measure; where noise is added, each followed by between what it lies."""
    names = spec.measure.figures
    if spec.noise is None:
        return names
    return tuple(name for figure in names for name in (figure, *interval_columns((figure,))))


def rows(spec: ReleaseSpec, published: Sequence[PublishedCell] | Noisy) -> Iterator[tuple[Key, tuple[Figure, ...]]]:
    """Every key that is shown, with its figures, in the order of the rows.

    ``published`` are all cells in the order of ``spec.cells``, margins behind them. Whatever a measure derives (a
    curve, a mean) is derived for each combination of the dimensions by itself, and from these figures alone.
    """
    if isinstance(published, Noisy):
        yield from noisy_rows(spec, published)
        return
    parts, own = len(spec.measure.parts), len(spec.measure.keys)
    every = [cell.value for cell in published]
    values, margins = every[: parts * len(spec.keys)], every[parts * len(spec.keys) :]
    if len(values) != parts * len(spec.keys) or len(margins) != len(spec.margins):
        raise ValueError("a release has a figure for each of its cells")
    protected = [tuple(values[place : place + parts]) for place in range(0, len(values), parts)]
    for begin in range(0, len(spec.keys), own):
        derived = spec.measure.derived(dict(zip(spec.measure.keys, protected[begin : begin + own], strict=True)))
        for key, ours in zip(spec.keys[begin : begin + own], spec.measure.keys, strict=True):
            yield key, derived[ours]
    for margin, figure in zip(spec.margins, margins, strict=True):
        yield margin.key, spec.measure.whole(figure)
