"""How near cells are: how many accounts are behind one of two only, or add something else to the other.

Two cells are *near* where that is fewer than k. Cells are compared by their accounts, one by one, only where they could
be near: their sizes, and the numbers of their members whose pseudonyms begin with each byte, must differ by fewer than
k in all. Pseudonyms are random, so large cells that pass are all but the same ones.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from consentprofile.release.cells import PSEUDONYM_BYTES, Counted
from consentprofile.release.kept import LedgerCell, Settled

if TYPE_CHECKING:
    from consentprofile.release.cells import Places, Pseudonyms
    from consentprofile.release.measures.measure import Numbers, Truths

_BYTES: Final = 256


class Nearness:
    """The counted cells of a release, to be asked what they are near.

    Costs a step for each pair of cells, and one for each account of the few pairs that could be near. Memory: what was
    counted, some kB a cell, and one earlier release.
    """

    def __init__(self, counted: Counted, least: int) -> None:
        import numpy as np

        self._counted = counted
        self._least = least
        self._sizes = np.array([len(cell.members) for cell in counted.cells], dtype=np.int64)
        edges = _edges(counted.pseudonyms)
        self._spreads = np.array([_spread(cell.members, edges) for cell in counted.cells], dtype=np.int64)

    def earliest(self, earlier: Iterable[Settled]) -> dict[int, LedgerCell]:
        """For the places of cells of at least k members: the first of the ``earlier`` cells that each is near.

        Only cells that got a value of their own count, "nothing" included.
        """
        found: dict[int, LedgerCell] = {}
        waiting = self._sizes >= self._least
        for release in earlier:
            if not waiting.any():
                break
            before = _Before(release, self._counted.pseudonyms)
            for cell in release.cells:
                if cell.own:
                    for place in self._near_earlier(before, cell, waiting):
                        found[place] = cell
                        waiting[place] = False
        return found

    def first(self, place: int, others: Sequence[int]) -> int | None:
        """The first of ``others`` that the cell at ``place`` is near; all are places of cells."""
        import numpy as np

        cell = self._counted.cells[place]
        among = np.array(others, dtype=np.int64)
        among = among[abs(self._sizes[among] - self._sizes[place]) < self._least]
        for other in self._alike(among, self._spreads[place]).tolist():
            one = self._counted.cells[other]
            if _differing(one.members, one.amounts, cell.members, cell.amounts) < self._least:
                return int(other)
        return None

    def _near_earlier(self, before: _Before, cell: LedgerCell, waiting: Truths) -> list[int]:
        """The places of the ``waiting`` cells that are near a cell of an earlier release."""
        import numpy as np

        among = np.flatnonzero(waiting & (abs(self._sizes - cell.count) < self._least))
        if not len(among):
            return []
        members = before.release.members(cell)
        among = self._alike(among, _spread(members, before.edges))
        if not len(among):
            return []
        here = before.here[members]
        known = here >= 0
        still = here[known].astype(np.uint32)
        amounts = cell.amounts if cell.amounts is None else cell.amounts[known]
        near = []
        for place in among.tolist():
            now = self._counted.cells[place]
            gone = len(here) - len(still)
            if gone + _differing(still, amounts, now.members, now.amounts) < self._least:
                near.append(place)
        return near

    def _alike(self, among: Numbers, spread: Numbers) -> Numbers:
        """Those ``among`` the cells that could be near one of this spread."""
        near: Truths = abs(self._spreads[among] - spread).sum(axis=1) < self._least
        return among[near]


class _Before:
    """An earlier release, and where its accounts are now."""

    def __init__(self, release: Settled, pseudonyms: Pseudonyms) -> None:
        self.release = release
        self._pseudonyms = pseudonyms

    @functools.cached_property
    def edges(self) -> Places:
        return _edges(self.release.pseudonyms)

    @functools.cached_property
    def here(self) -> Numbers:
        """The place that each of its accounts has among the counted ones, -1 for none: erased, or not counted now."""
        import numpy as np

        now, then = self._pseudonyms, self.release.pseudonyms
        if not len(now):
            return np.full(len(then), -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(now, then), len(now) - 1)
        return np.where(now[places] == then, places, -1)


def _edges(pseudonyms: Pseudonyms) -> Places:
    """Where the pseudonyms begin that begin with each byte, and where they end."""
    import numpy as np

    first = np.array([bytes([byte]) for byte in range(_BYTES)], dtype=f"S{PSEUDONYM_BYTES}")
    return np.append(np.searchsorted(pseudonyms, first), len(pseudonyms)).astype(np.uint32)


def _spread(members: Places, edges: Places) -> Numbers:
    """How many of the members have a pseudonym that begins with each byte."""
    import numpy as np

    return np.diff(np.searchsorted(members, edges))


def _differing(these: Places, these_add: Numbers | None, those: Places, those_add: Numbers | None) -> int:
    """How many accounts are among these or those only, or add something else there; one each without amounts."""
    import numpy as np

    if not len(those):
        return len(these)
    at = np.minimum(np.searchsorted(those, these), len(those) - 1)
    shared = those[at] == these
    alike = shared
    if these_add is not None or those_add is not None:
        there = 1 if those_add is None else those_add[at]
        alike = shared & ((1 if these_add is None else these_add) == there)
    return len(these) + len(those) - int(shared.sum()) - int(alike.sum())
