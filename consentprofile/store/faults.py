"""What SQLite says of its files, as errors of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

from consentprofile.errors import CorruptRecord, StoreBusy, StoreFault


def typed(error: sqlite3.DatabaseError) -> StoreFault | CorruptRecord:
    """What SQLite says of its files as an error of ours; nothing of a statement or a value is repeated."""
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    known = "_".join(name.split("_")[:2])  # SQLITE_CORRUPT_VTAB is SQLITE_CORRUPT, and so on
    return _TYPES.get(name, _TYPES.get(known, _other))(name)


def _other(name: str) -> StoreFault:
    return StoreFault(f"the store's files could not be used ({name}); the transaction at hand was undone")


_TYPES: Final[dict[str, Callable[[str], StoreFault | CorruptRecord]]] = {
    "SQLITE_FULL": lambda _: StoreFault(
        "the disk is full: make room and try again; the transaction at hand was undone"
    ),
    "SQLITE_BUSY": lambda _: StoreBusy("another program holds the store's database; try again"),
    # The journal is gone when its directory is synced: the change is made, and only a power cut would undo it.
    "SQLITE_IOERR_DIR_FSYNC": lambda name: StoreFault(
        f"the disk did not confirm the last change ({name}): it may stand or not; look, and repeat what is missing"
    ),
    "SQLITE_CORRUPT": lambda _: CorruptRecord("a file of the store is damaged; run `consentprofile check`"),
    "SQLITE_NOTADB": lambda _: CorruptRecord("a file of the store is not a database; restore it from a backup"),
}
