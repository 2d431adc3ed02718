"""The three locks between processes, always taken in this order: alive, writer, gate.

*alive*
    Shared by every open store. Restoring, migrating and replacing the keyring need it alone.
*writer*
    Exclusive, around every change, every checkpoint of the WAL and the last close. (SQLite 3.7.0 to 3.51.2 can corrupt
    a WAL file when one connection resets it while another writes; nobody checkpoints outside this lock.)
*gate*
    Shared by readers for one slice of at most a few milliseconds. A destroyer takes it alone after it has overwritten
    keys and before it returns: every reader that still held such a key has then put it down.

Whoever wants the writer lock takes a fourth first, *turn*, and gives it back when it has the writer lock: so whoever
lets go and comes back at once, as work in slices does, stands behind those who wait already. The gate has such a lock
of its own, *gate-turn*, which readers share: so a destroyer waits for the slices of those who are inside, and not for a
moment at which nobody reads.

*checkpoint*, before the writer lock, tells whoever would move the WAL that another process is about to.

Locks are ``flock`` on files that hold nothing. They end with the process, whatever ends it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from consentprofile.errors import StoreBusy, StoreFault

ALIVE: Final = "alive.lock"
WRITER: Final = "writer.lock"
GATE: Final = "gate.lock"
TURN: Final = "turn.lock"
GATE_TURN: Final = "gate-turn.lock"
CHECKPOINT: Final = "checkpoint.lock"

FIRST_PAUSE: Final = 0.0002
LONGEST_PAUSE: Final = 0.005
SOON: Final = 0.01
"""Seconds for which the first pause is kept: slices end within them."""

_ALONE: Final = fcntl.LOCK_EX | fcntl.LOCK_NB
_SHARED: Final = fcntl.LOCK_SH | fcntl.LOCK_NB


class FileLock:
    """One lock file, opened for as long as the store is. Not for use by two threads at once.

    Raises :class:`StoreFault` where the file can be neither opened nor made.
    """

    def __init__(self, path: Path, *, wait: float, turn: Path | None = None) -> None:
        self._turn = None if turn is None else FileLock(turn, wait=wait)
        self._name = path.name.removesuffix(".lock")
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFault(f"the store's {self._name} lock cannot be opened: {error.strerror}") from None
        self._wait = wait

    @property
    def descriptor(self) -> int:
        """The descriptor. A process that inherits it keeps what is held of the lock until it ends, too."""
        return self._descriptor

    def acquire(self, *, shared: bool = False) -> None:
        """Take the lock, waiting at most the settable time, for its turn as long again. Raises :class:`StoreBusy`."""
        turn = self._turn
        if turn is None:
            self._acquire(shared)
            return
        turn.acquire(shared=shared)
        try:
            self._acquire(shared)
        finally:
            turn.release()

    def acquire_at_once(self) -> bool:
        """Take the lock alone where nobody has it or waits for it; whether it was taken."""
        turn = self._turn
        if turn is None:
            return self._acquire(False, _at_once)
        if not turn.acquire_at_once():
            return False
        try:
            return self._acquire(False, _at_once)
        finally:
            turn.release()

    def acquire_unless(self, needless: Callable[[], bool]) -> bool:
        """Take the lock (one without turns) alone, unless it becomes ``needless`` meanwhile; whether it was taken.

        Raises :class:`StoreBusy`.
        """
        return self._acquire(False, needless)

    def _acquire(self, shared: bool, needless: Callable[[], bool] | None = None) -> bool:
        mode = _SHARED if shared else _ALONE
        pause, deadline = FIRST_PAUSE, 0.0
        while True:
            try:
                fcntl.flock(self._descriptor, mode)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
                    raise
            else:
                return True
            if needless is not None and needless():
                return False
            now = time.monotonic()
            deadline = deadline or now + self._wait
            if now >= deadline:
                raise StoreBusy(
                    f"another process held the store's {self._name} lock for more than {self._wait:g} s; "
                    "try again, or open the store with a longer wait"
                )
            time.sleep(min(pause, deadline - now))
            if deadline - now < self._wait - SOON:
                pause = min(pause * 2, LONGEST_PAUSE)

    def release(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    @contextmanager
    def held(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the lock for a block."""
        self.acquire(shared=shared)
        try:
            yield
        finally:
            self.release()

    def close(self) -> None:
        """Close the file; whatever this process holds of the lock ends.

        In a forked child this closes the inherited copy only, and the parent's lock stays: an ``flock`` ends with the
        last descriptor of its open file.
        """
        os.close(self._descriptor)
        if self._turn is not None:
            self._turn.close()


def _at_once() -> bool:
    """To wait for a lock is needless."""
    return True
