"""Sealing in worker processes: it changes nothing but the time, whatever happens to a worker."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import consentprofile as cp
from consentprofile.crypto.binding import RecordType
from consentprofile.model.event import Value
from consentprofile.store.locks import FileLock
from consentprofile.store.ports import SealedRow
from consentprofile.usecases import batches, recording
from consentprofile.usecases.batches import Batch
from consentprofile.usecases.sealing import Parcel, Sealed
from consentprofile.usecases.sealing_crew import AHEAD, LEAST_AHEAD, MOST_AHEAD, Crew, Order
from consentprofile.usecases.session import Session
from tests.usecases.scene import ACCOUNT, NOW, PURPOSES, Scene, event

ROOT: Final = Path(__file__).resolve().parents[2]
ACCOUNTS: Final = ("acct-1", "acct-2", "acct-3", "acct-4", "acct-5")
SECONDS: Final = 30.0
"""How long a process may take to begin or to end."""


class ReadyCrew(Crew):
    """A crew whose workers are ready from the start, and which knows what they were handed."""

    made: Iterator[ReadyCrew]
    all: list[ReadyCrew]

    def __init__(self, session: Session, workers: int) -> None:
        super().__init__(session, workers)
        self.handed = 0
        self.began = self.processes
        assert within(SECONDS, self.is_ready)
        self.all.append(self)

    def is_ready(self) -> bool:
        self._turn(0.0)
        return all(worker.process.ready for worker in self._workers)

    def hand(self, order: Order, parcel: Parcel) -> bool:
        taken = super().hand(order, parcel)
        self.handed += taken
        return taken


@pytest.fixture
def crews(monkeypatch: pytest.MonkeyPatch) -> list[ReadyCrew]:
    """The crews of this test, each handed parcels of two events."""
    made: list[ReadyCrew] = []
    monkeypatch.setattr(ReadyCrew, "all", made, raising=False)
    monkeypatch.setattr(recording, "Crew", ReadyCrew)
    monkeypatch.setattr(batches, "PARCEL", 2 * len(PURPOSES))
    return made


def has_ended(process: int) -> bool:
    """Whether a process is no more, or is only waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def within(seconds: float, holds: object) -> bool:
    """Whether something comes to hold within so many seconds."""
    assert callable(holds)
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def many(count: int = 60) -> list[cp.Event]:
    """Events of several accounts, of which one gives no consent."""
    return [
        event("purchase", account=ACCOUNTS[number % 5], id=f"e-{number}", total=number % 7, platform="mobile")
        for number in range(count)
    ]


def give_all(scene: Scene) -> None:
    """Consents of several kinds; the last account gives none."""
    scene.give(*PURPOSES, account="acct-1")
    scene.give("support", account="acct-2")
    scene.give("marketing", "planning", account="acct-3")
    scene.give("support", "marketing", account="acct-4")
    scene.store.suppress("acct-4", "do-not-contact")


# ---- it makes no difference ---------------------------------------------------------------------


def opened(session: Session, rows: list[SealedRow]) -> Counter[tuple[int, int, bytes]]:
    """What is in the blocks, whatever their order."""
    found: Counter[tuple[int, int, bytes]] = Counter()
    for row in rows:
        slot = session.ground.keyring.slot(row.slot)
        assert slot is not None
        purpose = session.purpose_names[slot.header.purpose]
        key = session.keys.unwrap(slot, purpose=purpose, terms=session.bound(slot.header.terms))
        found[row.slot, row.generation, key.open(RecordType.BLOCK, row.sealed)] += 1
    return found


VALUES: Final[dict[str, list[Value]]] = {
    "platform": ["desktop", "mobile"],
    "device": ["d-1", "d-2", "\N{SNOWMAN}"],
    "topic": ["delivery", "bereavement"],
    "total": [0, 7, 1_000, 1_001],
    "gift": [True, False],
}


@st.composite
def some_events(draw: st.DrawFn) -> list[cp.Event]:
    """Events of any account, kind and time; the one or the other is bad."""
    return [
        event(
            draw(st.sampled_from(["login", "purchase", "logout"])),
            account=draw(st.sampled_from(ACCOUNTS)),
            at=NOW + timedelta(seconds=draw(st.integers(-2, 301))),
            id=f"e-{number}",
            named={
                name: draw(st.sampled_from(VALUES[name])) for name in draw(st.sets(st.sampled_from(sorted(VALUES))))
            },
        )
        for number in range(draw(st.integers(1, 25)))
    ]


def test_blocks_outcomes_and_errors_are_the_same_with_and_without_workers(
    tmp_path_factory: pytest.TempPathFactory, crews: list[ReadyCrew]
) -> None:
    scene = Scene(tmp_path_factory.mktemp("same"))
    give_all(scene)
    session = scene.store._session

    def sealed(events: list[cp.Event], crew: Crew) -> object:
        try:
            batch = Batch(session, events, 7, crew)
        except cp.InvalidEvent as refused:
            return str(refused), refused.index, refused.committed
        batch.gather(crew)
        with session.ground.recording():
            rows, counts, _ = batch.settle()
        return opened(session, rows), dict(counts)

    with ReadyCrew(session, 1) as crew, ReadyCrew(session, 0) as nobody:

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(some_events())
        def the_same(events: list[cp.Event]) -> None:
            assert sealed(events, crew) == sealed(events, nobody)

        the_same()
        assert crew.handed > 0
    scene.store.close()


