"""Part ``privacy``: how many accounts came to each of many pages, under differential privacy, beside its libraries.

Which pages there are nobody has listed: those with enough accounts are found. Each answer is drawn in a process of its
own; the peers read the same events in the clear.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Final

import msgspec

from benchmarks import processes, workload
from benchmarks.measure import Samples, duration
from benchmarks.ours import Ours
from benchmarks.questions import SINCE, UNTIL
from benchmarks.release_roles import ReleaseDone, ReleaseTask
from benchmarks.releasing import MB, others
from benchmarks.results import Results
from benchmarks.sizes import Private, told
from benchmarks.stage import Stage
from consentprofile import Event, read_figures

EPSILON: Final = 1.0
DELTA: Final = 1e-7
BOUND: Final = 4
"""Pages on which one account counts."""

PEERS: Final = {
    "opendp": "OpenDP over Polars, bounded by hand",
    "smartnoise": "SmartNoise SQL",
    "pipeline-dp": "PipelineDP",
}
SCRIPT: Final = Path(__file__).with_name("private_peers.py")
ELSEWHERE: Final = "CONSENTPROFILE_PEERS"
"""The variable that names other Pythons in which peers are installed: no environment can hold all of them."""

FAR: Final = 20 * BOUND / EPSILON
"""So far from what was counted is no noise: 20 scales."""

_SPEC: Final = f"""
format = 1
name = "pages"
purpose = "{workload.PURPOSE}"
measure = "reach"
by = ["page"]
from = {SINCE:%Y-%m-%d}
until = {UNTIL:%Y-%m-%d}
zone = "UTC"
cells_per_account = {BOUND}

