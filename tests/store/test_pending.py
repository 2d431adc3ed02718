"""Pending work: an operation happens whole, in both files, once, whatever interrupts it and whoever finishes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consentprofile import canonical
from consentprofile.crypto.slots import NO_KEY, Slot, SlotHeader, SlotKind
from consentprofile.errors import CorruptRecord, StoreBusy, StoreFault
from consentprofile.store import migrations
from consentprofile.store.blocks import Blocks
from consentprofile.store.files import Files
from consentprofile.store.keyring import Epoch, Keyring
from consentprofile.store.locks import GATE, FileLock
from consentprofile.store.log import Log
from consentprofile.store.pending import PendingWork, Step, Work, next_step
from consentprofile.store.rows import RowTable, SealedRow
from consentprofile.tlog.leaf import Draft, Operation
from tests.support.sealed import every_row

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
            Blocks(data).append([SealedRow(1, 0, b"old"), SealedRow(2, 0, b"other")])
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
        "blocks": [row.sealed for row in every_row(Blocks(data))],
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
SUCCESSION_STEPS = {**STEPS, "noted": (True, False, Step.ABANDON)}


@pytest.mark.parametrize(("noted", "applied", "step"), STEPS.values(), ids=STEPS)
def test_what_is_left_to_do_follows_from_two_facts(noted: bool, applied: bool, step: Step) -> None:
    assert next_step(noted=noted, applied=applied) is step


@pytest.mark.parametrize(("noted", "applied", "step"), SUCCESSION_STEPS.values(), ids=SUCCESSION_STEPS)
def test_a_succession_that_data_has_not_seen_is_given_up(noted: bool, applied: bool, step: Step) -> None:
    assert next_step(noted=noted, applied=applied, succession=True) is step


def test_an_operation_is_done_in_both_files_in_three_steps(files: Files) -> None:
    observer = At("never")
    assert state(files) == BEFORE
    with files.writing():
        assert PendingWork(files, observer).perform(change) is WORK
    assert observer.seen == ["noted", "gate passed", "applied", "journalled", "cleared"]
    assert state(files) == AFTER


@pytest.mark.parametrize("step", ["noted", "gate passed", "applied", "journalled", "cleared"])
def test_whoever_comes_next_finishes_what_a_crash_left_once(files: Files, step: str) -> None:
    with files.writing(), pytest.raises(Stopped):
        PendingWork(files, At(step)).perform(change)
    assert state(files)["slots"] == 1  # the change of the keyring is durable from the first step on
    later = PendingWork(files)
    with files.writing():
        assert later.finish() == (0 if step == "cleared" else 1)
        assert later.finish() == 0
    assert state(files) == AFTER


@pytest.mark.parametrize("step", ["noted", "gate passed", "applied", "journalled"])
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
        Blocks(data).append([SealedRow(1, 0, b"old")])
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


# ---- a new key for a compartment ---------------------------------------------------------------------


OLD_KEY, NEW_KEY = bytes([1]) * len(NO_KEY), bytes([2]) * len(NO_KEY)
HEADER = SlotHeader(SlotKind.COMPARTMENT, 2, 0, 1, 1, 5, 9, b"\x11" * 32, b"o" * 16)


@pytest.fixture
def occupied(files: Files) -> Slot:
    """A compartment in slot 1, with a block of its own beside that of slot 2."""
    with files.writing(), files.keyring_transaction() as keys:
        number, _ = Keyring(keys).allocate()
        slot = Slot(number, HEADER, OLD_KEY)
        Keyring(keys).overwrite(slot)
        Keyring(keys).enter(HEADER.tag, 3, number)
    return slot


def succession(old: Slot, new: Slot | None = None) -> Callable[[Keyring], Work]:
    """The change that lets a new key take the place of the old one."""
    succeeding = new or Slot(old.number, old.header.succeeded(b"n" * 16), NEW_KEY)

    def change(keyring: Keyring) -> Work:
        waiting = keyring.await_succession(succeeding)
        leaves = (Draft(Operation.RETENTION_APPLIED, 7200, facts=(("key-id", b"o" * 16),)),)
        rows = (("block", old.number, 1, b"new"), ("trail", old.number, 1, b"trace"))
        return Work(POLICY, leaves, rows, successions=((old.number, *waiting),))

    return change


def held(files: Files) -> tuple[Slot | None, list[bytes], set[int], bytes]:
    """The slot, the blocks it can open, the free slots, and every wrapped byte of the others."""
    keyring = Keyring(files.keys)
    slot = keyring.slot(1)
    assert slot is not None
    others = b"".join(other.wrapped for other in keyring.every_slot() if other.number != 1)
    return slot, Blocks(files.data).of(1, slot.header.generation), keyring.free(), others.strip(b"\x00")


def succeeded(old: Slot) -> tuple[Slot | None, list[bytes], set[int], bytes]:
    return Slot(1, old.header.succeeded(b"n" * 16), NEW_KEY), [b"new"], {2}, b""


def test_a_succession_goes_on_step_by_step_with_the_lock_free_between(files: Files, occupied: Slot) -> None:
    observer = At("never")
    pending = PendingWork(files, observer)
    with files.writing():
        pending.begin_succession(succession(occupied))
    assert held(files) == (occupied, [b"old"], set(), NEW_KEY)
    with files.writing():
        assert pending.advance()
    assert held(files) == succeeded(occupied)
    assert sorted(row.sealed for row in every_row(Blocks(files.data))) == [b"new", b"old", b"other"]
    with files.writing():
        assert not pending.advance()
        assert not pending.advance()
    assert sorted(row.sealed for row in every_row(Blocks(files.data))) == [b"new", b"other"]
    steps = ["noted", "applied", "journalled", "succeeded", "gate passed", "applied", "cleared"]
    assert observer.seen == steps
    assert (Log(files.data).size(), state(files)["pending"]) == (1, 0)


@pytest.mark.parametrize("step", ["applied", "journalled", "succeeded", "gate passed", "cleared"])
def test_a_succession_that_data_has_seen_is_finished_by_whoever_comes_next(
    files: Files, occupied: Slot, step: str
) -> None:
    pending = PendingWork(files, At(step))

    def go_through() -> None:
        pending.begin_succession(succession(occupied))
        pending.finish()

    with files.writing(), pytest.raises(Stopped):
        go_through()
    with files.writing():
        PendingWork(files).finish()
    assert held(files) == succeeded(occupied)
    assert sorted(row.sealed for row in every_row(Blocks(files.data))) == [b"new", b"other"]
    assert (Log(files.data).size(), state(files)["pending"]) == (1, 0)


def test_a_succession_that_data_has_not_seen_never_was(files: Files, occupied: Slot) -> None:
    with files.writing(), pytest.raises(Stopped):
        PendingWork(files, At("noted")).begin_succession(succession(occupied))
    assert held(files) == (occupied, [b"old"], set(), NEW_KEY)
    with files.writing():
        assert PendingWork(files).finish() == 1
    assert held(files) == (occupied, [b"old"], {2}, b"")
    assert (Log(files.data).size(), state(files)["pending"]) == (0, 0)


def test_a_note_of_a_succession_holds_no_rows_and_no_key(files: Files, occupied: Slot) -> None:
    with files.writing():
        PendingWork(files).begin_succession(succession(occupied))
    (body,) = files.keys.execute("SELECT body FROM pending").fetchone()
    assert canonical.unpack(body, Work) == Work(POLICY, successions=((1, 2, 0),))
    with files.writing():
        PendingWork(files).finish()


def test_data_that_cannot_be_written_leaves_the_old_key_alone(files: Files, occupied: Slot) -> None:
    with files.writing():
        files.data.execute("CREATE TRIGGER full BEFORE INSERT ON trail BEGIN SELECT raise(ABORT, 'disk full'); END")
    with pytest.raises(StoreFault), files.writing():
        PendingWork(files).begin_succession(succession(occupied))
    with files.writing():
        PendingWork(files).finish()
    assert held(files) == (occupied, [b"old"], {2}, b"")


def test_rows_of_the_old_key_stay_while_a_reader_may_hold_it(files: Files, occupied: Slot) -> None:
    reader = FileLock(files.path / GATE, wait=0.05)
    pending = PendingWork(files)
    with files.writing():
        pending.begin_succession(succession(occupied))
        pending.advance()
    with reader.held(shared=True), files.writing(), pytest.raises(StoreBusy):
        pending.advance()
    assert Blocks(files.data).of(1, 0) == [b"old"]
    with files.writing():
        assert pending.finish() == 1
    assert Blocks(files.data).of(1, 0) == []
    reader.close()


NO_SUCCESSORS = {
    "of another account": {"tag": b"\x12" * 32},
    "of a generation that was skipped": {"generation": 2},
    "of a generation that was": {"generation": 0},
}


@pytest.mark.parametrize("wrong", NO_SUCCESSORS.values(), ids=NO_SUCCESSORS)
def test_a_key_that_waits_for_no_such_slot_takes_nobody_s_place(
    files: Files, occupied: Slot, wrong: dict[str, object]
) -> None:
    header = occupied.header.succeeded(b"n" * 16)._replace(**wrong)  # type: ignore[arg-type]
    with files.writing():
        PendingWork(files).begin_succession(succession(occupied, Slot(1, header, NEW_KEY)))
        with pytest.raises(CorruptRecord, match="nothing waits for"):
            PendingWork(files).finish()
    assert Keyring(files.keys).slot(1) == occupied
