"""Counts of recording: canonical bytes that add up, and name no account."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.errors import CorruptRecord
from consentprofile.store import counts

KEYS = st.tuples(st.sampled_from(["support", "marketing", "analytics"]), st.sampled_from(["recorded", "no_consent"]))


@given(st.lists(st.dictionaries(KEYS, st.integers(0, 1 << 40)), max_size=6))
def test_counts_add_up_in_whatever_order(many: list[dict[tuple[str, str], int]]) -> None:
    forward, backward, expected = counts.NOTHING, counts.NOTHING, dict[tuple[str, str], int]()
    adder = counts.Adder()
    for more in many:
        forward = adder.add(forward, more)
        for key, count in more.items():
            expected[key] = expected.get(key, 0) + count
    for more in reversed(many):
        backward = counts.Adder().add(backward, more)
    assert forward == backward == counts.encode(expected)
    assert counts.decode(forward) == expected


@given(st.lists(st.tuples(st.integers(0, 2), st.dictionaries(KEYS, st.integers(0, 9))), max_size=8))
def test_what_was_added_last_is_not_taken_for_what_stands_there(
    many: list[tuple[int, dict[tuple[str, str], int]]],
) -> None:
    """One adder over three logs in turn, as others write between two recordings, or a transaction is undone."""
    adder = counts.Adder()
    stands = [counts.NOTHING] * 3
    for log, more in many:
        added = adder.add(stands[log], more)
        assert added == counts.Adder().add(stands[log], more)
        stands[log] = added


def test_what_one_log_says_is_refused_although_another_was_added_to() -> None:
    adder = counts.Adder()
    adder.add(counts.NOTHING, {("support", "recorded"): 1})
    with pytest.raises(CorruptRecord):
        adder.add(canonical.pack([["support", "recorded", "1"]]), {("support", "recorded"): 1})


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x80",
        canonical.pack([["support", "recorded"]]),
        canonical.pack([["support", "recorded", 1], ["support", "recorded", 2]]),
        canonical.pack([["support", "recorded", 1], ["analytics", "recorded", 2]]),
        canonical.pack([["support", "recorded", "1"]]),
        canonical.pack([["support", "recorded", 1]]) + b"\x00",
    ],
)
def test_anything_else_is_corrupt(value: bytes) -> None:
    with pytest.raises(CorruptRecord):
        counts.decode(value)
