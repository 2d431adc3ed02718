"""Upkeep: done a slice at a time by whoever calls it, or by a thread that nobody has to think of again."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile import upkeep as face
from consentprofile.usecases import compaction
from tests.usecases.scene import Scene, event

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true; a minute is longer than any of this takes."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.001)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "consentprofile-upkeep"]


class Steps:
    """Stands in for a slice of compaction: says for how many slices more there is more to do."""

    def __init__(self, due: int = 0, error: Exception | None = None) -> None:
        self.due = due
        self.done = 0
        self.error = error

    def __call__(self, session: object) -> bool:
        self.done += 1
        if self.error is not None:
            raise self.error
        self.due -= 1
        return self.due > 0


def test_compaction_changes_nothing_that_anybody_reads(scene: Scene) -> None:
    scene.give()
    for number in range(30):
        scene.store.record(event(id=f"e-{number % 20}"))
    before, profile = scene.events(), scene.profile()
    assert scene.store.upkeep.compact(everything=True).moved > 0
    assert (scene.events(), scene.profile()) == (before, profile)
    assert not scene.store.upkeep.step()
    assert scene.store.upkeep.compact() == cp.Compacted()
    assert scene.store.check().findings == ()
    scene.store.close()


def test_no_thread_is_started_by_itself_and_closing_ends_the_one_that_was(scene: Scene) -> None:
    assert threads() == []
    scene.store.upkeep.start()
    scene.store.upkeep.start()
    assert len(threads()) == 1
    assert threads()[0].daemon
    scene.store.close()
    assert threads() == []


def test_the_thread_does_what_is_due_and_then_sleeps(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(due=3)
    monkeypatch.setattr(compaction, "step", steps)
    scene.store.upkeep.start(every=3600)
    until(lambda: steps.done == 3)
    scene.store.upkeep.stop()
    assert steps.done == 3
    assert threads() == []
    scene.store.upkeep.stop()
    scene.store.upkeep.start(every=3600)
    until(lambda: steps.done == 4)  # it looks at once, and then it sleeps
    scene.store.close()


def test_what_goes_wrong_is_told_once_and_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps = Steps(error=cp.CorruptRecord("a pack cannot be read"))
    monkeypatch.setattr(compaction, "step", steps)
    monkeypatch.setattr(face, "PAUSE", 0.0)
    with caplog.at_level(logging.WARNING, "consentprofile"):
        scene.store.upkeep.start(every=0.001)
        until(lambda: steps.done > 3)
        steps.error = OSError(5, "canary-path")
        until(lambda: steps.done > 6)
        scene.store.close()
    assert [record.getMessage().partition("again: ")[2] for record in caplog.records] == [
        "CorruptRecord: a pack cannot be read",
        "OSError: an error of the operating system",
    ]


def test_a_busy_store_is_nothing_to_tell_of(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps = Steps(error=cp.StoreBusy("others are at work"))
    monkeypatch.setattr(compaction, "step", steps)
    with caplog.at_level(logging.DEBUG, "consentprofile"):
        scene.store.upkeep.start(every=0.001)
        until(lambda: steps.done > 2)
        scene.store.close()
    assert caplog.records == []


def test_a_thread_whose_store_is_gone_ends(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(error=cp.StoreClosed("the store is closed"))
    monkeypatch.setattr(compaction, "step", steps)
    scene.store.upkeep.start(every=0.001)
    until(lambda: threads() == [])
    scene.store.close()


@pytest.mark.parametrize("every", [0, -1.0, float("nan")])
def test_a_time_that_is_none_is_refused(scene: Scene, every: float) -> None:
    with pytest.raises(cp.InputError):
        scene.store.upkeep.start(every)
    assert threads() == []
    scene.store.close()
    with pytest.raises(cp.StoreClosed):
        scene.store.upkeep.start()


def test_a_fork_has_no_thread_until_it_starts_its_own(scene: Scene) -> None:
    scene.store.upkeep.start(every=3600)
    child = os.fork()
    if child == 0:
        try:
            none = threads() == []
            scene.store.upkeep.start(every=3600)
            one = len(threads()) == 1
            scene.store.upkeep.stop()
            os._exit(0 if none and one else 1)
        except BaseException:  # noqa: BLE001 - told by the exit code; a fork must not go on
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    scene.store.close()


def test_the_thread_does_not_keep_the_process_alive(scene: Scene) -> None:
    scene.store.close()
    program = (
        "import sys, consentprofile as cp\n"
        "store = cp.Store.open(sys.argv[1], key=cp.KeyFile(sys.argv[2]))\n"
        "store.upkeep.start(every=0.01)\n"
    )
    command = [sys.executable, "-c", program, str(scene.folder / "store"), str(scene.folder / "key")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
