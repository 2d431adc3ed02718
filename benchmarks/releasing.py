"""Part ``releases``: four questions, put to the sealed store and, over the same events in the clear, to data frames.

Each question is put in a process of its own. Every answer of a data frame is held against the release: had they
counted differently, no time would be told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import processes
from benchmarks.measure import Samples, duration, timed
from benchmarks.ours import Ours
from benchmarks.questions import QUESTIONS, SPECS, compare
from benchmarks.release_roles import FrameDone, FrameTask, ReleaseDone, ReleaseTask
from benchmarks.results import Results
from benchmarks.sizes import Releases, told
from benchmarks.stage import Stage
from benchmarks.workload import Batch, Row, Source
from consentprofile import Event, read_figures

STRETCH: Final = 100_000
"""Events that are made at a time, and rows that lie together in the file."""
BATCH: Final = 10_000
SEED: Final = 97

PANDAS: Final = "pandas"
POLARS: Final = "polars"
ONE_THREAD: Final = "polars, 1 thread"

ALL: Final = "all"
"""What goals call our releases with as many workers as there are cores."""

MB: Final = 1024 / 1e6
"""What a KiB is of it."""


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def others() -> int:
    """With how many workers there is a process on each core: the store's counts, too. One at least."""
    return max(1, cores() - 1)


def measure(stage: Stage, results: Results) -> None:
    """Put each question to us and to the data frames, round by round."""
    size = stage.size.releases
    results.title = f"Releases of {told(size.events)} events of {told(size.accounts)} accounts"
    libraries = list(available(results))
    prepared, path = _prepare(stage, results, clear=bool(libraries))
    ours: dict[tuple[str, int], list[ReleaseDone]] = {}
    theirs: dict[tuple[str, str], list[FrameDone]] = {}
    for number in range(stage.size.rounds):
        told_round = f"round {number + 1} of {stage.size.rounds}"
        for question, title in QUESTIONS.items():
            for library in libraries:
                stage.say(f"{title}, {library}, {told_round}")
                theirs.setdefault((question, library), []).append(_frame(library, question, path))
        for workers in (others(), 0):
            copy, folder = prepared.copy(f"releases-{number}-{workers}"), stage.path("released")
            for question, title in QUESTIONS.items():
                stage.say(f"{title}, workers={workers}, {told_round}")
                ours.setdefault((question, workers), []).append(_release(copy, folder, question, workers))
                figures = read_figures(folder / question)
                for library in libraries:
                    compare(question, figures, dict(theirs[question, library][-1].answer))
            copy.remove()
    for workers in (others(), 0):
        _note_ours(results, size, workers, ours, theirs)
    for library in libraries:
        for question, title in QUESTIONS.items():
            _note_took(results, f"{title}, {library}", theirs[question, library])
        peaks = {question: max(one.peak for one in theirs[question, library]) for question in QUESTIONS}
        _note_memory(results, f"most memory of the process, {library}", peaks)


# ---- what is asked about -------------------------------------------------------------------------


def _prepare(stage: Stage, results: Results, *, clear: bool) -> tuple[Ours, Path]:
    """The compacted store, and where the same rows are in the ``clear``; what that took is told."""
    size = stage.size.releases
    ours = stage.consented(size.accounts).copy("releases")
    workers = others()
    work = f"to begin with, {told(size.events)} events"
    stage.say(f"recording {told(size.events)} events in visits, workers={workers}")
    path = stage.folder / "releases.parquet"
    stretches = Source(SEED).visits(size.events, size.accounts, STRETCH)
    events = _events(written(stretches, path) if clear else stretches)
    with ours.open() as store:
        recorded = timed(lambda: store.record_many(events, batch_size=BATCH, workers=workers))
        stage.say("compacting everything")
        compacted = timed(lambda: store.upkeep.compact(everything=True))
    results.note(f"{work}: made, recorded with workers={workers}, and written as a file in the clear", recorded, "ns")
    results.note(f"{work}: compaction of everything", compacted, "ns")
    data, keys = ours.sizes()
    beside = f", {path.stat().st_size / 1e6:,.1f} MB in the clear" if clear else ""
    results.note(f"{work}: the sealed data", data / 1e6, "MB", spread=f"keyring {keys / 1e6:,.1f} MB{beside}")
    return ours, path


