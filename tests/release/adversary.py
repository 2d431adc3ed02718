"""Somebody who knows every rule and whatever was published, as tests play him: what he can bound each row to.

Written apart from the package: what a figure stands for is found by rounding numbers, not by undoing it; tables that
agree with what he knows are enumerated one by one, or searched by SciPy's integer programming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from consentprofile.model.policy import ReleaseRules
from consentprofile.release.measures.measure import Key
from consentprofile.release.threshold import rounded

ALL = "(all)"
FAR = 9973
"""Without an end: no row of these tests has as many accounts."""

ENUMERATED = 60
"""As far as rows without an end are enumerated: to look at fewer tables only makes the test stricter."""


class Row(NamedTuple):
    """One row of a table: how many stand in it, what the rules made of it, and what was published.

    ``own``: the rules found no near row. ``near``: the row of this release whose figure it was given.
    """

    key: Key
    accounts: int
    settled: int | None
    own: bool
    near: int | None
    figure: int | None


class Adversary:
    """``rows`` with margins last; ``union``: an account may stand in several parts of a margin."""

    def __init__(self, rows: Sequence[Row], rules: ReleaseRules, *, union: bool) -> None:
        self.rows, self.rules, self.union = rows, rules, union
        self.places = {row.key: place for place, row in enumerate(rows)}
        self.base = sum(ALL not in row.key for row in rows)

    def knows(self, place: int) -> tuple[int, int]:
        """The least and the most that a row can have, all by itself."""
        row, k = self.rows[place], self.rules.min_accounts
        if place >= self.base and all(margin.figure is None for margin in self.rows[self.base :]):
            return 0, FAR  # all of them are hidden, whatever they are
        if row.figure is not None:
            counts = [count for count in range(k, 2000) if rounded(count, self.rules) == row.figure]
            away = 0 if row.own else k - 1
            return max(k, counts[0] - away), counts[-1] + away
        if row.settled is not None:
            return k, FAR  # it was hidden because of margins
        return (0, k - 1) if row.accounts < k else (0, FAR)

    def together(self) -> Iterator[tuple[dict[int, int], int, int]]:
        """(row → factor, least, most) of everything that he knows of rows together."""
        k = self.rules.min_accounts
        for place in range(self.base, len(self.rows)):
            key = self.rows[place].key
            for at in (at for at, word in enumerate(key) if word == ALL):
                line = [
                    other for other, row in enumerate(self.rows)
                    if row.key[at] != ALL and (*row.key[:at], ALL, *row.key[at + 1 :]) == key
                ]  # fmt: skip
                yield {place: -1} | dict.fromkeys(line, 1), 0, FAR if self.union else 0
                if self.union:
                    yield from (({place: 1, part: -1}, 0, FAR) for part in line)
            for other, row in enumerate(self.rows):
                beneath = other != place and all(above in (ALL, word) for above, word in zip(key, row.key, strict=True))
                if beneath and all(one.own and one.figure is not None for one in (row, self.rows[place])):
                    yield {place: 1, other: -1}, k, FAR
        for place, row in enumerate(self.rows):
            if row.near is not None and None not in (row.figure, self.rows[row.near].figure):
                yield {place: 1, row.near: -1}, 1 - k, k - 1

    def enumerated(self) -> NDArray[np.int64]:
        """Every table that agrees with what he knows, one in each line; additive, or with one margin."""
        axes = [self._counts(place) for place in range(self.base)]
        if self.union:
            axes.append(self._counts(self.base))
        tables = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
        for row in self.rows[tables.shape[1] :]:
            parts = [
                part for part in range(self.base)
                if all(above in (ALL, word) for above, word in zip(row.key, self.rows[part].key, strict=True))
            ]  # fmt: skip
            tables = np.column_stack([tables, tables[:, parts].sum(axis=1)])
        fits = np.ones(len(tables), dtype=bool)
        for place in range(len(self.rows)):
            low, high = self.knows(place)
            fits &= (tables[:, place] >= low) & (tables[:, place] <= high)
        for terms, low, high in self.together():
            total = sum(factor * tables[:, place] for place, factor in terms.items())
            fits &= (total >= low) & (total <= high)
        return tables[fits]

    def _counts(self, place: int) -> NDArray[np.int64]:
        low, high = self.knows(place)
        return np.arange(low, min(high, ENUMERATED) + 1)

    def searched(self, place: int) -> tuple[int, int]:
        """The least and the most of a row over all whole tables that agree with what he knows."""
        known = np.array([self.knows(row) for row in range(len(self.rows))], dtype=float)
        between = list(self.together())
        matrix = np.zeros((len(between), len(self.rows)))
        for line, (terms, _, _) in enumerate(between):
            matrix[line, list(terms)] = list(terms.values())
        ends = np.array([(low, high) for _, low, high in between], dtype=float).reshape(-1, 2)
        ends[ends == FAR] = np.inf
        cost = np.zeros(len(self.rows))
        found = []
        for sense in (1, -1):
            cost[place] = sense
            solved = scipy.optimize.milp(
                cost,
                integrality=np.ones(len(self.rows)),
                bounds=scipy.optimize.Bounds(known[:, 0], known[:, 1]),
                constraints=scipy.optimize.LinearConstraint(matrix, ends[:, 0], ends[:, 1]),
            )
            assert solved.success, "what he knows contradicts itself"
            found.append(round(sense * solved.fun))
        return found[0], found[1]