def test_what_was_recorded_with_workers_is_read_and_counted_as_ever(
    tmp_path_factory: pytest.TempPathFactory, crews: list[ReadyCrew]
) -> None:
    answers = []
    for workers in (0, 2):
        scene = Scene(tmp_path_factory.mktemp("read"))
        give_all(scene)
        summary = scene.store.record_many(many(), batch_size=25, workers=workers)
        scene.store.record_many(many(), batch_size=60, workers=workers)  # every id again
        leaf = scene.leaves()[-1]
        answers.append(
            (
                summary,
                scene.store.statistics(),
                [scene.profile(account=account) for account in ACCOUNTS],
                leaf.operation, leaf.facts["events"], leaf.facts["blocks"],
            )
        )  # fmt: skip
        assert scene.store.check().is_clean
        scene.store.close()
    assert answers[0] == answers[1]
    assert [bool(crew.handed) for crew in crews] == [False, False, True, True]


def test_a_bad_event_has_the_index_and_the_count_that_it_has_without_workers(
    scene: Scene, crews: list[ReadyCrew]
) -> None:
    give_all(scene)
    events = many(40)
    events[33] = event("undeclared")
    with pytest.raises(cp.InvalidEvent) as refused:
        scene.store.record_many(events, batch_size=15, workers=1)
    assert (refused.value.index, refused.value.committed) == (33, 30)
    assert scene.store.statistics()["support"] == {cp.Outcome.RECORDED: 18, cp.Outcome.NO_CONSENT: 12}
    assert all(has_ended(process) for process in crews[0].began)


def test_a_slot_that_was_altered_is_the_same_error_and_nothing_is_recorded(
    scene: Scene, crews: list[ReadyCrew]
) -> None:
    give_all(scene)
    files = scene.store._session.ground.files
    with files.writing(), files.keyring_transaction() as keys:
        keys.execute("UPDATE slot SET record = CAST(substr(record, 1, 172) || x'00' AS BLOB)")
    before = scene.leaves()
    for workers in (0, 1):
        with pytest.raises(cp.CorruptRecord):
            scene.store.record_many(many(), workers=workers)
    assert scene.leaves() == before
    assert crews[1].handed
    assert has_ended(crews[1].began[0])


@pytest.mark.parametrize("workers", [-1, 65])
def test_as_many_workers_as_nobody_can_have_are_refused(scene: Scene, workers: int) -> None:
    with pytest.raises(cp.InputError):
        scene.store.record_many([event()], workers=workers)


# ---- how much a worker has before it ------------------------------------------------------------


class Told:
    """Stands for a worker: it answers at once where it is ``quick``, and else one parcel when somebody waits."""

    def __init__(self) -> None:
        self.process = SimpleNamespace(ready=True, alive=True)
        self.under_way: deque[tuple[Order, Parcel]] = deque()
        self.quick = False

    def send(self, order: Order, parcel: Parcel) -> None:
        self.under_way.append((order, parcel))
        order.under_way += 1

    def turn(self, wait: float) -> list[Sealed]:
        return [Sealed([], [], 0, 0)] * (len(self.under_way) if self.quick else bool(wait))

    def end(self) -> None:
        pass


def test_whoever_runs_dry_is_handed_more_ahead_and_whoever_is_waited_for_less(scene: Scene) -> None:
    """So neither the worker nor the process that records stands still, however much that one has to merge."""
    worker, parcel = Told(), Parcel(0, [], {})
    with Crew(scene.store._session, 0) as crew:
        crew._workers = [worker]  # type: ignore[list-item]  # it does what a worker does

        def room() -> int:
            """How many parcels it may have before it, with those that it has."""
            worker.quick, order = False, Order()
            while crew.hand(order, parcel):
                pass
            found, worker.quick = len(worker.under_way), True
            crew.gather(order)
            return found

        assert room() == AHEAD + 1  # nothing was before it
        for _ in range(2 * MOST_AHEAD):
            order = Order()
            assert crew.hand(order, parcel)
            crew.gather(order)
        assert room() == MOST_AHEAD
        worker.quick, order = False, Order()
        assert crew.hand(order, parcel)
        for _ in range(2 * MOST_AHEAD):
            following = Order()
            assert crew.hand(following, parcel)
            crew.gather(order)
            order = following
        assert room() == LEAST_AHEAD


# ---- workers that end, and stores that do -------------------------------------------------------


