"""Pending work: an operation happens whole, in both files, once, whatever interrupts it and whoever finishes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consentprofile import canonical
from consentprofile.errors import CorruptRecord, StoreBusy, StoreFault
from consentprofile.store import migrations
from consentprofile.store.files import Files
from consentprofile.store.keyring import Epoch, Keyring
from consentprofile.store.locks import GATE, FileLock
from consentprofile.store.log import Log
from consentprofile.store.pending import PendingWork, Step, Work, next_step
from consentprofile.store.rows import RowTable, SealedRow
from consentprofile.tlog.leaf import Draft, Operation

POLICY = b"\x07" * 32


class Stopped(BaseException):
    """The process ended here."""


class At:
    """An observer that ends the process at one step."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.seen: list[str] = []

    def __call__(self, step: str) -> None:
        self.seen.append(step)
        if step == self.step:
            raise Stopped


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    migrations.create_files(tmp_path)
    opened = Files(tmp_path, wait=0.05, durability="full")
    with opened.writing():
        with opened.data_transaction(full=True) as data:
            Log(data).establish()
            RowTable(data, "block").append([SealedRow(1, 0, b"old"), SealedRow(2, 0, b"other")])
        with opened.keyring_transaction() as keys:
            Keyring(keys).establish(bytes(16), "shop.example/log", Epoch(1, b"", bytes(32), []), [])
    yield opened
    opened.close()


WORK = Work(
    POLICY,
    leaves=(Draft(Operation.ERASED, 7200, facts=(("key-id", b"k" * 16),)),),
    rows=(("evidence", 3, 0, b"sealed"),),
    purges=((1, 1),),
    actors=((0, b"entry"),),
)


def change(keyring: Keyring) -> Work:
    keyring.allocate()
    return WORK


def state(files: Files) -> dict[str, object]:
    """Everything that the work is about, as it stands in both files."""
    count = files.keys.execute
    data = files.data
    return {
        "slots": Keyring(files.keys).count(),
        "pending": count("SELECT count(*) FROM pending").fetchone()[0],
        "leaves": len(Log(data).page(0)),
        "size": Log(data).head()[0].size,
        "evidence": RowTable(data, "evidence").of(3, 0),
        "blocks": [row.sealed for _, row in RowTable(data, "block").page(0)],
        "actors": Log(data).actors(0),
        "operations": data.execute("SELECT count(*) FROM operation").fetchone()[0],
    }


BEFORE = {
    "slots": 0,
    "pending": 0,
    "leaves": 0,
    "size": 0,
    "evidence": [],
    "blocks": [b"old", b"other"],
    "actors": [],
    "operations": 0,
}
AFTER = {
    "slots": 1,
    "pending": 0,
    "leaves": 1,
    "size": 1,
    "evidence": [b"sealed"],
    "blocks": [b"other"],
    "actors": [(0, b"entry")],
    "operations": 1,
}


STEPS = {
    "nothing noted": (False, False, Step.NOTHING),
    "cleared": (False, True, Step.NOTHING),
    "noted": (True, False, Step.APPLY),
    "noted and applied": (True, True, Step.CLEAR),
}


@pytest.mark.parametrize(("noted", "applied", "step"), STEPS.values(), ids=STEPS)
def test_what_is_left_to_do_follows_from_two_facts(noted: bool, applied: bool, step: Step) -> None:
    assert next_step(noted=noted, applied=applied) is step


def test_an_operation_is_done_in_both_files_in_three_steps(files: Files) -> None:
    observer = At("never")
    assert state(files) == BEFORE
    with files.writing():
        assert PendingWork(files, observer).perform(change) is WORK
    assert observer.seen == ["noted", "gate passed", "applied", "cleared"]
    assert state(files) == AFTER


@pytest.mark.parametrize("step", ["noted", "gate passed", "applied", "cleared"])
def test_whoever_comes_next_finishes_what_a_crash_left_once(files: Files, step: str) -> None:
    with files.writing(), pytest.raises(Stopped):
        PendingWork(files, At(step)).perform(change)
    assert state(files)["slots"] == 1  # the change of the keyring is durable from the first step on
    later = PendingWork(files)
    with files.writing():
        assert later.finish() == (0 if step == "cleared" else 1)
        assert later.finish() == 0
    assert state(files) == AFTER


