"""Parts ``single``, ``reads`` and ``acts``: what one call takes in a large store, beside the peers."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Final

from benchmarks import processes, workload
from benchmarks.measure import Samples, duration, interleave, quantile, settle
from benchmarks.ours import Ours
from benchmarks.peers import BareCommit
from benchmarks.results import READS, Results
from benchmarks.roles import ReadTask, StoreTask
from benchmarks.sizes import told
from benchmarks.stage import Stage
from benchmarks.workload import ACTOR, PURPOSE, Batch, Source, special
from consentprofile import View
from consentprofile.store.ports import Durability

OURS: Final = "consentprofile"
BARE: Final = "bare commit of one row"

Works = dict[str, Callable[[int], object]]


# ---- single events -------------------------------------------------------------------------------


def measure_single(stage: Stage, results: Results) -> None:
    """Part ``single``: one event at a time, with both durabilities, and beside a process that compacts."""
    size = stage.size
    results.title = f"Single events, store of {told(size.accounts)} accounts and {told(size.filled)} events"
    durabilities: tuple[tuple[Durability, str], ...] = (("relaxed", "NORMAL"), ("full", "FULL"))
    for durability, level in durabilities:
        ours = stage.filled(compacted=False).copy(f"single-{durability}")
        _singles(stage, results, ours, durability, level)
        ours.remove()
    _while_compacting(stage, results)


def _singles(stage: Stage, results: Results, ours: Ours, durability: Durability, level: str) -> None:
    size = stage.size
    stage.say(f"single events, {durability}")
    source = Source(91 if durability == "relaxed" else 92)
    batch = Batch.of([source.row(source.somebody(size.accounts), 1.0) for _ in range(size.singles)])
    bare = BareCommit(stage.folder / f"bare-{durability}.db", synchronous=level)
    with ours.open(durability) as store:
        works: Works = {
            OURS: lambda index: store.record(batch.events[index]),
            BARE: lambda index: bare.commit(),
        }
        for peer in stage.peers():
            peer.synchronous(level)
            works[peer.name] = lambda index, peer=peer: peer.add_one(batch.rows[index])  # type: ignore[misc]
        taken = interleave(works, size.singles)
    bare.close()
    mine, cheapest = taken.pop(OURS), taken[BARE]
    work = f"record, {durability} durability"
    results.compare_samples(work, mine, taken)
    results.note_times(work, mine)
    results.note_times(f"{BARE}, {durability} durability", cheapest)
    far = duration(quantile(mine, 0.99) - quantile(cheapest, 0.99))
    results.note(
        f"{work}: above the bare commit", median(mine) - median(cheapest), "ns", spread=f"p99 {far}",
        key=f"single.{durability}",
    )  # fmt: skip
    results.draw_calls(f"record, {durability}", mine)
    results.draw_calls(f"bare commit, {durability}", cheapest)


def _while_compacting(stage: Stage, results: Results) -> None:
    size = stage.size
    stage.say("single events while another process compacts everything")
    ours = stage.filled(compacted=False).copy("single-compacting")
    source = Source(95)
    samples: Samples = []
    with ours.open() as store, processes.start("compact", StoreTask(place=ours.place)) as other:
        processes.answer(other, int)
        rows = (source.row(source.somebody(size.accounts), 1.0) for _ in iter(int, 1))
        settle()
        processes.tell(other)
        watch = processes.Listener(other, int)
        while not samples or not watch.done.is_set():
            event = next(rows).event()
            start = time.perf_counter_ns()
            store.record(event)
            samples.append(time.perf_counter_ns() - start)
            time.sleep(0.0005)  # (one after the other without a pause would leave the lock to nobody else)
        took = watch.result()
        processes.end(other)
    ours.remove()
    work = "record, relaxed durability, while another process compacts"
    results.note_times(work, samples)
    results.note(f"{work}: p99", quantile(samples, 0.99), "ns", key="single.compacting")
    results.note(f"{work}: p99.9", quantile(samples, 0.999), "ns", spread=f"longest {duration(max(samples))}")
    results.note(f"compaction of everything, {told(size.filled)} events, beside single events", took, "ns")
    results.draw_calls("record, relaxed, while another process compacts", samples)


# ---- profiles ------------------------------------------------------------------------------------


def measure_reads(stage: Stage, results: Results) -> None:
    """Part ``reads``: profiles, warm and cold, as recorded and compacted."""
    size = stage.size
    results.title = f"Profiles, store of {told(size.accounts)} accounts and {told(size.filled)} events"
    scattered = stage.filled(compacted=False).copy("reads-as-recorded")
    source = Source(90)
    with scattered.open() as store:
        for events in size.read_events:
            stage.say(f"recording {events:,} events each for {size.readers} accounts")
            for batch in source.scattered([special(f"read{events}", number) for number in range(size.readers)], events):
                store.record_many(batch.events)
                for peer in stage.peers():
                    peer.add(batch.rows)
    compacted = scattered.copy("reads-compacted")
    stage.say("compacting")
    with compacted.open() as store:
        store.upkeep.compact(everything=True)
    curves: dict[str, Samples] = {}
    for events in size.read_events:
        for name, value in _warm(stage, results, scattered, compacted, events).items():
            curves.setdefault(name, []).append(value)
    for events in size.read_events:
        value = _cold(stage, results, compacted, events)
        curves.setdefault(f"{OURS}, compacted, cold", []).append(value)
    for name, values in curves.items():
        results.draw(READS, name, [float(events) for events in size.read_events], values)
    results.notes.append(
        "Warm: many reads of one process, after the first. Cold: a new process for each sample, and the system was "
        "told to forget the pages of the closed files beforehand (`posix_fadvise`, `DONTNEED`); what is shown is the "
        "first read after opening. What the disk, or whatever runs the machine, keeps in memory is out of our hands."
    )
    scattered.remove()
    compacted.remove()


def _warm(stage: Stage, results: Results, scattered: Ours, compacted: Ours, events: int) -> dict[str, float]:
    size = stage.size
    stage.say(f"reading profiles of {events:,} events")
    names = [special(f"read{events}", number) for number in range(size.readers)]
    packed = f"{OURS}, compacted"
    with (
        scattered.open() as first,
        compacted.open() as second,
        first.view(PURPOSE, actor=ACTOR, reason="ticket") as apart,
        second.view(PURPOSE, actor=ACTOR, reason="ticket") as together,
    ):

        def profile(view: View) -> Callable[[int], object]:
            def read(index: int) -> None:
                found = view.profile(names[index % len(names)])
                if found is None or found.events != events:
                    raise AssertionError("the profile is not the one that was recorded")

            return read

        works: Works = {OURS: profile(apart), packed: profile(together)}
        for peer in stage.peers():
            peer.synchronous("NORMAL")
            works[peer.name] = lambda index, peer=peer: peer.read_with_entry(names[index % len(names)])  # type: ignore[misc]
        taken = interleave(works, size.singles)
    curves = {f"{OURS}, as recorded" if name == OURS else name: median(own) for name, own in taken.items()}
    mine, merged = taken.pop(OURS), taken.pop(packed)
    results.compare_samples(f"profile of {events:,} events, compacted", merged, taken)
    results.compare_samples(f"profile of {events:,} events, as recorded", mine, taken)
    results.note_times(f"profile of {events:,} events, compacted, warm", merged, key=f"read.{events}")
    results.note_times(
        f"profile of {events:,} events, as recorded (one by one), warm", mine, key=f"read.{events}.apart"
    )
    return curves


def _cold(stage: Stage, results: Results, ours: Ours, events: int) -> float:
    stage.say(f"reading profiles of {events:,} events, cold")
    opened: Samples = []
    first: Samples = []
    for number in range(stage.size.cold):
        if not processes.drop_pages(ours.path):
            results.notes.append("Nothing was dropped from memory before cold reads: this system offers no way.")
        account = special(f"read{events}", number % stage.size.readers)
        took = processes.play("cold", ReadTask(place=ours.place, account=account), list[int])
        opened.append(took[0])
        first.append(took[1])
    results.note_times(f"profile of {events:,} events, compacted, cold", first)
    results.note_times(f"open, {told(stage.size.accounts)} accounts, cold, before {events:,} events", opened)
    return median(first)


# ---- consent, erasure, opening -------------------------------------------------------------------


def measure_acts(stage: Stage, results: Results) -> None:
    """Part ``acts``: opening, giving, withdrawing, erasing."""
    size = stage.size
    results.title = f"Consent, erasure and opening, store of {told(size.accounts)} accounts"
    large = stage.filled(compacted=False).copy("acts-large")
    small = stage.consented(size.small_accounts).copy("acts-small")
    stage.say("opening")
    samples: Samples = []
    settle()
    for _ in range(size.acts):
        start = time.perf_counter_ns()
        store = large.open()
        samples.append(time.perf_counter_ns() - start)
        store.close()
    results.note_times(f"open, {told(size.accounts)} accounts, warm", samples, key="open")
    _erase(stage, results, large, small)
    stage.say("giving and withdrawing consent")
    with large.open("full") as store:
        taken = interleave(
            {
                "give": lambda index: store.give_consent(
                    special("new", index), [PURPOSE], notice=workload.NOTICE, method="signup form"
                ),
                "withdraw": lambda index: store.withdraw_consent(special("withdraw", index), [PURPOSE]),
            },
            size.acts,
        )
    results.note_times("give consent, a new account", taken["give"])
    results.note_times("withdraw consent", taken["withdraw"])
    large.remove()
    small.remove()


def _erase(stage: Stage, results: Results, large: Ours, small: Ours) -> None:
    size = stage.size
    stage.say("erasing")
    names = [special("erase", number) for number in range(size.erasures)]
    with large.open() as store, small.open() as other:
        for batch in Source(93).scattered(names, size.erased_events):
            store.record_many(batch.events)
            other.record_many(batch.events)
            for peer in stage.peers():
                peer.add(batch.rows)
        works: Works = {
            OURS: lambda index: store.erase(names[index], reference="1"),
            "small": lambda index: other.erase(names[index], reference="1"),
        }
        for peer in stage.peers():
            peer.synchronous("FULL")
            works[peer.name] = lambda index, peer=peer: peer.erase(names[index])  # type: ignore[misc]
        taken = interleave(works, size.erasures)
    mine, beside = taken.pop(OURS), taken.pop("small")
    work = f"erase, {size.erased_events:,} events recorded one by one"
    results.compare_samples(f"{work} (peers: rows deleted)", mine, taken)
    results.note_times(f"{work}, store of {told(size.accounts)} accounts", mine, key="erase")
    results.note_times(f"{work}, store of {told(size.small_accounts)} accounts", beside, key="erase.small")
    results.note(
        "erase in the large store as a multiple of the small", median(mine) / median(beside), "times",
        key="erase.growth",
    )  # fmt: skip
