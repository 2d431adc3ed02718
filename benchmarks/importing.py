"""Importing the file of sessions: from a compressed CSV to sealed blocks, beside the same file put into SQLite."""

from __future__ import annotations

import csv
import gzip
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from benchmarks import workload
from benchmarks.measure import Results, Samples, duration, settle, timed
from benchmarks.ours import Ours
from benchmarks.peers import Peer, every_peer
from benchmarks.workload import Row, Size

Say = Callable[[str], None]

FILE: Final = "sessions.csv.gz"
WORK: Final = "import of sessions, CSV to sealed store"
_GOAL: Final = 20_000
_PLATFORMS: Final = {"1": "desktop", "3": "mobile", "4": "tablet"}


def find() -> Path | None:
    """The file of sessions in the folder of given data, or None."""
    folder = os.environ.get("CONSENTPROFILE_DATA")
    path = None if folder is None else Path(folder) / FILE
    return path if path is not None and path.is_file() else None


def measure(results: Results, folder: Path, size: Size, say: Say) -> None:
    """Import the sessions in every round; say so where there are none."""
    given = find()
    if given is None:
        results.notes.append(f"The import was **not measured**: CONSENTPROFILE_DATA names no folder with {FILE}.")
        return
    source = given if size.sessions is None else _head(given, folder / "sessions.csv", size.sessions)
    mapping = folder / "sessions.toml"
    mapping.write_text(workload.SESSIONS, encoding="utf-8")
    with _opened(source) as lines:
        users = sorted({row[0] for row in islice(csv.reader(lines), 1, None)})
    say(f"importing sessions: giving {len(users):,} consents")
    prepared = Ours(folder, "sessions", workload.SESSIONS_NOW)
    prepared.create(workload.SESSIONS_CONSENTED, users)
    taken: dict[str, Samples] = {}
    mine: Samples = []
    rows = 0
    for number in range(size.rounds):
        say(f"importing sessions, round {number + 1} of {size.rounds}")
        ours = prepared.copy(f"sessions{number}")
        store = ours.open()
        settle()
        start = time.perf_counter_ns()
        rows = store.import_events(source, mapping=mapping, rejects=folder / f"rejects{number}.csv").rows
        store.close()
        mine.append((time.perf_counter_ns() - start) / rows)
        ours.remove()
        peers = folder / f"import{number}"
        peers.mkdir()
        for peer in every_peer(peers):
            peer.consent(users)
            nanoseconds = timed(lambda: _import(peer, source, size.batch)) + timed(peer.close)  # noqa: B023 - called at once
            taken.setdefault(peer.name, []).append(nanoseconds / rows)
            peer.path.unlink()
        say(f"  {duration(mine[-1])} a row")
    prepared.remove()
    results.compare(WORK, mine, taken)
    results.note_rates(f"{WORK}, {rows:,} rows", mine, "rows", above=_GOAL)


def _head(given: Path, target: Path, rows: int) -> Path:
    with _opened(given) as lines:
        target.write_text("".join(islice(lines, rows + 1)), encoding="utf-8")
    return target


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _import(peer: Peer, source: Path, batch: int) -> None:
    with _opened(source) as lines:
        rows = _rows(csv.reader(lines))
        while taken := list(islice(rows, batch)):
            peer.add(taken)


def _rows(cells: Iterator[list[str]]) -> Iterator[Row]:
    next(cells)
    for number, (user, _, start, _, _, device, *_) in enumerate(cells):
        yield Row(user, "login", int(start) // 1000, "web", _PLATFORMS.get(device, ""), "", f"{number}", "")
