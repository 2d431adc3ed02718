"""The audit log's tables: leaves, the frontier of the tree, and the actor book.

Leaves are appended inside the transaction of what they tell of, so that neither can be without the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from consentprofile.errors import BrokenLog, CorruptRecord
from consentprofile.store.connection import kept_cursor
from consentprofile.store.counts import NOTHING, Adder
from consentprofile.tlog.leaf import VERSION, Draft, Leaf
from consentprofile.tlog.merkle import Frontier, leaf_hash

SECONDS_AN_HOUR: Final = 3600
LATEST_HOUR: Final = 253_402_300_799 // SECONDS_AN_HOUR
"""The last hour of the year 9999: no clock runs later."""


class StoredLeaf(NamedTuple):
    """A leaf as it lies in the log."""

    sequence: int
    hash: bytes
    body: bytes


class Head(NamedTuple):
    """Where the log ends: the frontier of the tree over all leaves, and the hour of the newest leaf.

    Hours are whole, since 1970 UTC; 0 for an empty log. ``counts`` are those of recording
    (:mod:`consentprofile.store.counts`), which stand beside them.
    """

    frontier: Frontier
    hour: int
    counts: bytes


class Log:
    """The log over one connection; the caller holds the writer lock to append."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._kept = kept_cursor(connection)
        self._written: tuple[bytes, Frontier] | None = None
        """What was written last and the frontier behind it, until that is handed out, for it may be changed then."""
        self.counts: Final = Adder()
        """What adds to the counts of recording."""

    def head(self) -> Head:
        """The head. Raises :class:`BrokenLog` where it is missing."""
        row = self._kept.execute("SELECT frontier, hour, counts FROM tree").fetchone()
        if row is None or not 0 <= row[1] <= LATEST_HOUR:
            raise BrokenLog("the audit log has lost its head", sequence=0)
        try:
            written, self._written = self._written, None
            if written is not None and written[0] == row[0]:
                return Head(written[1], *row[1:])
            return Head(Frontier.decode(row[0]), *row[1:])
        except CorruptRecord:
            raise BrokenLog("the frontier of the log's tree is not one", sequence=0) from None

    def hour(self) -> int:
        """The hour of the newest leaf, as :meth:`head` has it."""
        row = self._db.execute("SELECT hour FROM tree").fetchone()
        if row is None or not 0 <= row[0] <= LATEST_HOUR:
            raise BrokenLog("the audit log has lost its head", sequence=0)
        return int(row[0])

    def size(self) -> int:
        """How many leaves there are, as :meth:`head` has it."""
        row = self._db.execute("SELECT substr(frontier, 1, 8) FROM tree").fetchone()
        if row is None:
            raise BrokenLog("the audit log has lost its head", sequence=0)
        return int.from_bytes(row[0], "big")

    def establish(self) -> None:
        """Begin an empty log."""
        query = "INSERT INTO tree (id, frontier, hour, counts) VALUES (1, ?, 0, ?)"
        self._db.execute(query, (Frontier().encode(), NOTHING))

    def append(
        self, drafts: Sequence[Draft], policy: bytes, head: Head | None = None, counts: bytes | None = None
    ) -> int:
        """Append leaves under the policy with this digest; the sequence of the first. Constant cost for each leaf.

        ``head`` is for a caller who has read it under the same writer lock; it is used up. ``counts``, where given, are
        those of recording from now on.
        """
        frontier, hour, counted = self.head() if head is None else head
        first = frontier.size
        rows = []
        nodes: list[tuple[int, int, bytes]] = []
        for sequence, draft in enumerate(drafts, first):
            # The log's hours never run backwards: what was noted before a crash is appended after it.
            hour = max(hour, draft.second // SECONDS_AN_HOUR)
            leaf = Leaf(VERSION, sequence, hour, draft.operation, draft.purpose, draft.role, policy, draft.facts)
            body = leaf.encode()
            hashed = leaf_hash(body)
            nodes += frontier.append(hashed)[1:]  # the first is the leaf itself
            rows.append((sequence, hashed, body))
        try:
            self._kept.executemany("INSERT INTO leaf (sequence, hash, body) VALUES (?, ?, ?)", rows)
            if nodes:
                self._kept.executemany("INSERT INTO node (level, position, hash) VALUES (?, ?, ?)", nodes)
        except sqlite3.IntegrityError:
            raise BrokenLog("something stands in the log beyond its tree; run `audit verify`", sequence=first) from None
        encoded = frontier.encode()
        row = (encoded, hour, counted if counts is None else counts)
        self._kept.execute("UPDATE tree SET frontier = ?, hour = ?, counts = ?", row)
        self._written = encoded, frontier
        return first

    def count(self, counts: bytes) -> None:
        """Write the counts of recording alone."""
        self._db.execute("UPDATE tree SET counts = ?", (counts,))

    def page(self, start: int, limit: int = 1000) -> list[StoredLeaf]:
        """Up to ``limit`` leaves from sequence ``start`` on, in order."""
        query = "SELECT sequence, hash, body FROM leaf WHERE sequence >= ? ORDER BY sequence LIMIT ?"
        return [StoredLeaf._make(row) for row in self._db.execute(query, (start, limit))]

    def mentioning(self, words: Sequence[str], start: int, stop: int) -> list[StoredLeaf]:
        """The leaves from ``start`` to before ``stop`` whose bytes hold one of the words: some may mean another thing.

        Cost: a few microseconds for ten leaves, for they are not decoded.
        """
        anywhere = " OR ".join(["instr(body, ?)"] * len(words))
        query = f"SELECT sequence, hash, body FROM leaf WHERE sequence >= ? AND sequence < ? AND ({anywhere})"
        return [
            StoredLeaf._make(row) for row in self._db.execute(query, (start, stop, *(word.encode() for word in words)))
        ]

    # ---- the actor book ----------------------------------------------------------------------------

    def note_actors(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Add sealed entries of the actor book, each beside the leaf with its sequence."""
        self._kept.executemany("INSERT INTO actor_book (leaf, sealed) VALUES (?, ?)", entries)

    def overwrite_actors(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Write sealed entries of the actor book anew, each where it stands."""
        self._db.executemany("UPDATE actor_book SET sealed = ?2 WHERE leaf = ?1", entries)

    def actors(self, start: int, limit: int = 1000) -> list[tuple[int, bytes]]:
        """Up to ``limit`` sealed entries from this leaf on, in order."""
        query = "SELECT leaf, sealed FROM actor_book WHERE leaf >= ? ORDER BY leaf LIMIT ?"
        return self._db.execute(query, (start, limit)).fetchall()
