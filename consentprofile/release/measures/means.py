"""Means of an amount or a bounded integer in each cell, every account weighing the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from consentprofile.release.measures.arrays import summed
from consentprofile.release.measures.measure import ACCOUNTS, COUNTED, Bins, Events, Figure, Key, Part
from consentprofile.release.measures.numbers import LARGEST_VALUE, NumberMeasure

HUNDREDTHS: Final = 100
"""An account's own mean is kept in hundredths of the field's unit."""


class Means(NumberMeasure, frozen=True):
    """An account adds its own mean over its matching events, held between ``-limit`` and ``limit``.

    The published mean is the rounded sum of these over the rounded number of accounts. Events without the field count
    nowhere.
    """

    name: ClassVar[str] = "means"
    bounds: ClassVar[str] = "the largest mean of one account that counts as it is"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The accounts, and the sum of their means in hundredths."""
        limit = self.limit * HUNDREDTHS
        return (*COUNTED, Part("sum", limit, -limit if self.signed else 0))

    @property
    def figures(self) -> tuple[str, ...]:
        """The accounts and their mean."""
        return (ACCOUNTS, "mean")

    def bins(self, events: Events) -> Bins:
        """The mean of an account in each of its cells, to the nearest hundredth, halves up."""
        import numpy as np

        values = np.clip(events.values[self.field], -LARGEST_VALUE, LARGEST_VALUE)
        account, cell, added, count = summed(events.account, events.cell, values)
        mean = (2 * HUNDREDTHS * added + count) // (2 * count)
        limit = self.limit * HUNDREDTHS
        return Bins(account, cell, (np.ones_like(added), np.clip(mean, -limit, limit)))

    def derived(self, cells: Mapping[Key, tuple[int | None, ...]]) -> Mapping[Key, tuple[Figure, ...]]:
        """Accounts, and the mean to two decimals; neither without the other."""
        return {key: _row(*parts) for key, parts in cells.items()}


def _row(accounts: int | None, total: int | None) -> tuple[Figure, ...]:
    if accounts is None or total is None:
        return None, None
    return accounts, round(total / HUNDREDTHS / accounts, 2)
