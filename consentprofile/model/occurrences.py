"""How often the same content has stood in an import so far, in little memory.

A file may truly say the same thing twice: two searches of one account in one second. They are two events, told apart by
their occurrence; a repeated import counts them again in the same way, and so adds nothing.

Memory is 12 to 24 bytes for each distinct content (20 million rows: 256 MiB at rest, 384 MiB while growing), and one
small dict entry for each content that repeats. Contents are told apart by 64 bits of a hash. Two different ones share
them with a probability of n * n / 2 ** 65: one in 100,000 for 20 million rows. The later of the two would then be
numbered one higher, the same in every repetition of the same file; only a file in another order would add it again.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import Final

_SMALLEST: Final = 1 << 10


class Occurrences:
    """Counts contents by their ids, which are derived from content under a secret key.

    That key is why nobody can craft rows that collide here. The counts are good for one import and are never stored.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _SMALLEST))
        self._mask = _SMALLEST - 1
        self._distinct = 0
        self._repeated: dict[int, int] = {}

    def __len__(self) -> int:
        """The number of distinct contents."""
        return self._distinct

    def next(self, identifier: str) -> int:
        """How often this was counted before: 0 for the first time."""
        # 0 marks an empty slot, so no mark is 0.
        mark = int.from_bytes(blake2b(identifier.encode(), digest_size=8).digest(), "little") or 1
        slots, mask = self._slots, self._mask
        slot = mark & mask
        while held := slots[slot]:
            if held == mark:
                number = self._repeated.get(mark, 0) + 1
                self._repeated[mark] = number
                return number
            slot = (slot + 1) & mask
        slots[slot] = mark
        self._distinct += 1
        if self._distinct * 3 > len(slots) * 2:
            self._grow()
        return 0

    def _grow(self) -> None:
        mask = 2 * len(self._slots) - 1
        larger = array("Q", bytes(8)) * (mask + 1)
        for mark in self._slots:
            if mark:
                slot = mark & mask
                while larger[slot]:
                    slot = (slot + 1) & mask
                larger[slot] = mark
        self._slots, self._mask = larger, mask
