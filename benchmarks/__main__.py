"""``python -m benchmarks``: measure, keep what was found, and make docs/benchmarks.md of what has been kept."""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import parts, pictures, report, results
from benchmarks.results import Part
from benchmarks.sizes import SIZES, Size
from benchmarks.stage import Stage


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts of a size; 0 when all have run through, whatever the figures are."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.render:
        _render(given.results or results.FOLDER)
        return 0
    size = _size(parser, given)
    command = _command(given)
    where = Path.cwd() if given.dir is None else given.dir
    folder = Path(tempfile.mkdtemp(prefix=".benchmark-", dir=where))
    started = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - started:6.1f} s  {what}", file=sys.stderr, flush=True)

    keep: Path | None = given.results or (None if size.name == "quick" else results.FOLDER)
    stage = Stage(folder, size, say)
    try:
        done = _run(stage, command, keep)
        stage.close()
    finally:
        gc.unfreeze()
        shutil.rmtree(folder, ignore_errors=True)
    print(report.render(done))
    failed = len(size.parts) - len(done)
    if failed:
        say(f"{failed} of {len(size.parts)} parts failed")
    return 1 if failed else 0


def _run(stage: Stage, command: str, keep: Path | None) -> list[Part]:
    """Run each part, keeping each as soon as it is done: one that fails leaves the others what they are."""
    done = []
    for name in stage.size.parts:
        try:
            part = parts.run(name, stage, command)
        except Exception:  # noqa: BLE001 - shown in full, and counted
            traceback.print_exc()
            continue
        if keep is not None:
            results.keep(part, keep)
        done.append(part)
    return done


def _render(folder: Path) -> None:
    """Write the page, and the pictures beside it, from what is kept in ``folder``."""
    kept = results.load(folder)
    drawn = pictures.draw(kept, report.PAGE.with_suffix(""))
    shown = [(f"{report.PAGE.stem}/{name}", caption) for name, caption in drawn]
    page = report.put(report.PAGE.read_text("utf-8"), report.render(kept, shown))
    report.PAGE.write_text(page, encoding="utf-8")
    print(f"{report.PAGE.name}: {len(kept)} parts, {len(drawn)} pictures")


def _size(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Size:
    size = SIZES[given.size]
    if given.only is not None:
        names = tuple(given.only.split(","))
        unknown = [name for name in names if name not in parts.PARTS]
        if unknown:
            parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(parts.PARTS)}")
        size = msgspec.structs.replace(size, parts=names)
    if "long" in size.parts and size.long is None:
        parser.error(f"the part 'long' is not of this size ({size.name}): take --large or --huge")
    if given.loads is not None:
        chosen = given.loads.split(",")
        known = {load.key: load for load in size.loads if load.key}
        if not known.keys() >= set(chosen):
            parser.error(f"the loads of this size are {', '.join(known) or 'not named'}")
        size = msgspec.structs.replace(size, loads=tuple(known[key] for key in chosen))
    if given.rounds is not None:
        loads = tuple(msgspec.structs.replace(load, rounds=given.rounds) for load in size.loads)
        size = msgspec.structs.replace(size, rounds=given.rounds, loads=loads)
    if given.workers is not None:
        workers = tuple(int(number) for number in given.workers.split(","))
        loads = tuple(msgspec.structs.replace(load, workers=workers) for load in size.loads)
        long = None if size.long is None else msgspec.structs.replace(size.long, workers=workers)
        size = msgspec.structs.replace(size, loads=loads, long=long)
    return size


def _command(given: argparse.Namespace) -> str:
    chosen = [f"--{given.size}"] * (given.size != "default")
    for option in ("only", "loads", "rounds", "workers"):
        value = getattr(given, option)
        if value is not None:
            chosen.append(f"--{option} {value}")
    return f'make bench BENCH_ARGS="{" ".join(chosen)}"' if chosen else "make bench"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    for name, text in (
        ("quick", "a tiny size, in seconds: it shows that everything runs, and is not kept"),
        ("large", "5 million events beside SQLCipher, 20 million alone: an hour, 20 GB; releases by --only releases"),
        ("huge", "100 million events alone: an hour, 30 GB"),
    ):
        sizes.add_argument(f"--{name}", dest="size", action="store_const", const=name, help=text)
    parser.set_defaults(size="default")
    parser.add_argument("--only", metavar="PARTS", help=f"these parts, by comma, of: {', '.join(parts.PARTS)}")
    parser.add_argument("--loads", metavar="KEYS", help="of the part load, these alone: 1m, 1m10; 5m with --large")
    parser.add_argument("--rounds", type=_positive, help="how often long work is done from the beginning")
    parser.add_argument("--workers", metavar="N,...", help="what loads of ours are measured with: 0, 1 or 0,1")
    parser.add_argument("--dir", type=Path, help="where the files go (default: the current folder, on its disk)")
    parser.add_argument("--results", type=Path, help="where results are kept (default: docs/benchmarks/results)")
    parser.add_argument("--render", action="store_true", help="measure nothing: make the page of the kept results")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
