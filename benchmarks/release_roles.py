"""What other processes do for the part ``releases``: one question each, so that what it takes is its own."""

from __future__ import annotations

import importlib
import os
import time
from typing import Final

import msgspec

from benchmarks.measure import settle
from benchmarks.ours import Ours, Place
from benchmarks.processes import Watch, peak_kib, say

MODULES: Final = {"pandas": "benchmarks.in_pandas", "polars": "benchmarks.in_polars"}


class ReleaseTask(msgspec.Struct, frozen=True, kw_only=True):
    """Make a release of this specification, into this folder."""

    place: Place
    spec: str
    out: str
    workers: int


class ReleaseDone(msgspec.Struct, frozen=True, kw_only=True):
    """Nanoseconds from before the store is opened until it is closed, and of processors meanwhile; KiB."""

    took: float
    worked: float
    peak: int
    workers_peak: int


def _worked() -> float:
    """Nanoseconds of processors that this process and those of its children that have ended have used."""
    return 1e9 * sum(os.times()[:4])


def releasing(task: ReleaseTask) -> None:
    """Open the store, make the release, close the store."""
    importlib.import_module("numpy")  # pandas and Polars are imported before their clock starts, too
    settle()
    with Watch() as watch:
        start, before = time.perf_counter_ns(), _worked()
        with Ours.at(task.place).open() as store:
            store.release(task.spec, task.out, workers=task.workers)
        took = time.perf_counter_ns() - start
    say(ReleaseDone(took=took, worked=_worked() - before, peak=peak_kib(), workers_peak=watch.peak))


class FrameTask(msgspec.Struct, frozen=True, kw_only=True):
    """Put this question to this library, over this Parquet file."""

    library: str
    question: str
    path: str


class FrameDone(msgspec.Struct, frozen=True, kw_only=True):
    """Nanoseconds from before the file is read until the figures are there, and of processors; KiB; accounts by key."""

    took: float
    worked: float
    peak: int
    answer: list[tuple[tuple[str, ...], int]]


def framing(task: FrameTask) -> None:
    """Read the file and answer the question."""
    ask = importlib.import_module(MODULES[task.library]).ANSWERS[task.question]
    settle()
    start, before = time.perf_counter_ns(), _worked()
    answer = ask(task.path)
    took = time.perf_counter_ns() - start
    say(FrameDone(took=took, worked=_worked() - before, peak=peak_kib(), answer=list(answer.items())))
