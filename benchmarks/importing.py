"""Importing the file of sessions: from a compressed CSV to sealed blocks, beside the same file put into SQLite."""

from __future__ import annotations

import csv
import gzip
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from benchmarks import rivals, workload
from benchmarks.measure import Samples, duration, settle, timed
from benchmarks.ours import Ours
from benchmarks.peers import Peer
from benchmarks.results import Results
from benchmarks.stage import Stage
from benchmarks.workload import Row

FILE: Final = "sessions.csv.gz"
WORK: Final = "import of sessions, CSV to sealed store"
BATCH: Final = 10_000
"""Rows in a transaction of the peers."""
_PLATFORMS: Final = {"1": "desktop", "3": "mobile", "4": "tablet"}


def find() -> Path | None:
    """The file of sessions in the folder of given data, or None."""
    folder = os.environ.get("CONSENTPROFILE_DATA")
    path = None if folder is None else Path(folder) / FILE
    return path if path is not None and path.is_file() else None


def measure(stage: Stage, results: Results) -> None:
    """Part ``import``: import the sessions in every round; say so where there are none."""
    size, folder = stage.size, stage.folder
    results.title = "Import of a CSV of sessions"
    given = find()
    if given is None:
        results.notes.append(f"The import was **not measured**: CONSENTPROFILE_DATA names no folder with {FILE}.")
        return
    source = given if size.sessions is None else _head(given, folder / "sessions.csv", size.sessions)
    mapping = folder / "sessions.toml"
    mapping.write_text(workload.SESSIONS, encoding="utf-8")
    with _opened(source) as lines:
        users = sorted({row[0] for row in islice(csv.reader(lines), 1, None)})
    stage.say(f"importing sessions: giving {len(users):,} consents")
    prepared = Ours(folder, "sessions", workload.SESSIONS_NOW)
    prepared.create(workload.SESSIONS_CONSENTED, users)
    taken: dict[str, Samples] = {}
    mine: dict[int, Samples] = {}
    rows = 0
    for number in range(size.rounds):
        stage.say(f"importing sessions, round {number + 1} of {size.rounds}")
        for workers in (0, 1):
            ours = prepared.copy(f"sessions{number}-{workers}")
            rejects = folder / f"rejects{number}-{workers}.csv"
            store = ours.open()
            settle()
            start = time.perf_counter_ns()
            rows = store.import_events(source, mapping=mapping, rejects=rejects, workers=workers).rows
            store.close()
            mine.setdefault(workers, []).append((time.perf_counter_ns() - start) / rows)
            ours.remove()
        peers = stage.path(f"import{number}")
        for peer in rivals.make(peers):
            peer.consent(users)
            nanoseconds = timed(lambda: _import(peer, source)) + timed(peer.close)  # noqa: B023 - called at once
            taken.setdefault(peer.name, []).append(nanoseconds / rows)
            peer.path.unlink()
        stage.say("  " + ", ".join(f"workers={workers} {duration(own[-1])} a row" for workers, own in mine.items()))
    prepared.remove()
    for workers, own in mine.items():
        work = f"{WORK}{', workers=1' if workers else ''}"
        results.compare(work, own, taken)
        results.note_rates(f"{work}, {rows:,} rows", own, "rows", key=f"import/{workers}")


def _head(given: Path, target: Path, rows: int) -> Path:
    with _opened(given) as lines:
        target.write_text("".join(islice(lines, rows + 1)), encoding="utf-8")
    return target


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _import(peer: Peer, source: Path) -> None:
    with _opened(source) as lines:
        rows = _rows(csv.reader(lines))
        while taken := list(islice(rows, BATCH)):
            peer.add(taken)


def _rows(cells: Iterator[list[str]]) -> Iterator[Row]:
    next(cells)
    for number, (user, _, start, _, _, device, *_) in enumerate(cells):
        yield Row(user, "login", int(start) // 1000, "web", _PLATFORMS.get(device, ""), "", f"{number}", "")
