"""The two database files and the three locks of an open store: connections, pragmas, transactions, checkpoints.

Every pragma is set *and read back*: some are per connection, some depend on how SQLite was built, and a store whose
``secure_delete`` or ``synchronous`` silently stayed at its default would break its promises.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

from consentprofile.errors import (
    CorruptRecord,
    NewerFormat,
    OlderFormat,
    StoreBusy,
    StoreClosed,
    StoreFault,
    StoreNotFound,
    UnsupportedEnvironment,
)
from consentprofile.store.locks import ALIVE, GATE, TURN, WRITER, FileLock

KEYS: Final = "keys.db"
DATA: Final = "data.db"

FORMAT: Final = 1
"""The format of both files, frozen (``docs/format.md``). ``user_version`` is one more: an empty database has none."""
APPLICATION_ID: Final = 0x434F4E53
"""ASCII "CONS", in ``application_id`` of both files."""

WAL_LIMIT: Final = 3 * 1024 * 1024
"""Bytes of the WAL after which the writer lock is taken once more, for a checkpoint of about 4 ms."""
BULK_WAL_LIMIT: Final = 32 * 1024 * 1024
"""The same while much is written, when 25 ms do not show: until :data:`LULL` seconds after a transaction of
:data:`BULK` seconds or more."""
BULK: Final = 0.02
LULL: Final = 0.5

Durability: TypeAlias = Literal["full", "relaxed"]

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


def _typed(error: sqlite3.DatabaseError) -> StoreFault | CorruptRecord:
    """What SQLite says of its files as an error of ours; nothing of a statement or a value is repeated."""
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    known = "_".join(name.split("_")[:2])  # SQLITE_CORRUPT_VTAB is SQLITE_CORRUPT, and so on
    return _TYPES.get(known, _other)(name)


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
        self._forks = len(_forks)
        self.mutex = threading.RLock()
        self._writers = 0
        self._alive = FileLock(self.path / ALIVE, wait=self._wait)
        self._writer = FileLock(self.path / WRITER, wait=self._wait, turn=self.path / TURN)
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
        self._due = False
        self._much_until = 0.0
        self._wal = os.fspath(self.path / (DATA + "-wal"))

    # ---- one process, many threads ---------------------------------------------------------------

    def _require_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed; open it again")

    def _follow_fork(self) -> None:
        if len(_forks) != self._forks and not self._closed:
            self._reopen_after_fork()

    def _reopen_after_fork(self) -> None:
        # SQLite connections must neither be used nor closed across a fork: closing could checkpoint the WAL without
        # the writer lock. So they are leaked on purpose, beyond the reach of any finalizer.
        import ctypes

        for connection in (self.keys, self.data):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        for lock in (self._alive, self._writer, self._gate):
            lock.close()
        self._open()

    @property
    def writer_descriptor(self) -> int:
        """The descriptor of the writer lock, for a process that works under the lock and may outlive this one."""
        return self._writer.descriptor

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
                yield
            except sqlite3.DatabaseError as error:
                raise _typed(error) from None
            finally:
                self._writers -= 1
                if self._writers == 0:
                    self._writer.release()
        if self._due and not self._writers:
            self._checkpoint_due()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the gate, shared, for one slice in which keys are fetched, blocks opened, and keys put down again."""
        self._follow_fork()
        with self.mutex:
            self._require_open()
            with self._gate.held(shared=True):
                try:
                    yield
                except sqlite3.DatabaseError as error:
                    raise _typed(error) from None

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
        began = time.monotonic()
        with self._transaction(self.data):
            yield self.data
        size = os.stat(self._wal).st_size
        if size > self._checkpoint_above:
            ended = time.monotonic()
            if ended - began >= BULK:
                self._much_until = ended + LULL
            self._due = size > BULK_WAL_LIMIT or ended >= self._much_until

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

    def _checkpoint_due(self) -> None:
        """Checkpoint under a writer lock of its own, so that others had their turn; what was committed is so anyway."""
        with suppress(StoreFault), self.writing():
            if self._due:
                self._due = False
                # The next commit writes a WAL that was moved whole from its beginning, and cuts it to the limit
                # (journal_size_limit). Where a reader is in the way, it grows by another limit before the next try.
                whole = self._checkpoint("PASSIVE")
                self._checkpoint_above = WAL_LIMIT + (0 if whole else os.stat(self._wal).st_size)

    def _checkpoint(self, mode: str) -> bool:
        """Move the WAL into the database; False where a reader or a full disk is in the way. TRUNCATE empties it, too.

        SQLite tells so in a row, not in an exception: busy, the frames of the WAL, those of them that were moved. The
        caller holds the writer lock.
        """
        try:
            (busy, frames, moved) = self.data.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.OperationalError:
            return False  # no room in the database: what was committed stands in the WAL, and stays there for now
        return not busy and bool(frames == moved)

    # ---- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Close both files, the WAL checkpointed where nobody else reads. A second call does nothing."""
        if self._closed:
            return
        if len(_forks) != self._forks:
            self._closed = True
            return
        with self.writing():
            self._checkpoint("TRUNCATE")
            self.data.close()
            self.keys.close()
            self._closed = True
        for lock in (self._gate, self._writer, self._alive):
            lock.close()


_forks: Final[list[None]] = []
"""One entry for each fork between this process and the one that imported this module: asking for the process's id at
every lock costs more than a microsecond."""

os.register_at_fork(after_in_child=lambda: _forks.append(None))

_open_stores: weakref.WeakSet[Files] = weakref.WeakSet()


def _close_all() -> None:
    # A connection that the interpreter closed on its way out would checkpoint without the writer lock.
    for files in list(_open_stores):
        with suppress(StoreFault, sqlite3.Error):
            files.close()


atexit.register(_close_all)
