"""The tables of signed heads: checkpoints in ``data.db``, and inner nodes of the tree that proofs are read from."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from consentprofile.errors import BrokenLog

LEVELS: Final = 63
"""Levels above the leaves that a log of the greatest length has."""


class StoredHead(NamedTuple):
    """A head of the log. ``note`` is the signed note; empty for a head that is durable but not yet signed."""

    size: int
    root: bytes
    note: bytes


class Heads:
    """Checkpoints over one connection; the caller holds the writer lock to change them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def begin(self, size: int, root: bytes) -> None:
        """Keep a head that is about to be signed; one that a crash left unsigned is forgotten."""
        self._db.execute("DELETE FROM checkpoint WHERE note = x''")
        self._db.execute("INSERT INTO checkpoint (size, root, note) VALUES (?, ?, x'')", (size, root))

    def finish(self, size: int, note: bytes) -> None:
        """Keep the signed note of a head that was begun."""
        query = "UPDATE checkpoint SET note = ? WHERE size = ? AND note = x''"
        if self._db.execute(query, (note, size)).rowcount != 1:
            raise BrokenLog("the head that was signed is not the one that was kept", sequence=size)

    def newest(self) -> StoredHead | None:
        """The newest signed head, or None."""
        query = "SELECT size, root, note FROM checkpoint WHERE note <> x'' ORDER BY size DESC LIMIT 1"
        row = self._db.execute(query).fetchone()
        return None if row is None else StoredHead._make(row)

    def after(self, size: int, limit: int = 1000) -> list[StoredHead]:
        """Up to ``limit`` signed heads of more than ``size`` leaves, in order."""
        query = "SELECT size, root, note FROM checkpoint WHERE size > ? AND note <> x'' ORDER BY size LIMIT ?"
        return [StoredHead._make(row) for row in self._db.execute(query, (size, limit))]


class Nodes:
    """Perfect subtrees of the log, as proofs read them: level 0 are the hashes beside the leaves."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def between(self, level: int, first: int, end: int) -> list[bytes]:
        """The hashes of a level from position ``first`` to before ``end``, those that are there, in order."""
        if level == 0:
            query = "SELECT hash FROM leaf WHERE sequence >= ? AND sequence < ? ORDER BY sequence"
            rows = self._db.execute(query, (first, end))
        else:
            query = "SELECT hash FROM node WHERE level = ? AND position >= ? AND position < ? ORDER BY position"
            rows = self._db.execute(query, (level, first, end))
        return [found for (found,) in rows]

    def ends(self) -> list[tuple[int, int]]:
        """For each level that has nodes, from 1 up: the position after its last."""
        (top,) = self._db.execute("SELECT coalesce(max(level), 0) FROM node").fetchone()
        query = "SELECT max(position) FROM node WHERE level = ?"
        lasts = [(level, self._db.execute(query, (level,)).fetchone()[0]) for level in range(1, min(top, LEVELS) + 1)]
        return [(level, last + 1) for level, last in lasts if last is not None]

    def read(self, level: int, position: int) -> bytes:
        """The hash of a node. Raises :class:`BrokenLog` for one that is not there."""
        if level == 0:
            row = self._db.execute("SELECT hash FROM leaf WHERE sequence = ?", (position,)).fetchone()
        else:
            query = "SELECT hash FROM node WHERE level = ? AND position = ?"
            row = self._db.execute(query, (level, position)).fetchone()
        if row is None:
            raise BrokenLog("the log has lost a part of its tree", sequence=position << level)
        return bytes(row[0])
