"""Copying a database: its live rows and nothing else, durable when it is done, the source never written to."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consentprofile.errors import StoreFault
from consentprofile.store.faults import typed
from consentprofile.store.syncing import sync


@contextmanager
def reading_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads. It never checkpoints, not even where it is the last one to close.

    What SQLite says of the file is raised as an error of ours.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA cell_size_check = 1")
            connection.execute("PRAGMA trusted_schema = 0")
            yield connection
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise typed(error) from None


def copy_rows(source: sqlite3.Connection, target: Path) -> None:
    """Copy what ``source`` sees now into ``target``, an existing empty file: no free page, no remnant in a page.

    Raises :class:`StoreFault` where the disk does not confirm the copy.
    """
    source.execute("VACUUM INTO ?", (os.fspath(target),))
    try:
        sync(target)
        sync(target.absolute().parent)
    except OSError as error:
        raise StoreFault(f"the disk did not confirm the copy ({error.strerror}); make another one") from None
