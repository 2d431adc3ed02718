"""Part ``long``: ours alone over tens of millions of events, in a process of its own: rate by window, memory, bytes."""

from __future__ import annotations

from statistics import median

from benchmarks import processes
from benchmarks.loads import ours as called
from benchmarks.measure import duration, timed
from benchmarks.ours import Ours
from benchmarks.results import RATE, Results
from benchmarks.roles import LongDone, LongTask
from benchmarks.sizes import Long, told
from benchmarks.stage import Stage


def measure(stage: Stage, results: Results) -> None:
    """One call of ``record_many`` for all events, and compaction, once for each number of worker processes."""
    load = stage.size.long
    if load is None:
        raise ValueError("this size has no long load")
    results.title = f"{told(load.events)} events of {told(load.accounts)} accounts in random order, ours alone"
    prepared = stage.consented(load.accounts)
    for accounts, taken in stage.consents.items():
        results.note_rates(
            f"give_consents, 1 purpose, {told(accounts)} accounts (before the load)", [taken], "consents"
        )
    for workers in load.workers:
        stage.say(f"recording {told(load.events)} events, workers={workers}")
        copy = prepared.copy(f"long-{workers}")
        before = copy.sizes()[0]
        task = LongTask(
            place=copy.place, events=load.events, accounts=load.accounts, batch=load.batch, window=load.window,
            stretch=load.stretch, workers=workers,
        )  # fmt: skip
        done = processes.play("long", task, LongDone)
        _note(results, load, workers, done)
        size = copy.sizes()[0] - before
        results.note(f"{_work(load, workers)}: bytes on disk for an event, as recorded", size / load.events, "bytes")
        if load.everything:
            _compact_everything(results, load, workers, copy, before)
        copy.remove()


def _compact_everything(results: Results, load: Long, workers: int, ours: Ours, before: int) -> None:
    """``before`` are the bytes of the store without events."""
    with ours.open() as store:
        everything = timed(lambda: store.upkeep.compact(everything=True))
    size, free = ours.sizes()[0] - before, ours.free()
    work = _work(load, workers)
    results.note(f"{work}: compaction of everything afterwards", everything, "ns")
    results.note_rates(f"{work}: compaction of everything, rate", [everything / load.events], "events")
    results.note(
        f"{work}: bytes on disk for an event of six fields, compacted", size / load.events, "bytes",
        spread=f"{(size - free) / load.events:,.0f} without free pages", key=_key("bytes", load, workers),
    )  # fmt: skip


def _note(results: Results, load: Long, workers: int, done: LongDone) -> None:
    work = _work(load, workers)
    total = sum(done.windows) + done.compact + done.close
    rates = [1e9 * load.window / window for window in done.windows]
    results.note(f"{work}: time, compaction due included", total, "ns")
    results.note(
        f"{work}: rate, compaction due included", 1e9 * load.events / total, "events/s",
        spread=f"windows {min(rates):,.0f} to {max(rates):,.0f}, median {median(rates):,.0f}",
        key=_key("rate", load, workers),
    )  # fmt: skip
    results.note(
        f"{work}: rate of the last {told(load.window)} against the first", rates[-1] / rates[0], "share",
        key=_key("fade", load, workers), spread=f"{rates[0]:,.0f} and {rates[-1]:,.0f} a second",
    )  # fmt: skip
    results.note(
        f"{work}: compaction still due at the end", done.compact / total, "share", spread=duration(done.compact)
    )
    results.note(
        f"{work}: most memory of the process that records", done.peak * 1024 / 1e6, "MB",
        spread=f"{done.compacted_peak * 1024 / 1e6:,.0f} MB with the compaction at the end; {load.stretch:,} events "
        "that the harness holds ready included",
        key=_key("memory", load, workers),
    )  # fmt: skip
    if workers:
        results.note(f"{work}: most memory of the processes that seal", done.workers_peak * 1024 / 1e6, "MB")
    x = [float(load.window * (number + 1)) for number in range(len(rates))]
    # (a store of more accounts is another store: its curve is not the continuation of the first)
    name = called(workers) if load.accounts <= 1_000_000 else f"{called(workers)}, {told(load.accounts)} accounts"
    results.draw(f"{RATE} {load.batch}", name, x, rates)


def _work(load: Long, workers: int) -> str:
    return f"{told(load.events)} events, workers={workers}"


def _key(figure: str, load: Long, workers: int) -> str:
    """What goals call a figure; nothing where the load has no key."""
    return load.key and f"{figure}.{load.key}/{workers}"
