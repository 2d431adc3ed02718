"""Compaction: nobody sees a difference, blocks become few, and the writer lock is never held for long."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

import consentprofile as cp
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.model import block
from consentprofile.store import wal
from consentprofile.store.ports import BLOCK, Blocks
from consentprofile.usecases import compaction, recording
from tests.support.sealed import every_row
from tests.support.shapes import SMALL, arrange_small
from tests.usecases.scene import ACCOUNT, NOW, Scene, event

OTHERS = [f"other-{number}" for number in range(6)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    arrange_small(monkeypatch.setattr)
    monkeypatch.setattr(recording, "KEEP_UP", 1_000_000)  # what is due is left to the test


def test_record_many_keeps_the_arrangement_in_shape(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    arrange_small(monkeypatch.setattr)
    busy(scene)
    assert "compacted" in {leaf.operation for leaf in scene.leaves()}


def test_a_pack_that_cannot_be_read_stops_compaction_and_not_recording(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arrange_small(monkeypatch.setattr)
    scene.give()
    session = scene.store._session
    with session.ground.recording():
        for run in (1, 2):
            session.ground.files.data.execute("INSERT INTO run (number, level) VALUES (?, 0)", (run,))
            session.ground.files.data.execute("INSERT INTO pack VALUES (?, x'ff')", ((run << 40) + 99,))
    summary = scene.store.record_many([event(id="e"), event(id="f")])
    assert summary.outcomes["support"] == {cp.Outcome.RECORDED: 2}
    assert "compaction could not go on" in caplog.text
    assert ACCOUNT not in caplog.text
    with pytest.raises(cp.CorruptRecord):
        compaction.step(session)


def busy(scene: Scene, rounds: int = 6) -> None:
    """Several accounts with events of many batches, and single ones."""
    scene.give("support", "planning")
    for account in OTHERS:
        scene.give("support", account=account)
    for number in range(rounds):
        at = NOW
        scene.store.record_many(
            [event(account=account, at=at, id=f"{number}", device=f"d{number % 2}") for account in [ACCOUNT, *OTHERS]]
        )
        scene.store.record(event(at=at, id=f"single-{number}", device="d0"))


def blocks(scene: Scene) -> int:
    return len(every_row(scene.store._session.ground.rows(BLOCK)))


def seen(scene: Scene) -> object:
    return [(scene.profile(account=account), scene.events(account=account)) for account in [ACCOUNT, *OTHERS]]


def test_everything_is_read_as_before_from_one_block_a_compartment(scene: Scene) -> None:
    busy(scene)
    before, many = seen(scene), blocks(scene)
    done = compaction.compact(scene.store._session, everything=True)
    assert seen(scene) == before
    assert many == 6 * 7 + 6 * 2 + 6
    assert blocks(scene) == 8  # seven accounts in support, one in planning
    assert (done.merged, done.sealed, done.dropped) == (many, 8, 0)
    assert scene.store.check().findings == ()


def test_a_leaf_tells_what_was_sealed_anew_and_no_more(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SLICE_SECONDS", 60)  # one slice, however busy the machine is
    busy(scene)
    compaction.compact(scene.store._session, everything=True)
    (leaf,) = [leaf for leaf in scene.leaves() if leaf.operation == "compacted"]
    assert (leaf.purpose, leaf.role) == ("", "")
    assert [leaf.facts["merged"], leaf.facts["blocks"]] == [60, 8]
    assert set(leaf.facts) == {"merged", "blocks", "commitment"}


def test_where_nothing_is_due_nothing_is_written(scene: Scene) -> None:
    busy(scene, 1)
    before = scene.leaves()
    assert compaction.step(scene.store._session) is False
    assert compaction.compact(scene.store._session) == compaction.Compacted()
    assert scene.leaves() == before


@pytest.mark.usefixtures("small")
def test_steps_come_to_an_end_and_each_is_a_transaction(scene: Scene) -> None:
    busy(scene)
    before, steps = seen(scene), 0
    while compaction.step(scene.store._session):
        steps += 1
        assert seen(scene) == before
        assert steps < 500
    assert steps > 3
    assert scene.store.check().findings == ()


@pytest.mark.usefixtures("small")
def test_whoever_waits_for_compaction_waits_for_short_checkpoints_too(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where much is recorded anyway, they are long and few."""
    monkeypatch.setattr(wal, "SLICES", 1)
    moved: list[str] = []
    move = wal.Wal.move

    def moving(self: wal.Wal, mode: str) -> bool:
        moved.append(mode)
        return move(self, mode)

    monkeypatch.setattr(wal.Wal, "move", moving)
    busy(scene)
    compaction.keep_up(scene.store._session, 1)
    assert not moved
    steps = 1
    while compaction.step(scene.store._session):
        steps += 1
    assert steps > 3
    assert moved == ["PASSIVE"] * steps


