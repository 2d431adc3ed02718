"""How long this process holds the writer lock each time, and how much of that it waits for the file system."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from benchmarks.measure import Samples, duration, quantile, timed
from benchmarks.results import Results
from consentprofile import Store
from consentprofile.store.transaction import Transaction
from consentprofile.store.wal import Wal

PROBES: Final = 200
"""Syncs of a file of its own, to tell how the disk is at the time."""


class Hold(NamedTuple):
    """Nanoseconds for which the writer lock was held at once: in all, those in commits, checkpoints and syncs of files,
    and those that the processor worked, whichever of the two it worked for."""

    held: int
    waiting: int
    computing: int


class Holds:
    """A block in which every hold of the writer lock by an open store of this process is noted."""

    def __init__(self, store: Store) -> None:
        self.noted: list[Hold] = []
        self._lock = store._session.ground.files._writer
        self._taken = self._waiting = self._computed = 0

    def __enter__(self) -> Self:
        acquire, release = self._lock.acquire, self._lock.release
        leave, move, fsync = Transaction.__exit__, Wal.move, os.fsync
        self._before = leave, move, fsync

        def take(*, shared: bool = False) -> None:
            acquire(shared=shared)
            self._taken, self._waiting, self._computed = time.perf_counter_ns(), 0, time.thread_time_ns()

        def give_back() -> None:
            held, computing = time.perf_counter_ns() - self._taken, time.thread_time_ns() - self._computed
            self.noted.append(Hold(held, self._waiting, computing))
            release()

        def commit(
            one: Transaction, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
        ) -> None:
            self._waiting += timed(lambda: leave(one, kind, error, at))

        def checkpoint(wal: Wal, mode: str) -> bool:
            start = time.perf_counter_ns()
            try:
                return move(wal, mode)
            finally:
                self._waiting += time.perf_counter_ns() - start

        def sync(descriptor: int) -> None:
            self._waiting += timed(lambda: fsync(descriptor))

        vars(self._lock).update(acquire=take, release=give_back)
        Transaction.__exit__ = commit  # type: ignore[assignment, method-assign]
        Wal.move = checkpoint  # type: ignore[method-assign]
        os.fsync = sync  # type: ignore[assignment]
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        Transaction.__exit__, Wal.move, os.fsync = self._before  # type: ignore[method-assign]
        for name in ("acquire", "release"):
            del vars(self._lock)[name]


def note_holds(results: Results, what: str, holds: list[Hold]) -> None:
    """Note how long slices held the lock: in all, without the file system, and how long the processor worked."""
    _note(results, f"{what}: the writer lock was held at once, longest", [hold.held for hold in holds])
    without: Samples = [hold.held - hold.waiting for hold in holds]
    _note(results, f"{what}: the same without commits, checkpoints and syncs of files", without)
    _note(results, f"{what}: time of the processor in it", [hold.computing for hold in holds])


def note_disk(results: Results, folder: Path) -> None:
    """Note how long single syncs of a file in ``folder`` take now, nobody else of the benchmark at work."""
    path, samples = folder / "synced", Samples()
    with open(path, "wb", buffering=0) as file:
        for _ in range(PROBES):
            file.write(bytes(4096))
            samples.append(timed(lambda: os.fsync(file.fileno())))
    path.unlink()
    _note(results, "one sync of 4 KiB appended to a file beside, longest", samples)


def _note(results: Results, work: str, samples: Samples) -> None:
    median, far = duration(quantile(samples, 0.5)), duration(quantile(samples, 0.99))
    results.note(work, max(samples), "ns", spread=f"median {median}, p99 {far}, n = {len(samples):,}")
