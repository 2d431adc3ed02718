"""Sealed rows: blocks, evidence, accounts and trails, each naming the slot and generation whose key opens it.

:class:`Rows` is the small interface behind which they are arranged: a table with an index on the slot for the few, and
:class:`consentprofile.store.blocks.Blocks` for the many (``docs/decisions/0011-block-arrangement.md``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from consentprofile.store.connection import kept_cursor

BLOCK: Final = "block"
EVIDENCE: Final = "evidence"
ACCOUNT: Final = "account"
TRAIL: Final = "trail"
TABLES: Final = (BLOCK, EVIDENCE, ACCOUNT, TRAIL)


class SealedRow(NamedTuple):
    """One sealed row: the slot and generation of its key, and its bytes."""

    slot: int
    generation: int
    sealed: bytes


class Rows(Protocol):
    """Sealed rows, appended, read by slot, and dropped when their key has died. Nothing is ever updated."""

    def append(self, rows: Iterable[SealedRow]) -> None:
        """Add rows, inside the caller's transaction."""
        ...

    def of(self, slot: int, generation: int) -> list[bytes]:
        """Every row that names this slot and generation; all but blocks in the order of arrival."""
        ...

    def between(self, first: int, last: int) -> dict[tuple[int, int], list[bytes]]:
        """Every row of the slots from ``first`` to ``last``, both included, by slot and generation."""
        ...

    def purge(self, slot: int, below: int) -> None:
        """Drop rows of this slot whose generation is lower, now or in time: housekeeping, for their key is gone."""
        ...


class RowTable:
    """:class:`Rows` over one table with an index on the slot."""

    def __init__(self, connection: sqlite3.Connection, table: str) -> None:
        if table not in TABLES or table == BLOCK:
            raise AssertionError("a table of sealed rows")
        self._db = connection
        self._kept = kept_cursor(connection)
        self._insert = f"INSERT INTO {table} (slot, generation, sealed) VALUES (?, ?, ?)"
        self._select = f"SELECT sealed FROM {table} WHERE slot = ? AND generation = ? ORDER BY id"
        self._range = f"SELECT slot, generation, sealed FROM {table} WHERE slot BETWEEN ? AND ? ORDER BY slot, id"
        self._delete = f"DELETE FROM {table} WHERE slot = ? AND generation < ?"

    def append(self, rows: Iterable[SealedRow]) -> None:
        """Add rows, inside the caller's transaction."""
        self._kept.executemany(self._insert, rows)

    def of(self, slot: int, generation: int) -> list[bytes]:
        """Every row that names this slot and generation, in the order of arrival."""
        return [sealed for (sealed,) in self._db.execute(self._select, (slot, generation))]

    def between(self, first: int, last: int) -> dict[tuple[int, int], list[bytes]]:
        """Every row of the slots from ``first`` to ``last``, both included, by slot and generation."""
        found: dict[tuple[int, int], list[bytes]] = {}
        for slot, generation, sealed in self._db.execute(self._range, (first, last)):
            found.setdefault((slot, generation), []).append(sealed)
        return found

    def purge(self, slot: int, below: int) -> None:
        """Drop the rows of this slot whose generation is lower."""
        self._db.execute(self._delete, (slot, below))