@pytest.mark.parametrize("step", ["noted", "gate passed", "applied"])
def test_the_next_operation_finishes_the_one_before_it_first(files: Files, step: str) -> None:
    with files.writing(), pytest.raises(Stopped):
        PendingWork(files, At(step)).perform(change)

    def following(keyring: Keyring) -> Work:
        assert state(files)["leaves"] == 1
        keyring.allocate()
        return Work(POLICY, leaves=(Draft(Operation.CONSENT_GIVEN, 0),))

    with files.writing():
        PendingWork(files).perform(following)
    assert state(files) == {**AFTER, "slots": 2, "leaves": 2, "size": 2}


def test_work_noted_for_a_file_that_was_put_back_is_done_on_the_copy(files: Files) -> None:
    with files.writing(), pytest.raises(Stopped):
        PendingWork(files, At("applied")).perform(change)
    with files.writing(), files.data_transaction(full=True) as data:  # the data of before (2) is put in place
        for table in ("leaf", "evidence", "actor_book", "operation", "tree"):
            data.execute(f"DELETE FROM {table}")
        Log(data).establish()
        RowTable(data, "block").append([SealedRow(1, 0, b"old")])
    with files.writing():
        assert PendingWork(files).finish() == 1
    assert state(files) == AFTER


@pytest.mark.parametrize("error", [KeyError, CorruptRecord, KeyboardInterrupt])
def test_a_change_that_raises_has_changed_nothing(files: Files, error: type[BaseException]) -> None:
    def failing(keyring: Keyring) -> Work:
        keyring.allocate()
        raise error

    changes = Keyring(files.keys).changes()
    with files.writing(), pytest.raises(error):
        PendingWork(files).perform(failing)
    assert state(files) == BEFORE
    assert Keyring(files.keys).changes() == changes


def test_work_that_is_empty_writes_nothing_at_all(files: Files) -> None:
    changes = Keyring(files.keys).changes()
    with files.writing():
        assert PendingWork(files).perform(lambda keyring: Work(POLICY)).is_empty
    assert state(files) == BEFORE
    assert Keyring(files.keys).changes() == changes


def test_data_that_cannot_be_written_leaves_the_note_and_is_tried_again(files: Files) -> None:
    with files.writing():
        files.data.execute("CREATE TRIGGER full BEFORE INSERT ON evidence BEGIN SELECT raise(ABORT, 'disk full'); END")
        with pytest.raises(StoreFault, match="the change is made in the keyring and stands"):
            PendingWork(files).perform(change)
    assert state(files) == {**BEFORE, "slots": 1, "pending": 1}
    with files.writing():
        files.data.execute("DROP TRIGGER full")
        assert PendingWork(files).finish() == 1
    assert state(files) == AFTER


def test_keys_are_dead_and_the_rest_is_finished_later_where_a_reader_does_not_let_go(files: Files) -> None:
    reader = FileLock(files.path / GATE, wait=0.05)
    with files.writing(), reader.held(shared=True), pytest.raises(StoreBusy):
        PendingWork(files).perform(change)
    assert state(files) == {**BEFORE, "slots": 1, "pending": 1}
    with files.writing():
        assert PendingWork(files).finish() == 1
    assert state(files) == AFTER
    reader.close()


def test_work_without_a_destroyed_key_does_not_wait_for_readers(files: Files) -> None:
    reader = FileLock(files.path / GATE, wait=0.05)
    observer = At("never")
    with files.writing(), reader.held(shared=True):
        PendingWork(files, observer).perform(lambda keyring: Work(POLICY, leaves=WORK.leaves))
    assert observer.seen == ["noted", "applied", "cleared"]
    reader.close()


NO_NOTES = {
    "nothing": b"",
    "no work": canonical.pack([1]),
    "more behind it": canonical.pack(WORK) + b"\x00",
    "cut off": canonical.pack(WORK)[:-1],
}


@pytest.mark.parametrize("body", NO_NOTES.values(), ids=NO_NOTES)
def test_a_note_that_cannot_be_read_is_damage_and_stays(files: Files, body: bytes) -> None:
    with files.writing():
        files.keys.execute("INSERT INTO pending VALUES (?, ?)", (bytes(16), body))
        with pytest.raises(CorruptRecord):
            PendingWork(files).finish()
    assert state(files) == {**BEFORE, "pending": 1}


def test_a_note_is_made_of_sealed_rows_and_drafts_and_is_read_back(files: Files) -> None:
    with files.writing(), pytest.raises(Stopped):
        PendingWork(files, At("noted")).perform(change)
    (body,) = files.keys.execute("SELECT body FROM pending").fetchone()
    assert canonical.unpack(body, Work) == WORK
