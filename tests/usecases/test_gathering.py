"""Gathering: calls at the same time share a transaction, each with its own answer, and none is ever left waiting."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.errors import BrokenLog
from consentprofile.model.policy_file import read_policy
from consentprofile.usecases import gathering, recording
from consentprofile.usecases.gathering import Gathering
from consentprofile.usecases.sealing import Accepted
from consentprofile.usecases.session import Session
from tests.support.people import ADA, BOB, agree, login, operations, seen
from tests.support.policies import TEXT
from tests.support.stores import StoreFactory, scratch

together = recording.record_together

KINDS = re.compile(r"(.*?)(\[\[kinds\]\].*?)(\[\[kinds\]\].*?)(\[\[kinds\]\].*)", re.DOTALL)
"""The policy in four parts: what stands before the kinds, the first kind, the second, and the rest."""


@pytest.fixture(scope="module")
def factory() -> Iterator[StoreFactory]:
    with scratch() as directory:
        yield StoreFactory(directory)


@pytest.fixture
def path(factory: StoreFactory) -> Path:
    return factory.new()


@pytest.fixture
def store(factory: StoreFactory, path: Path) -> Iterator[cp.Store]:
    with factory.open(path) as opened:
        agree(opened, ADA)
        yield opened


class Call(threading.Thread):
    """One call of ``record`` in a thread of its own."""

    def __init__(self, store: cp.Store, event: cp.Event) -> None:
        super().__init__(daemon=True)
        self.store, self.event = store, event
        self.outcomes: dict[str, cp.Outcome] | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.outcomes = self.store.record(self.event)
        except BaseException as error:  # noqa: BLE001  # it is what the test looks at
            self.error = error

    def end(self) -> Call:
        self.join(20)
        assert not self.is_alive(), "left waiting"
        return self


def queued(store: cp.Store, count: int) -> None:
    """Wait until so many calls are queued."""
    pause = threading.Event()
    for _ in range(4000):
        if len(store._gathering._queue) == count:
            return
        pause.wait(0.005)
    raise AssertionError("the calls were not queued")


@contextmanager
def held_up(store: cp.Store, events: list[cp.Event]) -> Iterator[list[Call]]:
    """Calls that queue up behind the writer's mutex: the first of them leads, and takes all of them."""
    with store._session.ground.files.mutex:
        calls = [Call(store, event) for event in events]
        queued(store, len(events))
        yield calls


def test_calls_that_queue_up_share_one_transaction_and_each_has_its_own_answer(store: cp.Store) -> None:
    events = [login(ADA if number % 3 else BOB, number) for number in range(12)]
    with held_up(store, events) as calls:
        pass
    for number, call in enumerate(calls):
        outcome = cp.Outcome.RECORDED if number % 3 else cp.Outcome.NO_CONSENT
        assert (call.end().outcomes or {})["support"] is outcome
    assert operations(store).count("recorded") == 1
    assert seen(store, ADA) == 8
    store.audit.verify()


def test_a_lone_call_has_no_need_of_the_queue(store: cp.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gathering, "_queue_up", lambda *_: pytest.fail("queued"))
    assert store.record(login(ADA))["support"] is cp.Outcome.RECORDED
    assert seen(store, ADA) == 1


def test_nobody_goes_before_those_who_are_queued(store: cp.Store) -> None:
    """Every lock is free, and the one that is queued is about to lead: who comes now stands behind it."""
    session = store._session
    first = gathering._Call(session, recording.check(session, login(ADA, 1)))
    store._gathering._queue_up(first)
    late = Call(store, login(ADA, 2))
    queued(store, 2)
    store._gathering._lead(first)
    assert late.end().outcomes == first.outcomes
    assert operations(store).count("recorded") == 1


def test_a_bad_event_fails_its_own_caller_and_nobody_else(store: cp.Store) -> None:
    bad = cp.Event(account=ADA, kind="undeclared", at=login(ADA).at)
    with store._session.ground.files.writing():
        refused, good = Call(store, bad), Call(store, login(ADA))
        queued(store, 1)
    assert isinstance(refused.end().error, cp.InvalidEvent)
    assert good.end().error is None
    assert seen(store, ADA) == 1