@pytest.mark.usefixtures("small")
def test_a_full_tail_is_moved_however_small_a_part_of_it_is_moved_at_once(scene: Scene) -> None:
    scene.give()
    for number in range(SMALL.tail):
        scene.store.record(event(id=f"e-{number}"))
    assert compaction.compact(scene.store._session).moved >= 1
    assert not compaction.is_due(scene.store._session)
    assert len(scene.events() or []) == SMALL.tail


@pytest.mark.usefixtures("small")
def test_a_closed_store_goes_on_where_it_stopped(scene: Scene) -> None:
    busy(scene)
    before = seen(scene)
    while compaction.step(scene.store._session):
        scene.reopen()
    assert seen(scene) == before


def test_a_repeated_event_is_still_one_after_its_blocks_were_merged(scene: Scene) -> None:
    busy(scene)
    compaction.compact(scene.store._session, everything=True)
    before = scene.events()
    scene.store.record(event(id="single-1", device="d0"))
    assert scene.events() == before
    compaction.compact(scene.store._session, everything=True)
    assert scene.events() == before


def test_copies_of_an_event_are_dropped_and_differing_ones_kept(scene: Scene) -> None:
    scene.give()
    for platform in ("desktop", "desktop", "mobile"):
        scene.store.record(event(id="e", platform=platform))
    compaction.compact(scene.store._session, everything=True)
    (row,) = every_row(scene.store._session.ground.rows(BLOCK))
    assert len(block.decode(opened(scene, row.slot, row.sealed)).events) == 2


def opened(scene: Scene, slot: int, sealed: bytes) -> bytes:
    session = scene.store._session
    held = session.ground.keyring.slot(slot)
    assert held is not None
    key = session.keys.unwrap(held, purpose="support", terms=session.bound(held.header.terms))
    return key.open(RecordType.BLOCK, sealed)


def test_a_withdrawn_compartment_leaves_no_block_and_is_not_opened(scene: Scene) -> None:
    busy(scene)
    compaction.compact(scene.store._session, everything=True)
    scene.store.withdraw_consent(OTHERS[0], ["support"])
    assert blocks(scene) == 7
    compaction.compact(scene.store._session, everything=True)
    assert scene.store.check().findings == ()


def test_an_expired_consent_is_not_processed_any_more(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.give()
    for number in range(5):
        scene.store.record(event(id=f"{number}"))
    scene.clock.move(days=366)
    monkeypatch.setattr(SlotKey, "open_all", refuse)
    assert compaction.compact(scene.store._session, everything=True).merged == 0
    assert blocks(scene) == 5


def refuse(*_: object) -> object:
    raise AssertionError("nobody may open this")


def test_blocks_that_do_not_open_are_moved_as_they_are(scene: Scene) -> None:
    """A damaged block stops nobody, is not lost, and is still told of."""
    busy(scene)
    session = scene.store._session
    slot = every_row(session.ground.rows(BLOCK))[0].slot
    with session.ground.recording():
        session.ground.files.data.execute("UPDATE block SET sealed = zeroblob(60) WHERE slot = ?", (slot,))
    many = len([row for row in every_row(session.ground.rows(BLOCK)) if row.slot == slot])
    compaction.compact(session, everything=True)
    assert len([row for row in every_row(session.ground.rows(BLOCK)) if row.slot == slot]) == many
    (finding,) = scene.store.check().findings
    assert "authenticate" in finding.what


def test_a_long_compartment_is_cut_into_blocks_of_a_bounded_size(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FULL_BYTES", 400)
    scene.give()
    scene.store.record_many([event(id=f"{number}") for number in range(120)], batch_size=10)
    before = scene.events()
    compaction.compact(scene.store._session, everything=True)
    rows = every_row(scene.store._session.ground.rows(BLOCK))
    assert len(rows) > 3
    assert all(len(row.sealed) <= 2 * 400 + 60 for row in rows)
    again = compaction.compact(scene.store._session, everything=True)
    assert again.merged == 0, "what is full is left alone"
    assert scene.events() == before


@given(st.lists(st.integers(1, 30), max_size=60))
def test_an_event_is_sealed_anew_a_logarithmic_number_of_times(sizes: list[int]) -> None:
    """The largest blocks are left out until as much has come together beside them."""
    group = [(1, 0, bytes(size * 50)) for size in sizes]
    chosen = compaction._small(group, everything=False)
    rest = [len(one[2]) for one in group]
    for one in chosen:
        rest.remove(len(one[2]))
    total = sum(len(one[2]) for one in chosen)
    if len(chosen) > 1:
        assert max(len(one[2]) for one in chosen) * 2 <= total
    assert all(size >= max((len(one[2]) for one in chosen), default=0) for size in rest)


# ---- cost cannot creep back ------------------------------------------------------------------------


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, RecordType]]:
    """Every sealed record that is opened: its slot and what it is."""
    done: list[tuple[int, RecordType]] = []
    one, many = SlotKey.open, SlotKey.open_all

    def open_one(self: SlotKey, record: RecordType, sealed: bytes) -> bytes:
        done.append((self.slot, record))
        return one(self, record, sealed)

    def open_many(self: SlotKey, record: RecordType, rows: list[bytes]) -> object:
        done.extend((self.slot, record) for _ in rows)
        return many(self, record, rows)

    monkeypatch.setattr(SlotKey, "open", open_one)
    monkeypatch.setattr(SlotKey, "open_all", open_many)
    return done


