"""Taking times, and what is told of them: medians with their spread, and ratios of what ran side by side."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import msgspec

Samples: TypeAlias = list[float]
"""Nanoseconds for one unit of work."""

GROUPS: Final = 5
"""Many samples are cut into so many groups, one after the other, to tell how much their median wanders."""


def settle() -> None:
    """Take what the harness holds out of the garbage collector's sight, alike for everybody; it stays switched on."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def timed(work: Callable[[], object]) -> int:
    """Nanoseconds that ``work`` takes."""
    start = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - start


STRETCH: Final = 50
"""Calls of one work before the next one has its turn."""


def interleave(works: Mapping[str, Callable[[int], object]], times: int) -> dict[str, Samples]:
    """Call each work ``times`` times with 0, 1, 2 ..., in stretches in turn, another one first each time.

    A stretch is :data:`STRETCH` calls, fewer where there are few in all: after each change of hands the processor's
    caches are the other's, and a server that serves is warm. The times of each.
    """
    taken: dict[str, Samples] = {name: [] for name in works}
    names = list(works)
    stretch = max(1, min(STRETCH, times // 10))
    settle()
    for number, first in enumerate(range(0, times, stretch)):
        for step in range(len(names)):
            name = names[(number + step) % len(names)]
            work, samples = works[name], taken[name]
            for index in range(first, min(first + stretch, times)):
                start = time.perf_counter_ns()
                work(index)
                samples.append(time.perf_counter_ns() - start)
    return taken


def grouped(samples: Samples) -> Samples:
    """The medians of :data:`GROUPS` stretches of ``samples``, in order; of as many as there are samples for."""
    groups = min(GROUPS, len(samples))
    bounds = [len(samples) * index // groups for index in range(groups + 1)]
    return [statistics.median(samples[start:stop]) for start, stop in pairwise(bounds)]


def quantile(samples: Samples, share: float) -> float:
    """The smallest sample that ``share`` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Ratio(msgspec.Struct, frozen=True):
    """Our time for some work, and a peer's, side by side: one value for each round."""

    work: str
    peer: str
    ours: Samples
    theirs: Samples

    @property
    def rounds(self) -> list[float]:
        """Our time as a multiple of theirs, round by round."""
        return [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of ours: a value with its spread, and what it has to reach, if anything."""

    work: str
    value: str
    spread: str = ""
    goal: str = ""
    reached: bool | None = None


class Results:
    """Everything that one run has found."""

    def __init__(self) -> None:
        self.ratios: list[Ratio] = []
        self.figures: list[Figure] = []
        self.notes: list[str] = []

    def compare(self, work: str, ours: Samples, peers: Mapping[str, Samples]) -> None:
        """Note our rounds beside those of each peer."""
        self.ratios.extend(Ratio(work, name, ours, theirs) for name, theirs in peers.items())

    def compare_samples(self, work: str, ours: Samples, peers: Mapping[str, Samples]) -> None:
        """Note many samples taken in turn."""
        self.compare(work, grouped(ours), {name: grouped(theirs) for name, theirs in peers.items()})

    def ratio(self, work: str, peer: str) -> Ratio | None:
        """The ratio noted for this work against this peer."""
        return next((one for one in self.ratios if (one.work, one.peer) == (work, peer)), None)

    def note_times(self, work: str, samples: Samples, *, below: float | None = None) -> None:
        """Note the median and the 99th percentile of samples in nanoseconds; ``below`` is the median to reach."""
        median = statistics.median(samples)
        self.figures.append(
            Figure(
                work=work,
                value=duration(median),
                spread=f"p99 {duration(quantile(samples, 0.99))}, n = {len(samples):,}",
                goal="" if below is None else f"< {duration(below)}",
                reached=None if below is None else median < below,
            )
        )

    def note_rates(self, work: str, samples: Samples, unit: str, *, above: float | None = None) -> None:
        """Note the units a second that rounds (nanoseconds for a unit) come to; ``above`` is the median to reach."""
        median = 1e9 / statistics.median(samples)
        slow, fast = 1e9 / max(samples), 1e9 / min(samples)
        self.figures.append(
            Figure(
                work=work,
                value=f"{median:,.0f} {unit}/s",
                spread=f"{slow:,.0f} to {fast:,.0f}, {len(samples)} rounds",
                goal="" if above is None else f">= {above:,.0f} {unit}/s",
                reached=None if above is None else median >= above,
            )
        )


def duration(nanoseconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(nanoseconds) >= size:
            return (
                f"{nanoseconds / size:.3g} {unit}"
                if abs(nanoseconds) < 1000 * size
                else f"{nanoseconds / size:,.0f} {unit}"
            )
    return f"{nanoseconds:.0f} ns"


def spread(values: Sequence[float]) -> str:
    """From the smallest to the largest."""
    return f"{min(values):.2f} to {max(values):.2f}"