def test_a_worker_killed_in_the_middle_of_a_batch_costs_time_and_nothing_else(
    scene: Scene, crews: list[ReadyCrew], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give_all(scene)
    gather = ReadyCrew.gather

    def killing(crew: ReadyCrew, order: Order) -> None:
        for process in crew.processes:
            os.kill(process, signal.SIGKILL)
        gather(crew, order)

    def stopping(crew: ReadyCrew, order: Order, parcel: Parcel) -> bool:
        for process in crew.processes:
            os.kill(process, signal.SIGSTOP)  # so it answers nothing of what it is handed
        crew.handed += (taken := Crew.hand(crew, order, parcel))
        return taken

    monkeypatch.setattr(ReadyCrew, "gather", killing)
    monkeypatch.setattr(ReadyCrew, "hand", stopping)
    summary = scene.store.record_many(many(), batch_size=30, workers=1)
    assert crews[0].handed
    assert summary.outcomes["support"] == {cp.Outcome.RECORDED: 36, cp.Outcome.NO_CONSENT: 24}
    assert len(scene.events(account="acct-1") or []) == 12
    assert "a sealing worker has ended" in caplog.text
    assert scene.store.check().is_clean


def test_a_worker_that_cannot_begin_is_done_without(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give_all(scene)
    monkeypatch.setattr(sys, "executable", str(scene.folder / "no-such-program"))
    assert scene.store.record_many(many(), workers=1).events == 60
    assert "could not be started" in caplog.text


def test_no_worker_is_left_and_nothing_can_be_read_after_a_withdrawal(scene: Scene, crews: list[ReadyCrew]) -> None:
    give_all(scene)
    scene.store.record_many(many(), workers=2)
    scene.store.withdraw_consent("acct-1", ["support"])
    assert crews[0].handed
    assert len(crews[0].began) == 2
    assert all(has_ended(process) for process in crews[0].began)
    assert scene.events(account="acct-1") is None
    assert scene.store.check().is_clean


HOLDER: Final = """
import os, signal, sys, time
import consentprofile as cp
from consentprofile.usecases.sealing_crew import Crew
store = cp.Store.open(sys.argv[1], key=cp.KeyFile(sys.argv[2]))
session = store._session
with Crew(session, 1) as crew:
    while not crew._workers[0].process.ready:
        crew._turn(0.0)
        time.sleep(0.01)
    (worker,) = crew.processes
    if sys.argv[3] == "stopped":
        os.kill(worker, signal.SIGSTOP)
    print(worker, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(scene: Scene, request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that records, and its worker."""
    arguments = [str(scene.folder / "store"), str(scene.folder / "key"), request.param]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        yield process, worker
        process.kill()
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("holder", ["running"], indirect=True)
def test_a_worker_ends_when_its_store_is_killed(holder: tuple[subprocess.Popen[str], int]) -> None:
    process, worker = holder
    process.kill()
    process.wait()
    assert within(SECONDS, lambda: has_ended(worker))


@pytest.mark.parametrize("holder", ["stopped"], indirect=True)
def test_nobody_has_the_store_alone_before_the_worker_of_a_killed_process_has_ended(
    scene: Scene, holder: tuple[subprocess.Popen[str], int]
) -> None:
    """Whoever replaces the keyring waits for everybody who has it open."""
    process, worker = holder
    process.kill()
    process.wait()
    scene.store.close()
    lock = FileLock(scene.folder / "store" / "alive.lock", wait=0.3)
    with pytest.raises(cp.StoreBusy), lock.held():
        raise AssertionError("the worker is still there")
    lock.close()
    os.kill(worker, signal.SIGCONT)
    lock = FileLock(scene.folder / "store" / "alive.lock", wait=SECONDS)
    with lock.held():
        assert within(SECONDS, lambda: has_ended(worker))
    lock.close()


# ---- what a worker holds ------------------------------------------------------------------------


def test_no_key_stands_in_the_arguments_or_the_environment_of_a_worker_and_only_the_keyring_is_open(
    scene: Scene, crews: list[ReadyCrew], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_KEY", "xyzzy-canary")
    scene.give()
    session = scene.store._session
    keys = session.keys.hand_over()
    with ReadyCrew(session, 1) as crew:
        (process,) = crew.processes
        shown = b"".join(Path(f"/proc/{process}/{name}").read_bytes() for name in ("cmdline", "environ"))
        Batch(session, [event()] * 10, 0, crew).gather(crew)
        links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
    assert b"sealing_worker" in shown
    assert b"xyzzy-canary" not in shown
    assert ACCOUNT.encode() not in shown
    for secret in (*keys.values(), (scene.folder / "key").read_bytes().strip()):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")):
            assert form not in shown
    inside = sorted(Path(link).name for link in links if link.startswith(str(scene.folder)))
    assert inside == ["alive.lock", "gate-turn.lock", "gate.lock", "keys.db"]


def test_a_worker_is_handed_purpose_keys_and_no_other(scene: Scene) -> None:
    handed = scene.store._session.keys.hand_over()
    assert sorted(handed) == sorted(PURPOSES)
    assert {len(key) for key in handed.values()} == {32}
