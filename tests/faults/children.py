"""Child processes that do one thing to a store while every call that changes a file is watched."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import struct
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple, Self

import consentprofile as cp
from consentprofile.store.files import Durability
from tests.faults.interposed import Call, Interposed, Watcher
from tests.support.stores import SetClock

_COUNTERS: Final = struct.Struct("=QQ")


class Counters:
    """Two numbers that a process shares with its children: calls that were made, and steps that are acknowledged."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.calls = self.acknowledged = 0
        self.at_end: Callable[[], None] = lambda: None
        """What the child does when everything is done."""

    def keep(self) -> None:
        """Let the other process see the numbers."""
        _COUNTERS.pack_into(self._memory, 0, self.calls, self.acknowledged)

    def look(self) -> Self:
        """See those of the other process."""
        self.calls, self.acknowledged = _COUNTERS.unpack_from(self._memory)
        return self


class Stage:
    """Where an operation is done: a store in its directory, a place beside it, and somebody who is told of each step.

    Opening the store for the operation is no part of it, and is not watched unless ``opening``; closing it is.
    """

    def __init__(
        self,
        path: Path,
        key: cp.KeyFile,
        second: int,
        durability: Durability,
        *,
        acknowledge: Callable[[], object] = lambda: None,
        watched: Interposed | None = None,
        opening: bool = False,
    ) -> None:
        self.path = path
        self.key = key
        self.clock = SetClock(second)
        self.durability = durability
        self.acknowledge = acknowledge
        self._watched = watched
        self._opening = opening
        self._store: cp.Store | None = None

    @property
    def beside(self) -> Path:
        """A directory for what the operation writes besides the store."""
        return self.path.parent

    @property
    def store(self) -> cp.Store:
        """The store, open."""
        if self._store is None:
            with nullcontext() if self._opening else self._unwatched():
                self._store = cp.Store.open(self.path, key=self.key, clock=self.clock, durability=self.durability)
        return self._store

    def leave(self) -> Path:
        """Close the store, where it is open, for what needs it alone; where it lies."""
        with self._unwatched():
            self.close()
        return self.path

    def come_back(self, opening: Callable[[Path], cp.Store]) -> cp.Store:
        """Open the store anew, after something that it had to be left for, or that has renewed it."""
        self.leave()
        self._store = opening(self.path)
        return self._store

    def hand_out(self, head: bytes) -> None:
        """Give a signed head of the log to somebody outside."""
        with self._unwatched():
            handed_out(self.path).write_bytes(head)

    @contextmanager
    def _unwatched(self) -> Iterator[None]:
        watched = self._watched
        watcher = None if watched is None else watched.watcher
        if watched is not None:
            watched.watcher = None
        try:
            yield
        finally:
            if watched is not None:
                watched.watcher = watcher

    def close(self) -> None:
        """Close the store, if it was opened."""
        if self._store is not None:
            self._store.close()
            self._store = None


def handed_out(path: Path) -> Path:
    """Where somebody outside keeps the head of the log of the store at ``path``."""
    return path.parent.with_name(path.parent.name + ".head")


class Ended(NamedTuple):
    """How a child ended: whether it was killed, and what it had done."""

    killed: bool
    calls: int
    acknowledged: int


def child(work: Callable[[Interposed, Counters], None]) -> Ended:
    """Let a child do ``work`` with its calls interposed. Raises :class:`AssertionError` where it fails by itself."""
    counters = Counters()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            gc.disable()
            work(Interposed(), counters)
            counters.keep()
            counters.at_end()
            code = 0
        except BaseException:  # noqa: BLE001 - told by the exit code; a fork must not go on
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in (0, -signal.SIGKILL), f"the child failed by itself ({code}); its traceback is on standard error"
    counters.look()
    return Ended(code != 0, counters.calls, counters.acknowledged)


def killer(counters: Counters, last: int) -> Watcher:
    """Kills the process, as SIGKILL does, instead of its call number ``last`` (from 1)."""

    def watch(call: Call) -> int:
        counters.calls += 1
        counters.keep()
        if counters.calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    return watch
