"""Noisy values as rows: each figure with the interval that holds what was counted, 95 times in 100.

A figure that is protected itself is shown as it was drawn, below zero too, and lies in the middle of its interval. A
figure that a measure derives (a curve, a share, a mean) is made of consistent values (see
:mod:`consentprofile.release.dp.consistency`) and its interval of the noise of all that it is made of; the interval is
cut at what the exact figure cannot be, and reaches to the figure where the two differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from consentprofile.release.dp.consistency import consistent
from consentprofile.release.dp.intervals import JOINT, half_width
from consentprofile.release.dp.protect import Mechanism, Noisy
from consentprofile.release.measures.measure import Figure, Key, Part
from consentprofile.release.spec import ReleaseSpec

MEAN: Final = "mean"
PERCENT: Final = "percent_by_then"


class Ranged(NamedTuple):
    """A figure, and between what the exact one lies."""

    value: Figure
    low: Figure
    high: Figure


def noisy_rows(spec: ReleaseSpec, noisy: Noisy) -> Iterator[tuple[Key, tuple[Figure, ...]]]:
    """Every key that is shown, in the order of the rows, with its figures, each followed by its low and high."""
    parts, own = len(spec.measure.parts), len(spec.measure.keys)
    values = [noisy.values[place : place + parts] for place in range(0, len(noisy.values), parts)]
    if noisy.mechanism.threshold is not None:
        for key, (value,) in zip(spec.keys, values, strict=True):
            if value is not None:
                yield key, _around(value, noisy.mechanism.intervals[0])
        return
    for begin in range(0, len(spec.keys), own):
        drawn = [tuple(value or 0 for value in row) for row in values[begin : begin + own]]
        group = _Group(spec, noisy, dict(zip(spec.measure.keys, drawn, strict=True)))
        for key, ours in zip(spec.keys[begin : begin + own], spec.measure.keys, strict=True):
            yield key, tuple(part for ranged in group.figures(ours) for part in ranged)


def find_widths(spec: ReleaseSpec, drawn: Mechanism) -> None:
    """Find how wide the intervals of all rows are, and have it remembered: for sums of a hundred rows with little loss
    that takes seconds, in which nobody should have to wait for a lock. It looks at the specification alone.
    """
    for _ in noisy_rows(spec, Noisy(drawn, (0,) * len(spec.cells), None)):
        pass


def _around(value: int, width: int) -> Ranged:
    return Ranged(value, value - width, value + width)


class _Group:
    """The rows of one combination of the dimensions: what a measure derives, it derives from these alone."""

    def __init__(self, spec: ReleaseSpec, noisy: Noisy, drawn: Mapping[Key, tuple[int, ...]]) -> None:
        self._parts, self._names = spec.measure.parts, spec.measure.figures
        self._noisy, self._drawn = noisy, drawn
        self._places = {part.name: place for place, part in enumerate(self._parts)}
        if set(self._names) <= self._places.keys():
            return
        usable = _means(self._parts, drawn) if MEAN in self._names else _bins(drawn)
        self._derived = spec.measure.derived(usable)
        if MEAN not in self._names:
            self._raw = spec.measure.derived({key: tuple(row) for key, row in drawn.items()})
            self._terms = spec.measure.derived(dict.fromkeys(drawn, (1,)))

    def figures(self, key: Key) -> Iterator[Ranged]:
        """The figures of a row."""
        for column, name in enumerate(self._names):
            if name in self._places:
                place = self._places[name]
                yield _around(self._drawn[key][place], self._noisy.mechanism.intervals[place])
            elif name == MEAN:
                yield _reaching(self._derived[key][column], *self._mean(key))
            elif name == PERCENT:
                yield _reaching(self._derived[key][column], *self._percent(key))
            else:
                yield _reaching(self._derived[key][column], *self._sum(key, column))

    def _sum(self, key: Key, column: int) -> tuple[float, float]:
        """Of a figure that adds bins up: as many as it has of bins that are all one."""
        value, width = _whole(self._raw[key][column]), self._width(_whole(self._terms[key][column]))
        return max(0, value - width), max(0, value + width)

    def _width(self, terms: int, confidence: float | None = None) -> int:
        noise = self._noisy.mechanism.parts[0]
        return half_width(noise, terms) if confidence is None else half_width(noise, terms, confidence)

    def _percent(self, key: Key) -> tuple[float, float]:
        """Of those up to a row in all: both sides of it have noise of their own, and intervals that hold jointly."""
        rows = list(self._drawn)
        end = rows.index(key) + 1
        within, beyond = ([row[0] for row in part] for part in (self._rows(rows[:end]), self._rows(rows[end:])))
        (low, high), (least, most) = (self._range(values) for values in (within, beyond))
        return (
            math.floor(1000 * low / (low + most)) / 10 if low + most else 0.0,
            math.ceil(1000 * high / (high + least)) / 10 if high + least else 100.0,
        )

    def _rows(self, keys: Sequence[Key]) -> list[tuple[int, ...]]:
        return [self._drawn[key] for key in keys]

    def _range(self, values: Sequence[int]) -> tuple[int, int]:
        width = self._width(len(values), JOINT)
        return max(0, sum(values) - width), max(0, sum(values) + width)

    def _mean(self, key: Key) -> tuple[float, float]:
        """Of a sum of hundredths over a number of accounts, each within an interval of its own that hold jointly.

        Where there may be no accounts at all, it may be anything that an account's own mean can be.
        """
        part, (count, total) = self._parts[1], self._drawn[key]
        least, most = _limits(part)
        accounts, sums = (half_width(noise, 1, JOINT) for noise in self._noisy.mechanism.parts)
        if count - accounts < 1:
            return least / 100, most / 100
        corners = [(total + side * sums) / (count + other * accounts) for side in (-1, 1) for other in (-1, 1)]
        low, high = (min(max(corner, least), most) for corner in (min(corners), max(corners)))
        return math.floor(low) / 100, math.ceil(high) / 100


def _limits(part: Part) -> tuple[int, int]:
    return min(0, part.least), part.limit


def _bins(drawn: Mapping[Key, tuple[int, ...]]) -> dict[Key, tuple[int | None, ...]]:
    """Consistent bins; where keys have several columns, those of each cohort (all but the last column) by themselves.

    Bins are the only part of measures that derive curves.
    """
    found: dict[Key, tuple[int | None, ...]] = {}
    for _, rows in groupby(drawn.items(), key=lambda row: row[0][:-1]):
        cohort = list(rows)
        values = consistent([row[0] for _, row in cohort])
        found |= {key: (value,) for (key, _), value in zip(cohort, values, strict=True)}
    return found


def _means(parts: Sequence[Part], drawn: Mapping[Key, tuple[int, ...]]) -> dict[Key, tuple[int | None, ...]]:
    """At least one account, and no sum that so many could not have."""
    least, most = _limits(parts[1])
    return {
        key: ((counted := max(1, count)), min(max(total, least * counted), most * counted))
        for key, (count, total) in drawn.items()
    }


def _whole(figure: Figure) -> int:
    if not isinstance(figure, int):
        raise TypeError("a sum of bins is a whole number")
    return figure


def _reaching(value: Figure, low: float, high: float) -> Ranged:
    """The figure with its interval, which reaches to it. Without any (a share of nobody) the interval stands alone."""
    return Ranged(value, low, high) if value is None else Ranged(value, min(low, value), max(high, value))
