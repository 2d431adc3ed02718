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
    for more in many:
        forward = counts.add(forward, more)
        for key, count in more.items():
            expected[key] = expected.get(key, 0) + count
    for more in reversed(many):
        backward = counts.add(backward, more)
    assert forward == backward == counts.encode(expected)
    assert counts.decode(forward) == expected


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
