"""Parts ``load``, ``fewer`` and ``shapes``: record_many beside the peers, stretch by stretch in turn.

Each stretch is some tens of batches. Ours is one call of ``record_many`` for a stretch, so that starting the processes
that seal, where there are any, is part of our time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from benchmarks import rivals, workload
from benchmarks.measure import Samples, duration, settle, timed
from benchmarks.ours import Ours
from benchmarks.peers import COMMON, INDEX, PLAIN, SAME_WORK, Peer
from benchmarks.results import RATE, Results
from benchmarks.sizes import Load, told
from benchmarks.stage import Stage
from benchmarks.workload import Batch, Order, Row, Source
from consentprofile import Store

OURS: Final = "consentprofile"
_MILLION: Final = 1_000_000
ONE_WORKER: Final = "consentprofile, 1 worker process"


def ours(workers: int) -> str:
    """What we are called in tables and pictures."""
    return OURS if not workers else ONE_WORKER if workers == 1 else f"consentprofile, {workers} worker processes"


class Round:
    """One load from the beginning: fresh copies of a store, fresh peers, and what each took."""

    def __init__(self, stage: Stage, prepared: Ours, load: Load, number: int) -> None:
        self._stage = stage
        self._load = load
        self.folder = stage.path(f"round-{number}")
        self.copies = {workers: prepared.copy(f"{self.folder.name}/store-{workers}") for workers in load.workers}
        self.peers = rivals.make(self.folder, load.peers)
        self.before = prepared.sizes()[0]
        self.stretches: dict[str, Samples] = {}
        """Nanoseconds of each stretch, by name."""
        self.ends: dict[str, float] = {}
        """Nanoseconds of what follows the last stretch: compaction, checkpoint and close."""
        self.everything: dict[int, float] = {}
        self.bytes: dict[str, float] = {}
        """Bytes of data for each event, in the closed files."""

    def run(self, source: Iterator[list[Row]]) -> None:
        """Record everything, compact, and close."""
        stores = {workers: copy.open() for workers, copy in self.copies.items()}
        for number, rows in enumerate(source):
            works = self._works(stores, rows)
            settle()
            for step in range(len(works)):
                name, work = works[(number + step) % len(works)]
                self.stretches.setdefault(name, []).append(timed(work))
        for workers, store in stores.items():
            self.ends[ours(workers)] = timed(store.upkeep.compact) + timed(store.close)
        for peer in self.peers:
            self.ends[peer.name] = timed(peer.close)
            self.bytes[peer.name] = peer.bytes() / self._load.events

    def _works(self, stores: dict[int, Store], rows: list[Row]) -> list[tuple[str, Callable[[], object]]]:
        events, batch = Batch.of(rows).events, self._load.batch

        def of(peer: Peer) -> tuple[str, Callable[[], object]]:
            return peer.name, lambda: peer.add_all(rows, batch)

        def by(workers: int, store: Store) -> tuple[str, Callable[[], object]]:
            return ours(workers), lambda: store.record_many(events, batch_size=batch, workers=workers)

        return [*(by(workers, store) for workers, store in stores.items()), *map(of, self.peers)]

    def compact_everything(self) -> None:
        """Bring all blocks into one run, and note how large the file is then."""
        for workers, copy in self.copies.items():
            with copy.open() as store:
                self.everything[workers] = timed(lambda store=store: store.upkeep.compact(everything=True))  # type: ignore[misc]
            size, free = copy.sizes()[0] - self.before, copy.free()
            self.bytes[ours(workers)] = size / self._load.events
            self.bytes[f"{ours(workers)}, without free pages"] = (size - free) / self._load.events

    def total(self, name: str) -> float:
        """Nanoseconds for each event, everything included."""
        return (sum(self.stretches[name]) + self.ends[name]) / self._load.events

    def remove(self) -> None:
        """Remove every file."""
        shutil.rmtree(self.folder)


def measure(stage: Stage, results: Results) -> None:
    """Part ``load``: every load of the size."""
    size = stage.size
    results.title = f"record_many beside peers, 1 purpose, {told(size.accounts)} accounts in random order"
    prepared = stage.consented(size.accounts)
    for load in size.loads:
        last = _measure(stage, results, size.accounts, load)
        for name, taken in last.stretches.items():
            _draw(results, load, name, taken)
    for accounts, taken in stage.consents.items():
        results.note_rates(
            f"give_consents, 1 purpose, {told(accounts)} accounts (before the load)", [taken], "consents"
        )
    keyring = prepared.sizes()[1] / (size.accounts + len(stage.specials()))
    results.note("bytes of keyring for an account", keyring, "bytes")


def measure_fewer(stage: Stage, results: Results) -> None:
    """Part ``fewer``: the same of fewer accounts, whose keys and rows lie in caches more often."""
    accounts = stage.size.shape_accounts
    results.title = f"record_many beside peers, 1 purpose, {told(accounts)} accounts in random order"
    _measure(stage, results, accounts, stage.size.fewer)


def _measure(stage: Stage, results: Results, accounts: int, load: Load) -> Round:
    """Measure a load; its last round."""
    prepared = stage.consented(accounts)
    work = f"{told(load.events)} events, {load.batch:,} a batch"
    totals: dict[str, Samples] = {}
    lasts: dict[str, Samples] = {}
    reach: dict[str, Samples] = {}
    done: list[Round] = []
    for number in range(load.rounds):
        stage.say(f"recording {work}, round {number + 1} of {load.rounds}")
        one = Round(stage, prepared, load, number)
        _consent(accounts, one.peers)
        one.run(Source(number).load(load.events, accounts, load.stretch))
        if load.reach:
            _reach(stage, one, reach)
        one.compact_everything()
        for name, taken in one.stretches.items():
            totals.setdefault(name, []).append(one.total(name))
            end = taken[-_last(load) :]
            lasts.setdefault(name, []).append(sum(end) / (len(end) * load.stretch))
        stage.say("  " + ", ".join(f"{name} {duration(taken[-1])}" for name, taken in totals.items()))
        one.remove()
        done.append(one)
    theirs = {peer.name: totals.pop(peer.name) for peer in done[-1].peers}
    for workers in load.workers:
        name = ours(workers)
        results.compare(f"{work}{_by(workers)}, compaction included", totals[name], theirs)
    if load.events > load.stretch * _last(load):
        for workers in load.workers:
            late = {name: lasts[name] for name in theirs}
            results.compare(f"{_late(load, work)}{_by(workers)}", lasts[ours(workers)], late)
    for workers in load.workers:
        _note(results, load, work, workers, done)
    if reach:
        mine = reach.pop(OURS)
        results.compare("reach by platform", mine, reach)
        results.note_times("reach by platform, released", mine)
    for name in theirs:
        results.note(f"{work}: bytes on disk for an event, {name}", done[-1].bytes[name], "bytes")
    return done[-1]


def _last(load: Load) -> int:
    """Stretches of the last million, or of the last tenth of a load that is no larger."""
    span = _MILLION if load.events > _MILLION else load.events // 10
    return max(1, span // load.stretch)


def _late(load: Load, work: str) -> str:
    return f"the last {told(_last(load) * load.stretch)} of {work}"


def _by(workers: int) -> str:
    return "" if not workers else f", workers={workers}"


def _consent(accounts: int, peers: list[Peer]) -> None:
    names = [workload.account(account) for account in range(accounts)]
    for peer in peers:
        peer.consent(names)


def _note(results: Results, load: Load, work: str, workers: int, rounds: list[Round]) -> None:
    name, events = ours(workers), load.events
    here = f"{work}{_by(workers)}"
    key = f"{load.key}/{workers}" if load.key else ""
    totals = [one.total(name) for one in rounds]
    results.note_rates(f"{here}, compaction included", totals, "events")
    last = rounds[-1]
    step = _last(load)
    first, late = sum(last.stretches[name][:step]), sum(last.stretches[name][-step:])
    results.note(f"{here}: rate of its end against its beginning", first / late, "share")
    results.note(f"{here}: compaction and close at the end", last.ends[name] / sum(last.stretches[name]), "share")
    results.note_rates(
        f"{here}: compaction of everything", [one.everything[workers] / events for one in rounds], "events"
    )
    results.note(
        f"{here}: bytes on disk for an event of six fields, compacted", last.bytes[name], "bytes",
        key=key and f"bytes.{key}", spread=f"{last.bytes[f'{name}, without free pages']:,.0f} without free pages",
    )  # fmt: skip
    for peer, slug in ((COMMON, "cipher"), (PLAIN, "plain"), (SAME_WORK, "same")):
        against = results.ratio(f"{here}, compaction included", peer)
        if key and against is not None:
            # SQLCipher's goal says how often our rate is its rate, that of plain append how often our time is its time.
            times = 1 / against.median if slug == "cipher" else against.median
            results.note("", times, "times", key=f"{slug}.{key}")
        at_last = results.ratio(f"{_late(load, work)}{_by(workers)}", peer)
        if key and at_last is not None:
            times = 1 / at_last.median if slug == "cipher" else at_last.median
            results.note("", times, "times", key=f"{slug}.last.{key}")


def _draw(results: Results, load: Load, name: str, taken: Samples) -> None:
    """The rate of each stretch, or of each tenth where there are more, by the events in the store at its end."""
    step = max(1, len(taken) // 20)
    starts = range(0, len(taken) - step + 1, step)
    x = [float((start + step) * load.stretch) for start in starts]
    y = [1e9 * step * load.stretch / sum(taken[start : start + step]) for start in starts]
    results.draw(f"{RATE} {load.batch}", name, x, y)


def _reach(stage: Stage, one: Round, reach: dict[str, Samples]) -> None:
    stage.say("  reach")
    spec = one.folder / "reach.toml"
    spec.write_text(workload.REACH, encoding="utf-8")
    start = int(workload.CONSENTED.timestamp())
    until = int((workload.CONSENTED + timedelta(days=91)).timestamp())
    out: Path = one.folder / "reach"
    with one.copies[min(one.copies)].open() as store:
        settle()
        reach.setdefault(OURS, []).append(timed(lambda: store.release(spec, out)))
    for peer in one.peers:
        if peer.columns and peer.tuned:
            peer.open()
            reach.setdefault(peer.name, []).append(timed(lambda peer=peer: peer.reach(start, until)))  # type: ignore[misc]
            peer.close()


# ---- other orders, more purposes -----------------------------------------------------------------


_SHAPES: Final[tuple[tuple[str, Order, int], ...]] = (
    ("1 purpose, accounts in random order", "random", 1),
    ("3 purposes, accounts in random order", "random", 3),
    ("1 purpose, few accounts with most of the events (zipf)", "zipf", 1),
    ("1 purpose, in order of accounts", "in order", 1),
)


def measure_shapes(stage: Stage, results: Results) -> None:
    """Part ``shapes``: the same load in other orders, and for three purposes at once."""
    size = stage.size
    results.title = (
        f"record_many in other shapes, {told(size.shape_events)} events of {told(size.shape_accounts)} accounts"
    )
    stretch = max(1_000, size.shape_events // 2)
    load = Load(events=size.shape_events, batch=1_000, stretch=stretch, rounds=1, peers=(INDEX, COMMON))
    for name, order, purposes in _SHAPES:
        stage.say(f"recording {name}")
        totals: dict[str, Samples] = {}
        for number in range(size.rounds):
            one = Round(stage, stage.consented(size.shape_accounts, purposes=purposes), load, number)
            one.run(Source(60 + number).load(load.events, size.shape_accounts, stretch, order))
            for who in one.stretches:
                totals.setdefault(who, []).append(one.total(who))
            one.remove()
        theirs = {who: totals[who] for who in load.peers if who in totals}
        for workers in load.workers:
            results.compare(f"{name}{_by(workers)}", totals[ours(workers)], theirs)
            results.note_rates(f"{name}{_by(workers)}", totals[ours(workers)], "events")
