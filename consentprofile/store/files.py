"""The two database files and the three locks of an open store: connections, pragmas, transactions, checkpoints.

Every pragma is set *and read back*: some are per connection, some depend on how SQLite was built, and a store whose
``secure_delete`` or ``synchronous`` silently stayed at its default would break its promises.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

from consentprofile.errors import (
    CorruptRecord,
    NewerFormat,
    StoreBusy,
    StoreClosed,
    StoreFault,
    StoreNotFound,
    UnsupportedEnvironment,
)
from consentprofile.store.locks import ALIVE, GATE, WRITER, FileLock

KEYS: Final = "keys.db"
DATA: Final = "data.db"

FORMAT: Final = 0
"""The format of both files. ``user_version`` is one more, so that an empty database is not taken for format 0."""
APPLICATION_ID: Final = 0x434F4E53
"""ASCII "CONS", in ``application_id`` of both files."""

WAL_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of the WAL after which a commit is followed by a checkpoint."""

Durability: TypeAlias = Literal["full", "relaxed"]

_COMMON: Final = (("temp_store", 2), ("trusted_schema", 0), ("cell_size_check", 1))
PRAGMAS: Final = {
    # synchronous=EXTRA also syncs the directory after the journal is unlinked, so that a power cut cannot bring back
    # a journal that would roll a destroyed key back in.
    KEYS: (("journal_mode", "delete"), ("synchronous", 3), ("secure_delete", 1), ("foreign_keys", 1), *_COMMON),
    # secure_delete would write every page that a merge frees once more; what is dropped here is dropped by its key.
    DATA: (("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 0), ("wal_autocheckpoint", 0), *_COMMON),
}
_CACHE_KIB: Final = {KEYS: 64 * 1024, DATA: 64 * 1024}


def connect(path: Path, *, wait: float = 5.0) -> sqlite3.Connection:
    """A connection to one of the two files, its pragmas set and read back. Raises :class:`UnsupportedEnvironment`."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=wait, isolation_level=None, check_same_thread=False,
        cached_statements=256,
    )  # fmt: skip
    try:
        for name, wanted in PRAGMAS[path.name]:
            connection.execute(f"PRAGMA {name} = {wanted}").fetchall()
            (actual,) = connection.execute(f"PRAGMA {name}").fetchone()
            if actual != wanted:
                raise UnsupportedEnvironment(f"SQLite {sqlite3.sqlite_version} did not take {name} = {wanted}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB[path.name]}")
        connection.text_factory = _text
    except sqlite3.DatabaseError as error:
        connection.close()
        raise CorruptRecord(f"{path.name} is not a database that can be read ({error.sqlite_errorname})") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _text(stored: bytes) -> str:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        raise CorruptRecord("a text of the store is not UTF-8; run `consentprofile check`") from None


def require_format(connection: sqlite3.Connection, name: str) -> None:
    """Raise :class:`NewerFormat` for a file of a newer version, :class:`StoreFault` for one that is not ours."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise StoreFault(f"{name} is not a file of this package")
    if version > FORMAT + 1:
        raise NewerFormat(
            f"{name} has format {version - 1}, this version knows {FORMAT}; install a newer consentprofile"
        )


@contextmanager
def _typed() -> Iterator[None]:
    """Turn what SQLite says of its files into errors of ours; nothing of a statement or a value is repeated."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "") or type(error).__name__
        known = "_".join(name.split("_")[:2])  # SQLITE_CORRUPT_VTAB is SQLITE_CORRUPT, and so on
        raise _TYPES.get(known, _other)(name) from None


def _other(name: str) -> StoreFault:
    return StoreFault(f"the store's files could not be used ({name}); the transaction at hand was undone")


_TYPES: Final[dict[str, Callable[[str], StoreFault | CorruptRecord]]] = {
    "SQLITE_FULL": lambda _: StoreFault(
        "the disk is full: make room and try again; the transaction at hand was undone"
    ),
    "SQLITE_BUSY": lambda _: StoreBusy("another program holds the store's database; try again"),
    "SQLITE_CORRUPT": lambda _: CorruptRecord("a file of the store is damaged; run `consentprofile check`"),
    "SQLITE_NOTADB": lambda _: CorruptRecord("a file of the store is not a database; restore it from a backup"),
}


class Files:
    """An open store's files. One process, any number of threads; a fork opens its own at first use."""

    def __init__(self, path: Path, *, wait: float, durability: Durability) -> None:
        self.path = path
        self.durability = durability
        self._wait = wait
        self._closed = False
        self._open()
        _open_stores.add(self)

    def _open(self) -> None:
        for name in (KEYS, DATA):
            if not (self.path / name).is_file():
                raise StoreNotFound(
                    f"there is no store here, or its {name} is missing; `consentprofile init` makes one"
                )
        self._process = os.getpid()
        self.mutex = threading.RLock()
        self._writers = 0
        self._alive = FileLock(self.path / ALIVE, wait=self._wait)
        self._writer = FileLock(self.path / WRITER, wait=self._wait)
        self._gate = FileLock(self.path / GATE, wait=self._wait)
        with ExitStack() as undo:  # an opening that fails leaves nothing open
            for lock in (self._alive, self._writer, self._gate):
                undo.callback(lock.close)
            self._alive.acquire(shared=True)
            with self._writer.held():  # whoever opens first may have to recover a WAL or a hot journal
                self.keys = connect(self.path / KEYS, wait=self._wait)
                undo.callback(self.keys.close)
                self.data = connect(self.path / DATA, wait=self._wait)
                undo.callback(self.data.close)
                require_format(self.keys, KEYS)
                require_format(self.data, DATA)
            undo.pop_all()
        self._synchronous = "FULL"
        self._checkpoint_above = WAL_LIMIT
        self._wal = os.fspath(self.path / (DATA + "-wal"))

    # ---- one process, many threads ---------------------------------------------------------------

    def _require_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed; open it again")

    def _follow_fork(self) -> None:
        if os.getpid() != self._process and not self._closed:
            self._reopen_after_fork()

    def _reopen_after_fork(self) -> None:
        # SQLite connections must neither be used nor closed across a fork: closing could checkpoint the WAL without
        # the writer lock. So they are leaked on purpose, beyond the reach of any finalizer.
        for connection in (self.keys, self.data):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        for lock in (self._alive, self._writer, self._gate):
            lock.close()
        self._open()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer lock, for a change to either file. Nested calls of one thread hold it once."""
        self._follow_fork()
        with self.mutex:
            self._require_open()
            if self._writers == 0:
                self._writer.acquire()
            self._writers += 1
            try:
                with _typed():
                    yield
            finally:
                self._writers -= 1
                if self._writers == 0:
                    self._writer.release()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the gate, shared, for one slice in which keys are fetched, blocks opened, and keys put down again."""
        self._follow_fork()
        with self.mutex:
            self._require_open()
            with self._gate.held(shared=True), _typed():
                yield

    def pass_the_gate(self) -> None:
        """Wait until every reader that may hold a key from before now has put it down. Raises :class:`StoreBusy`."""
        with self._gate.held():
            pass

    # ---- transactions ----------------------------------------------------------------------------

    @contextmanager
    def keyring_transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that changes the keyring, durable when it returns."""
        with self._transaction(self.keys):
            self.keys.execute("UPDATE keyring SET changes = changes + 1")
            yield self.keys

    @contextmanager
    def data_transaction(self, *, full: bool) -> Iterator[sqlite3.Connection]:
        """A transaction that changes ``data.db``: durable if ``full``, else by the store's setting."""
        wanted = "FULL" if full or self.durability == "full" else "NORMAL"
        if wanted != self._synchronous:
            self.data.execute(f"PRAGMA synchronous = {wanted}")
            self._synchronous = wanted
        with self._transaction(self.data):
            yield self.data
        size = os.stat(self._wal).st_size
        if size > self._checkpoint_above:
            # Where a reader is in the way, the WAL grows by another limit before the next try.
            self._checkpoint_above = WAL_LIMIT if self._checkpoint() else size + WAL_LIMIT

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        if not self._writers:
            raise AssertionError("a transaction needs the writer lock")
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("COMMIT")
        except BaseException:
            # The statement that failed may have rolled back already (a full disk does); then there is nothing to do.
            with suppress(sqlite3.OperationalError):
                connection.execute("ROLLBACK")
            raise

    def _checkpoint(self) -> bool:
        """Move the WAL into the database and cut it to nothing; False where a reader or a full disk is in the way.

        SQLite tells busy in a row, not in an exception. The caller holds the writer lock.
        """
        try:
            (busy, _, _) = self.data.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            return False  # no room in the database: what was committed stands in the WAL, and stays there for now
        return not busy

    # ---- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Close both files, the WAL checkpointed where nobody else reads. A second call does nothing."""
        if self._closed:
            return
        if os.getpid() != self._process:
            self._closed = True
            return
        with self.writing():
            self._checkpoint()
            self.data.close()
            self.keys.close()
            self._closed = True
        for lock in (self._gate, self._writer, self._alive):
            lock.close()


_open_stores: weakref.WeakSet[Files] = weakref.WeakSet()


def _close_all() -> None:
    # A connection that the interpreter closed on its way out would checkpoint without the writer lock.
    for files in list(_open_stores):
        with suppress(StoreFault, sqlite3.Error):
            files.close()


atexit.register(_close_all)
