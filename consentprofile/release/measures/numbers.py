"""What measures of numbers have in common: the field, and how much of it one account may add."""

from __future__ import annotations

from typing import ClassVar, Final, Self

from consentprofile.model.policy import AmountField, IntegerField
from consentprofile.model.toml_reader import Reader, did_you_mean, quoted
from consentprofile.release.measures.accounts import CellMeasure
from consentprofile.release.measures.measure import Words

LARGEST: Final = 1_000_000_000
"""The largest limit: 10 million in a currency of two decimals."""

LARGEST_VALUE: Final = 10**12
"""Values beyond it, on either side, count as this much, so that no sum of an account overflows."""


class NumberMeasure(CellMeasure, frozen=True):
    """A measure of one field of each cell, of which an account adds at most ``limit`` either way.

    Events without the field count nowhere. ``signed`` tells whether its values can be below zero.
    """

    field: str
    limit: int
    signed: bool

    bounds: ClassVar[str]
    """What the limit bounds, as the fault of a missing one says it."""

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Self | None:
        """The field and the limit."""
        field = _read_field(top, words)
        limit = top.integer("limit", f"{cls.bounds}, in the unit of the field", minimum=1, maximum=LARGEST)
        if field is None or limit is None:
            return None
        return cls(field.name, limit, isinstance(field, IntegerField) and field.minimum < 0)

    @property
    def terms(self) -> dict[str, object]:
        """The field and the limit."""
        return {"field": self.field, "limit": self.limit}

    @property
    def fields(self) -> tuple[str, ...]:
        """The field."""
        return (self.field,)


def _read_field(top: Reader, words: Words | None) -> AmountField | IntegerField | None:
    """The field, an amount or a bounded integer that the purpose collects."""
    name = top.text("field", "an amount or integer field that the purpose collects")
    if name is None or words is None:
        return None
    field = words.numbers.get(name)
    if field is None:
        near = did_you_mean(name, tuple(words.numbers))
        top.fault("field", f"{quoted(name)} is no amount or integer field that this purpose collects{near}")
    return field
