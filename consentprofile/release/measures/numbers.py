"""What measures of numbers read: the field, and how much of it one account may add."""

from __future__ import annotations

from typing import Final

from consentprofile.model.policy import AmountField, IntegerField
from consentprofile.model.toml_reader import Reader, did_you_mean, quoted
from consentprofile.release.measures.measure import Words

LARGEST: Final = 1_000_000_000
"""The largest limit: 10 million in a currency of two decimals."""


def read_field(top: Reader, words: Words | None) -> AmountField | IntegerField | None:
    """The field, an amount or a bounded integer that the purpose collects."""
    name = top.text("field", "an amount or integer field that the purpose collects")
    if name is None or words is None:
        return None
    field = words.numbers.get(name)
    if field is None:
        near = did_you_mean(name, tuple(words.numbers))
        top.fault("field", f"{quoted(name)} is no amount or integer field that this purpose collects{near}")
    return field


def read_limit(top: Reader, expected: str) -> int | None:
    """What bounds the contribution of one account."""
    return top.integer("limit", expected, minimum=1, maximum=LARGEST)


def is_signed(field: AmountField | IntegerField) -> bool:
    """Whether its values can be below zero."""
    return isinstance(field, IntegerField) and field.minimum < 0
