"""One process of a soak: it does things to a store at random, and writes down each before and after it is done.

Called with the store, its key file, the file for what was done, a role, a lane, a seed, and when the soak began; ends
when its input does. The number of an event says its second and its amount; each lane has amounts of its own.
A line that says what begins is on the way before it begins, so a process that is killed leaves it without an answer.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random
from typing import Final

import consentprofile as cp
from tests.support.people import agree
from tests.support.shapes import arrange_small
from tests.support.stores import START, moment

ACCOUNTS: Final = tuple(f"account-{number}" for number in range(12))
SPAN: Final = 1_000
LANES: Final = 4
HASTE: Final = 10
"""The clock of a soak runs so many times as fast as others do."""

AHEAD: Final = 30
"""Seconds by which events are ahead of the clock, so that no consent of a moment ago begins after them."""

ROLES: Final[Mapping[str, Mapping[str, int]]] = {
    "web": {"record": 60, "record_many": 6, "read": 30, "give": 4},
    "officer": {"erase": 4, "withdraw": 4, "give": 12, "read": 4, "record": 8, "access": 1, "sign": 1},
    "upkeep": {"step": 30, "compact": 2, "record_many": 6, "retention": 1, "check": 1},
}
"""How often each role does what."""


class Worker:
    """Does one thing after the other."""

    def __init__(self, store: cp.Store, told: int, lane: int, clock: Callable[[], datetime], random: Random) -> None:
        self._store = store
        self._told = told
        self._lane = lane
        self._clock = clock
        self._random = random
        self._second = self._count = 0
        self._numbers: list[int] = []

    def tell(self, **said: object) -> None:
        """Write a line down. It survives this process from now on."""
        os.write(self._told, json.dumps(said, separators=(",", ":")).encode() + b"\n")

    def act(self, name: str) -> None:
        """Do one thing to somebody."""
        account = self._random.choice(ACCOUNTS)
        act: Callable[[str], object] = getattr(self, f"_{name}")
        numbers = [self._number() for _ in range({"record": 1, "record_many": 20}.get(name, 0))]
        self.tell(do=name, account=account, numbers=numbers, begun=time.monotonic_ns())
        self._numbers = numbers
        try:
            said = act(account)
        except cp.ConsentProfileError as error:
            self.tell(ended=time.monotonic_ns(), error=type(error).__name__, why=str(error))
        else:
            self.tell(ended=time.monotonic_ns(), said=said)

    def _number(self) -> int:
        second = int(self._clock().timestamp()) - START + AHEAD
        self._count += 1
        if second > self._second or self._count >= SPAN // LANES:
            self._second, self._count = max(second, self._second + 1), 0
        return self._second * SPAN + self._lane * SPAN // LANES + self._count

    def _record(self, account: str) -> object:
        return self._store.record(event(account, self._numbers[0]))["support"]

    def _record_many(self, account: str) -> object:
        done = self._store.record_many([event(account, number) for number in self._numbers], batch_size=50)
        (outcome,) = done.outcomes["support"]
        return outcome

    def _read(self, account: str) -> object:
        with self._store.view("support", "agent:7") as view:
            found = view.events(account)
        return None if found is None else [number_of(one) for one in found]

    def _access(self, account: str) -> object:
        held = self._store.access(account).compartments.get("support")
        return None if held is None else [number_of(one) for one in held.events]

    def _give(self, account: str) -> None:
        agree(self._store, account, ["support"])

    def _erase(self, account: str) -> None:
        self._store.erase(account)

    def _withdraw(self, account: str) -> None:
        self._store.withdraw_consent(account, ["support"])

    def _step(self, account: str) -> None:
        self._store.upkeep.step()

    def _compact(self, account: str) -> None:
        self._store.upkeep.compact(everything=True)

    def _retention(self, account: str) -> None:
        self._store.upkeep.run_retention(attended=True)

    def _sign(self, account: str) -> None:
        self._store.audit.checkpoint()

    def _check(self, account: str) -> list[str]:
        return [finding.what for finding in self._store.check().findings]


def event(account: str, number: int) -> cp.Event:
    """The event with this number."""
    fields: dict[str, str | int | bool] = {"channel": "web", "total": number % SPAN}
    at = moment(START + number // SPAN)
    return cp.Event(account=account, kind="purchase", at=at, id=f"event-{number}", fields=fields)


def number_of(event: cp.StoredEvent) -> int:
    """The number of an event that was read."""
    return (int(event.at.timestamp()) - START) * SPAN + int(event.fields["total"])


def hasty(began: float) -> Callable[[], datetime]:
    """The clock of a soak that began at this moment of the monotonic clock."""
    return lambda: moment(START + int((time.monotonic() - began) * HASTE))


def main(path: str, key: str, told: str, role: str, lane: str, seed: str, began: str) -> None:
    """Go on until there is nobody any more who waits for it."""
    arrange_small()
    random, clock = Random(seed), hasty(float(began))
    chances = ROLES[role]
    with cp.Store.open(path, key=cp.KeyFile(key), clock=clock, durability="relaxed") as store:
        written = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        worker = Worker(store, written, int(lane), clock, random)
        while not select.select([sys.stdin], [], [], 0)[0]:
            worker.act(random.choices(list(chances), list(chances.values()))[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
