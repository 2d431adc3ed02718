"""The collector of cycles is kept away from batches, which leave nothing for it, and is as it was afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import count

import pytest

import consentprofile as cp
from consentprofile.usecases import compaction
from consentprofile.usecases.collector import no_collector
from tests.support.shapes import arrange_small
from tests.usecases.scene import Scene, event

EVENTS = 60


@pytest.fixture(params=[True, False])
def enabled(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the collector is at work when a batch begins."""
    was, wanted = gc.isenabled(), bool(request.param)
    (gc.enable if wanted else gc.disable)()
    yield wanted
    (gc.enable if was else gc.disable)()


def test_it_is_as_it_was_after_a_block_and_after_one_that_failed(enabled: bool) -> None:
    with no_collector():
        assert not gc.isenabled()
        with no_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled() is enabled
    with pytest.raises(ValueError, match="it failed"), no_collector():
        raise ValueError("it failed")
    assert gc.isenabled() is enabled


def test_it_works_while_events_are_taken_and_between_batches(scene: Scene, enabled: bool) -> None:
    """What the app makes meanwhile is collected as ever."""
    scene.give("support")
    seen: list[bool] = []

    def source() -> Iterator[cp.Event]:
        for number in range(EVENTS):
            seen.append(gc.isenabled())
            yield event(id=f"e-{number}")

    scene.store.record_many(source(), batch_size=10, progress=lambda _: seen.append(gc.isenabled()))
    assert seen == [enabled] * (EVENTS + EVENTS // 10)
    with pytest.raises(cp.InvalidEvent):
        scene.store.record_many([event("none such")])
    assert gc.isenabled() is enabled


def test_recording_and_compacting_leave_no_cycles(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    arrange_small(monkeypatch.setattr)
    scene.give("support")
    names = (f"e-{number}" for number in count())

    def left_by(events: int) -> int:
        """How many objects nobody reaches any more, but in a cycle, when so many events have been recorded."""
        source = [event(id=next(names)) for _ in range(events)]
        with no_collector():
            gc.collect()
            scene.store.record_many(source, batch_size=10)
            compaction.compact(scene.store._session, everything=True)
            return gc.collect()

    left_by(10)  # what is made at its first use
    assert left_by(200) - left_by(20) < 90  # not one for every second event; other threads may leave some
