"""A soak: processes record, read, give, withdraw, erase and compact on one store, are killed, and come back.

``python -m tests.faults.soak --seconds 60`` (or ``make soak``) does it for a minute, prints what was done, and ends
with 1 where a law was broken. What each process says it did is judged afterwards, by the times between which it did so:

- no reading that begins after an erasure or a withdrawal was acknowledged shows an event recorded before it began;
- every event whose recording was acknowledged is shown by each reading that begins later, until a destruction begins;
- at the end a check finds nothing, and the log verifies.

Then, for half as long, the power is cut during every operation of :mod:`tests.faults.operations`, at random.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest

import consentprofile as cp
from tests.faults.scenes import arrange_small_slices
from tests.faults.soak_worker import ACCOUNTS, hasty, number_of
from tests.support.people import agree
from tests.support.stores import StoreFactory, scratch

ROOT: Final = Path(__file__).resolve().parents[2]
CREW: Final = ("web", "web", "officer", "upkeep")

LIFE: Final = 2.5
"""Seconds, about, after which one of the processes is killed and another one takes its place."""

DESTROYING: Final = frozenset({"erase", "withdraw"})
READING: Final = frozenset({"read", "access"})
FOREVER: Final = 1 << 62


class Done(NamedTuple):
    """Something that a process did. ``ended`` is when it was acknowledged or failed, or the process was killed."""

    do: str
    account: str
    numbers: tuple[int, ...]
    begun: int
    ended: int
    acknowledged: bool
    said: object
    error: str


class Soaked(NamedTuple):
    """What a soak did: how often what was done, how often what failed with which error, and what is wrong."""

    done: Counter[str]
    errors: Counter[str]
    killed: int
    wrong: list[str]


def soak(stores: StoreFactory, seconds: float, seed: int) -> Soaked:
    """Let processes work on one store, and judge what they did."""
    path = stores.new()
    with stores.open(path) as store:
        for account in ACCOUNTS:
            agree(store, account, ["support"])
    random, began = Random(seed), time.monotonic()
    lives: list[_Life] = []
    crew = [_begin(lives, stores, path, lane, seed, began) for lane in range(len(CREW))]
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(left, LIFE * (0.5 + random.random())))
        lane = random.randrange(len(CREW))
        crew[lane].process.kill()
        crew[lane].end()
        crew[lane] = _begin(lives, stores, path, lane, seed, began)
    for life in crew:
        life.end()
    wrong = [f"a process ended with {life.process.returncode}" for life in crew if life.process.returncode]
    done = [one for life in lives for one in _told(life.book, life.ended)]
    wrong += judged(done, stores, path, began)
    killed = len(lives) - len(crew)
    return Soaked(Counter(one.do for one in done), Counter(one.error for one in done if one.error), killed, wrong)


class _Life:
    """A process from its beginning to its end, and what it wrote down."""

    def __init__(self, arguments: Sequence[str], book: Path) -> None:
        self.book = book
        self.ended = FOREVER
        command = [sys.executable, "-m", "tests.faults.soak_worker", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)

    def end(self) -> None:
        """Let it end, if it has not been killed."""
        self.process.communicate()
        self.ended = time.monotonic_ns()


def _begin(lives: list[_Life], stores: StoreFactory, path: Path, lane: int, seed: int, began: float) -> _Life:
    number = len(lives)
    book = path.with_name(f"{path.name}.book-{number}")
    arguments = [str(path), str(stores.key_file), str(book), CREW[lane], str(lane), f"{seed} {number}", str(began)]
    lives.append(_Life(arguments, book))
    return lives[-1]


def _told(book: Path, last: int) -> Iterator[Done]:
    """What a process wrote down before it ended."""
    begun: dict[str, object] | None = None
    lines = book.read_bytes().split(b"\n") if book.exists() else []
    for line in lines[:-1]:  # a line that was not written whole says nothing
        said = json.loads(line)
        if "do" in said:
            begun = said
        elif begun is not None:
            yield _made(begun, said["ended"], said)
            begun = None
    if begun is not None:
        yield _made(begun, last, {"error": ""})


def _made(begun: dict[str, object], ended: int, said: dict[str, object]) -> Done:
    return Done(
        do=str(begun["do"]),
        account=str(begun["account"]),
        numbers=tuple(begun["numbers"]),  # type: ignore[arg-type]
        begun=int(str(begun["begun"])),
        ended=ended,
        acknowledged="said" in said,
        said=said.get("said"),
        error=str(said.get("error", "")),
    )


# ---- what is wrong -----------------------------------------------------------------------------------


def judged(done: Sequence[Done], stores: StoreFactory, path: Path, began: float) -> list[str]:
    """What is wrong: with what was read, with what is there at the end, with the store."""
    by_account: dict[str, list[Done]] = defaultdict(list)
    for one in done:
        by_account[one.account].append(one)
    wrong = [f"a check found {one.said}" for one in done if one.do == "check" and one.said]
    with cp.Store.open(path, key=stores.key, clock=hasty(began)) as store:
        for account, theirs in by_account.items():
            with store.view("support", "agent:7") as view:
                found = view.events(account)
            numbers = None if found is None else [number_of(one) for one in found]
            now = time.monotonic_ns()
            last = Done("read", account, (), now, now, acknowledged=True, said=numbers, error="")
            wrong += misread([*theirs, last])
        store.audit.verify()
        wrong += [finding.what for finding in store.check().findings]
    return wrong


def misread(done: Sequence[Done]) -> list[str]:
    """Readings of one account that show what they must not, or do not show what they must."""
    destructions = sorted((one.begun, one.ended, one.acknowledged) for one in done if one.do in DESTROYING)
    events = {
        number: (one.ended if one.acknowledged and one.said == "recorded" else FOREVER, *_fate(one, destructions))
        for one in done
        if one.do in ("record", "record_many")
        for number in one.numbers
    }
    wrong = []
    for reading in done:
        if reading.do not in READING or not reading.acknowledged:
            continue
        shown = set(reading.said or ()) if isinstance(reading.said, list) else set()
        gone = {number for number, (_, _, until) in events.items() if until < reading.begun}
        there = {n for n, (since, doomed, _) in events.items() if since < reading.begun and reading.ended < doomed}
        if shown & gone:
            wrong.append(f"{reading.account}: {len(shown & gone)} events shown after they were destroyed")
        if there - shown:
            wrong.append(f"{reading.account}: {len(there - shown)} events that were recorded are not shown")
        if shown - events.keys():
            wrong.append(f"{reading.account}: {len(shown - events.keys())} events that nobody recorded")
    return wrong


def _fate(recorded: Done, destructions: Sequence[tuple[int, int, bool]]) -> tuple[int, int]:
    """From when on an event may be gone, and from when on it must be."""
    doomed = min((begun for begun, ended, _ in destructions if ended > recorded.begun), default=FOREVER)
    after = destructions[bisect_right(destructions, (recorded.ended, FOREVER, True)) :]
    return doomed, min((ended for _, ended, acknowledged in after if acknowledged), default=FOREVER)


# ---- the command -------------------------------------------------------------------------------------


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long the processes work (default 60)")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="repeats the choices of another run")
    told = parser.parse_args()
    say = sys.stdout.write
    say(f"seed {told.seed}\n")
    with scratch() as place:
        soaked = soak(StoreFactory(place), told.seconds, told.seed)
    for what, count in sorted(soaked.done.items()):
        say(f"{count:>9,} {what}\n")
    say(f"{soaked.killed:>9,} processes killed\n")
    for what, count in sorted(soaked.errors.items()):
        say(f"{count:>9,} failed with {what}\n")
    say(f"{_cut_power(told.seconds / 2, told.seed):>9,} images after a power cut\n")
    say("".join(f"WRONG: {what}\n" for what in soaked.wrong) or "nothing is wrong\n")
    return bool(soaked.wrong)


def _cut_power(seconds: float, seed: int) -> int:
    """Images of every operation after a power cut, for about so long. Raises :class:`AssertionError`."""
    from tests.faults.operations import OPERATIONS
    from tests.faults.test_power_loss import survive

    images, deadline = 0, time.monotonic() + seconds
    with pytest.MonkeyPatch.context() as patch:
        arrange_small_slices(patch.setattr)
        while time.monotonic() < deadline:
            for operation in OPERATIONS:
                with scratch() as place:
                    images += survive(operation, StoreFactory(place), seed)
            seed += 1
    return images


if __name__ == "__main__":
    raise SystemExit(main())
