"""A transaction of one connection, as a block."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from consentprofile.store.connection import kept_cursor


class Transaction:
    """A block that is one transaction: committed at its end, undone by any error. One may be entered again."""

    __slots__ = ("_connection", "_kept")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept = kept_cursor(connection)

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._kept.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._undo()
            raise
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._undo()
            return
        try:
            self._kept.execute("COMMIT")
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        # The statement that failed may have rolled back already (a full disk does); then there is nothing to do.
        with suppress(sqlite3.OperationalError):
            self._kept.execute("ROLLBACK")
