"""Parts ``processes`` and ``threads``: several that write at once."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks import processes
from benchmarks.measure import Samples, duration, quantile
from benchmarks.results import Results
from benchmarks.roles import ThreadTask, WriteTask
from benchmarks.sizes import told
from benchmarks.stage import Stage

SHIM: Final = Path(__file__).with_name("slow_fsync.c")
SLOWED: Final = 2e6
"""Nanoseconds that each fsync takes longer under the shim."""
GATHERS: Final = (0.0, 0.002)
"""Seconds that the first of several calls waits for company: the default, and one that servers may choose."""


# ---- processes -----------------------------------------------------------------------------------


def measure_processes(stage: Stage, results: Results) -> None:
    """Part ``processes``: one process and several that write to one store, each as much, in batches and one by one."""
    size = stage.size
    results.title = (
        f"Several writing processes, {told(size.writer_events)} events each in batches, "
        f"{told(size.writer_singles)} one by one"
    )
    alone: dict[int, float] = {}
    for batch, events in ((1_000, size.writer_events), (1, size.writer_singles)):
        for writers in size.writers:
            rounds, calls = [], []
            for number in range(size.rounds):
                work = "record_many" if batch > 1 else "record"
                stage.say(f"{work}, processes: {writers}, round {number + 1} of {size.rounds}")
                each, taken = _write(stage, writers, events, batch, number)
                rounds.append(each)
                calls += taken
            told_writers = "1 process" if writers == 1 else f"{writers} processes in sum"
            results.note_rates(f"{work}, {told_writers}", rounds, "events")
            if calls:
                results.note_times(f"{work}, {told_writers}: one call", calls)
            times = alone.setdefault(batch, min(rounds)) / min(rounds)
            if writers > 1:
                key = f"processes/{work}/{writers}"
                results.note(f"{work}, {writers} processes against one", times, "times", key=key)


def _write(stage: Stage, writers: int, events: int, batch: int, number: int) -> tuple[float, Samples]:
    """Nanoseconds for each event, from the first that begins to the last that ends, and those of each single call."""
    accounts = stage.size.shape_accounts
    ours = stage.consented(accounts).copy(f"writers-{writers}-{batch}-{number}")
    with ExitStack() as running:
        started = [
            running.enter_context(
                processes.start(
                    "write",
                    WriteTask(place=ours.place, seed=100 + seed, events=events, accounts=accounts, batch=batch),
                )
            )
            for seed in range(writers)
        ]
        for process in started:
            processes.answer(process, int)
        for process in started:
            processes.tell(process)
        answers = [processes.answer(process, list[list[int]]) for process in started]
        for process in started:
            processes.end(process)
    ours.remove()
    spans = [span for span, _ in answers]
    took = max(end for _, end in spans) - min(start for start, _ in spans)
    return took / (writers * events), [float(one) for _, calls in answers for one in calls]


# ---- threads -------------------------------------------------------------------------------------


def measure_threads(stage: Stage, results: Results) -> None:
    """Part ``threads``: single durable records from many threads where each fsync takes two milliseconds longer."""
    size = stage.size
    results.title = f"{size.threads} threads, full durability, each fsync slowed by 2 ms"
    shim = build_shim(stage.folder)
    if shim is None:
        results.notes.append(
            "**Not measured**: there is no C compiler here that could build the shim that slows fsync."
        )
        return
    rates: dict[tuple[int, float], float] = {}
    for threads, gather in ((1, 0.0), *((size.threads, gather) for gather in GATHERS)):
        stage.say(f"{threads} threads, gather={gather:g}")
        ours = stage.consented(size.small_accounts).copy(f"threads-{threads}-{gather:g}")
        task = ThreadTask(
            place=ours.place, threads=threads, events=size.thread_events, accounts=size.small_accounts, gather=gather
        )
        (fsync,), (taken,), calls = processes.play(
            "threads", task, list[list[float]], environment={"LD_PRELOAD": str(shim.absolute())}
        )
        ours.remove()
        if fsync < SLOWED:
            raise RuntimeError("the shim did not slow fsync")
        rates[threads, gather] = 1e9 * len(calls) / taken
        work = f"record, {threads} thread{'s' if threads > 1 else ''}, gather={gather:g}"
        results.note_rates(work, [taken / len(calls)], "events")
        results.note_times(f"{work}: one call", calls)
        if threads > 1:
            times = rates[threads, gather] / rates[1, 0.0]
            key = f"threads/{gather:g}"
            results.note(f"{threads} threads against one, gather={gather:g}", times, "times", key=key)
        results.note(
            f"{work}: the shortest fsync", fsync, "ns", spread=f"p99 of a call {duration(quantile(calls, 0.99))}"
        )


def build_shim(folder: Path) -> Path | None:
    """The library that slows fsync, compiled into ``folder``; None where nothing can compile or preload it."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    target = folder / "slow_fsync.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(target), str(SHIM), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return target if done.returncode == 0 else None
