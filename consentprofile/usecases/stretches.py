"""How the slots of a census are divided among the processes that count.

Stretches grow smaller as less is left, so that all processes come to their end together, whichever of them is the
slower: a large one that somebody takes last is what all the others wait for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from consentprofile.usecases.counting_wire import Stretch

LONGEST: Final = 30_000
"""Slots of a stretch at most: the progress is told after each."""

SHORTEST: Final = 3_000
"""Slots of a stretch at least, where so many are left: a thousand accounts with one purpose, some 20 milliseconds, of
which beginning and ending it take two."""

PARTS: Final = 4
"""Into how many stretches for each process what is left is divided."""


class Stretches:
    """The slots that nobody is counting."""

    def __init__(self) -> None:
        self._waiting: deque[Stretch] = deque()

    def __bool__(self) -> bool:
        """Whether there are any. A stretch of no slots counts, too: somebody has to say that nobody is in it."""
        return bool(self._waiting)

    def take(self, processes: int) -> Stretch:
        """The next to be counted by one of so many processes."""
        stretch = self._waiting.popleft()
        size = LONGEST
        if processes > 1:
            left = sum(one.last - one.first + 1 for one in (stretch, *self._waiting))
            size = min(LONGEST, max(SHORTEST, left // (PARTS * processes)))
        end = stretch.first + size - 1
        if end < stretch.last:
            self._waiting.appendleft(Stretch(end + 1, stretch.last))
            return Stretch(stretch.first, end)
        return stretch

    def put_back(self, stretches: Iterable[Stretch]) -> None:
        """Let these be taken before all others."""
        self._waiting.extendleft(stretches)
