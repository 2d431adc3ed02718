"""The two database files and the three locks of an open store: connections, transactions."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

from consentprofile.errors import CorruptRecord, StoreClosed
from consentprofile.store import names
from consentprofile.store.connection import connect, require_format
from consentprofile.store.faults import typed
from consentprofile.store.locks import ALIVE, GATE, GATE_TURN, TURN, WRITER, FileLock
from consentprofile.store.place import Place, require_files
from consentprofile.store.process import FORKS, open_stores
from consentprofile.store.settling import enter, is_unsettled
from consentprofile.store.transaction import Transaction
from consentprofile.store.wal import Wal

KEYS: Final = names.KEYS
DATA: Final = names.DATA

Durability: TypeAlias = Literal["full", "relaxed"]


class Files:
    """An open store's files. One process, any number of threads; a fork opens its own at first use."""

    def __init__(
        self, path: Path, *, wait: float, durability: Durability, opened: Callable[[Files], None] | None = None
    ) -> None:
        self.path = path
        self.durability = durability
        self._wait = wait
        self._opened = opened
        """Told whenever there are new connections: at the beginning, and in a forked child."""
        self.entered: Callable[[], None] = lambda: None
        """Told when the gate was entered, and when something did not open there; what it raises, the reader gets."""
        self._closed = False
        self._open()
        open_stores.add(self)

    def _open(self) -> None:
        if not is_unsettled(self.path):
            require_files(self.path)
        self._forks = len(FORKS)
        self.mutex = threading.RLock()
        self._writers = 0
        self._alive = FileLock(self.path / ALIVE, wait=self._wait)
        self._writer = FileLock(self.path / WRITER, wait=self._wait, turn=self.path / TURN)
        self._gate = FileLock(self.path / GATE, wait=self._wait, turn=self.path / GATE_TURN)
        with ExitStack() as undo:  # an opening that fails leaves nothing open
            for lock in (self._alive, self._writer, self._gate):
                undo.callback(lock.close)
            enter(self.path, self._alive)
            require_files(self.path)
            self._place = Place(self.path)
            with self._writer.held():  # whoever opens first may have to recover a WAL or a hot journal
                self.keys = connect(self.path / KEYS, wait=self._wait)
                undo.callback(self.keys.close)
                self.data = connect(self.path / DATA, wait=self._wait)
                undo.callback(self.data.close)
                require_format(self.keys, KEYS)
                require_format(self.data, DATA)
            self.wal = Wal(self.path, self.data)
            undo.pop_all()
        self._synchronous = "FULL"
        self._writing, self._reading = _Writing(self), _Reading(self)
        self._durable = _DataTransaction(self, "FULL")
        self._as_set = self._durable if self.durability == "full" else _DataTransaction(self, "NORMAL")
        if self._opened is not None:
            self._opened(self)

    # ---- one process, many threads ---------------------------------------------------------------

    def _enter(self, *, blocking: bool = True) -> bool:
        """Take the mutex, for a block that gives it back; a forked child opens anew. Raises :class:`StoreClosed`."""
        if len(FORKS) != self._forks and not self._closed:
            self._reopen_after_fork()
        taken = self.mutex.acquire(blocking)
        if self._closed:
            if taken:
                self.mutex.release()
            raise StoreClosed("the store is closed; open it again")
        return taken

    def _reopen_after_fork(self) -> None:
        # SQLite connections must neither be used nor closed across a fork: closing could checkpoint the WAL without
        # the writer lock. So they are leaked on purpose, beyond the reach of any finalizer.
        import ctypes

        for connection in (self.keys, self.data):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        for lock in (self._alive, self._writer, self._gate, self.wal):
            lock.close()
        self._open()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the alive lock alone: no other process has the store open. Raises :class:`StoreBusy`."""
        try:
            self._alive.acquire()
            yield
        finally:
            self._alive.acquire(shared=True)

    @property
    def alive_descriptor(self) -> int:
        """The descriptor of the alive lock, for a process that works for this one and may outlive it: nobody replaces
        the store's files before it, too, has ended."""
        return self._alive.descriptor

    def writing(self, *, anywhere: bool = False) -> AbstractContextManager[None]:
        """Hold the writer lock, for a change to either file. Nested calls of one thread hold it once.

        Raises :class:`StoreFault` where the files are no longer the ones that were opened, unless they may be anywhere.
        """
        return _Writing(self, anywhere=True) if anywhere else self._writing

    def writing_at_once(self) -> AbstractContextManager[bool]:
        """As :meth:`writing` where nobody has the lock or waits for it; the block is told, and holds nothing if not."""
        return _WritingAtOnce(self)

    def reading(self) -> AbstractContextManager[None]:
        """Hold the gate, shared, for one slice in which keys are fetched, blocks opened, and keys put down again."""
        return self._reading

    def pass_the_gate(self) -> None:
        """Wait until every reader that may hold a key from before now has put it down. Raises :class:`StoreBusy`."""
        with self._gate.held():
            pass

    # ---- transactions ----------------------------------------------------------------------------

    @contextmanager
    def keyring_transaction(self, *, counted: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that changes the keyring, durable when it returns; not ``counted`` where all stays true."""
        self._require_writer()
        with Transaction(self.keys):
            self.keys.execute("UPDATE keyring SET changes = changes + ?", (counted,))
            yield self.keys

    def data_transaction(self, *, full: bool) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that changes ``data.db``: durable if ``full``, else by the store's setting."""
        return self._durable if full else self._as_set

    def _require_writer(self) -> None:
        if not self._writers:
            raise AssertionError("a transaction needs the writer lock")

    def _set_synchronous(self, wanted: str) -> None:
        self.data.execute(f"PRAGMA synchronous = {wanted}")
        self._synchronous = wanted

    # ---- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Close both files, the WAL checkpointed where nobody else reads. A second call does nothing."""
        if self._closed:
            return
        if len(FORKS) != self._forks:
            self._closed = True
            return
        with self.writing(anywhere=True):
            if self._place.is_same:
                self.wal.move("TRUNCATE")
            self.data.close()  # SQLite leaves a file alone that is no longer where it was opened
            self.keys.close()
            self._closed = True
        for lock in (self.wal, self._gate, self._writer, self._alive):
            lock.close()


# The blocks that every call goes through are classes, made once: they hold nothing of a call, but the time at which the
# one transaction began. A generator behind each costs a record 1.5 microseconds more.


class _Writing:
    """A block under the writer lock."""

    __slots__ = ("_anywhere", "_files")

    def __init__(self, files: Files, *, anywhere: bool = False) -> None:
        self._files = files
        self._anywhere = anywhere

    def __enter__(self) -> None:
        files = self._files
        files._enter()
        try:
            if files._writers == 0:
                files._writer.acquire()
                if not self._anywhere:
                    files._place.require_same(files._writer.release)
            files._writers += 1
        except BaseException:
            files.mutex.release()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        files = self._files
        files._writers -= 1
        try:
            if files._writers == 0:
                files._writer.release()
        finally:
            files.mutex.release()
        if error is None:
            if files.wal.due and not files._writers:
                files.wal.relieve(files.writing)
        elif isinstance(error, sqlite3.DatabaseError):
            raise typed(error) from None


class _WritingAtOnce:
    """A block under the writer lock where that is free."""

    __slots__ = ("_files", "_held")

    def __init__(self, files: Files) -> None:
        self._files = files
        self._held = False

    def __enter__(self) -> bool:
        files = self._files
        if files._enter(blocking=False):
            try:
                if not files._writers and files._writer.acquire_at_once():
                    files._place.require_same(files._writer.release)
                    files._writers = 1
                    self._held = True
            finally:
                if not self._held:
                    files.mutex.release()
        return self._held

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._held:
            self._files._writing.__exit__(kind, error, trace)


class _Reading:
    """A block under the gate, shared."""

    __slots__ = ("_files",)

    def __init__(self, files: Files) -> None:
        self._files = files

    def __enter__(self) -> None:
        files = self._files
        files._enter()
        try:
            files._gate.acquire(shared=True)
            try:
                files.entered()
            except BaseException:
                files._gate.release()
                raise
        except BaseException:
            files.mutex.release()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        files = self._files
        try:
            if isinstance(error, CorruptRecord):
                files.entered()
        finally:
            try:
                files._gate.release()
            finally:
                files.mutex.release()
        if isinstance(error, sqlite3.DatabaseError):
            raise typed(error) from None


class _DataTransaction(Transaction):
    """A transaction of ``data.db``."""

    __slots__ = ("_began", "_files", "_synchronous")

    def __init__(self, files: Files, synchronous: str) -> None:
        super().__init__(files.data)
        self._files = files
        self._synchronous = synchronous

    def __enter__(self) -> sqlite3.Connection:
        files = self._files
        files._require_writer()
        if self._synchronous != files._synchronous:
            files._set_synchronous(self._synchronous)
        self._began = time.monotonic()
        return Transaction.__enter__(self)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        Transaction.__exit__(self, kind, error, trace)
        if error is None:
            self._files.wal.look(self._began)
