"""The keyring's epochs: which one is in force, whether a rotation is unfinished, and how one gives way to the next.

While keys are rotated there are two: the one in force, whose root wraps the keys of the one before as well, and the one
before, which goes when nothing is wrapped or sealed by its keys any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from consentprofile.crypto.keys import FORMER, FORMER_INDEX, lasts
from consentprofile.errors import UnsupportedEnvironment
from consentprofile.store.keyring import Epoch, Keyring

_LEFT: Final = """
SELECT EXISTS (
    SELECT 1 FROM (SELECT tag FROM directory UNION SELECT tag FROM suppression) AS known
    WHERE NOT EXISTS (SELECT 1 FROM directory WHERE tag = known.tag AND place = 0)
)"""
_EXCHANGE: Final = "UPDATE slot SET record = ?3 WHERE number = ?1 AND record = ?2"


class Epochs:
    """The epochs over one connection to the keyring; the caller holds the writer lock for a change."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._keyring = Keyring(connection)

    def before(self) -> Epoch | None:
        """The epoch before the one in force, where it has not gone yet: a rotation is unfinished."""
        row = self._db.execute("SELECT max(number) FROM epoch WHERE number < (SELECT epoch FROM keyring)").fetchone()
        return None if row[0] is None else self._keyring.epoch(row[0])

    def begin(self, epoch: Epoch) -> None:
        """Put an epoch in force, beside the one before, which stays until :meth:`close_before`."""
        self._db.execute("INSERT INTO epoch VALUES (?, ?, ?)", epoch[:3])
        self._db.executemany("INSERT INTO epoch_key VALUES (?, ?, ?)", [(epoch.number, *key) for key in epoch.wrapped])
        self._db.execute("UPDATE keyring SET epoch = ?", (epoch.number,))

    def exchange(self, records: Sequence[tuple[int, bytes, bytes]]) -> int:
        """Overwrite each slot (number, old record, new record) that is still the old one; how many were.

        The caller looks at the others. Cost: about 3 microseconds a slot.
        """
        return self._db.executemany(_EXCHANGE, records).rowcount if records else 0

    def is_retagging(self) -> bool:
        """Whether accounts are still to be moved to tags under the index key in force."""
        before = self.before()
        if before is None:
            return False
        query = "SELECT EXISTS (SELECT 1 FROM epoch_key JOIN keyring USING (epoch) WHERE name = ?)"
        return bool(self._db.execute(query, (f"{FORMER_INDEX}{before.number}",)).fetchone()[0])

    def is_anybody_left(self) -> bool:
        """Whether the keyring has anything of an account that has no account key, and so no id that could be opened."""
        return bool(self._db.execute(_LEFT).fetchone()[0])

    def close_before(self, *, keep_indexes: bool = True) -> None:
        """Let the epoch before go, and the keys of it that the one in force has wrapped. See :meth:`emptying`."""
        epoch = self._keyring.epoch(self._keyring.identity()[1])
        kept = [key for key in epoch.wrapped if not key.name.startswith(FORMER) or (keep_indexes and lasts(key.name))]
        self._db.execute("DELETE FROM epoch_key")
        self._db.execute("DELETE FROM epoch")
        self._db.execute("INSERT INTO epoch VALUES (?, ?, ?)", epoch[:3])
        self._db.executemany("INSERT INTO epoch_key VALUES (?, ?, ?)", [(epoch.number, *key) for key in kept])

    @contextmanager
    def emptying(self) -> Iterator[None]:
        """Let a DELETE of all rows of a table empty its pages as wholes, for transactions of the block.

        Row by row, copies of rows that moved when pages were split can stay in the gaps of pages, even with
        ``secure_delete``. Without references to look after, SQLite empties pages instead, and then ``secure_delete``
        leaves no byte of them.
        """
        self._set_references("0")
        try:
            yield
        finally:
            self._set_references("1")

    def _set_references(self, wanted: str) -> None:
        self._db.execute(f"PRAGMA foreign_keys = {wanted}")
        if self._db.execute("PRAGMA foreign_keys").fetchone() != (int(wanted),):
            raise UnsupportedEnvironment("SQLite did not take foreign_keys, or a transaction was under way")
