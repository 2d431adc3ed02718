"""The works that are measured, in their order, and what each is measured against."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from benchmarks import importing, log, workload
from benchmarks.measure import Figure, Results, Samples, duration, interleave, settle, timed
from benchmarks.ours import Ours
from benchmarks.peers import SAME_WORK, BareCommit, Peer, every_peer
from benchmarks.workload import ACTOR, PURPOSE, READ_EVENTS, Batch, Size, Source, special
from consentprofile import Store

Say = Callable[[str], None]

LOAD: Final = "record_many, 1 purpose, accounts in random order"
OURS: Final = "consentprofile"
CIPHER: Final = "SQLCipher, index"
COMMON: Final = "SQLCipher, index, as it comes"

_BARE_GOAL: Final = 150e3
_READ_GOAL: Final = 500e3
_ERASE_GOAL: Final = 20e6


class Suite:
    """One run over everything, in a folder of its own."""

    def __init__(self, folder: Path, size: Size, say: Say) -> None:
        self.results = Results()
        self._folder = folder
        self._size = size
        self._say = say

    def run(self) -> Results:
        """All works, one after the other."""
        prepared = self._consents()
        filled, peers = self._load(prepared)
        prepared.remove()
        self._open(filled)
        with filled.open() as store:
            self._reads(store, peers)
            self._record(store, peers, "relaxed", "NORMAL")
            self._erase(store, peers)
        with filled.open("full") as store:
            self._record(store, peers, "full", "FULL")
            self._decisions(store)
            self._verify(store)
        for peer in peers:
            peer.close()
        filled.remove()
        importing.measure(self.results, self._folder, self._size, self._say)
        return self.run_log()

    def run_log(self) -> Results:
        """The audit log alone."""
        log.measure(self.results, self._folder, self._size, self._say)
        return self.results

    # ---- the load --------------------------------------------------------------------------------

    def _special(self) -> list[str]:
        size = self._size
        counts = {"read": size.readers, "packed": size.readers, "erase": size.erasures, "withdraw": size.acts}
        return [special(kind, number) for kind, count in counts.items() for number in range(count)]

    def _consents(self) -> Ours:
        size = self._size
        ours = Ours(self._folder, "prepared", workload.NOW)
        accounts = [workload.account(number) for number in range(size.accounts)] + self._special()
        self._say(f"giving {len(accounts):,} consents")
        taken = ours.create(workload.CONSENTED, accounts)
        self.results.note_rates("give_consents, one purpose (before the load)", [taken / len(accounts)], "consents")
        return ours

    def _load(self, prepared: Ours) -> tuple[Ours, list[Peer]]:
        """The load, batch by batch in turn, as many times as there are rounds; what the last round has filled."""
        size = self._size
        before, _ = prepared.sizes()
        taken: dict[str, Samples] = {}
        reach: dict[str, Samples] = {}
        tail: Samples = []
        ours, peers = prepared, list[Peer]()  # there is at least one round
        for number in range(size.rounds):
            self._say(f"recording {size.events:,} events, round {number + 1} of {size.rounds}")
            ours = prepared.copy(f"store{number}")
            folder = self._folder / f"peers{number}"
            folder.mkdir()
            peers = every_peer(folder)
            accounts = [workload.account(account) for account in range(size.accounts)] + self._special()
            for peer in peers:
                peer.consent(accounts)
            batches = self._load_round(number, ours, peers, taken)
            tenth = max(1, len(batches) // 10)
            tail.append(sum(batches[:tenth]) / sum(batches[-tenth:]))
            untuned = [peer for peer in peers if not peer.tuned]
            peers = [peer for peer in peers if peer.tuned]
            for peer in untuned:
                peer.path.unlink()
            for peer in peers:
                peer.open()
            self._reach(number, ours, peers, reach)
            if number + 1 < size.rounds:
                ours.remove()
                for peer in peers:
                    peer.close()
                    peer.path.unlink()
        data, keyring = ours.sizes()
        self._note_load(taken, tail)
        mine = reach.pop(OURS)
        self.results.compare("reach by platform", mine, reach)
        self.results.note_times("reach by platform, released", mine)
        self._note_bytes("bytes on disk for an event of six fields, not compacted", (data - before) / size.events)
        self._note_bytes("bytes of keyring for an account", keyring / (size.accounts + len(self._special())))
        for peer in peers:
            self._note_bytes(f"bytes on disk for an event, {peer.name}", peer.bytes() / size.events)
        return ours, peers

    def _load_round(self, number: int, ours: Ours, peers: list[Peer], taken: dict[str, Samples]) -> Samples:
        size = self._size
        store = ours.open()
        summed: dict[str, int] = dict.fromkeys([OURS, *(peer.name for peer in peers)], 0)
        mine: Samples = []
        settle()
        for index, batch in enumerate(Source(number).load(size)):
            works = self._batch_works(store, peers, batch)
            for step in range(len(works)):
                name, work = works[(index + step) % len(works)]
                nanoseconds = timed(work)
                summed[name] += nanoseconds
                if name == OURS:
                    mine.append(nanoseconds)
        summed[OURS] += timed(store.close)
        for peer in peers:
            summed[peer.name] += timed(peer.close)
        for name, total in summed.items():
            taken.setdefault(name, []).append(total / size.events)
        self._say("  " + ", ".join(f"{name} {duration(total / size.events)}" for name, total in summed.items()))
        return mine

    def _batch_works(self, store: Store, peers: list[Peer], batch: Batch) -> list[tuple[str, Callable[[], object]]]:
        size = self._size

        def of(peer: Peer) -> tuple[str, Callable[[], object]]:
            return peer.name, lambda: peer.add(batch.rows)

        return [(OURS, lambda: store.record_many(batch.events, batch_size=size.batch)), *map(of, peers)]

    def _note_load(self, taken: dict[str, Samples], tail: Samples) -> None:
        mine = taken.pop(OURS)
        self.results.compare(LOAD, mine, taken)
        self.results.note_rates(LOAD, mine, "events")
        self.results.figures.append(
            Figure(work="  its last tenth against its first", value=f"{sorted(tail)[len(tail) // 2]:.0%} of the rate")
        )
        for peer in (CIPHER, COMMON, SAME_WORK):
            against = self.results.ratio(LOAD, peer)
            if against is not None:
                work = f"  its time as a multiple of that of {peer}"
                reached = against.median < 1
                self.results.figures.append(
                    Figure(work=work, value=f"{against.median:.2f}", goal="< 1", reached=reached)
                )

    def _note_bytes(self, work: str, value: float) -> None:
        self.results.figures.append(Figure(work=work, value=f"{value:,.0f} bytes"))

    def _reach(self, number: int, ours: Ours, peers: list[Peer], reach: dict[str, Samples]) -> None:
        self._say("reach")
        spec = self._folder / f"reach{number}.toml"
        spec.write_text(workload.REACH, encoding="utf-8")
        start = int(workload.CONSENTED.timestamp())
        until = int((workload.CONSENTED + timedelta(days=91)).timestamp())
        with ours.open() as store:
            settle()
            out = self._folder / f"reach{number}"
            reach.setdefault(OURS, []).append(timed(lambda: store.release(spec, out)))
        for peer in peers:
            if peer.columns:
                reach.setdefault(peer.name, []).append(timed(lambda peer=peer: peer.reach(start, until)))  # type: ignore[misc]

    # ---- the filled store ------------------------------------------------------------------------

    def _open(self, filled: Ours) -> None:
        self._say("opening")
        samples: Samples = []
        settle()
        for _ in range(max(3, self._size.singles // 50)):
            start = time.perf_counter_ns()
            store = filled.open()
            samples.append(time.perf_counter_ns() - start)
            store.close()
        self.results.note_times(f"open, {self._size.accounts:,} accounts", samples)

    def _reads(self, store: Store, peers: list[Peer]) -> None:
        size = self._size
        self._say("reading")
        names = [special("read", number) for number in range(size.readers)]
        packed = [special("packed", number) for number in range(size.readers)]
        source = Source(90)
        for batch in source.scattered(names, READ_EVENTS):
            store.record_many(batch.events)
            for peer in peers:
                peer.add(batch.rows)
        together = [row for batch in source.scattered(packed, READ_EVENTS) for row in batch.rows]
        store.record_many(Batch.of(together).events, batch_size=len(together))
        by_name = {peer.name: peer for peer in peers if peer.index}
        with store.view(PURPOSE, actor=ACTOR, reason="ticket") as view:

            def profile(index: int) -> None:
                found = view.profile(names[index % len(names)])
                if found is None or found.events != READ_EVENTS:
                    raise AssertionError("the profile is not the one that was recorded")

            works: dict[str, Callable[[int], object]] = {
                OURS: profile,
                "packed": lambda index: view.profile(packed[index % len(packed)]),
            }
            for name, peer in by_name.items():
                works[name] = lambda index, peer=peer: peer.read(names[index % len(names)])  # type: ignore[misc]
                if peer.columns:
                    works[f"{name}, with a row of audit"] = (
                        lambda index, peer=peer: peer.read_with_entry(names[index % len(names)])  # type: ignore[misc]
                    )
            taken = interleave(works, size.singles)
        mine, merged = taken.pop(OURS), taken.pop("packed")
        self.results.compare_samples(f"profile of {READ_EVENTS} events, its audit entry included", mine, taken)
        self.results.note_times(f"profile of {READ_EVENTS} events in as many blocks", mine, below=_READ_GOAL)
        self.results.note_times(f"profile of {READ_EVENTS} events in one block a month", merged, below=_READ_GOAL)

    def _record(self, store: Store, peers: list[Peer], durability: str, synchronous: str) -> None:
        size = self._size
        self._say(f"single events, {durability}")
        source = Source(91 if durability == "relaxed" else 92)
        batch = Batch.of([source.row(source.somebody(size), 1.0) for _ in range(size.singles)])
        bare = BareCommit(self._folder / f"bare-{durability}.db", synchronous=synchronous)
        works: dict[str, Callable[[int], object]] = {
            OURS: lambda index: store.record(batch.events[index]),
            "bare commit of one row": lambda index: bare.commit(),
        }
        for peer in peers:
            if peer.index:
                peer.db.execute(f"PRAGMA synchronous = {synchronous}")
                works[peer.name] = lambda index, peer=peer: peer.add_one(batch.rows[index])  # type: ignore[misc]
        taken = interleave(works, size.singles)
        bare.close()
        mine, cheapest = taken.pop(OURS), taken["bare commit of one row"]
        work = f"record, {durability} durability"
        self.results.compare_samples(work, mine, taken)
        self.results.note_times(work, mine)
        self.results.note_times(f"bare commit of one row, {durability} durability", cheapest)
        ordered, least = sorted(mine), sorted(cheapest)
        middle, high = len(ordered) // 2, int(len(ordered) * 0.99)
        above = ordered[middle] - least[middle]
        self.results.figures.append(
            Figure(
                work=f"{work}: above the bare commit",
                value=duration(above),
                spread=f"p99 {duration(ordered[high] - least[high])}",
                goal=f"< {duration(_BARE_GOAL)}",
                reached=above < _BARE_GOAL,
            )
        )

    def _erase(self, store: Store, peers: list[Peer]) -> None:
        size = self._size
        self._say("erasing")
        names = [special("erase", number) for number in range(size.erasures)]
        for batch in Source(93).scattered(names, size.erased_events):
            store.record_many(batch.events)
            for peer in peers:
                if peer.index:
                    peer.add(batch.rows)
        works: dict[str, Callable[[int], object]] = {OURS: lambda index: store.erase(names[index], reference="1")}
        for peer in peers:
            if peer.index:
                peer.db.execute("PRAGMA synchronous = FULL")
                works[peer.name] = lambda index, peer=peer: peer.erase(names[index])  # type: ignore[misc]
        taken = interleave(works, size.erasures)
        mine = taken.pop(OURS)
        work = f"erase, {size.erased_events:,} events in as many blocks"
        self.results.compare_samples(f"{work} (peers: rows deleted)", mine, taken)
        self.results.note_times(work, mine, below=_ERASE_GOAL)

    def _decisions(self, store: Store) -> None:
        size = self._size
        self._say("giving and withdrawing consent")
        taken = interleave(
            {
                "give": lambda index: store.give_consent(
                    special("new", index), [PURPOSE], notice=workload.NOTICE, method="signup form"
                ),
                "withdraw": lambda index: store.withdraw_consent(special("withdraw", index), [PURPOSE]),
            },
            size.acts,
        )
        self.results.note_times("give consent, a new account", taken["give"])
        self.results.note_times("withdraw consent", taken["withdraw"])

    def _verify(self, store: Store) -> None:
        self._say("verifying the log")
        samples: Samples = []
        leaves = 0
        for _ in range(self._size.rounds):
            start = time.perf_counter_ns()
            leaves = store.audit.verify().size
            samples.append((time.perf_counter_ns() - start) / leaves)
        self.results.note_rates(f"verify of the log, {leaves:,} leaves", samples, "leaves")
