"""The audit log: what a leaf costs, and what proving and verifying cost as the log grows.

One log grows through all lengths, and everything is measured at each of them. Peak memory is that of a process of its
own that does nothing but open the store and verify (``python -m benchmarks.log STORE KEY``).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import workload
from benchmarks.measure import Samples, interleave, settle, timed
from benchmarks.ours import Ours
from benchmarks.processes import peak_kib
from benchmarks.results import Results
from benchmarks.sizes import Size
from benchmarks.stage import Say, Stage
from benchmarks.workload import ACTOR, PURPOSE, Source, special
from consentprofile import KeyFile, Store
from consentprofile.crypto.randomness import random_bytes
from consentprofile.store.log import Log
from consentprofile.tlog.leaf import Draft, Operation

READ_EVENTS: Final = 50
BATCH: Final = 1_000
WITHOUT: Final = "the same without the log"


def measure(stage: Stage, results: Results) -> None:
    """Part ``log``: what a leaf adds, and the log at each of the size's lengths."""
    size = stage.size
    results.title = "The audit log"
    ours = Ours(stage.folder, "logged", workload.NOW)
    readers = [special("logged", number) for number in range(size.readers)]
    ours.create(workload.CONSENTED, readers)
    _added(results, ours, readers, size, stage.say)
    for length in size.log_lengths:
        _grow(results, ours, length, stage.say)
        _at(results, ours, stage.folder, length, size, stage.say)
    ours.remove()


# ---- what the log adds ---------------------------------------------------------------------------


def _added(results: Results, ours: Ours, readers: list[str], size: Size, say: Say) -> None:
    """Recording and reading beside themselves without leaf and actor book, call by call in turn."""
    say("what the log adds to record and to read")
    source = Source(94)
    events = [source.row(readers[index % len(readers)], 1.0).event() for index in range(2 * size.singles)]
    with ours.open() as store:
        store.record_many(source.row(name, 0.5).event() for name in readers for _ in range(READ_EVENTS))
        with store.view(PURPOSE, actor=ACTOR, reason="ticket") as view:

            def record(index: int) -> None:
                store.record(events[index])

            def read(index: int) -> None:
                view.profile(readers[index % len(readers)])

            for name, work in (
                ("record, relaxed durability, its leaf included", record),
                (f"profile of {READ_EVENTS} events and more, its leaf and trail included", read),
            ):
                taken = interleave({name: work, WITHOUT: lambda index, work=work: _without(work, index)}, size.singles)  # type: ignore[misc]
                mine, bare = taken[name], taken[WITHOUT]
                results.compare_samples(name, mine, {WITHOUT: bare})
                added = median(mine) - median(bare)
                results.note(f"what the log adds to {name.split(',')[0]}", added, "ns")


_append, _note_actors = Log.append, Log.note_actors


def _without(work: Callable[[int], None], index: int) -> None:
    Log.append = lambda *_: 0  # type: ignore[method-assign]
    Log.note_actors = lambda *_: None  # type: ignore[method-assign]
    try:
        work(index)
    finally:
        Log.append, Log.note_actors = _append, _note_actors  # type: ignore[method-assign]


# ---- as it grows ---------------------------------------------------------------------------------


def _length(store: Store) -> int:
    return store._session.ground.log.head()[0].size


def _append_leaves(store: Store, count: int) -> None:
    """Leaves as reads leave them, in one transaction."""
    session = store._session
    second = int(workload.NOW.timestamp())
    drafts = [
        Draft(Operation.READ, second, PURPOSE, "support-agent", (("commitment", random_bytes(32)),))
        for _ in range(count)
    ]
    with session.ground.writing(), session.ground.files.data_transaction(full=False):
        session.ground.log.append(drafts, session.policy.digest)


def _grow(results: Results, ours: Ours, length: int, say: Say) -> None:
    say(f"growing the log to {length:,} leaves")
    taken: Samples = []
    with ours.open() as store:
        settle()
        while (missing := length - 1 - _length(store)) > 0:
            count = min(BATCH, missing)
            taken.append(timed(lambda count=count: _append_leaves(store, count)) / count)  # type: ignore[misc]
    tail = taken[-max(1, len(taken) // 10) :]
    results.note_rates(f"log, append up to {length:,} leaves, {BATCH:,} a transaction", tail, "leaves")


def _at(results: Results, ours: Ours, folder: Path, length: int, size: Size, say: Say) -> None:
    """Everything at one length."""
    say(f"the log at {length:,} leaves")
    chance = random.Random(length)
    works: dict[str, Samples] = {"open": [], "checkpoint": [], "prove": [], "verify": []}
    settle()
    for _ in range(size.acts):
        start = time.perf_counter_ns()
        store = ours.open()
        works["open"].append(time.perf_counter_ns() - start)
        store.close()
    with ours.open() as store:
        for _ in range(size.rounds):
            works["verify"].append(timed(store.audit.verify))
        for _ in range(size.singles):
            works["prove"].append(timed(lambda: store.audit.prove(chance.randrange(_length(store)))))
        for _ in range(size.acts):
            _append_leaves(store, 1)
            works["checkpoint"].append(timed(store.audit.checkpoint))
    results.note_times(f"log of {length:,} leaves: open the store", works["open"])
    results.note_times(f"log of {length:,} leaves: prove one, verified before it is handed out", works["prove"])
    results.note_times(f"log of {length:,} leaves: sign a head, durable in both files", works["checkpoint"])
    results.note_times(f"log of {length:,} leaves: verify all of it", works["verify"])
    opened, verified = _memory(ours, folder)
    results.note(
        f"log of {length:,} leaves: peak memory of a process that verifies it", verified * 1024 / 1e6, "MB",
        spread=f"{opened * 1024 / 1e6:,.0f} MB before verifying",
    )  # fmt: skip


def _memory(ours: Ours, folder: Path) -> tuple[int, int]:
    """Peak memory in KiB of another process, before and after it has verified the log."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.log",
        str(ours.path.absolute()),
        str((folder / "logged.key").absolute()),
    ]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    opened, verified = json.loads(done.stdout)
    return opened, verified


def main() -> None:
    """The other process."""
    path, key = sys.argv[1:]
    with Store.open(path, key=KeyFile(key), clock=lambda: workload.NOW) as store:
        opened = peak_kib()
        store.audit.verify()
        print(json.dumps([opened, peak_kib()]))


if __name__ == "__main__":
    main()
