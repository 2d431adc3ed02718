"""A disk that is full, or fails, or does not sync, at any call of an operation: the caller is told by an error of ours,
nothing is half done, and when the disk is well again the same process goes on.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from typing import Final, NamedTuple

import pytest

import consentprofile as cp
from tests.faults.attempts import copied
from tests.faults.children import Counters, Stage, child
from tests.faults.interposed import Call, Interposed, Kind
from tests.faults.judging import Picture, expected, judge
from tests.faults.operations import BY_NAME, OPERATIONS
from tests.faults.scenes import STRIDE, Scene, arrange_small_slices, prepared
from tests.support.people import sound
from tests.support.policies import small_policy
from tests.support.stores import SetClock, StoreFactory

ANY: Final[frozenset[Kind]] = frozenset(
    {"create", "write", "truncate", "sync", "unlink", "sync directory", "map", "rename", "link", "mkdir", "rmdir"}
)


class Disk(NamedTuple):
    """A disk that fails."""

    code: int
    kinds: frozenset[Kind]
    """The calls that fail."""
    for_good: bool
    """From some call on until it is well again; otherwise that one call."""
    stride: int
    """It is let fail at one call in so many."""


DISKS: Final = {
    "a full disk": Disk(errno.ENOSPC, frozenset({"create", "write", "map", "mkdir"}), for_good=True, stride=3 * STRIDE),
    "one error": Disk(errno.EIO, ANY, for_good=False, stride=STRIDE),
    "a disk that dies": Disk(errno.EIO, ANY, for_good=True, stride=3 * STRIDE),
}


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    arrange_small_slices(monkeypatch.setattr)


class Failing:
    """Lets calls fail, from the one with this number on (of those that this disk lets fail)."""

    def __init__(self, disk: Disk, number: int) -> None:
        self._disk = disk
        self._number = number
        self._counted = 0

    def __call__(self, call: Call) -> int:
        if call.kind not in self._disk.kinds:
            return 0
        self._counted += 1
        fails = self._counted >= self._number if self._disk.for_good else self._counted == self._number
        return self._disk.code if fails else 0

    @property
    def has_failed(self) -> bool:
        """Whether any call has failed."""
        return self._counted >= self._number


def fail(scene: Scene, pictures: list[Picture], disk: Disk, number: int, watched: Interposed) -> bool:
    """Do the operation on a disk that fails at a call, and judge what is there when it is well; whether any failed."""
    path, done, told = copied(scene, str(number)), 0, ""

    def acknowledge() -> None:
        nonlocal done
        done += 1

    operation = scene.operation
    stage = Stage(path, scene.stores.key, scene.second, operation.durability, acknowledge=acknowledge, watched=watched)
    store = stage.store
    watched.watcher = failing = Failing(disk, number)
    try:
        operation.do(stage)
        acknowledge()
    except (cp.StoreFault, cp.KeyUnavailable) as error:  # every other error is a finding
        told = str(error)
    watched.watcher = None
    assert told or done == len(operation.changes)
    if operation.renews:
        store = stage.come_back(scene.open)
    operation.go_on(store)
    reached = done + judge(store, pictures[done : done + 2], tolerated=operation.findings)
    assert pictures[reached].accounts == pictures[done].accounts or not misleads(told), told
    stage.close()
    with scene.open(path) as again:
        if reached == len(operation.changes):
            sound(again)
    shutil.rmtree(path.parent)
    return failing.has_failed


def misleads(told: str) -> bool:
    """Whether whoever reads this after a change that was made would think that it was not."""
    stands = ("stands", "may stand", "stay dead")
    return ("undone" in told or "nothing was changed" in told) and not any(word in told for word in stands)


@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS])
@pytest.mark.parametrize("disk", DISKS)
def test_a_failing_disk_is_a_typed_error_and_nothing_is_half_done(
    stores: StoreFactory, record_property: Callable[[str, object], None], disk: str, name: str
) -> None:
    scene = prepared(BY_NAME[name], stores)
    pictures = [expected(model) for model in scene.states]

    def work(watched: Interposed, counters: Counters) -> None:
        number = 1
        while fail(scene, pictures, DISKS[disk], number, watched):
            counters.calls += 1
            number += DISKS[disk].stride

    record_property("calls that failed", child(work).calls)


@pytest.mark.parametrize("disk", DISKS)
def test_a_store_that_cannot_be_made_is_a_typed_error_and_leaves_nothing_half_made(
    stores: StoreFactory, disk: str
) -> None:
    """It is there whole, or not at all; and when the disk is well, whoever tries again has one."""

    def work(watched: Interposed, counters: Counters) -> None:
        number, failed = 0, True
        while failed:
            number += 1
            place = stores.directory / str(number)
            place.mkdir()
            path, key, policy = place / "store", cp.KeyFile(place / "key"), small_policy()
            watched.watcher = failing = Failing(DISKS[disk], number)
            try:
                cp.Store.create(path, policy=policy, key=key, clock=SetClock())
            except (cp.StoreFault, cp.KeyUnavailable):  # every other error is a finding
                assert DISKS[disk].for_good or {entry.name for entry in place.iterdir()} <= {"key", "store"}
            watched.watcher, failed = None, failing.has_failed
            if not path.exists():
                assert failed
                cp.Store.create(path, policy=policy, key=key, clock=SetClock()).close()
            with cp.Store.open(path, key=key, clock=SetClock()) as store:
                sound(store)

    child(work)
