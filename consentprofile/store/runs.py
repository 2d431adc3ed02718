"""Sorted runs of blocks, merged eight at a time into runs of the next level, in slices that each commit on their own.

A run is never changed but by a merge, which takes blocks from the low end of its inputs and adds them to the high end
of its output, in one transaction for each slice. So between any two slices every block lies in exactly one run, every
run is sorted, and a merge goes on where it stopped: at the lowest slot that its inputs still hold. What has been merged
is gone from the inputs, so a crash costs the slice that it hit and nothing else.

Every block is moved once for each level, ciphertext only. The number of runs, and with it the cost of a read, grows
with the logarithm of the blocks: at most seven idle runs a level, and those of merges under way.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Final, NamedTuple, TypeAlias

from consentprofile.errors import CorruptRecord
from consentprofile.store.packs import FIRST_SLOT, LAST_SLOT, SLOT_BITS, Packed, encode, pack, unpack

# Only a run that is not merged itself takes in others: nobody can make merges go round in a circle.
_FLOWS: Final = "(SELECT number, target FROM run WHERE target IN (SELECT number FROM run WHERE target IS NULL))"

Transform: TypeAlias = Callable[[list[Packed]], Sequence[Packed]]
"""Is given blocks in ascending order, all that a merge has of each of their slots, and answers what becomes of them, in
ascending order, too."""


class Shape(NamedTuple):
    """How blocks are arranged. It is no part of the format: a store may change it at any time."""

    tail: int = 8_192
    """As many blocks in the tail are due to be moved into a run."""
    run: int = 256
    """As many blocks appended at once become a run of their own; so many, times ``fan`` for each level, are a run."""
    fan: int = 8
    """As many runs of a level are due to be merged into one of the next."""


class Runs:
    """The tables ``run`` and ``pack`` over one connection. Changes are made inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, shape: Shape) -> None:
        self._db = connection
        self._shape = shape

    def add(self, blocks: Sequence[Packed]) -> None:
        """Add a run of ``blocks``, which are in ascending order."""
        level, most = 0, self._shape.run * self._shape.fan
        while len(blocks) >= most:
            level, most = level + 1, most * self._shape.fan
        self._append(self._begin(level), blocks)

    def purge(self, slot: int, below: int) -> None:
        """Leave blocks of this slot whose generation is lower out of the packs that hold them."""
        query = (
            "SELECT id, body FROM run JOIN pack ON id = (SELECT id FROM pack "
            "WHERE id BETWEEN number << 40 AND (number << 40) + ? ORDER BY id DESC LIMIT 1)"
        )
        for number, body in self._db.execute(query, (slot,)).fetchall():
            blocks = unpack(body)
            kept = [block for block in blocks if block[0] != slot or block[1] >= below]
            if len(kept) == len(blocks):
                continue
            # The pack keeps its id, though its first slot may be gone: it is still found by every slot it holds.
            if kept:
                self._db.execute("UPDATE pack SET body = ? WHERE id = ?", (encode(kept), number))
            else:
                self._db.execute("DELETE FROM pack WHERE id = ?", (number,))

    # ---- what is due -----------------------------------------------------------------------------

    def next_merge(self) -> int | None:
        """The run that is to be filled next, a merge under way or one begun now, lowest level first; None for none."""
        return self._next(self._shape.fan, begin=True)

    def is_due(self) -> bool:
        """Whether there is anything to merge."""
        return self._next(self._shape.fan, begin=False) is not None

    def merge_all(self) -> int | None:
        """Begin to merge every idle run into one; its number, or None where there are none."""
        idle = self._idle()
        if not idle:
            return None
        return self._start(max(idle), [number for runs in idle.values() for number in runs])

    def under_way(self) -> bool:
        """Whether any merge is."""
        return bool(self._db.execute(f"SELECT EXISTS {_FLOWS}").fetchone()[0])

    def _next(self, fan: int, *, begin: bool) -> int | None:
        outputs = f"SELECT target FROM {_FLOWS}"
        # One statement: where nothing but the gate is held, a merge may come to its end between two.
        query = f"SELECT number, level FROM run WHERE number IN ({outputs}) ORDER BY level, number LIMIT 1"
        going = self._db.execute(query).fetchone()
        idle = self._idle()
        level = min((level for level, runs in idle.items() if len(runs) >= fan), default=None)
        if going is not None and (level is None or going[1] <= level + 1):
            return int(going[0])
        if level is None:
            return None
        return self._start(level + 1, idle[level][:fan]) if begin else idle[level][0]

    def _idle(self) -> dict[int, list[int]]:
        """The runs that no merge reads or writes, by level."""
        idle: dict[int, list[int]] = {}
        query = (
            f"SELECT level, number FROM run WHERE number NOT IN (SELECT number FROM {_FLOWS}) "
            f"AND number NOT IN (SELECT target FROM {_FLOWS}) ORDER BY level, number"
        )
        for level, number in self._db.execute(query):
            idle.setdefault(level, []).append(number)
        return idle

    def _start(self, level: int, inputs: Sequence[int]) -> int:
        output = self._begin(level)
        self._db.executemany("UPDATE run SET target = ? WHERE number = ?", [(output, number) for number in inputs])
        return output

    def _begin(self, level: int) -> int:
        # The lowest number that is free, so that numbers never run out. Its packs are gone, for a run is forgotten
        # last; should somebody have taken a run away from its packs, they stay apart.
        taken = {number for (number,) in self._db.execute("SELECT number FROM run")}
        number = next(number for number in count(1) if number not in taken and self._is_empty(number))
        self._db.execute("INSERT INTO run (number, level) VALUES (?, ?)", (number, level))
        return number

    # ---- merging ---------------------------------------------------------------------------------

    def merge(self, output: int, transform: Transform, more: Callable[[], bool], unit: int) -> int:
        """Go on filling ``output`` for as long as ``more`` answers true; how many blocks were taken from its inputs.

        At least one step is made, of about ``unit`` packs from each input. Cost: about a microsecond a block, and what
        ``transform`` takes.
        """
        inputs = [number for (number,) in self._db.execute("SELECT number FROM run WHERE target = ?", (output,))]
        cursors = [_Cursor(self._db, number, unit) for number in inputs]
        moved, reached = 0, self._highest(output)
        while True:
            blocks = _lowest(cursors)
            if not blocks:
                for cursor in cursors:
                    cursor.settle()
                self._forget(output, inputs)
                return moved
            if blocks[0][0] <= reached:
                raise _misplaced()
            reached = blocks[-1][0]
            moved += len(blocks)
            self._append(output, transform(blocks))
            if not more():
                break
        for cursor in cursors:
            cursor.settle()
        return moved

    def _highest(self, run: int) -> int:
        """The last slot of a run; below the first of all where the run is empty."""
        query = "SELECT body FROM pack WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1"
        found = self._db.execute(query, _span(run)).fetchone()
        blocks = [] if found is None else unpack(found[0])
        return blocks[-1][0] if blocks else FIRST_SLOT - 1

    def _forget(self, output: int, inputs: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM run WHERE number = ?", [(number,) for number in inputs])
        if self._is_empty(output):
            self._db.execute("DELETE FROM run WHERE number = ?", (output,))

    def _is_empty(self, run: int) -> bool:
        return self._db.execute("SELECT 1 FROM pack WHERE id BETWEEN ? AND ? LIMIT 1", _span(run)).fetchone() is None

    def _append(self, run: int, blocks: Sequence[Packed]) -> None:
        base = run << SLOT_BITS
        packs = [(base + first, body) for first, body in pack(blocks)]
        self._db.executemany("INSERT INTO pack (id, body) VALUES (?, ?)", packs)


class _Cursor:
    """Where a merge has come to in one of its inputs. What it has passed on is deleted when the slice is settled."""

    def __init__(self, connection: sqlite3.Connection, run: int, packs: int) -> None:
        self._db = connection
        self._packs = packs
        self._first, self._last = _span(run)
        self._next = self._first
        """The id from which packs are fetched next."""
        self._held: deque[tuple[int, list[Packed]]] = deque()
        """Packs that were fetched and are not passed on, or not all of it: id and blocks, none of them empty."""
        self._start: int | None = None
        self._cut = False
        """Whether blocks of the first pack that is held have been passed on."""

    @property
    def start(self) -> int | None:
        """A slot below which nothing is left in the run; None where the run is empty. Nothing is fetched to tell."""
        if self._held:
            return self._held[0][1][0][0]
        if self._start is None and self._next <= self._last:
            query = "SELECT id FROM pack WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1"
            found = self._db.execute(query, (self._next, self._last)).fetchone()
            self._start, self._next = (None, self._last + 1) if found is None else (found[0] - self._first, found[0])
        return self._start

    def fill(self) -> None:
        """Fetch packs where none is held."""
        query = "SELECT id, body FROM pack WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        while not self._held and self._next <= self._last:
            self._start = None
            found = self._db.execute(query, (self._next, self._last, self._packs)).fetchall()
            self._next = found[-1][0] + 1 if len(found) == self._packs else self._last + 1
            self._held.extend((number, blocks) for number, body in found if (blocks := unpack(body)))

    @property
    def end(self) -> int | None:
        """The last slot that is held; None where the run is empty. All of each slot up to it is held."""
        return self._held[-1][1][-1][0] if self._held else None

    def take(self, highest: int) -> list[Packed]:
        """The blocks up to and with the slot ``highest``."""
        taken: list[Packed] = []
        while self._held:
            number, blocks = self._held[0]
            if blocks[-1][0] > highest:
                cut = bisect_left(blocks, (highest + 1,))
                if cut:
                    taken += blocks[:cut]
                    self._held[0], self._cut = (number, blocks[cut:]), True
                break
            taken += blocks
            self._held.popleft()
            self._cut = False
        return taken

    def settle(self) -> None:
        """Delete what was passed on. A pack of which a part remains keeps its id: every slot is still found by it."""
        until = self._held[0][0] - 1 if self._held else self._next - 1
        self._db.execute("DELETE FROM pack WHERE id BETWEEN ? AND ?", (self._first, until))
        if self._cut:
            number, blocks = self._held[0]
            self._db.execute("UPDATE pack SET body = ? WHERE id = ?", (encode(blocks), number))


def _lowest(cursors: Sequence[_Cursor]) -> list[Packed]:
    """The next blocks of a merge, in ascending order: all that the inputs have of each slot up to some slot.

    Inputs that begin behind it are not fetched: their packs may be large, and their turn may be many slices away.
    """
    starts = [(start, number) for number, cursor in enumerate(cursors) if (start := cursor.start) is not None]
    bound: int | None = None
    taking: list[_Cursor] = []
    for start, number in sorted(starts):
        if bound is not None and start > bound:
            break
        cursor = cursors[number]
        cursor.fill()
        end = cursor.end
        if end is not None:
            taking.append(cursor)
            bound = end if bound is None else min(bound, end)
    if bound is None:
        return []
    blocks = [block for cursor in taking for block in cursor.take(bound)]
    if not blocks:  # the packs of a run are not in order
        raise _misplaced()
    blocks.sort()
    return blocks


def _misplaced() -> CorruptRecord:
    return CorruptRecord("a pack of blocks is not where it is looked for; run `consentprofile check`")


def _span(run: int) -> tuple[int, int]:
    return run << SLOT_BITS, (run << SLOT_BITS) + LAST_SLOT
