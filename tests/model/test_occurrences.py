"""Occurrences are counted exactly, across every growth of the table that counts them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from consentprofile.model.occurrences import Occurrences


@given(st.lists(st.text(max_size=2)))
def test_each_identifier_is_numbered_from_zero(identifiers: list[str]) -> None:
    counted: Counter[str] = Counter()
    occurrences = Occurrences()
    for identifier in identifiers:
        assert occurrences.next(identifier) == counted[identifier]
        counted[identifier] += 1
    assert len(occurrences) == len(counted)


def test_nothing_is_forgotten_while_the_table_grows() -> None:
    occurrences = Occurrences()
    for number in range(20_000):
        assert occurrences.next(f"id-{number}") == 0
    assert all(occurrences.next(f"id-{number}") == 1 for number in range(20_000))
    assert occurrences.next("id-7") == 2
    assert len(occurrences) == 20_000
