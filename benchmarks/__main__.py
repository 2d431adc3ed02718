"""``python -m benchmarks``: measure, and print what was found or write it into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import machine, report
from benchmarks.suite import Suite
from benchmarks.workload import DEFAULT, QUICK, Size


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; 0 when it has run through, whatever the figures are."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.log and given.write:
        parser.error("the page shows a whole run: leave out --log or --write")
    size = QUICK if given.quick else DEFAULT
    if given.rounds is not None:
        size = msgspec.structs.replace(size, rounds=given.rounds)
    where = Path.cwd() if given.dir is None else given.dir
    folder = Path(tempfile.mkdtemp(prefix=".benchmark-", dir=where))
    started = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - started:6.1f} s  {what}", file=sys.stderr, flush=True)

    try:
        described = list(machine.describe(folder))
        suite = Suite(folder, size, say)
        results = suite.run_log() if given.log else suite.run()
    finally:
        gc.unfreeze()
        shutil.rmtree(folder, ignore_errors=True)
    rounds = [f"--rounds {given.rounds}"] * (given.rounds is not None)
    chosen = " ".join(["--quick"] * given.quick + ["--log"] * given.log + rounds)
    command = f'make bench BENCH_ARGS="{chosen}"' if chosen else "make bench"
    described.append(("whole run", f"{time.perf_counter() - started:.0f} s"))
    measured = report.render(results, described, command, _size(size))
    if given.write:
        report.PAGE.write_text(report.put(report.PAGE.read_text("utf-8"), measured), encoding="utf-8")
        print(f"written into {report.PAGE.name}")
    else:
        print(measured)
    return 0


def _size(size: Size) -> str:
    return (
        f"{size.events:,} events of {size.accounts:,} accounts, {size.batch:,} a batch, {size.rounds} rounds; "
        f"{size.singles:,} single events and reads."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tiny size, in seconds: it shows that everything runs")
    parser.add_argument("--log", action="store_true", help="measure the audit log alone")
    parser.add_argument("--rounds", type=_positive, help="how often long work is done from the beginning")
    parser.add_argument("--dir", type=Path, help="where the files go (default: the current folder, on its disk)")
    parser.add_argument("--write", action="store_true", help="write the result into docs/benchmarks.md")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
