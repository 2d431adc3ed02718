"""Whole numbers from 0 to 2^63 - 1 as bytes (LEB128).

Seven bits in each byte, the lowest first; 128 is added where more follow. Each number has its shortest form, so
the same numbers have the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from consentprofile.release.measures.measure import Numbers

MORE: Final = 128
"""What is added to every byte of a number but its last."""

_LONGEST: Final = 9
"""The most bytes of a number."""


def count(data: bytes) -> int:
    """How many numbers there are in ``data``."""
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(data, dtype=np.uint8) < MORE))


def encode(numbers: Numbers) -> bytes:
    """The bytes of ``numbers``, none of which is negative."""
    import numpy as np

    lengths = np.ones(len(numbers), dtype=np.int64)
    largest = int(numbers.max(initial=0))
    for bits in range(7, largest.bit_length(), 7):
        lengths += numbers >> bits > 0
    starts = np.cumsum(lengths) - lengths
    data = np.empty(int(lengths.sum()), dtype=np.uint8)
    for place in range(int(lengths.max(initial=0))):
        reach = lengths > place
        septets = numbers[reach] >> 7 * place & MORE - 1
        data[starts[reach] + place] = septets + MORE * (lengths[reach] > place + 1)
    return data.tobytes()


def decode(data: bytes) -> Numbers:
    """The numbers whose bytes are ``data``. ``ValueError`` for what is cut off, or not the shortest form."""
    import numpy as np

    octets = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(octets < MORE)
    if len(ends) == len(octets):
        return octets.astype(np.int64)
    lengths = np.diff(ends, prepend=-1)
    if octets[-1] >= MORE or lengths.max() > _LONGEST or (octets[ends[lengths > 1]] == 0).any():
        raise ValueError("these are no numbers in their shortest form")
    starts = ends - lengths + 1
    numbers = np.zeros(len(ends), dtype=np.int64)
    for place in range(int(lengths.max())):
        reach = lengths > place
        numbers[reach] |= (octets[starts[reach] + place] & MORE - 1).astype(np.int64) << 7 * place
    return numbers
