"""A process killed (SIGKILL) instead of any call that changes a file: what was acknowledged stands, the rest happened
whole or not at all, and a key that died leaves not a byte.

Every operation is killed at its first call, at its second, and so on until it completes (at one in three where there is
less time); and for some of these, what opens the store next is killed too. Then the store is opened and held against a
plain model.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Final

import pytest

import consentprofile as cp
from tests.faults.attempts import attempt, copied, doomed_after, recovery, remnants
from tests.faults.children import Counters, child, handed_out, killer
from tests.faults.interposed import Interposed
from tests.faults.judging import Picture, expected, judge
from tests.faults.operations import BY_NAME, OPERATIONS
from tests.faults.scenes import STRIDE, Operation, Scene, arrange_small_slices, prepared
from tests.support.people import ADA, agree, operations, sound
from tests.support.policies import small_policy
from tests.support.stores import SetClock, StoreFactory

AGAIN: Final = 3
"""What opens the store next is killed after one in so many kills."""

A_THOUSAND: Final = 1_000
NEVER: Final = 0


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    arrange_small_slices(monkeypatch.setattr)


class Killing:
    """One operation, killed again and again."""

    def __init__(self, operation: Operation, stores: StoreFactory) -> None:
        self.scene: Scene = prepared(operation, stores)
        self.pictures: list[Picture] = [expected(model) for model in self.scene.states]
        self.doomed = doomed_after(self.scene, copied(self.scene, "reference"))
        self.points = self._attempts = 0

    def kill(self, number: int) -> bool:
        """Kill the operation at its call with this number, and judge what is left; whether it got so far."""
        path = copied(self.scene, str(number))
        ended = attempt(self.scene, path, lambda counters: killer(counters, number))
        self.points += ended.killed
        done = ended.acknowledged
        assert remnants(path, self.doomed[done]) == []
        self._attempts += 1
        if ended.killed and self._attempts % AGAIN == 0:
            # Early and late calls of the recovery in turn; where it makes fewer calls, it completes.
            self.points += recovery(self.scene, path, 1 + self._attempts // AGAIN % 24).killed
        with self.scene.open(path) as store:
            allowed = self.pictures[done : done + 2]
            head = handed.read_bytes() if (handed := handed_out(path)).exists() else None
            reached = done + judge(store, allowed, tolerated=self.scene.operation.findings, head=head)
        assert remnants(path, self.doomed[reached]) == []
        shutil.rmtree(path.parent)
        return ended.killed


@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS])
def test_killed_at_any_call_it_happened_whole_or_not_at_all(
    stores: StoreFactory, record_property: Callable[[str, object], None], name: str
) -> None:
    killing, number = Killing(BY_NAME[name], stores), 1
    while killing.kill(number):
        number += STRIDE
    record_property("kill points", killing.points)


def test_there_are_a_thousand_calls_to_be_killed_at(stores: StoreFactory) -> None:
    """So many calls change a file while each operation is done once."""
    calls = 0
    for operation in OPERATIONS:
        scene = prepared(operation, stores)
        calls += attempt(scene, copied(scene, "counted"), lambda counters: killer(counters, NEVER)).calls
    assert calls >= A_THOUSAND


# ---- a store that is being made ------------------------------------------------------------------------


def test_killed_while_a_store_is_made_it_is_there_whole_or_not_at_all(
    stores: StoreFactory, record_property: Callable[[str, object], None]
) -> None:
    """And whoever tries again, with the same key file, has one."""
    number, points, killed = 1 - STRIDE, 0, True
    while killed:
        number += STRIDE
        place = stores.directory / str(number)
        place.mkdir()
        path, key, policy = place / "store", cp.KeyFile(place / "key"), small_policy()

        def make(watched: Interposed, counters: Counters) -> None:
            watched.watcher = killer(counters, number)  # noqa: B023 - the child is gone before the next one
            cp.Store.create(path, policy=policy, key=key, clock=SetClock()).close()  # noqa: B023
            watched.watcher = None

        killed = child(make).killed
        points += killed
        if not path.exists():
            assert killed
            cp.Store.create(path, policy=policy, key=key, clock=SetClock()).close()
        with cp.Store.open(path, key=key, clock=SetClock()) as store:
            agree(store, ADA)
            assert operations(store)[:2] == ["store-created", "policy-accepted"]
            sound(store)
    record_property("kill points", points)
