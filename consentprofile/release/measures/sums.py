"""Sums of an amount or a bounded integer over the matching events in each cell."""

from __future__ import annotations

from typing import ClassVar

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import CellMeasure
from consentprofile.release.measures.arrays import summed
from consentprofile.release.measures.measure import Bins, Events, Part, Words
from consentprofile.release.measures.numbers import is_signed, read_field, read_limit


class Sums(CellMeasure, frozen=True):
    """What an account adds to a cell is held between ``-limit`` and ``limit``, in the field's own unit.

    Amounts are in minor units. Events without the field count nowhere.
    """

    field: str
    limit: int
    signed: bool

    name: ClassVar[str] = "sums"

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Sums | None:
        """The field and the limit."""
        field = read_field(top, words)
        limit = read_limit(top, "the most that one account adds to a cell, in the unit of the field")
        return None if field is None or limit is None else cls(field.name, limit, is_signed(field))

    @property
    def terms(self) -> dict[str, object]:
        """The field and the limit."""
        return {"field": self.field, "limit": self.limit}

    @property
    def fields(self) -> tuple[str, ...]:
        """The field."""
        return (self.field,)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The sum."""
        return (Part("sum", self.limit, -self.limit if self.signed else 0),)

    def bins(self, events: Events) -> Bins:
        """What an account adds to each of its cells."""
        import numpy as np

        # Each value is held within the limit first, so that no sum overflows.
        values = np.clip(events.values[self.field], -self.limit, self.limit)
        account, cell, added, _ = summed(events.account, events.cell, values)
        return Bins(account, cell, (np.clip(added, -self.limit, self.limit),))
