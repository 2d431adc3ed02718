"""Part ``upkeep``: compaction's rate, retention over a tenth of the accounts, and what others wait for meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from benchmarks import processes, workload
from benchmarks.holds import Holds, note_disk, note_holds
from benchmarks.measure import Samples, duration, quantile, settle, timed
from benchmarks.ours import Ours
from benchmarks.results import Results
from benchmarks.roles import StoreTask
from benchmarks.sizes import told
from benchmarks.stage import Stage
from benchmarks.workload import Batch, Source
from consentprofile import Event, Store

CONSENTED: Final = datetime(2023, 1, 1, tzinfo=UTC)
FIRST: Final = datetime(2023, 1, 20, tzinfo=UTC)
"""When the events are recorded whose retention, twelve whole months, is over at the benchmark's usual moment."""

BATCH: Final = 1_000


def measure(stage: Stage, results: Results) -> None:
    """Compact, step by step and all at once; run retention."""
    results.title = "Compaction and retention"
    _compaction(stage, results)
    _retention(stage, results)


def _compaction(stage: Stage, results: Results) -> None:
    size = stage.size
    stage.say(f"recording {size.compacted:,} events, to be compacted")
    ours = stage.consented(size.accounts).copy("upkeep-compaction")
    before = ours.sizes()[0]
    with ours.open() as store:
        for rows in Source(70).load(size.compacted, size.accounts, 10_000):
            store.record_many(Batch.of(rows).events, batch_size=BATCH)
    stage.say("compacting")
    recorded = ours.sizes()[0] - before
    steps: Samples = []
    with ours.open() as store, Holds(store) as holds:
        waits, due = probed(ours, lambda: _steps(store, steps))
        more, everything = probed(ours, lambda: store.upkeep.compact(everything=True))
    work = f"{told(size.compacted)} events of {told(size.accounts)} accounts"
    if steps:
        results.note_times(f"{work}: one step of the compaction that record_many left", steps)
    results.note(f"{work}: compaction that record_many left to do", due, "ns", spread=f"{len(steps):,} steps")
    results.note_rates(f"{work}: compaction of everything", [everything / size.compacted], "events")
    note_waits(results, "compaction", waits + more)
    note_holds(results, "compaction", holds.noted)
    compacted, free = ours.sizes()[0] - before, ours.free()
    results.note(f"{work}: bytes on disk for an event, as recorded", recorded / size.compacted, "bytes")
    results.note(
        f"{work}: bytes on disk for an event, compacted", compacted / size.compacted, "bytes",
        spread=f"{(compacted - free) / size.compacted:,.0f} without free pages",
    )  # fmt: skip
    ours.remove()


def _steps(store: Store, steps: Samples) -> None:
    more = True
    while more:

        def one() -> None:
            nonlocal more
            more = store.upkeep.step()

        steps.append(timed(one))


def _retention(stage: Stage, results: Results) -> None:
    size = stage.size
    accounts = size.retention_accounts
    stage.say(f"retention: {accounts:,} accounts, of which every tenth has events that are too old")
    ours = Ours(stage.folder, "upkeep-retention", workload.NOW)
    ours.create(CONSENTED, map(workload.account, range(accounts)))
    source = Source(71)
    with ours.open(now=FIRST) as store:
        store.record_many((_old(source, number) for number in range(0, accounts, 10)), batch_size=BATCH)
    with ours.open() as store:
        for rows in source.load(accounts * size.retention_events, accounts, 10_000):
            store.record_many(Batch.of(rows).events, batch_size=BATCH)
        store.upkeep.compact()
        stage.say("running retention")
        with Holds(store) as holds:
            waits, took = probed(ours, lambda: store.upkeep.run_retention(attended=True))
    resealed = len(range(0, accounts, 10))
    work = (
        f"retention, {told(resealed)} of {told(accounts)} accounts resealed, {size.retention_events} events each kept"
    )
    results.note(work, took, "ns")
    results.note_rates(f"{work}, rate", [took / resealed], "accounts")
    note_waits(results, "retention", waits)
    note_holds(results, "retention", holds.noted)
    note_disk(results, stage.folder)
    ours.remove()


def _old(source: Source, number: int) -> Event:
    row = source.row(workload.account(number), 0.0)
    return row._replace(at=int(datetime(2023, 1, 10, tzinfo=UTC).timestamp())).event()


def probed(ours: Ours, work: object) -> tuple[Samples, float]:
    """What another process waited for the writer lock each time while ``work`` ran, and how long that took."""
    assert callable(work)
    with processes.start("probe", StoreTask(place=ours.place)) as probe:
        processes.answer(probe, int)
        settle()
        took = timed(work)
        processes.tell(probe)
        waits = processes.answer(probe, list[float])
        processes.end(probe)
    return waits, took


def note_waits(results: Results, what: str, waits: Samples) -> None:
    spread = f"p99 {duration(quantile(waits, 0.99))}, n = {len(waits):,}"
    work = f"longest that another process waited for the writer lock during {what}"
    results.note(work, max(waits), "ns", spread=spread, key=f"wait.{what}")
