"""What is to be reached, line by line, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from benchmarks.questions import QUESTIONS
from benchmarks.results import Figure, Part, show


class Goal(msgspec.Struct, frozen=True):
    """One line: what must be reached and what is aimed at, in the unit of the figure with this key; None: nothing."""

    work: str
    key: str
    must: float | None
    aim: float | None
    unit: str
    more: bool = False
    """Whether more is better."""

    def reached(self, value: float) -> str:
        """How far ``value`` goes."""
        for bound, name in ((self.aim, "aim"), (self.must, "must")):
            if bound is not None and (bound == value or (value > bound) == self.more):
                return name
        return "**no**"

    def bound(self, value: float | None) -> str:
        """A bound as the page writes it."""
        if value is None:
            return ""
        shown = f"{value:g} times" if self.unit == "times" else show(value, self.unit)
        return f"{'at least' if self.more else 'at most'} {shown}"


MICROSECOND: Final = 1e3
MILLISECOND: Final = 1e6

LONG: Final = "record_many, 20 million events of 1 million accounts in random order, compaction included"

_BY_WORKERS: Final = (
    Goal(LONG, "rate.20m", 30_000, 60_000, "events/s", more=True),
    Goal("rate of the last million of these against the first", "fade.20m", 0.75, 0.90, "share", more=True),
    Goal("rate against SQLCipher's at 1 million events", "cipher.1m", 1.3, 2, "times", more=True),
    Goal("rate against SQLCipher's at 5 million events, the last million", "cipher.last.5m", 4, 8, "times", more=True),
    Goal("rate against SQLCipher's at 5 million events, all of them", "cipher.5m", 4, 8, "times", more=True),
    Goal("time against plain append without index, at 1 million", "plain.1m", 16, 8, "times"),
    Goal("time against plain append without index, at 5 million", "plain.5m", 16, 8, "times"),
    Goal("time against SQLCipher doing the same work, 100,000 accounts", "same.fewer", 1, 0.5, "times"),
    Goal("memory while recording 20 million events", "memory.20m", 300, 150, "MB"),
    Goal("bytes on disk for an event of six fields, compacted, 20 events an account", "bytes.20m", 80, 50, "bytes"),
    Goal("the same, 1 event an account", "bytes.1m", 80, 50, "bytes"),
    Goal("import of 131,001 sessions, CSV to sealed store", "import", 20_000, 40_000, "rows/s", more=True),
)

_SINGLE: Final = (
    Goal(
        "single record, relaxed durability, median above the bare commit", "single.relaxed", 100 * MICROSECOND,
        50 * MICROSECOND, "ns",
    ),
    Goal(
        "single record while compaction runs, p99", "single.compacting", 6 * MILLISECOND, 2 * MILLISECOND, "ns"
    ),
    Goal(
        "16 threads, full durability, fsync slowed by 2 ms, against one thread", "threads/0", 5, 12, "times", more=True
    ),
    Goal("the same, each first call waiting 2 ms for others", "threads/0.002", 5, 12, "times", more=True),
    Goal(
        "profile of 100 events, store of 1 million accounts, warm, audit entry included", "read.100", 350 * MICROSECOND,
        250 * MICROSECOND, "ns",
    ),
    Goal(
        "erase, 1,000 events, store of 1 million accounts", "erase", 15 * MILLISECOND, 8 * MILLISECOND, "ns"
    ),
    Goal("erase, as a multiple of a store of 1 thousand accounts", "erase.growth", 1.2, 1.2, "times"),
    Goal("open, 1 million accounts", "open", 100 * MILLISECOND, 20 * MILLISECOND, "ns"),
    Goal("`import consentprofile`", "start.import", 150 * MILLISECOND, 80 * MILLISECOND, "ns"),
    Goal("`consentprofile --help`", "start.help", 300 * MILLISECOND, 200 * MILLISECOND, "ns"),
    Goal(
        "longest wait for the writer lock during compaction", "wait.compaction", 5 * MILLISECOND, 5 * MILLISECOND, "ns"
    ),
    Goal("longest wait for the writer lock during retention", "wait.retention", 5 * MILLISECOND, 5 * MILLISECOND, "ns"),
    Goal("rotation of the keys of 100,000 compartments", "rotation", 5_000 * MILLISECOND, 2_500 * MILLISECOND, "ns"),
    Goal("longest wait for the writer lock during it", "wait.rotation", 5 * MILLISECOND, 5 * MILLISECOND, "ns"),
)  # fmt: skip


RELEASES: Final = "release of 10 million events of 1 million accounts"


def _releases() -> Iterator[Goal]:
    """Each question with a process on each core, and in one process alone."""
    for key, who in (("10m/all", "a process on each core"), ("10m/0", "no workers")):
        for question, title in QUESTIONS.items():
            work = f"{RELEASES}, {title}, {who}: accounts on each core"
            yield Goal(work, f"release.{question}.{key}", 100_000, 150_000, "accounts/s", more=True)
        yield Goal(f"{RELEASES}, {who}: memory of all processes", f"release.memory.{key}", 700, 700, "MB")


def _privacy() -> Iterator[Goal]:
    """Ours from the sealed store, and what else there is in the clear."""
    what = "accounts on each of 2,000 pages, epsilon 1, 1 million events"
    for key, who in (("1m/all", "a process on each core"), ("1m/0", "no workers")):
        yield Goal(f"{what}, {who}: rate against PipelineDP", f"privacy.pipeline.{key}", 10, None, "times", more=True)
        yield Goal(f"{what}, {who}: time against OpenDP over Polars", f"privacy.opendp.{key}", None, 1, "times")


def goals() -> Iterator[Goal]:
    """Every line, in the page's order; what depends on worker processes once without and once with one."""
    for goal in _BY_WORKERS:
        for workers in (0, 1):
            work = f"{goal.work}{', workers=1' if workers else ''}"
            yield msgspec.structs.replace(goal, work=work, key=f"{goal.key}/{workers}")
    yield from _releases()
    yield from _privacy()
    yield from _SINGLE


def rows(parts: Iterable[Part]) -> Iterator[tuple[str, ...]]:
    """The table: work, must, aim, measured, reached, and the run that measured it."""
    found: dict[str, tuple[Figure, Part]] = {
        figure.key: (figure, part) for part in parts for figure in part.figures if figure.key
    }
    for goal in goals():
        if goal.key in found:
            figure, part = found[goal.key]
            measured, reached, where = f"**{figure.shown}**", goal.reached(figure.value), f"{part.size}, {part.part}"
        else:
            measured, reached, where = "not measured", "", ""
        yield goal.work, goal.bound(goal.must), goal.bound(goal.aim), measured, reached, where
