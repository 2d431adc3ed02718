"""A connection to one of the two files, with a cursor for the statements that every call makes."""

from __future__ import annotations

import sqlite3


class Connection(sqlite3.Connection):
    """A connection that keeps one cursor, for as long as it lives: to make one for each statement takes half a
    microsecond. In a forked child it stays with the connection, out of reach of any finalizer.
    """

    kept: sqlite3.Cursor | None = None


def kept_cursor(connection: sqlite3.Connection) -> sqlite3.Cursor:
    """The cursor that a connection keeps. Whoever runs a statement on it takes all of its rows before the next."""
    if not isinstance(connection, Connection):
        return connection.cursor()
    if connection.kept is None:
        connection.kept = connection.cursor()
    return connection.kept
