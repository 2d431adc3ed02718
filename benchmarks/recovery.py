"""Part ``recovery``: what opening a store takes after the process that had it open was killed at work."""

from __future__ import annotations

import time
from random import Random
from typing import Final

from benchmarks import processes, workload
from benchmarks.measure import Samples, timed
from benchmarks.ours import Ours
from benchmarks.results import Results
from benchmarks.roles import DoomedTask
from benchmarks.sizes import told
from benchmarks.stage import Stage
from benchmarks.workload import Batch, Source
from consentprofile import Event, Outcome, Store

BATCH: Final = 1_000

WORK: Final = {
    "recording": "while it recorded many",
    "compacting": "while it compacted everything",
    "erasing": "while it erased accounts, one after the other",
}

LONGEST: Final = 1.5
"""Seconds for which the process works before it is killed, at the most."""


def measure(stage: Stage, results: Results) -> None:
    """Kill a process at work, open its store, record one event; again and again."""
    results.title = "Recovery after a kill"
    accounts = stage.size.restored_accounts
    ours = stage.loaded("recovery", 95)
    random = Random(95)
    event = Batch.of([Source(96).row(workload.account(1), 0.5)]).events[0]
    for work, words in WORK.items():
        openings: Samples = []
        firsts: Samples = []
        for number in range(stage.size.acts // 10 or 1):
            stage.say(f"killing a process {words}, {number + 1}")
            opening, first = _kill(ours, work, accounts, random.random() * LONGEST, event)
            openings.append(opening)
            firsts.append(first)
        title = f"{told(stage.size.restored)} events, killed {words}"
        results.note_times(f"{title}: opening", openings, key=f"recovery.{work}")
        results.note_times(f"{title}: the first event afterwards", firsts)
    ours.remove()


def _kill(ours: Ours, work: str, accounts: int, seconds: float, event: Event) -> tuple[float, float]:
    """Nanoseconds that opening takes after a kill, and the first event; what was told to be recorded is there."""
    task = DoomedTask(place=ours.place, work=work, accounts=accounts, batch=BATCH)
    with processes.start("doomed", task) as doomed:
        before = processes.answer(doomed, int)
        time.sleep(seconds)
        doomed.kill()
    opened: list[Store] = []
    opening = timed(lambda: opened.append(ours.open()))
    with opened[0] as store:
        first = timed(lambda: store.record(event))
        assert recorded(store) >= before
    return opening, first


def recorded(store: Store) -> int:
    """How many events the purpose of the load has ever taken."""
    return store.statistics()[workload.PURPOSE][Outcome.RECORDED]
