"""Numbers as bytes: one form for each, read as it was written, and nothing else read at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.release import varint

NUMBERS = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**63 - 1)), max_size=30)


def read_aloud(numbers: list[int]) -> bytes:
    """LEB128 by the book."""
    data = bytearray()
    for number in numbers:
        septets = [number >> bits & 127 for bits in range(0, max(number.bit_length(), 1), 7)]
        data += bytes(septet | 128 for septet in septets[:-1])
        data.append(septets[-1])
    return bytes(data)


@given(NUMBERS)
def test_numbers_come_back_from_their_bytes(numbers: list[int]) -> None:
    data = varint.encode(np.array(numbers, dtype=np.int64))
    assert data == read_aloud(numbers)
    assert varint.decode(data).tolist() == numbers
    assert varint.count(data) == len(numbers)


@given(st.binary(max_size=30))
def test_bytes_are_refused_or_are_the_very_bytes_of_their_numbers(data: bytes) -> None:
    try:
        numbers = varint.decode(data)
    except ValueError:
        return
    assert varint.encode(numbers) == data


REFUSED = {
    "cut off": b"\x80",
    "cut off after a number": b"\x01\x80",
    "longer than it need be": b"\x80\x00",
    "longer than it need be, before others": b"\x81\x80\x00\x05",
    "above 2^63 - 1": b"\x80" * 9 + b"\x01",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_not_the_shortest_form_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="shortest"):
        varint.decode(data)