def _events(stretches: Iterable[list[Row]]) -> Iterator[Event]:
    for rows in stretches:
        yield from Batch.of(rows).events


def written(stretches: Iterable[list[Row]], path: Path) -> Iterator[list[Row]]:
    """The same stretches, each written to a Parquet file on its way: texts as dictionaries, which suits data frames."""
    import pyarrow as pa
    from pyarrow import parquet

    text = pa.dictionary(pa.int32(), pa.string())
    kinds = {name: pa.timestamp("ms", "UTC") if name == "at" else text for name in Row._fields}
    with parquet.ParquetWriter(path, pa.schema(kinds)) as writer:
        for rows in stretches:
            columns = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
            columns["at"] = tuple(at * 1_000 for at in columns["at"])
            writer.write_table(pa.table({name: pa.array(columns[name], kind) for name, kind in kinds.items()}))
            yield rows


def available(results: Results) -> Iterator[str]:
    """The data frames that are here; of one that is not, or cannot read the file, it is said."""
    for library, variants in ((PANDAS, (PANDAS,)), (POLARS, (POLARS, ONE_THREAD))):
        missing = [name for name in (library, "pyarrow") if find_spec(name) is None]
        if missing:
            results.notes.append(f"**Not measured** beside {library}: {missing[0]} is not installed here.")
        else:
            yield from variants


# ---- one question --------------------------------------------------------------------------------


def _release(ours: Ours, folder: Path, question: str, workers: int) -> ReleaseDone:
    spec = folder / f"{question}.toml"
    spec.write_text(SPECS[question], encoding="utf-8")
    task = ReleaseTask(place=ours.place, spec=str(spec), out=str(folder / question), workers=workers)
    return processes.play("release", task, ReleaseDone)


def _frame(library: str, question: str, path: Path) -> FrameDone:
    name = library.partition(",")[0]
    environment = {"POLARS_MAX_THREADS": "1"} if library == ONE_THREAD else None
    task = FrameTask(library=name, question=question, path=str(path.absolute()))
    return processes.play("frame", task, FrameDone, environment=environment)


# ---- what is told --------------------------------------------------------------------------------


def _note_ours(
    results: Results,
    size: Releases,
    workers: int,
    ours: Mapping[tuple[str, int], list[ReleaseDone]],
    theirs: Mapping[tuple[str, str], list[FrameDone]],
) -> None:
    """Our time beside theirs, our accounts a second, our memory, with so many workers."""
    key = f".{size.key}/{ALL if workers else 0}" if size.key else ""
    rivals = (PANDAS, POLARS) if workers else (PANDAS, ONE_THREAD)
    for question, title in QUESTIONS.items():
        work, rounds = f"{title}, workers={workers}", ours[question, workers]
        took: Samples = [one.took for one in rounds]
        peers = {name: [one.took for one in theirs[question, name]] for name in rivals if (question, name) in theirs}
        results.compare(work, took, peers)
        _note_took(results, work, rounds)
        each = [one / size.accounts for one in took]
        results.note_rates(f"{work}: rate", each, "accounts")
        results.note_rates(
            f"{work}: rate on each core", [(workers + 1) * one for one in each], "accounts",
            key=key and f"release.{question}{key}",
        )  # fmt: skip
    peaks = {name: max(one.peak + one.workers_peak for one in ours[name, workers]) for name in QUESTIONS}
    whose = "the process and its workers together" if workers else "the process"
    _note_memory(results, f"most memory of {whose}, workers={workers}", peaks, key=key and f"release.memory{key}")


def _note_took(results: Results, work: str, rounds: Sequence[ReleaseDone | FrameDone]) -> None:
    """The median of the rounds, and what the processors worked meanwhile: who else uses them does not count there."""
    worked = duration(median(one.worked for one in rounds))
    among = "1 round" if len(rounds) == 1 else f"{len(rounds)} rounds"
    results.note(work, median(one.took for one in rounds), "ns", spread=f"{worked} of processors, {among}")


def _note_memory(results: Results, work: str, peaks: Mapping[str, int], *, key: str = "") -> None:
    each = ", ".join(f"{question} {peak * MB:,.0f}" for question, peak in peaks.items())
    results.note(work, max(peaks.values()) * MB, "MB", spread=each, key=key)
