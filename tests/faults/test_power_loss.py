"""The power is cut: consent, withdrawal and erasure that were acknowledged stand, recording as its setting says, and
nothing that is found is half done, damaged, or ahead of the log.

Each operation is recorded once. Then the images that a disk may hold after a cut are made, right before each sync and
right after each acknowledgement, and each is opened and held against a plain model.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

import pytest

from tests.faults.attempts import copied, doomed_after, remnants
from tests.faults.children import handed_out
from tests.faults.judging import expected, judge
from tests.faults.operations import BY_NAME, OPERATIONS
from tests.faults.power import SYNCS, Disk, Keep, Recording, everything, nothing, recorded, some
from tests.faults.scenes import Operation, arrange_small_slices, prepared
from tests.support.stores import StoreFactory

AFTER_AN_ACKNOWLEDGEMENT: Final = 5
"""How many images are made of such a cut, besides those that have lost all they may lose, and nothing."""


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    arrange_small_slices(monkeypatch.setattr)


def cuts(recording: Recording, seed: int, more: int = 1) -> Iterator[tuple[int, list[Keep]]]:
    """After how many calls the power is cut, and what becomes of what was not synced, once for each image."""
    marks = set(recording.acknowledged)
    for number, call in [*enumerate(recording.calls), (len(recording.calls), None)]:
        random = Random(f"{seed} {number}")
        if number in marks or call is None:
            yield number, [nothing, everything, *(some(random) for _ in range(more * AFTER_AN_ACKNOWLEDGEMENT))]
        elif call.kind in SYNCS:
            yield number, [nothing] if number % 2 else [some(random) for _ in range(more)]


def survive(operation: Operation, stores: StoreFactory, seed: int, more: int = 1) -> int:
    """Cut the power during an operation, again and again; how many images were judged."""
    scene = prepared(operation, stores)
    pictures = [expected(model) for model in scene.states]
    doomed = doomed_after(scene, copied(scene, "reference"))
    path = copied(scene, "recorded")
    disk, images, followed = Disk(path.parent), 0, 0
    recording = recorded(scene, path)
    assert len(recording.acknowledged) == len(operation.changes)
    for number, fates in cuts(recording, seed, more):
        for call in recording.calls[followed:number]:
            disk.follow(call)
        followed = number
        done = sum(mark <= number for mark in recording.acknowledged)
        # What was acknowledged last and is to last: everything up to there stands.
        first = max(step for step in range(done + 1) if step not in operation.fleeting)
        for keep in fates:
            image = path.parent.with_name(f"{path.parent.name}-{images}")
            disk.image(image, keep, Random(f"{seed} {images}"))
            assert remnants(image / "store", doomed[first]) == []
            handed = handed_out(path) if done == len(operation.changes) else None
            head = handed.read_bytes() if handed is not None and handed.exists() else None
            with scene.open(image / "store") as store:
                judge(store, pictures[first : done + 2], tolerated=operation.findings, head=head)
            shutil.rmtree(image)
            images += 1
    return images


@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS])
def test_after_a_power_cut_what_was_acknowledged_stands(
    stores: StoreFactory, record_property: Callable[[str, object], None], name: str
) -> None:
    record_property("images after a power cut", survive(BY_NAME[name], stores, seed=1))
