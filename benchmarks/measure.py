"""Taking times: the clock, turns, medians and quantiles."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final, TypeAlias

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


QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
"""What a picture of single calls shows."""


def quantiles(samples: Samples) -> tuple[list[float], list[float]]:
    """Shares, and the samples that so many do not exceed, as far out as two samples lie beyond."""
    shares = [share for share in QUANTILES if share == 0.5 or (1 - share) * len(samples) >= 2]
    return shares, [quantile(samples, share) for share in shares]


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
