"""A release as a table: a row for each key, with the figures that its measure shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consentprofile.release.measures.measure import Figure, Key
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.threshold import PublishedCell


def columns(spec: ReleaseSpec) -> tuple[str, ...]:
    """The names of all columns: those of the keys, then those of the figures."""
    return (*spec.columns, *spec.measure.figures)


def rows(spec: ReleaseSpec, published: Sequence[PublishedCell]) -> Iterator[tuple[Key, tuple[Figure, ...]]]:
    """Every key with its figures, in the order of the rows.

    ``published`` are all cells in the order of ``spec.cells``. Whatever a measure derives (a curve, a mean) is derived
    for each combination of the dimensions by itself, and from these figures alone.
    """
    parts, own = len(spec.measure.parts), len(spec.measure.keys)
    values = [cell.value for cell in published]
    if len(values) != parts * len(spec.keys):
        raise ValueError("a release has a figure for each of its cells")
    protected = [tuple(values[place : place + parts]) for place in range(0, len(values), parts)]
    for begin in range(0, len(spec.keys), own):
        derived = spec.measure.derived(dict(zip(spec.measure.keys, protected[begin : begin + own], strict=True)))
        for key, ours in zip(spec.keys[begin : begin + own], spec.measure.keys, strict=True):
            yield key, derived[ours]
