"""Sums of an amount or a bounded integer over the matching events in each cell."""

from __future__ import annotations

from typing import ClassVar

from consentprofile.release.measures.arrays import summed
from consentprofile.release.measures.measure import SUM, Bins, Events, Part
from consentprofile.release.measures.numbers import LARGEST_VALUE, NumberMeasure


class Sums(NumberMeasure, frozen=True):
    """What an account adds to a cell is held between ``-limit`` and ``limit``, in the field's own unit.

    Amounts are in minor units. Events without the field count nowhere.
    """

    name: ClassVar[str] = "sums"
    margin: ClassVar[str | None] = SUM
    bounds: ClassVar[str] = "the most that one account adds to a cell"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The sum."""
        return (Part("sum", self.limit, -self.limit if self.signed else 0),)

    def bins(self, events: Events) -> Bins:
        """What an account adds to each of its cells."""
        import numpy as np

        # The sum is held within the limit, and not each value: of 5 and -2, held within 4 each, 2 would be left, and
        # the account would not be known for one whose sum was cut.
        values = np.clip(events.values[self.field], -LARGEST_VALUE, LARGEST_VALUE)
        account, cell, added, _ = summed(events.account, events.cell, values)
        return Bins(account, cell, (np.clip(added, -self.limit, self.limit),))
