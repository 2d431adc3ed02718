"""What other processes do: ``python -m benchmarks.roles ROLE TASK``, the task in JSON. Answers are lines of JSON."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.measure import settle
from benchmarks.ours import Ours, Place
from benchmarks.processes import Watch, peak_kib, say
from benchmarks.release_roles import FrameTask, ReleaseTask, framing, releasing
from benchmarks.workload import ACTOR, PURPOSE, Batch, Source
from consentprofile import Event, Outcome

# ---- one load alone ------------------------------------------------------------------------------


class LongTask(msgspec.Struct, frozen=True, kw_only=True):
    """Record so many events in one call, and compact."""

    place: Place
    events: int
    accounts: int
    batch: int
    window: int
    stretch: int
    workers: int


class LongDone(msgspec.Struct, frozen=True, kw_only=True):
    """Nanoseconds, without those in which events were made; KiB."""

    windows: list[float]
    close: float
    compact: float
    peak: int
    workers_peak: int
    compacted_peak: int


class _Made:
    """Events made a stretch at a time, and the time that took, which is nobody's but the harness's."""

    def __init__(self, task: LongTask) -> None:
        self._task = task
        self.nanoseconds = 0

    def __iter__(self) -> Iterator[Event]:
        source = Source(1).load(self._task.events, self._task.accounts, self._task.stretch)
        while True:
            start = time.perf_counter_ns()
            rows = next(source, None)
            events = () if rows is None else Batch.of(rows).events
            del rows
            self.nanoseconds += time.perf_counter_ns() - start
            if not events:
                return
            yield from events


def long_load(task: LongTask) -> None:
    """One call of ``record_many``, timed in windows; its memory, and that of the processes it starts."""
    made = _Made(task)
    windows: list[float] = []
    store = Ours.at(task.place).open()
    settle()
    begun, spent = time.perf_counter_ns(), 0

    def progress(recorded: int) -> None:
        nonlocal begun, spent
        if recorded % task.window == 0 or recorded == task.events:
            now = time.perf_counter_ns()
            windows.append(now - begun - (made.nanoseconds - spent))
            begun, spent = now, made.nanoseconds
            rate = 1e9 * task.window / windows[-1]
            print(f"          {recorded:>11,} events, {rate:,.0f} a second", file=sys.stderr, flush=True)

    with Watch() as watch:
        store.record_many(made, batch_size=task.batch, workers=task.workers, progress=progress)
    peak = peak_kib()
    begun = time.perf_counter_ns()
    store.upkeep.compact()
    compacted = time.perf_counter_ns()
    store.close()
    closed = time.perf_counter_ns()
    say(
        LongDone(
            windows=windows, compact=compacted - begun, close=closed - compacted, peak=peak, workers_peak=watch.peak,
            compacted_peak=peak_kib(),
        )
    )  # fmt: skip


# ---- reading, cold -------------------------------------------------------------------------------


class ReadTask(msgspec.Struct, frozen=True, kw_only=True):
    """Open a store and read a profile."""

    place: Place
    account: str


def cold_read(task: ReadTask) -> None:
    """Nanoseconds of opening, and of the first profile."""
    start = time.perf_counter_ns()
    with Ours.at(task.place).open() as store:
        opened = time.perf_counter_ns()
        with store.view(PURPOSE, actor=ACTOR, reason="ticket") as view:
            view.profile(task.account)
        say([opened - start, time.perf_counter_ns() - opened])


# ---- compacting beside others --------------------------------------------------------------------


class StoreTask(msgspec.Struct, frozen=True, kw_only=True):
    """Do something to a store, when told to."""

    place: Place


def compacting(task: StoreTask) -> None:
    """Compact everything, saying when it begins and how many nanoseconds it took."""
    with Ours.at(task.place).open() as store:
        say(0)
        sys.stdin.readline()
        start = time.perf_counter_ns()
        store.upkeep.compact(everything=True)
        say(time.perf_counter_ns() - start)


# ---- several that write --------------------------------------------------------------------------


class WriteTask(msgspec.Struct, frozen=True, kw_only=True):
    """Record so many events when told to, in batches; a batch of one is a call of ``record``."""

    place: Place
    seed: int
    events: int
    accounts: int
    batch: int


def writing(task: WriteTask) -> None:
    """Say when ready, record when told to, and say from when to when on the clock that all processes share, and how
    long each call of ``record`` took, in nanoseconds."""
    with Ours.at(task.place).open() as store:
        events = [
            event
            for rows in Source(task.seed).load(task.events, task.accounts, 10_000)
            for event in Batch.of(rows).events
        ]
        settle()
        say(0)
        sys.stdin.readline()
        calls: list[int] = []
        start = time.monotonic_ns()
        if task.batch > 1:
            store.record_many(events, batch_size=task.batch)
        else:
            for event in events:
                began = time.monotonic_ns()
                store.record(event)
                calls.append(time.monotonic_ns() - began)
        say([[start, time.monotonic_ns()], calls])


# ---- killed at work ------------------------------------------------------------------------------


class DoomedTask(msgspec.Struct, frozen=True, kw_only=True):
    """Do this work for ever, and wait to be killed."""

    place: Place
    work: str
    accounts: int
    batch: int


def doomed(task: DoomedTask) -> None:
    """Say how many events are recorded once the work has begun, and go on with it."""
    store = Ours.at(task.place).open()
    source = Source(int(time.time()))
    if task.work == "recording":
        for rows in source.load(1 << 40, task.accounts, task.batch):
            store.record_many(Batch.of(rows).events, batch_size=task.batch)
            say(store.statistics()[PURPOSE][Outcome.RECORDED])
    elif task.work == "compacting":
        say(0)
        while True:
            store.upkeep.compact(everything=True)
    else:
        say(0)
        while True:
            store.erase(source.somebody(task.accounts))


# ---- threads on a slow disk ----------------------------------------------------------------------


class ThreadTask(msgspec.Struct, frozen=True, kw_only=True):
    """Record so many events in each of so many threads, one at a time, each durable before the next."""

    place: Place
    threads: int
    events: int
    accounts: int
    gather: float


def threads(task: ThreadTask) -> None:
    """What an fsync takes here, how long the threads took together, and each call: nanoseconds."""
    probe = Path(task.place.path).parent / "fsync-probe"
    descriptor = os.open(probe, os.O_RDWR | os.O_CREAT, 0o600)
    slept = []
    for _ in range(10):
        os.write(descriptor, b"x")
        start = time.perf_counter_ns()
        os.fsync(descriptor)
        slept.append(time.perf_counter_ns() - start)
    os.close(descriptor)
    source = Source(40 + task.threads)
    count = task.threads * task.events
    events = Batch.of([source.row(source.somebody(task.accounts), 0.5) for _ in range(count)]).events
    calls: list[list[int]] = [[] for _ in range(task.threads)]
    ready = threading.Barrier(task.threads + 1)
    with Ours.at(task.place).open("full", gather=task.gather) as store:

        def work(number: int) -> None:
            ready.wait()
            for event in events[number :: task.threads]:
                start = time.perf_counter_ns()
                store.record(event)
                calls[number].append(time.perf_counter_ns() - start)

        started = [threading.Thread(target=work, args=(number,)) for number in range(task.threads)]
        for thread in started:
            thread.start()
        ready.wait()
        start = time.perf_counter_ns()
        for thread in started:
            thread.join()
        taken = time.perf_counter_ns() - start
        if sum(map(len, calls)) != count:
            raise RuntimeError("a thread has failed")
    say([[min(slept)], [taken], [sample for one in calls for sample in one]])


# ---- the writer lock from outside ----------------------------------------------------------------


def probing(task: StoreTask) -> None:
    """Take the writer lock again and again until told to stop; how long each waited for it, in nanoseconds."""
    descriptor = os.open(Path(task.place.path) / "writer.lock", os.O_RDWR)
    over = threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    waits: list[int] = []
    say(0)
    while not waits or not over.is_set():
        start = time.perf_counter_ns()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        waits.append(time.perf_counter_ns() - start)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(0.001)
    os.close(descriptor)
    say(waits)


_ROLES: Final[dict[str, tuple[Callable[..., None], type[msgspec.Struct]]]] = {
    "long": (long_load, LongTask),
    "cold": (cold_read, ReadTask),
    "compact": (compacting, StoreTask),
    "write": (writing, WriteTask),
    "threads": (threads, ThreadTask),
    "probe": (probing, StoreTask),
    "doomed": (doomed, DoomedTask),
    "release": (releasing, ReleaseTask),
    "frame": (framing, FrameTask),
}

if __name__ == "__main__":
    _play, _kind = _ROLES[sys.argv[1]]
    _play(msgspec.json.decode(sys.argv[2], type=_kind))
