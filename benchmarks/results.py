"""What a part has found, and how it is kept: one JSON file for each part and size, from which the page is made."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.measure import Samples, duration, grouped, quantile, quantiles

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "results"

RATE: Final = "rate"
CALLS: Final = "calls"
READS: Final = "reads"
"""The pictures that curves belong to: events a second by events in the store, single calls, reads by events."""


class Ratio(msgspec.Struct, frozen=True):
    """Our time for some work, and a peer's, side by side: one value in nanoseconds for each round."""

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
    """One figure of ours, with its spread in words; goals find it by its key. One without a name is for goals only."""

    work: str
    value: float
    unit: str
    """``ns``, ``times``, ``share``, or what is counted: ``events/s``, ``bytes``, ``MB``."""
    spread: str = ""
    key: str = ""

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return show(self.value, self.unit)


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a picture."""

    picture: str
    name: str
    x: list[float]
    y: list[float]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of one run, as it is kept."""

    part: str
    size: str
    title: str
    command: str
    date: str
    seconds: float
    machine: list[tuple[str, str]]
    ratios: list[Ratio]
    figures: list[Figure]
    curves: list[Curve]
    notes: list[str]


class Results:
    """What one part finds while it runs."""

    def __init__(self) -> None:
        self.title = ""
        self.ratios: list[Ratio] = []
        self.figures: list[Figure] = []
        self.curves: list[Curve] = []
        self.notes: list[str] = []

    def compare(self, work: str, ours: Samples, peers: Mapping[str, Samples]) -> None:
        """Note our rounds beside those of each peer."""
        self.ratios.extend(Ratio(work, name, ours, theirs) for name, theirs in peers.items())

    def compare_samples(self, work: str, ours: Samples, peers: Mapping[str, Samples]) -> None:
        """Note many samples taken in turn."""
        self.compare(work, grouped(ours), {name: grouped(theirs) for name, theirs in peers.items()})

    def ratio(self, work: str, peer: str) -> Ratio | None:
        """The ratio noted for this work beside this peer."""
        return next((one for one in self.ratios if (one.work, one.peer) == (work, peer)), None)

    def note(self, work: str, value: float, unit: str, *, spread: str = "", key: str = "") -> None:
        """Note one value."""
        self.figures.append(Figure(work=work, value=value, unit=unit, spread=spread, key=key))

    def note_times(self, work: str, samples: Samples, *, key: str = "") -> None:
        """Note the median and the 99th percentile of samples in nanoseconds."""
        far = f"p99 {duration(quantile(samples, 0.99))}, n = {len(samples):,}"
        self.note(work, statistics.median(samples), "ns", spread=far, key=key)

    def note_rates(self, work: str, samples: Samples, unit: str, *, key: str = "") -> None:
        """Note the units a second that rounds (nanoseconds for a unit) come to."""
        rates = [1e9 / sample for sample in samples]
        rounds = "1 round" if len(rates) == 1 else f"{len(rates)} rounds"
        among = f"{min(rates):,.0f} to {max(rates):,.0f}, {rounds}"
        self.note(work, statistics.median(rates), f"{unit}/s", spread=among if len(rates) > 1 else rounds, key=key)

    def draw(self, picture: str, name: str, x: Sequence[float], y: Sequence[float]) -> None:
        """Note a line of a picture."""
        self.curves.append(Curve(picture=picture, name=name, x=list(x), y=list(y)))

    def draw_calls(self, name: str, samples: Samples) -> None:
        """Note how long single calls took, as a line of their picture."""
        self.draw(CALLS, name, *quantiles(samples))


def show(value: float, unit: str) -> str:
    """A value with its unit, as the page writes it."""
    if unit == "ns":
        return duration(value)
    if unit == "times":
        return f"{value:.2f} times"
    if unit == "share":
        return f"{value:.0%}"
    return f"{value:,.0f} {unit}"


def keep(part: Part, folder: Path) -> None:
    """Keep a part in ``folder``, in the place of an older one of the same size."""
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(part), indent=1)
    (folder / f"{part.size}-{part.part}.json").write_bytes(text + b"\n")


def load(folder: Path) -> list[Part]:
    """Every part that is kept in ``folder``, by name."""
    return [msgspec.json.decode(path.read_bytes(), type=Part) for path in sorted(folder.glob("*.json"))]
