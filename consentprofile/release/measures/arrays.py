"""Groups and runs in arrays: the few steps of arithmetic that measures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from consentprofile.release.measures.measure import Bins

if TYPE_CHECKING:
    from consentprofile.release.measures.measure import Numbers


def groups(account: Numbers, cell: Numbers) -> tuple[Numbers, Numbers]:
    """How elements fall into pairs of account and cell: the order that sorts them, and where in it each pair begins."""
    import numpy as np

    order = np.lexsort((cell, account))
    return order, starts(account[order], cell[order])


def starts(*columns: Numbers) -> Numbers:
    """Where the runs of equal elements begin, all ``columns`` taken together."""
    import numpy as np

    first = np.zeros(len(columns[0]), dtype=bool)
    first[:1] = True
    for column in columns:
        first[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(first)


def each_once(account: Numbers, cell: Numbers) -> Bins:
    """Every pair of account and cell, once; elements without a cell (below 0) count nowhere."""
    import numpy as np

    known = cell >= 0
    if not known.all():
        account, cell = account[known], cell[known]
    # Each pair as one number, which is sorted several times as fast: neither takes anything like 32 bits.
    bits = int(cell.max(initial=0)).bit_length()
    pairs = np.sort(account << bits | cell)
    pairs = pairs[starts(pairs)]
    return Bins(pairs >> bits, pairs & ((1 << bits) - 1))


def summed(account: Numbers, cell: Numbers, values: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Every pair of account and cell once, with the sum of its ``values`` and how many these are."""
    import numpy as np

    known = cell >= 0
    account, cell, values = account[known], cell[known], values[known]
    order, first = groups(account, cell)
    sums = np.add.reduceat(values[order], first) if len(first) else values
    return account[order][first], cell[order][first], sums, np.diff(first, append=len(order))


def places(codes: Sequence[int]) -> Numbers:
    """By code, its place in ``codes``, or -1; the last element is that of the code -1."""
    import numpy as np

    found = np.full(max(codes, default=0) + 2, -1, dtype=np.int64)
    found[list(codes)] = np.arange(len(codes))
    return found


def placed(codes: Sequence[int], column: Numbers) -> Numbers:
    """The place in ``codes`` of each element of ``column``, -1 for those that are not among them."""
    import numpy as np

    lookup = places(codes)
    return lookup[np.minimum(column, len(lookup) - 1)]


def following(candidates: Numbers, after: Numbers, *, or_same: bool = False) -> Numbers:
    """The first of the rising ``candidates`` behind each of ``after`` (or at it), -1 where there is none."""
    import numpy as np

    if not len(candidates):
        return np.full(len(after), -1, dtype=np.int64)
    found = np.searchsorted(candidates, after, side="left" if or_same else "right")
    return np.where(found < len(candidates), candidates[np.minimum(found, len(candidates) - 1)], -1)
