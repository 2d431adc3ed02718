"""Whoever counts with workers counts beside them: everybody once, whatever becomes of a worker."""

from __future__ import annotations

import base64
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from consentprofile.release.cells import Portion
from consentprofile.usecases import census, counting, counting_crew
from consentprofile.usecases.counting import Tally
from consentprofile.usecases.counting_crew import CountingCrew
from consentprofile.usecases.counting_wire import Setup, Stretch
from tests.usecases import counting_scene
from tests.usecases.counting_scene import PEOPLE, SECONDS, ReadyCrew, people, taken
from tests.usecases.scene import ACCOUNT, Scene
from tests.usecases.test_release import populated


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    counting_scene.short_stretches(monkeypatch)


@pytest.fixture
def spec(scene: Scene) -> Path:
    return populated(scene)


class Shared:
    """What a worker was handed, and what this process counted by itself."""

    def __init__(self) -> None:
        self.sent: list[Stretch] = []
        self.here: list[Stretch] = []


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Shared:
    found = Shared()
    send, run = counting_crew._Worker.send, counting.Counter.run

    def sending(worker: counting_crew._Worker, stretch: Stretch) -> None:
        found.sent.append(stretch)
        send(worker, stretch)

    def running(counter: counting.Counter, gate: counting.Gate, first: int, last: int) -> int:
        found.here.append(Stretch(first, last))
        return run(counter, gate, first, last)

    monkeypatch.setattr(counting_crew._Worker, "send", sending)
    monkeypatch.setattr(counting.Counter, "run", running)
    return found


def slots(stretches: Iterable[Stretch]) -> list[int]:
    return sorted(slot for stretch in stretches for slot in range(stretch.first, stretch.last + 1))


