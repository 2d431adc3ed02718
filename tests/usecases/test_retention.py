"""Retention: what is over is destroyed, what remains is as it was, and nothing in between is ever seen or lost."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.store.files import Files
from consentprofile.store.rows import SealedRow
from consentprofile.usecases import resealing, retention
from consentprofile.usecases.reading import open_all_blocks
from tests.support.peer import Peer
from tests.usecases.scene import ACCOUNT, AGENT, Scene, event

OLD: Final = datetime(2024, 3, 20, 9, tzinfo=UTC)
KEPT: Final = datetime(2024, 4, 2, 10, tzinfo=UTC)
LATER: Final = datetime(2024, 7, 5, 12, tzinfo=UTC)
"""In July, with a retention of three months, March is over and April is kept."""

STEPS: Final = ("noted", "applied", "journalled", "succeeded", "gate passed", "cleared")


class Stopped(BaseException):
    """The process ended here."""


def busy(scene: Scene, *accounts: str) -> None:
    """Accounts with an event of March and one of April, each read once; then it is July."""
    named = accounts or (ACCOUNT,)
    for account in named:
        scene.give("support", account=account)
    for number, at in enumerate((OLD, KEPT, KEPT)):
        scene.clock.now = at
        for account in named:
            scene.store.record(event(at=at, id=f"e-{number}", account=account, channel="web", device="phone-1"))
    for account in named:
        scene.profile(account=account)
    scene.clock.now = LATER
    work(scene)


def work(scene: Scene) -> None:
    """Somebody is at work, so nobody's clock has jumped."""
    scene.store.consents("nobody")


def slots(scene: Scene, kind: int = SlotKind.COMPARTMENT) -> list[Slot]:
    """The slots of a kind, as they lie in the keyring now."""
    keyring = scene.store._session.ground.keyring
    return [slot for slot in keyring.every_slot() if slot.header.kind == kind]


def crash(scene: Scene, step: str, act: Callable[[], object]) -> None:
    """Let the process end at ``step``, as far as the files can tell, and open the store anew."""

    def observe(reached: str) -> None:
        if reached == step:
            raise Stopped

    scene.store._session.ground.pending._observe = observe
    with pytest.raises(Stopped):
        act()
    scene.store._session.ground.files.close()
    scene.store._opened = None
    scene.reopen()


# ---- what is destroyed and what remains -------------------------------------------------------------


def test_events_past_their_retention_are_destroyed_and_the_others_are_as_they_were(scene: Scene) -> None:
    busy(scene)
    before, profile = scene.events(), scene.profile()
    held = scene.store.access(ACCOUNT).compartments["support"]
    assert len(held.events) == 3
    assert scene.store.upkeep.plan_retention() == cp.RetentionPlan(
        due=1, emptied=0, living=1, events=1, damaged=0, purposes={"support": 1}, stopped=None
    )
    done = scene.store.upkeep.run_retention()
    assert done == cp.Retained(resealed=1, emptied=0, events=1, damaged=0, purposes={"support": 1})
    assert scene.events() == before
    assert scene.profile() == profile
    assert len(scene.store.access(ACCOUNT).compartments["support"].events) == 2
    assert scene.store.check().findings == ()
    assert scene.store.audit.verify().size == len(scene.leaves())


def test_the_consent_its_evidence_and_the_trail_stay(scene: Scene) -> None:
    busy(scene)
    state, trail = scene.state(), scene.store.audit.account(ACCOUNT)
    scene.store.upkeep.run_retention()
    assert scene.state() == state
    assert scene.store.audit.account(ACCOUNT)[: len(trail)] == trail


def test_the_old_key_is_gone_from_every_byte_of_the_keyring(scene: Scene) -> None:
    busy(scene, *(f"acct-{number}" for number in range(40)))
    old = slots(scene)
    secrets = [slot.wrapped for slot in old] + [slot.header.key_id for slot in old]
    files = [scene.folder / "store" / name for name in ("keys.db", "keys.db-journal")]
    assert all(one in files[0].read_bytes() for one in secrets)
    scene.store.upkeep.run_retention(attended=True)
    new = slots(scene)
    assert len(new) == 40
    scene.store.close()
    left = b"".join(path.read_bytes() for path in files if path.exists())
    assert [one for one in secrets if one in left] == []
    # Each new key lies there once: nothing of it stayed where it waited.
    assert [left.count(slot.wrapped) for slot in new] == [1] * 40
    scene.reopen()


