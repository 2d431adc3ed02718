"""What else could hold the same events: SQLite as it is, and SQLCipher.

Each has the pragmas of the store's ``data.db`` (WAL, the same ``synchronous``, the same page cache, a checkpoint for
each 32 MiB of WAL) and takes the same batches. They check nothing, fold nothing and log nothing. SQLCipher is measured
as it comes, with its own page cache (2 MB) and checkpoints, as most would use it, and tuned as the others are.
"""

from __future__ import annotations

import hmac
import importlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, cast

from benchmarks.workload import Row
from consentprofile.store.wal import BULK_WAL_LIMIT

CACHE_KIB: Final = 64 * 1024
PAGE: Final = 4096

PLAIN: Final = "SQLite, no index"
INDEX: Final = "SQLite, index"
COMMON: Final = "SQLCipher, index"
TUNED: Final = "SQLCipher, index, tuned"
SAME_WORK: Final = "SQLCipher, index, the same work"
FERNET: Final = "Fernet rows, SQLAlchemy"

EVERY: Final = (PLAIN, INDEX, COMMON, TUNED, SAME_WORK, FERNET)
BY_INDEX: Final = (INDEX, TUNED, FERNET)
"""Those that find an account's rows at once, for single calls."""

_COLUMNS: Final = (
    "account TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, channel TEXT NOT NULL, platform TEXT NOT NULL, "
    "device TEXT NOT NULL, id TEXT NOT NULL, acquisition TEXT NOT NULL"
)
_INSERT: Final = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_AUDIT: Final = "CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER, actor TEXT, reason TEXT) STRICT"

Connect = Callable[[str], sqlite3.Connection]


def plain(path: str) -> sqlite3.Connection:
    """A connection of Python's own SQLite."""
    return sqlite3.connect(path, isolation_level=None)


def cipher() -> Connect | None:
    """What connects with SQLCipher, or None without the extra. The key is raw: opening derives nothing."""
    try:
        driver = importlib.import_module("sqlcipher3.dbapi2")
    except ImportError:
        return None

    def connect(path: str) -> sqlite3.Connection:
        connection = cast(sqlite3.Connection, driver.connect(path, isolation_level=None))
        connection.execute(f"PRAGMA key = \"x'{'5a' * 32}'\"")
        return connection

    return connect


def pragmas(*, tuned: bool) -> list[str]:
    """What a file is opened with."""
    common = ["journal_mode = WAL", "synchronous = NORMAL"]
    if not tuned:
        return common
    return [
        *common,
        f"cache_size = -{CACHE_KIB}",
        f"wal_autocheckpoint = {BULK_WAL_LIMIT // PAGE}",
        "temp_store = MEMORY",
        "secure_delete = OFF",
    ]


