"""The parts of a run, by name, and running one: what it found, and where and when and by which command."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from benchmarks import (
    calls,
    importing,
    loads,
    log,
    long,
    machine,
    privacy,
    recovery,
    releasing,
    restoring,
    rotation,
    starting,
    together,
    upkeep,
)
from benchmarks.measure import settle
from benchmarks.results import Part, Results
from benchmarks.stage import Stage

PARTS: Final[dict[str, Callable[[Stage, Results], None]]] = {
    "load": loads.measure,
    "long": long.measure,
    "fewer": loads.measure_fewer,
    "shapes": loads.measure_shapes,
    "single": calls.measure_single,
    "reads": calls.measure_reads,
    "acts": calls.measure_acts,
    "import": importing.measure,
    "upkeep": upkeep.measure,
    "rotation": rotation.measure,
    "restore": restoring.measure,
    "recovery": recovery.measure,
    "releases": releasing.measure,
    "privacy": privacy.measure,
    "processes": together.measure_processes,
    "threads": together.measure_threads,
    "start": starting.measure,
    "log": log.measure,
}
"""In the order in which the page shows them."""


def run(name: str, stage: Stage, command: str) -> Part:
    """Run one part."""
    stage.say(f"== {name}")
    results = Results()
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    started = time.perf_counter()
    settle()
    PARTS[name](stage, results)
    return Part(
        part=name,
        size=stage.size.name,
        title=results.title,
        command=command,
        date=date,
        seconds=time.perf_counter() - started,
        machine=list(machine.describe(stage.folder)),
        ratios=results.ratios,
        figures=results.figures,
        curves=results.curves,
        notes=results.notes,
    )