def test_a_data_backup_of_before_opens_no_more(scene: Scene) -> None:
    busy(scene)
    backup = scene.folder / "data.backup"
    with closing(sqlite3.connect(scene.folder / "store" / "data.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    scene.store.upkeep.run_retention()
    scene.store.close()
    for name in ("data.db-wal", "data.db-shm"):
        (scene.folder / "store" / name).unlink(missing_ok=True)
    shutil.copy(backup, scene.folder / "store" / "data.db")
    scene.reopen()
    assert scene.events() == []
    assert scene.store.access(ACCOUNT).compartments["support"].events == []
    with pytest.raises(cp.BrokenLog):
        scene.store.audit.verify()


def test_a_compartment_with_nothing_else_is_emptied_and_its_consent_stays_in_force(scene: Scene) -> None:
    scene.give()
    scene.clock.now = OLD
    scene.store.record(event(at=OLD))
    scene.clock.now = LATER
    work(scene)
    assert scene.store.upkeep.run_retention(attended=True).emptied == 1
    assert scene.events() == []
    assert scene.state().state == "given"
    assert scene.store.record(event(at=LATER))["support"] == "recorded"
    assert len(scene.events() or ()) == 1


def test_an_event_with_an_id_stays_recorded_once(scene: Scene) -> None:
    busy(scene)
    scene.store.upkeep.run_retention()
    before = scene.events()
    again = event(at=KEPT, id="e-1", channel="web", platform="mobile", device="phone-1")
    assert scene.store.record(again)["support"] == "recorded"
    assert scene.events() == before
    # The token of the same device is the same, too.
    scene.store.record(event(at=LATER, id="e-9", device="phone-1"))
    assert len({str(one.fields["device"]) for one in scene.events() or ()}) == 1


def test_a_second_run_within_the_month_finds_nothing_and_writes_nothing(scene: Scene) -> None:
    busy(scene)
    scene.store.upkeep.run_retention()
    leaves = len(scene.leaves())
    scene.clock.now = datetime(2024, 7, 31, 12, tzinfo=UTC)
    assert scene.store.upkeep.run_retention().resealed == 0
    assert len(scene.leaves()) == leaves
    scene.clock.now = datetime(2024, 8, 1, 12, tzinfo=UTC)
    assert scene.store.upkeep.run_retention(attended=True).events == 2


def test_a_plan_changes_nothing(scene: Scene) -> None:
    busy(scene)
    leaves, key = len(scene.leaves()), slots(scene)
    plan = scene.store.upkeep.plan_retention()
    assert (plan.due, plan.events, plan.emptied, plan.living) == (1, 1, 0, 1)
    assert (len(scene.leaves()), slots(scene)) == (leaves, key)


def test_what_consented_within_the_kept_months_is_not_even_opened(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.give()
    scene.store.record(event())
    scene.clock.now = datetime(2024, 6, 10, tzinfo=UTC)
    opened: list[int] = []
    unwrap = resealing.Compartment.unwrap

    def counted(self: resealing.Compartment, slot: Slot | None = None) -> SlotKey:
        opened.append(self.slot.number)
        return unwrap(self, slot)

    monkeypatch.setattr(resealing.Compartment, "unwrap", counted)
    assert scene.store.upkeep.plan_retention().due == 0
    assert opened == []


# ---- the log ----------------------------------------------------------------------------------------


def test_the_log_says_which_keys_came_and_went_and_not_which_took_whose_place(scene: Scene) -> None:
    busy(scene, "acct-1", "acct-2", "acct-3")
    old = sorted(slot.header.key_id.hex() for slot in slots(scene))
    scene.store.upkeep.run_retention()
    new = sorted(slot.header.key_id.hex() for slot in slots(scene))
    assert scene.key_ids("retention-applied") == old
    assert scene.key_ids("resealed") == new
    leaves = [leaf for leaf in scene.leaves() if leaf.operation in ("retention-applied", "resealed")]
    assert {leaf.purpose for leaf in leaves} == {"support"}
    assert all(list(leaf.facts) == ["key-id"] for leaf in leaves)


# ---- afterwards -------------------------------------------------------------------------------------


def test_withdrawal_and_erasure_reach_the_new_key(scene: Scene) -> None:
    busy(scene, "acct-1", "acct-2")
    scene.store.upkeep.run_retention()
    new = {slot.header.tag: slot.header.key_id.hex() for slot in slots(scene)}
    withdrawn = scene.store.withdraw_consent("acct-1", ["support"]).key_ids
    erased = scene.store.erase("acct-2").key_ids
    assert {*withdrawn, erased[0]} == set(new.values())
    assert scene.profile(account="acct-1") is None
    assert scene.profile(account="acct-2") is None
    assert scene.store.check().findings == ()


def test_where_new_keys_waited_others_move_in(scene: Scene) -> None:
    busy(scene, "acct-1", "acct-2")
    keyring = scene.store._session.ground.keyring
    count = keyring.count()
    scene.store.upkeep.run_retention()
    waited = keyring.free()
    assert keyring.count() == count + len(waited) == count + 2
    scene.give("support", account="acct-3")  # an account key, an evidence key, a compartment key
    assert (keyring.count(), keyring.free()) == (count + 3, set())
    assert scene.store.check().findings == ()


def test_a_renewed_consent_keeps_what_is_kept(scene: Scene) -> None:
    busy(scene)
    scene.store.upkeep.run_retention()
    before = scene.events()
    scene.store.renew_consent(ACCOUNT, ["support"], notice="2024-01")
    assert scene.events() == before


# ---- crashes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_whoever_comes_next_finds_it_done_or_not_begun(scene: Scene, step: str) -> None:
    busy(scene, "acct-1", "acct-2")
    before = scene.events(account="acct-1")
    old = {slot.header.key_id for slot in slots(scene)}
    crash(scene, step, scene.store.upkeep.run_retention)
    assert scene.events(account="acct-1") == before  # which took the writer lock, and finished it
    begun = step != "noted"
    now = {slot.header.key_id for slot in slots(scene)}
    assert now.isdisjoint(old) if begun else now == old
    assert slots(scene, SlotKind.TO_COME) == []
    assert scene.store.check().findings == ()
    assert scene.store.audit.verify().size == len(scene.leaves())
    assert scene.store.upkeep.run_retention().events == (0 if begun else 2)
    assert scene.events(account="acct-1") == before
    assert scene.store.check().findings == ()


@pytest.mark.parametrize("step", STEPS)
def test_a_withdrawal_after_a_crash_destroys_whatever_key_there_is(scene: Scene, step: str) -> None:
    busy(scene)
    crash(scene, step, scene.store.upkeep.run_retention)
    assert scene.store.withdraw_consent(ACCOUNT, ["support"]).found == 1
    assert scene.profile() is None
    assert [slot for slot in slots(scene) if slot.key_held] == []
    assert scene.store.check().findings == ()


@pytest.mark.parametrize("step", STEPS)
def test_a_reader_sees_everything_that_is_kept_at_every_step(scene: Scene, step: str) -> None:
    """Whatever key the slot holds at a step, the rows of its generation are there: old ones or new ones, never none."""
    busy(scene)
    before = scene.events()
    seen = []

    def observe(reached: str) -> None:
        if reached == step:
            session, (slot,) = scene.store._session, slots(scene)
            key = session.keys.unwrap(slot, purpose="support", terms=session.bound(slot.header.terms))
            rows = session.ground.rows("block").of(slot.number, slot.header.generation)
            seen.append(len(open_all_blocks(session, key, rows)))

    scene.store._session.ground.pending._observe = observe
    scene.store.upkeep.run_retention()
    assert seen[:1] == [2 if step in STEPS[3:] else 3]
    assert scene.events() == before


def test_another_process_reads_the_same_before_between_and_afterwards(scene: Scene) -> None:
    busy(scene, *(f"acct-{number}" for number in range(12)))
    with Peer() as peer:
        peer.open(scene.folder / "store", scene.folder / "key", int(LATER.timestamp()), wait=20)
        asked = [
            {"do": "events", "purpose": "support", "actor": AGENT, "account": f"acct-{number}"} for number in range(12)
        ]
        before = [peer.ask(command) for command in asked]
        for command in asked * 5:
            peer.tell(command)
        assert scene.store.upkeep.run_retention().resealed == 12
        assert [peer.hear() for _ in asked * 5] == before * 5
        peer.close_store()


# ---- others at work ---------------------------------------------------------------------------------


@contextmanager
def before_the_lock(scene: Scene, act: Callable[[], object], times: int = 1) -> Iterator[list[int]]:
    """Somebody else acts after compartments were opened, and before the writer lock is taken to change them."""
    ground, done = scene.store._session.ground, [0]
    writing = type(ground).writing

    @contextmanager
    def interrupted(self: object) -> Iterator[None]:
        if done[0] < times and not acting and not ground.files._writers:
            done[0] += 1
            acting.append(True)
            act()
            acting.clear()
        with writing(ground):
            yield

    acting: list[bool] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(ground), "writing", interrupted)
        yield done


def test_what_is_recorded_meanwhile_is_not_lost(scene: Scene) -> None:
    busy(scene)
    with before_the_lock(scene, lambda: scene.store.record(event(at=LATER, id="meanwhile"))):
        assert scene.store.upkeep.run_retention().resealed == 1
    assert len(scene.events() or ()) == 3
    assert scene.store.check().findings == ()


def test_a_compartment_that_changes_all_the_time_gets_its_new_key_all_the_same(scene: Scene) -> None:
    busy(scene)
    with before_the_lock(scene, lambda: scene.store.record(event(at=LATER)), times=20) as done:
        assert scene.store.upkeep.run_retention().resealed == 1
    assert retention.TRIES <= done[0] < 20
    assert len(scene.events() or ()) == 2 + done[0]


def test_what_others_record_does_not_hold_it_up(scene: Scene) -> None:
    busy(scene)
    scene.give("support", account="acct-2")
    with before_the_lock(scene, lambda: scene.store.record(event(at=LATER, account="acct-2"))) as done:
        assert scene.store.upkeep.run_retention().resealed == 1
    assert done == [1]


def test_a_consent_that_is_withdrawn_meanwhile_stays_withdrawn(scene: Scene) -> None:
    busy(scene)
    with before_the_lock(scene, lambda: scene.store.withdraw_consent(ACCOUNT, ["support"])):
        assert scene.store.upkeep.run_retention().resealed == 0
    assert scene.profile() is None
    assert scene.key_ids("retention-applied", "resealed") == []
    assert scene.store.check().findings == ()


def test_many_compartments_are_changed_some_at_a_time_and_the_lock_is_free_between(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TOGETHER", 2)
    busy(scene, *(f"acct-{number}" for number in range(5)))
    held: list[str] = []
    writing = Files.writing

    @contextmanager
    def counted(self: Files) -> Iterator[None]:
        if not self._writers:
            held.append("taken")
        with writing(self):
            yield

    monkeypatch.setattr(Files, "writing", counted)
    told: list[tuple[int, int]] = []
    retention.run(scene.store._session, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert len(held) == 3 * 3  # the new key and the rows; the old key overwritten; its rows dropped


def test_a_large_compartment_is_opened_and_sealed_in_slices(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "UNIT", 2)
    monkeypatch.setattr(retention, "SLICE_SECONDS", 1e-9)
    busy(scene)
    for number in range(9):
        scene.store.record(event(at=LATER, id=f"more-{number}"))
        scene.profile()
    before, trail = scene.events(), scene.store.audit.account(ACCOUNT)
    assert scene.store.upkeep.run_retention().events == 1
    assert scene.events() == before
    assert scene.store.audit.account(ACCOUNT)[: len(trail)] == trail


def test_a_compartment_that_cannot_be_opened_is_left_and_counted(scene: Scene) -> None:
    busy(scene, "acct-1", "acct-2")
    (first, second) = slots(scene)
    ground = scene.store._session.ground
    with ground.writing(), ground.files.data_transaction(full=True):
        (sealed, *_) = ground.rows("block").of(first.number, 0)
        ground.rows("block").append([SealedRow(first.number, 0, sealed[:-1] + bytes([sealed[-1] ^ 1]))])
    done = scene.store.upkeep.run_retention()
    assert (done.resealed, done.damaged) == (1, 1)
    assert [slot.header.generation for slot in slots(scene)] == [0, 1]
    assert second.number != first.number


# ---- when it stops itself ---------------------------------------------------------------------------


def test_an_unattended_run_stops_itself_where_many_would_lose_everything(scene: Scene) -> None:
    for number in range(3):
        scene.give("support", account=f"acct-{number}")
        scene.store.record(event(account=f"acct-{number}"))
    scene.give("support", account="acct-9")
    scene.clock.now = LATER
    work(scene)
    leaves = len(scene.leaves())
    with pytest.raises(cp.DestructionStopped, match="more than 5 % of the compartments would lose all their events"):
        scene.store.upkeep.run_retention()
    assert len(scene.leaves()) == leaves
    assert scene.store.upkeep.run_retention(attended=True).emptied == 3


def test_an_ordinary_month_does_not_stop_it(scene: Scene) -> None:
    busy(scene, *(f"acct-{number}" for number in range(6)))
    plan = scene.store.upkeep.plan_retention()
    assert (plan.due, plan.living) == (6, 6)
    assert scene.store.upkeep.run_retention().resealed == 6


def test_a_clock_that_jumped_stops_it(scene: Scene) -> None:
    busy(scene)
    scene.clock.move(days=100)
    with pytest.raises(cp.DestructionStopped, match="the clock is more than 62 days ahead"):
        scene.store.upkeep.run_retention()


def test_the_actors_of_reads_stay_readable(scene: Scene) -> None:
    busy(scene)
    before = [trace.leaf for trace in scene.store.audit.actor(AGENT)]
    scene.store.upkeep.run_retention()
    assert [trace.leaf for trace in scene.store.audit.actor(AGENT)] == before
