"""Blocks: :class:`Rows` over a tail, where few of them arrive at a time, and sorted runs, where the many lie.

Recording a login adds one row to the tail and dirties one page. Recording a batch writes a run of its own at once, in
order, and dirties no page twice. Moving the tail into a run, and merging runs, are done in slices by whoever is told to
(:mod:`consentprofile.usecases.compaction`). A store that is never compacted stays right, and becomes slow.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Final, TypeAlias

from consentprofile.store.arrangement import misplaced_packs, stray_runs
from consentprofile.store.connection import kept_cursor
from consentprofile.store.packs import FIRST_SLOT, LAST_SLOT, Packed, unpack
from consentprofile.store.rows import BLOCK, Rows, RowTable, SealedRow
from consentprofile.store.runs import Runs, Shape, Transform

SHAPE = Shape()
"""The arrangement of every store that this process has open. Tests make it small, so that every merge happens."""

_APPEND: Final = (
    "INSERT INTO block (slot, arrival, generation, sealed) "
    "VALUES (?1, (SELECT ifnull(max(arrival), -1) + 1 FROM block WHERE slot = ?1), ?2, ?3)"
)
# One statement reads tail and runs, so that it sees one state of both: a slice between two would hide what it moves.
_OF: Final = (
    "SELECT generation, sealed, NULL FROM block WHERE slot = ?1 "
    "UNION ALL SELECT NULL, NULL, (SELECT body FROM pack "
    "WHERE id BETWEEN number << 40 AND (number << 40) + ?1 ORDER BY id DESC LIMIT 1) FROM run"
)
_BETWEEN: Final = (
    "SELECT slot, generation, sealed, NULL FROM block WHERE slot BETWEEN ?1 AND ?2 "
    "UNION ALL SELECT NULL, NULL, NULL, body FROM run CROSS JOIN pack ON id BETWEEN ifnull("
    "(SELECT id FROM pack WHERE id BETWEEN number << 40 AND (number << 40) + ?3 ORDER BY id DESC LIMIT 1), "
    "number << 40) "
    "AND (number << 40) + ?4"
)
# Rows that name a slot which no run can hold are from elsewhere; they stay, for `check` to tell.
_MOVABLE: Final = f"WHERE slot BETWEEN {FIRST_SLOT} AND {LAST_SLOT}"


_Row: TypeAlias = tuple[int, int, bytes | None, bytes | None]
"""Slot, generation and ciphertext of a block of the tail; or the body of a pack, which comes last."""


class Blocks:
    """The blocks of a store. Changes are made inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, shape: Shape | None = None) -> None:
        self._db = connection
        self._kept = kept_cursor(connection)
        self._shape = SHAPE if shape is None else shape
        self._runs = Runs(connection, self._shape)

    def append(self, rows: Iterable[SealedRow]) -> None:
        """Add blocks: many at once as a run of their own, few to the tail."""
        blocks = list(rows)
        if len(blocks) >= self._shape.run:
            self._runs.add(sorted(blocks))
        else:
            self._kept.executemany(_APPEND, blocks)

    def of(self, slot: int, generation: int) -> list[bytes]:
        """Every block that names this slot and generation. Cost: one search for each run, about 5 microseconds."""
        found: list[bytes] = []
        for at, sealed, body in self._db.execute(_OF, (slot,)).fetchall():
            if body is not None:
                found += [one for number, held, one in unpack(body) if number == slot and held == generation]
            elif at == generation:
                found.append(sealed)
        return found

    def between(self, first: int, last: int) -> dict[tuple[int, int], list[bytes]]:
        """Every block of the slots from ``first`` to ``last``, both included, by slot and generation."""
        found: dict[tuple[int, int], list[bytes]] = {}
        for slot, generation, sealed in self.sorted_between(first, last):
            found.setdefault((slot, generation), []).append(sealed)
        return found

    def sorted_between(self, first: int, last: int) -> list[Packed]:
        """Every block of the slots from ``first`` to ``last``, both included, in ascending order."""
        with closing(self._rows(first, last)) as rows:
            return _unpacked(rows, first, last)

    def light_between(self, first: int, last: int, most: int) -> list[Packed] | None:
        """As :meth:`sorted_between`, or None where more than about ``most`` bytes would have to be fetched."""
        with closing(self._rows(first, last)) as rows:
            fetched: list[_Row] = []
            for row in rows:
                fetched.append(row)
                most -= len(row[2] or row[3] or b"")
                if most < 0:
                    return None
        return _unpacked(fetched, first, last)

    def _rows(self, first: int, last: int) -> sqlite3.Cursor:
        return self._db.execute(_BETWEEN, (first, last, max(first, FIRST_SLOT), min(last, LAST_SLOT)))

    def purge(self, slot: int, below: int) -> None:
        """Drop the blocks of this slot whose generation is lower."""
        self._db.execute("DELETE FROM block WHERE slot = ? AND generation < ?", (slot, below))
        self._runs.purge(slot, below)

    def misplaced(self, after: int | None, limit: int) -> tuple[int, int | None]:
        """As :func:`consentprofile.store.arrangement.misplaced_packs`."""
        return misplaced_packs(self._db, after, limit)

    def strays(self) -> int:
        """As :func:`consentprofile.store.arrangement.stray_runs`."""
        return stray_runs(self._db)

    # ---- what compaction does --------------------------------------------------------------------

    def is_due(self) -> bool:
        """Whether the tail is full, or there are runs to be merged. Cost: at most some 0.3 ms."""
        return self._tail_is_full() or self._runs.is_due()

    def move_tail(self, most: int) -> int:
        """Move up to ``most`` blocks of the lowest slots in the tail into a run of their own; how many were moved."""
        query = f"SELECT slot, generation, sealed, arrival FROM block {_MOVABLE} ORDER BY slot, arrival LIMIT ?"
        found = self._db.execute(query, (most,)).fetchall()
        if found:
            slot, _, _, arrival = found[-1]
            self._db.execute(f"DELETE FROM block {_MOVABLE} AND (slot, arrival) <= (?, ?)", (slot, arrival))
            self._runs.add(sorted(block[:3] for block in found))
        return len(found)

    def advance(self, transform: Transform, more: Callable[[], bool], unit: int = 2) -> int:
        """Do what is most urgent, a full tail first, while ``more`` answers true; how many blocks were moved.

        ``more`` is asked after each ``unit`` packs of every run that is merged.
        """
        if self._tail_is_full():
            return self.move_tail(max(1, self._shape.tail // 4))
        output = self._runs.next_merge()
        return 0 if output is None else self._runs.merge(output, transform, more, unit)

    def begin_merging_all(self) -> bool:
        """Begin to merge all runs into one; False where there are none. No merge may be under way."""
        return self._runs.merge_all() is not None

    def is_merging(self) -> bool:
        """Whether any merge is under way."""
        return self._runs.under_way()

    def shrink(self, pages: int) -> bool:
        """Give up to ``pages`` free pages of ``data.db`` back to the file system; whether there may be more."""
        before = self._free_pages()
        for _ in range(min(pages, before)):  # Python's module stops this pragma after one page, whatever it is told
            self._db.execute("PRAGMA incremental_vacuum(1)")
        return 0 < self._free_pages() < before

    def _free_pages(self) -> int:
        return int(self._db.execute("PRAGMA freelist_count").fetchone()[0])

    def _tail_is_full(self) -> bool:
        query = f"SELECT count(*) FROM (SELECT 1 FROM block {_MOVABLE} LIMIT ?)"
        return bool(self._db.execute(query, (self._shape.tail,)).fetchone()[0] >= self._shape.tail)


def _unpacked(rows: Iterable[_Row], first: int, last: int) -> list[Packed]:
    """The blocks of the slots from ``first`` to ``last`` in these rows, in ascending order."""
    found: list[Packed] = []
    in_order = True  # mostly they are: the packs of a run come in order
    for slot, generation, sealed, body in rows:
        if body is not None:
            blocks = unpack(body)
            if blocks and (blocks[0][0] < first or blocks[-1][0] > last):
                blocks = [block for block in blocks if first <= block[0] <= last]
        else:
            blocks = [] if sealed is None else [(slot, generation, sealed)]
        in_order = in_order and not (found and blocks and blocks[0] < found[-1])
        found += blocks
    if not in_order:
        found.sort()
    return found


def rows_of(connection: sqlite3.Connection, table: str) -> Rows:
    """The sealed rows of one of :data:`consentprofile.store.rows.TABLES`."""
    return Blocks(connection) if table == BLOCK else RowTable(connection, table)