@pytest.mark.parametrize("compacted", [False, True])
def test_a_read_opens_the_blocks_of_its_compartment_and_nothing_else(
    scene: Scene, opening: list[tuple[int, RecordType]], compacted: bool
) -> None:
    busy(scene)
    if compacted:
        compaction.compact(scene.store._session, everything=True)
    session = scene.store._session
    slot = session.ground.keyring.slot_at(session.tag(OTHERS[3]), session.place("support"))
    assert slot is not None
    opening.clear()
    assert scene.profile(account=OTHERS[3]) is not None
    assert opening == [(slot.number, RecordType.BLOCK)] * (1 if compacted else 6)


def test_recording_consenting_and_erasing_open_no_block_at_all(
    scene: Scene, opening: list[tuple[int, RecordType]]
) -> None:
    busy(scene)
    opening.clear()
    scene.store.record(event(id="one more"))
    scene.store.record_many([event(id="another")])
    scene.give("marketing")
    scene.store.withdraw_consent(ACCOUNT, ["marketing"])
    scene.store.erase(ACCOUNT)
    assert RecordType.BLOCK not in {record for _, record in opening}


def test_compaction_opens_each_block_that_it_merges_once(scene: Scene, opening: list[tuple[int, RecordType]]) -> None:
    busy(scene)
    opening.clear()
    done = compaction.compact(scene.store._session, everything=True)
    assert len(opening) == done.merged == 60


def test_the_small_arrangement_of_the_law_machines_is_smaller_than_the_real_one() -> None:
    from consentprofile.store.runs import Shape

    assert all(small <= real for small, real in zip(SMALL, Shape(), strict=True))


def test_what_is_free_in_the_file_is_given_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "PAGES_AT_ONCE", 3)
    scene.give()
    scene.store.record_many([event(id=f"{number}", device=f"d{number}") for number in range(3_000)], batch_size=300)
    data = scene.store._session.ground.files.data
    (before,) = data.execute("PRAGMA page_count").fetchone()
    compaction.compact(scene.store._session, everything=True)
    assert data.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert data.execute("PRAGMA page_count").fetchone()[0] < before


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("canary"), cp.StoreBusy("busy"), cp.BrokenLog("cut", sequence=1)]
)
def test_what_stops_compaction_after_a_batch_does_not_say_that_the_batch_failed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Whoever were told so would record events without an id a second time."""

    def fail(*_: object) -> int:
        raise error

    arrange_small(monkeypatch.setattr)
    scene.give()
    monkeypatch.setattr(Blocks, "advance", fail)
    events = [event(device=f"d{number}") for number in range(12)]
    assert scene.store.record_many(events, batch_size=4).outcomes["support"] == {cp.Outcome.RECORDED: 12}
    stored = scene.events()
    assert stored is not None
    assert len(stored) == 12
    assert "compaction could not go on" in caplog.text
    assert "canary" not in caplog.text
