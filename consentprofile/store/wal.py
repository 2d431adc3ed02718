"""The WAL of ``data.db``: how long it may become, and when what it holds is moved into the database.

SQLite writes a WAL that was moved whole again from its beginning, and in that first commit cuts it to
``journal_size_limit``; so its size keeps telling how full it is.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from consentprofile.errors import StoreFault
from consentprofile.store.locks import CHECKPOINT, FileLock
from consentprofile.store.names import DATA
from consentprofile.store.syncing import sync

WAL_LIMIT: Final = 2 * 1024 * 1024
"""Bytes of the WAL after which the writer lock is taken once more, for a checkpoint of 2 to 3 ms."""
BULK_WAL_LIMIT: Final = 32 * 1024 * 1024
"""The same while much is written, when 25 ms do not show: until :data:`LULL` seconds after a transaction of
:data:`BULK` seconds or more."""
SLICES: Final = 8
"""Slices of compaction after which it is moved before it is long: a checkpoint of some 800 KiB holds the writer lock
for about as long as a slice."""
LOOK_EVERY: Final = 8
SHORT: Final = 0.0002
"""Transactions of fewer seconds write little: only after so many of them the size of the WAL is asked for, which takes
2 to 3 microseconds; after a longer one at once."""
BULK: Final = 0.02
LULL: Final = 0.5


class Wal:
    """The WAL that one connection writes to, beside others.

    Of all processes one at a time moves it, or waits to: the others leave it that, and do not wait for what it will
    have done, unless the WAL has become so long that the one must have been stopped. Nothing rests on this lock; what
    keeps the files whole is the writer lock.
    """

    def __init__(self, directory: Path, data: sqlite3.Connection) -> None:
        self._file = os.fspath(directory / (DATA + "-wal"))
        self._data = data
        self._lock = FileLock(directory / CHECKPOINT, wait=0.0)
        self._move_above = WAL_LIMIT
        self.due = False
        """Whether it is to be moved."""
        self._unseen = self._slices = 0
        self._much_until = 0.0

    def look(self, began: float) -> None:
        """Find out whether it is to be moved, after a transaction that began at ``began``, by the monotonic clock."""
        ended = time.monotonic()
        self._unseen += 1
        if self._unseen < LOOK_EVERY and ended - began < SHORT:
            return
        self._unseen = 0
        size = os.stat(self._file).st_size
        if size > self._move_above:
            if ended - began >= BULK:
                self._much_until = ended + LULL
            self.due = size > BULK_WAL_LIMIT or ended >= self._much_until

    def slice_written(self) -> None:
        """Count a slice of compaction, told before its transaction ends."""
        self._slices += 1
        self.due = self.due or self._slices >= SLICES

    def relieve(self, writing: Callable[[], AbstractContextManager[None]]) -> None:
        """Move it under a writer lock of its own, so that others had their turn; what was committed is so anyway.

        What it holds is brought to the disk before, while others write: SQLite does that again and finds little to do,
        so the lock is held for a third less. The locks of SQLite are not on this file, so opening it loses none.
        """
        held = self._lock.acquire_at_once()
        if not held and os.stat(self._file).st_size <= BULK_WAL_LIMIT:
            self.due = False
            return
        try:
            with suppress(OSError):  # a disk that fails is met again under the lock
                sync(Path(self._file))
            with suppress(StoreFault), writing():
                if self.due:  # no other thread has done it
                    self.due, self._slices = False, 0
                    # Where a reader is in the way, it grows by another limit before the next try.
                    whole = self.move("PASSIVE")
                    self._move_above = WAL_LIMIT + (0 if whole else os.stat(self._file).st_size)
        finally:
            if held:
                self._lock.release()

    def move(self, mode: str) -> bool:
        """Move it into the database; False where a reader or a full disk is in the way. TRUNCATE empties it, too.

        SQLite tells so in a row, not in an exception: busy, the frames of the WAL, those of them that were moved. The
        caller holds the writer lock.
        """
        try:
            (busy, frames, moved) = self._data.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.OperationalError:
            return False  # no room in the database: what was committed stands in the WAL, and stays there for now
        return not busy and bool(frames == moved)

    def close(self) -> None:
        """Close the lock; the connection is its owner's."""
        self._lock.close()