[protection]
kind = "dp"
epsilon = {EPSILON}
delta = {DELTA}
"""


class Done(msgspec.Struct, frozen=True):
    """Nanoseconds, those of processors, KiB, and noisy accounts by page."""

    took: float
    worked: float
    peak: int
    found: dict[str, float]


def policy(pages: int) -> str:
    """The usual policy, with a field for the page and a budget that pays for the release."""
    names = json.dumps([page(number) for number in range(pages)])
    text = workload.policy()
    for old, new in (
        ("[fields]\n", f"[fields]\npage = {{ enum = {names} }}\n"),
        ('"acquisition"]\n', '"acquisition", "page"]\n'),
        ('"acquisition"] }', '"acquisition", "page"] }'),
        ("epsilon_per_year = 2.0", f"epsilon_per_year = 2.0, delta_per_year = {10 * DELTA}"),
    ):
        if old not in text:
            raise ValueError("the usual policy has changed")
        text = text.replace(old, new)
    return text


def page(number: int) -> str:
    """The name of a page."""
    return f"page-{number:05d}"


def visits(size: Private, seed: int) -> Iterator[tuple[str, str, int]]:
    """(account, page, second) in the order of time: any account, and the page of rank n as often as 1 / n."""
    random = Random(f"{workload.SEED} {seed}")
    begin, end = (int(moment.timestamp()) for moment in (SINCE, UNTIL))
    for number in range(size.events):
        who = workload.account(int(random.random() * size.accounts))
        rank = int(size.pages ** random.random()) % size.pages
        yield who, page(rank), begin + (end - begin) * number // size.events


def measure(stage: Stage, results: Results) -> None:
    """Ask everybody, round by round."""
    size = stage.size.private
    results.title = (
        f"Differential privacy: accounts on each of {size.pages:,} pages that nobody lists, {told(size.events)} events "
        f"of {told(size.accounts)} accounts, epsilon {EPSILON:g}, delta {DELTA:g}, {BOUND} pages an account"
    )
    path = stage.folder / "private.parquet"
    reached = write(visits(size, 98), path)
    prepared = _prepare(stage)
    peers = dict(installed(results))
    ours: dict[int, list[Done]] = {}
    theirs: dict[str, list[Done]] = {}
    for number in range(stage.size.rounds):
        for peer, python in peers.items():
            stage.say(f"{PEERS[peer]}, round {number + 1} of {stage.size.rounds}")
            theirs.setdefault(peer, []).append(ask(python, peer, path))
        for workers in (0, others()):
            stage.say(f"ours, workers={workers}, round {number + 1} of {stage.size.rounds}")
            ours.setdefault(workers, []).append(_release(stage, prepared, workers))
    for found in (*ours.values(), *theirs.values()):
        for done in found:
            check(done, reached)
    _note(results, size, ours, theirs)


def write(rows: Iterator[tuple[str, str, int]], path: Path) -> dict[str, int]:
    """The events as a Parquet file, texts as dictionaries; how many accounts each page has had, unbounded."""
    import pyarrow as pa
    from pyarrow import parquet

    account, pages, at = zip(*rows, strict=True)
    text = pa.dictionary(pa.int32(), pa.string())
    milliseconds = [1_000 * second for second in at]
    table = {"account": pa.array(account, text), "page": pa.array(pages, text)}
    parquet.write_table(pa.table(table | {"at": pa.array(milliseconds, pa.timestamp("ms", "UTC"))}), path)
    return dict(Counter(name for _, name in set(zip(account, pages, strict=True))))


def _prepare(stage: Stage) -> Ours:
    size = stage.size.private
    ours = Ours(stage.folder, "private", workload.NOW)
    stage.say(f"giving the consents of {size.accounts:,} accounts, recording {told(size.events)} events")
    ours.create(workload.CONSENTED, map(workload.account, range(size.accounts)), declared=policy(size.pages))
    events = (
        Event(
            account=account, kind="product_view", at=datetime.fromtimestamp(at, UTC), id=f"p-{number}",
            fields={"channel": "web", "platform": "mobile", "page": name},
        )
        for number, (account, name, at) in enumerate(visits(size, 98))
    )  # fmt: skip
    with ours.open() as store:
        store.record_many(events, batch_size=10_000, workers=others())
        store.upkeep.compact(everything=True)
    return ours


def _release(stage: Stage, prepared: Ours, workers: int) -> Done:
    """One release of a fresh copy, whose budget is whole."""
    folder = stage.path("private")
    copy = prepared.copy(f"{folder.name}-store")
    (folder / "pages.toml").write_text(_SPEC, encoding="utf-8")
    task = ReleaseTask(place=copy.place, spec=str(folder / "pages.toml"), out=str(folder / "released"), workers=workers)
    done = processes.play("release", task, ReleaseDone)
    copy.remove()
    shown = {key: values[0] for (key,), values in read_figures(folder / "released").cells()}
    found = {key: float(value) for key, value in shown.items() if value is not None}
    return Done(done.took, done.worked, done.peak + done.workers_peak, found)


def installed(results: Results) -> Iterator[tuple[str, str]]:
    """Each peer with the first Python that has it, whose versions are told; of one that none has, that is told."""
    pythons = [sys.executable, *filter(None, os.environ.get(ELSEWHERE, "").split(os.pathsep))]
    for peer, name in PEERS.items():
        for python in pythons:
            versions = json.loads(_script(python, peer))
            if None not in versions.values():
                told_versions = ", ".join(f"{package} {version}" for package, version in versions.items())
                results.notes.append(f"{name}: {told_versions}.")
                yield peer, python
                break
        else:
            results.notes.append(f"**Not measured** beside {name}: it is not installed here.")


def ask(python: str, peer: str, path: Path) -> Done:
    """What a peer found, in a process of its own. Raises :class:`RuntimeError` for one that has failed."""
    return msgspec.json.decode(_script(python, peer, str(path.absolute()), EPSILON, DELTA, BOUND), type=Done)


def _script(python: str, *arguments: object) -> str:
    """The last line that the script of the peers prints under this Python."""
    command = [python, "-W", "ignore", str(SCRIPT), *map(str, arguments)]
    answered = subprocess.run(command, capture_output=True, text=True, check=False)
    if answered.returncode != 0:
        raise RuntimeError(f"{arguments[0]} has failed:\n{answered.stderr[-2_000:]}")
    return answered.stdout.splitlines()[-1]


def check(done: Done, reached: Mapping[str, int]) -> None:
    """Raise :class:`RuntimeError` for a page that there is not, or that had fewer accounts than noise can explain."""
    odd = [name for name, accounts in done.found.items() if accounts > reached.get(name, 0) + FAR]
    if odd:
        raise RuntimeError(f"{len(odd)} of {len(done.found)} pages have more accounts than ever came to them")


def _note(results: Results, size: Private, ours: Mapping[int, list[Done]], theirs: Mapping[str, list[Done]]) -> None:
    peers = {PEERS[peer]: [one.took for one in found] for peer, found in theirs.items()}
    for workers, found in ours.items():
        took: Samples = [one.took for one in found]
        work = f"pages found and counted, workers={workers}"
        results.compare(work, took, peers)
        _note_one(results, work, found)
        for peer, slug in (("pipeline-dp", "pipeline"), ("opendp", "opendp")):
            ratio = results.ratio(work, PEERS[peer])
            if ratio is not None and size.key:
                times = 1 / ratio.median if slug == "pipeline" else ratio.median
                results.note("", times, "times", key=f"privacy.{slug}.{size.key}/{'all' if workers else 0}")
    for peer, found in theirs.items():
        _note_one(results, f"pages found and counted, {PEERS[peer]}", found)


def _note_one(results: Results, work: str, found: Sequence[Done]) -> None:
    pages = mean(len(one.found) for one in found)
    accounts = mean(sum(one.found.values()) for one in found)
    rounds = "1 round" if len(found) == 1 else f"{len(found)} rounds"
    worked = duration(median(one.worked for one in found))
    spread = f"{worked} of processors, {rounds}; on average {pages:,.0f} pages with {accounts:,.0f} accounts"
    results.note(work, median(one.took for one in found), "ns", spread=spread)
    results.note(f"{work}: most memory", max(one.peak for one in found) * MB, "MB")