class Peer:
    """One table of events in one file."""

    columns = True
    """Whether SQL can look into the rows."""

    def __init__(self, name: str, path: Path, connect: Connect, *, index: bool, tuned: bool = True) -> None:
        self.name = name
        self.tuned = tuned
        self.path = path
        self._connect = connect
        self.index = index
        self.open()

    def open(self) -> None:
        """Open the file, as a new one if it is not there."""
        new = not self.path.exists()
        self.db = self._connect(os.fspath(self.path))
        for pragma in pragmas(tuned=self.tuned):
            self.db.execute(f"PRAGMA {pragma}").fetchall()
        if new:
            self._create()

    def _create(self) -> None:
        self.db.execute(f"CREATE TABLE event ({_COLUMNS}) STRICT")
        if self.index:
            self.db.execute("CREATE INDEX event_account ON event (account, at)")
        self.db.execute(_AUDIT)

    def synchronous(self, level: str) -> None:
        """How durable a commit is from now on: FULL or NORMAL."""
        self.db.execute(f"PRAGMA synchronous = {level}")

    def consent(self, accounts: Sequence[str]) -> None:
        """Note consents, where the peer knows any."""

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows in one transaction."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany(_INSERT, rows)
        self.db.execute("COMMIT")

    def add_all(self, rows: Sequence[Row], batch: int) -> None:
        """Add rows, ``batch`` in a transaction."""
        for start in range(0, len(rows), batch):
            self.add(rows[start : start + batch])

    def add_one(self, row: Row) -> None:
        """Add one row in a transaction of its own."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute(_INSERT, row)
        self.db.execute("COMMIT")

    def read(self, account: str) -> Sequence[Sequence[object]]:
        """The rows of an account in the order of time."""
        return self.db.execute("SELECT * FROM event WHERE account = ? ORDER BY at", (account,)).fetchall()

    def read_with_entry(self, account: str) -> Sequence[Sequence[object]]:
        """The same, a row that says who asked committed first."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO audit (at, actor, reason) VALUES (?, ?, ?)", (0, "support-agent:1", "ticket"))
        self.db.execute("COMMIT")
        return self.read(account)

    def reach(self, start: int, until: int) -> Sequence[Sequence[object]]:
        """How many accounts each platform has had."""
        query = "SELECT platform, count(DISTINCT account) FROM event WHERE at >= ? AND at < ? GROUP BY platform"
        return self.db.execute(query, (start, until)).fetchall()

    def erase(self, account: str) -> None:
        """Delete the rows of an account."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("DELETE FROM event WHERE account = ?", (account,))
        self.db.execute("COMMIT")

    def close(self) -> None:
        """Close the file, its WAL written back."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.db.close()

    def bytes(self) -> int:
        """The size of the closed file."""
        return self.path.stat().st_size


class ConsentedRows(Peer):
    """The work that ``record_many`` does for its caller, as well as SQL can do it.

    An event is taken only under a consent in force, each id once in its account, and the device as a keyed digest. One
    statement for each row.
    """

    _INSERT: Final = (
        "INSERT OR IGNORE INTO event SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE EXISTS "
        "(SELECT 1 FROM consent WHERE account = ?1 AND purpose = 'support' AND since <= ?3 AND until > ?9)"
    )

    def _create(self) -> None:
        super()._create()
        self.db.execute("CREATE UNIQUE INDEX event_id ON event (account, id)")
        self.db.execute(
            "CREATE TABLE consent (account TEXT NOT NULL, purpose TEXT NOT NULL, since INTEGER NOT NULL, "
            "until INTEGER NOT NULL, PRIMARY KEY (account, purpose)) STRICT, WITHOUT ROWID"
        )
        self._key = os.urandom(32)

    def consent(self, accounts: Sequence[str]) -> None:
        """Note the consents, before anything is timed."""
        self.db.execute("BEGIN IMMEDIATE")
        rows = ((account, 0, 1 << 40) for account in accounts)
        self.db.executemany("INSERT INTO consent VALUES (?, 'support', ?, ?)", rows)
        self.db.execute("COMMIT")

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows in one transaction."""
        now = int(time.time())
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany(self._INSERT, [(*row[:5], self._digest(row), *row[6:], now) for row in rows])
        self.db.execute("COMMIT")

    def add_one(self, row: Row) -> None:
        """Add one row in a transaction of its own."""
        self.add([row])

    def _digest(self, row: Row) -> str:
        return hmac.digest(self._key, f"{row.account} {row.device}".encode(), "sha256").hex()


class BareCommit:
    """The cheapest durable thing there is: one row of 110 bytes without any index, committed."""

    def __init__(self, path: Path, *, synchronous: str) -> None:
        self._peer = Peer("bare commit", path, plain, index=False)
        self._peer.synchronous(synchronous)
        self._peer.db.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT")
        self._row = (os.urandom(110),)

    def commit(self) -> None:
        """Commit a row."""
        self._peer.db.execute("BEGIN IMMEDIATE")
        self._peer.db.execute("INSERT INTO bare (sealed) VALUES (?)", self._row)
        self._peer.db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._peer.close()