FAILURES: dict[str, Callable[[], Exception]] = {
    "a full disk": lambda: cp.StoreFault("the disk is full"),
    "a broken log": lambda: BrokenLog("the audit log has lost its head", sequence=7),
    "a programming error": lambda: ZeroDivisionError("by zero"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_everybody_is_told_why_the_transaction_failed_by_an_error_of_their_own(
    store: cp.Store, monkeypatch: pytest.MonkeyPatch, failure: Callable[[], Exception]
) -> None:
    def fail(*_: object) -> list[dict[str, cp.Outcome]]:
        raise failure()

    monkeypatch.setattr(recording, "record_together", fail)
    with held_up(store, [login(ADA, number) for number in range(5)]) as calls:
        pass
    errors = [call.end().error for call in calls]
    expected = failure()
    assert {(type(error), str(error)) for error in errors} == {(type(expected), str(expected))}
    assert all(vars(error) == vars(expected) for error in errors if error is not None)
    assert len({id(error) for error in errors}) == 5
    monkeypatch.undo()
    assert store.record(login(ADA))["support"] is cp.Outcome.RECORDED
    assert seen(store, ADA) == 1


def test_nobody_is_left_waiting_when_the_leader_is_interrupted_while_it_records(
    store: cp.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> list[dict[str, cp.Outcome]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(recording, "record_together", interrupt)
    with held_up(store, [login(ADA, number) for number in range(4)]) as calls:
        pass
    kinds = [type(call.end().error) for call in calls]
    assert kinds.count(KeyboardInterrupt) == 1
    assert kinds.count(cp.StoreFault) == 3
    monkeypatch.undo()
    assert store.record(login(ADA)) == store.record(login(ADA))


def test_who_is_queued_behind_an_interrupted_leader_is_led_by_the_next(
    store: cp.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first in the queue is interrupted before it has taken anything: the others are recorded all the same."""
    files, writing = store._session.ground.files, store._session.ground.files.writing
    interrupted = threading.Event()

    @contextmanager
    def interrupting() -> Iterator[None]:
        if not interrupted.is_set():
            queued(store, 4)
            interrupted.set()
            raise KeyboardInterrupt
        with writing():
            yield

    monkeypatch.setattr(Gathering, "_record_alone", lambda *_: None)
    monkeypatch.setattr(files, "writing", interrupting)
    calls = [Call(store, login(ADA, number)) for number in range(4)]
    kinds = [type(call.end().error) for call in calls]
    assert kinds.count(KeyboardInterrupt) == 1
    assert kinds.count(type(None)) == 3
    monkeypatch.undo()
    assert seen(store, ADA) == 3


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "still queued"])
def test_a_leader_that_vanished_without_a_word_is_noticed(
    store: cp.Store, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """An interrupt can strike while another one is being dealt with; those who wait look for themselves in the end."""
    monkeypatch.setattr(gathering, "PATIENCE", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(Gathering, "_record_alone", lambda *_: None)
        patch.setattr(Gathering, "_lead", lambda *_: None)
        store.record(login(ADA, 1))  # stays first in the queue, and nobody leads
        waiting = Call(store, login(ADA, 2))
        queued(store, 2)
        if taken:
            store._gathering._take(store._session)
    waiting.end()
    if taken:
        assert type(waiting.error) is cp.StoreFault
        assert "not known" in str(waiting.error)
    else:
        assert waiting.error is None
        assert seen(store, ADA) == 2
    assert store.record(login(ADA, 3))["support"] is cp.Outcome.RECORDED


def test_closing_the_store_tells_those_who_wait(store: cp.Store) -> None:
    with held_up(store, [login(ADA, number) for number in range(3)]) as calls:
        store.close()
    assert [type(call.end().error) for call in calls] == [cp.StoreClosed] * 3


@pytest.mark.parametrize("first", ["before", "after"])
def test_calls_from_before_and_after_a_change_of_the_policy_never_share_a_transaction(
    factory: StoreFactory, store: cp.Store, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Each was checked under another policy, whose numbers mean other kinds: an event would become another one."""
    monkeypatch.setattr(Gathering, "_record_alone", lambda *_: None)
    before, errors = store._session, []
    found = KINDS.fullmatch(TEXT)
    assert found is not None
    head, logins, purchases, rest = found.groups()
    store.apply_policy(read_policy(head + purchases + logins + rest, "policy.toml"), key=factory.key)

    def record_late() -> None:
        with pytest.raises(cp.StoreClosed) as raised:
            store._gathering.record(before, login(ADA, 1))
        errors.append(raised.value)

    late = threading.Thread(target=record_late, daemon=True)
    with store._gathering._leading:
        if first == "before":
            late.start()
            queued(store, 1)
        call = Call(store, login(ADA, 2))
        queued(store, 1 if first == "after" else 2)
        if first == "after":
            late.start()
            queued(store, 2)
    assert (call.end().outcomes or {})["support"] is cp.Outcome.RECORDED
    late.join(20)
    assert len(errors) == 1
    with store.view("support", "agent:7") as view:
        assert [event.kind for event in view.events(ADA) or ()] == ["login"]


def test_a_busy_writer_lock_is_told_to_all_who_wait_at_once(factory: StoreFactory, path: Path) -> None:
    with factory.open(path) as holder, factory.open(path, wait=0.2) as store:
        agree(holder, ADA)
        with holder._session.ground.files.writing():
            calls = [Call(store, login(ADA, number)) for number in range(4)]
            assert {type(call.end().error) for call in calls} == {cp.StoreBusy}
        assert store.record(login(ADA))["support"] is cp.Outcome.RECORDED


def test_a_leader_waits_for_as_many_as_there_were_and_no_longer_than_it_was_told(
    factory: StoreFactory, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def counting(session: Session, accepted: list[Accepted], **options: str) -> list[dict[str, cp.Outcome]]:
        sizes.append(len(accepted))
        return together(session, accepted, **options)

    monkeypatch.setattr(recording, "record_together", counting)
    with cp.Store.open(path, key=factory.key, durability="relaxed", gather=0.05) as store:
        with held_up(store, [login(BOB, number) for number in range(3)]) as calls:
            pass
        for call in calls:
            call.end()
        calls = [Call(store, login(BOB, number)) for number in range(3)]
        for call in calls:
            call.end()
        store.record(login(BOB))
    assert sizes[0] == 3
    assert sum(sizes) == 7
    assert sizes[-1] == 1


def test_a_fork_begins_anew_whoever_led_or_waited_in_the_parent(store: cp.Store) -> None:
    with held_up(store, [login(ADA, 1)]) as calls:
        child = os.fork()
        if child == 0:
            os._exit(3 if store._gathering._queue else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert calls[0].end().error is None
    child = os.fork()
    if child == 0:
        os._exit(0 if store.record(login(ADA, 2))["support"] is cp.Outcome.RECORDED else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert seen(store, ADA) == 2


def test_many_threads_record_every_event_once(store: cp.Store) -> None:
    def record(first: int) -> None:
        for number in range(first, first + 25):
            store.record(login(ADA, number))

    threads = [threading.Thread(target=record, args=(25 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen(store, ADA) == 200
    assert operations(store).count("recorded") <= 200
    store.audit.verify()


@pytest.mark.parametrize("gather", [-0.001, 0.0501, float("nan"), float("inf"), True, "0.01", None])
def test_a_time_to_gather_is_bounded(factory: StoreFactory, path: Path, gather: float) -> None:
    with pytest.raises(cp.InputError, match="gather"):
        cp.Store.open(path, key=factory.key, gather=gather)
    with pytest.raises(cp.InputError, match="gather"):
        cp.Store.create(path.with_name("never"), policy="no-such-file.toml", key=factory.key, gather=gather)
    assert not path.with_name("never").exists()
