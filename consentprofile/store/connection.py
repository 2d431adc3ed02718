"""A connection to one of the two files: its pragmas, its format, and a cursor for the statements that every call makes.

Every pragma is set *and read back*: some are per connection, some depend on how SQLite was built, and a store whose
``secure_delete`` or ``synchronous`` silently stayed at its default would break its promises.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from consentprofile.errors import CorruptRecord, NewerFormat, OlderFormat, StoreFault, UnsupportedEnvironment
from consentprofile.store.faults import typed
from consentprofile.store.names import DATA, KEYS
from consentprofile.store.wal import WAL_LIMIT

FORMAT: Final = 1
"""The format of both files, frozen (``docs/format.md``). ``user_version`` is one more: an empty database has none."""
APPLICATION_ID: Final = 0x434F4E53
"""ASCII "CONS", in ``application_id`` of both files."""

_COMMON: Final = (("temp_store", 2), ("trusted_schema", 0), ("cell_size_check", 1))
PRAGMAS: Final = {
    # synchronous=EXTRA also syncs the directory after the journal is unlinked, so that a power cut cannot bring back
    # a journal that would roll a destroyed key back in.
    KEYS: (("journal_mode", "delete"), ("synchronous", 3), ("secure_delete", 1), ("foreign_keys", 1), *_COMMON),
    # secure_delete would write every page that a merge frees once more; what is dropped here is dropped by its key.
    # auto_vacuum is first, for it is settled when a file is made: 2, so that compaction can give free pages back.
    DATA: (("auto_vacuum", 2), ("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 0),
           ("wal_autocheckpoint", 0), ("journal_size_limit", WAL_LIMIT), *_COMMON),
}  # fmt: skip
CACHE_KIB: Final = 64 * 1024
"""The most memory for pages that a connection keeps."""
_CHANGED_PAGES: Final = CACHE_KIB // 4 - 1
"""Pages of 4 KiB that a transaction may have changed before any is written early, which keeps readers away until it
ends. One less than fit into the cache: SQLite takes a multiple of 256 to mean that none ever is."""
_LEAST_KIB: Final = 8 * 1024
_TOO_LARGE: Final = 4
"""How many times larger than the cache a keyring is of which less is cached."""
_TOP: Final = 64
"""What of such a keyring is cached: one part in so many. All pages above the leaves are one part in 200."""
_FEW_KIB: Final = 2 * 1024


class Connection(sqlite3.Connection):
    """A connection that keeps one cursor, for as long as it lives: to make one for each statement takes half a
    microsecond. In a forked child it stays with the connection, out of reach of any finalizer.
    """

    kept: sqlite3.Cursor | None = None
    cache_kib: int = CACHE_KIB
    """The KiB of pages that it keeps, unless :func:`keep_pages` says otherwise."""


def kept_cursor(connection: sqlite3.Connection) -> sqlite3.Cursor:
    """The cursor that a connection keeps. Whoever runs a statement on it takes all of its rows before the next."""
    if not isinstance(connection, Connection):
        return connection.cursor()
    if connection.kept is None:
        connection.kept = connection.cursor()
    return connection.kept


def connect(path: Path, *, wait: float = 5.0) -> Connection:
    """A connection to one of the two files, its pragmas set and read back. Raises :class:`UnsupportedEnvironment`."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=wait, isolation_level=None, check_same_thread=False,
        cached_statements=256, factory=Connection,
    )  # fmt: skip
    try:
        for name, wanted in PRAGMAS[path.name]:
            # Only what is otherwise is set: setting auto_vacuum to what it is writes to the file.
            if connection.execute(f"PRAGMA {name}").fetchone() == (wanted,):
                continue
            connection.execute(f"PRAGMA {name} = {wanted}").fetchall()
            if connection.execute(f"PRAGMA {name}").fetchone() != (wanted,):
                raise UnsupportedEnvironment(f"SQLite {sqlite3.sqlite_version} did not take {name} = {wanted}")
        connection.cache_kib = cache_kib(path)
        keep_pages(connection, few=False)
        connection.execute(f"PRAGMA cache_spill = {_CHANGED_PAGES}")
        connection.text_factory = _text
    except sqlite3.OperationalError as error:  # the disk, or another program: not the content
        connection.close()
        raise typed(error) from None
    except sqlite3.DatabaseError as error:
        connection.close()
        raise CorruptRecord(f"{path.name} is not a database that can be read ({error.sqlite_errorname})") from None
    except BaseException:
        connection.close()
        raise
    return connection


def cache_kib(path: Path) -> int:
    """The KiB of pages that a connection to one of the two files keeps, by how large the file is now.

    In a keyring that is several times larger than the cache, accounts in random order hardly ever find their leaves in
    it. Then it costs more than it saves: with each page SQLite walks through memory that the processor does not have at
    hand. So only what leads to the leaves is kept, and a search among a million accounts takes a tenth less.
    """
    size = path.stat().st_size // 1024
    if path.name != KEYS or size <= _TOO_LARGE * CACHE_KIB:
        return CACHE_KIB
    return min(CACHE_KIB, max(_LEAST_KIB, size // _TOP))


def keep_pages(connection: Connection, *, few: bool) -> None:
    """Keep few pages from now on, or as many as ever.

    Whoever goes through a whole file meets no page twice: a large cache would only touch all of its memory, which is
    dear the first time, and lose what it held.
    """
    connection.execute(f"PRAGMA cache_size = -{_FEW_KIB if few else connection.cache_kib}")


def _text(stored: bytes) -> str:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        raise CorruptRecord("a text of the store is not UTF-8; run `consentprofile check`") from None


def require_format(connection: sqlite3.Connection, name: str) -> None:
    """Raise :class:`NewerFormat` or :class:`OlderFormat` for a file of another version's, :class:`StoreFault` for one
    that is not ours.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise StoreFault(f"{name} is not a file of this package")
    if version > FORMAT + 1:
        raise NewerFormat(
            f"{name} has format {version - 1}, this version knows {FORMAT}; install a newer consentprofile"
        )
    if version < FORMAT + 1:
        raise OlderFormat(
            f"{name} has format {version - 1}, which ended before it was released: export what you need with the "
            f"version that made the store, and record it again into a new store"
        )