def test_this_process_counts_beside_its_workers_and_nobody_counts_what_another_does(
    scene: Scene, spec: Path, shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    session = scene.store._session
    assert people(taken(session, workers=1).standing(session)) == PEOPLE
    assert shared.sent
    assert shared.here
    everything = slots([*shared.sent, *shared.here])
    assert everything == list(range(1, everything[-1] + 1))
    assert not caplog.records


def crew_of(scene: Scene, monkeypatch: pytest.MonkeyPatch, workers: int) -> ReadyCrew:
    """Workers that count for the specification of these tests."""
    found: list[Setup] = []

    class Noting(CountingCrew):
        def __init__(self, setups: Sequence[Setup], lock: int) -> None:
            found.extend(setups)
            super().__init__([], lock)

    with monkeypatch.context() as noting:
        noting.setattr(census, "CountingCrew", Noting)
        taken(scene.store._session, workers=1)
    return ReadyCrew(found * workers, scene.store._session.ground.files.alive_descriptor)


def nobody(stretch: Stretch) -> Tally:
    """That nobody counts in a stretch."""
    none = np.zeros(0, dtype=np.int64)
    places = none.astype(np.uint32)
    portion = Portion(np.zeros(0, dtype="S16"), places, places, places, None)
    return Tally(stretch.last, portion, none, none, none)


def test_a_worker_is_handed_more_while_this_process_counts(
    scene: Scene, spec: Path, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be idle for as long as one stretch takes here."""
    told: list[Stretch] = []

    def here(stretch: Stretch, look_round: Callable[[], object]) -> Tally:
        until = time.monotonic() + SECONDS
        while len(slots(shared.sent)) < 35 and time.monotonic() < until:
            look_round()
        return nobody(stretch)

    with crew_of(scene, monkeypatch, 1) as crew:
        shared.sent.clear()
        told.extend(stretch for stretch, _ in crew.count(Stretch(1, 42), here))
    assert len(slots(shared.sent)) == 35  # all but the one stretch that was counted here
    assert slots(told) == list(range(1, 43))


def test_a_worker_that_answers_while_this_process_counts_is_not_taken_for_dead(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(counting_crew, "PATIENCE", 0.0)
    monkeypatch.setattr(counting_crew, "AHEAD", 1)

    def here(stretch: Stretch, look_round: Callable[[], object]) -> Tally:
        readable, _, _ = select.select([crew._workers[0].process.wire], [], [], SECONDS)
        assert readable
        return nobody(stretch)

    with crew_of(scene, monkeypatch, 1) as crew:
        told = [(stretch, len(tally.slot) > 0) for stretch, tally in crew.count(Stretch(1, 14), here)]
    assert told == [(Stretch(8, 14), False), (Stretch(1, 7), True)]
    assert not caplog.records


def test_what_a_killed_worker_had_is_counted_by_the_others(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = counting_crew._Worker.send

    def killing(worker: counting_crew._Worker, stretch: Stretch) -> None:
        send(worker, stretch)
        if stretch.first == 1:
            os.kill(worker.process.process.pid, signal.SIGKILL)

    monkeypatch.setattr(counting_crew._Worker, "send", killing)
    session = scene.store._session
    assert people(taken(session, workers=2).standing(session)) == PEOPLE
    assert "has ended before its time" in caplog.text


def test_what_a_worker_that_hangs_had_is_counted_by_the_others(
    scene: Scene, spec: Path, shared: Shared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = counting_crew._Worker.send

    def stopping(worker: counting_crew._Worker, stretch: Stretch) -> None:
        os.kill(worker.process.process.pid, signal.SIGSTOP)
        send(worker, stretch)

    monkeypatch.setattr(counting_crew._Worker, "send", stopping)
    monkeypatch.setattr(counting_crew, "PATIENCE", 0.0)
    session = scene.store._session
    assert people(taken(session, workers=1).standing(session)) == PEOPLE
    assert "has ended before its time" in caplog.text
    assert set(shared.sent) <= set(shared.here)  # nothing of what it was handed was counted by it


def test_where_no_worker_can_be_started_it_is_counted_here(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(counting_crew, "_Worker", failing)
    session = scene.store._session
    assert people(taken(session, workers=2).standing(session)) == PEOPLE
    assert "could not be started" in caplog.text


def test_a_worker_holds_the_key_of_its_purpose_and_says_nothing_of_it(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_KEY", "xyzzy-canary")
    session = scene.store._session
    keys = session.keys.hand_over()
    shown: list[bytes] = []
    links: list[str] = []
    setups: list[Setup] = []
    make, answered = counting_crew._Worker.__init__, counting_crew._Worker.answered

    def making(worker: counting_crew._Worker, setup: Setup, lock: int) -> None:
        setups.append(setup)
        make(worker, setup, lock)

    def looking(worker: counting_crew._Worker) -> object:
        found = answered(worker)
        process = Path(f"/proc/{worker.process.process.pid}")
        if found:
            shown.append(b"".join((process / name).read_bytes() for name in ("cmdline", "environ")))
            links.extend(os.readlink(link) for link in (process / "fd").iterdir())
        return found

    monkeypatch.setattr(counting_crew._Worker, "__init__", making)
    monkeypatch.setattr(counting_crew._Worker, "answered", looking)
    taken(session, workers=1)
    (setup,) = setups
    assert setup.key == keys["planning"]
    assert not {keys["support"], keys["marketing"]} & set(bytes_of(setup))
    assert shown
    assert b"counting_worker" in shown[0]
    for secret in (b"xyzzy-canary", ACCOUNT.encode(), *keys.values(), (scene.folder / "key").read_bytes().strip()):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")):
            assert form not in shown[0]
    inside = {Path(link).name for link in links if link.startswith(str(scene.folder))}
    assert inside <= {"alive.lock", "gate-turn.lock", "gate.lock", "keys.db", "data.db", "data.db-wal", "data.db-shm"}


def bytes_of(setup: Setup) -> list[bytes]:
    """Every value of bytes in a setup."""
    return [value for name in setup.__struct_fields__ if isinstance(value := getattr(setup, name), bytes)]
