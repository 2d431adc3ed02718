"""Parts ``processes`` and ``threads``: several that write at once."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks import processes
from benchmarks.measure import duration, quantile
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
    """Part ``processes``: record_many in several processes on one store, beside one process with as much to do."""
    size = stage.size
    results.title = f"{size.writers} writing processes, {told(size.writer_events)} events each"
    alone, together = [], []
    for number in range(size.rounds):
        stage.say(f"one process that writes, then {size.writers}, round {number + 1} of {size.rounds}")
        alone.append(_write(stage, 1, number))
        together.append(_write(stage, size.writers, number))
    results.note_rates("record_many, 1 process", alone, "events")
    results.note_rates(f"record_many, {size.writers} processes in sum", together, "events")
    results.note(f"{size.writers} processes against one", min(alone) / min(together), "times", key="processes")


def _write(stage: Stage, writers: int, number: int) -> float:
    """Nanoseconds for each event, from the first that begins to the last that ends."""
    size = stage.size
    ours = stage.consented(size.shape_accounts).copy(f"writers-{writers}-{number}")
    with ExitStack() as running:
        started = [
            running.enter_context(
                processes.start(
                    "write",
                    WriteTask(
                        place=ours.place, seed=100 + seed, events=size.writer_events, accounts=size.shape_accounts,
                        batch=1_000,
                    ),
                )
            )
            for seed in range(writers)
        ]  # fmt: skip
        for process in started:
            processes.answer(process, int)
        for process in started:
            processes.tell(process)
        spans = [processes.answer(process, list[int]) for process in started]
        for process in started:
            processes.end(process)
    ours.remove()
    return (max(end for _, end in spans) - min(start for start, _ in spans)) / (writers * size.writer_events)


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
