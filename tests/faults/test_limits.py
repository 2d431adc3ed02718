"""What is not protected, shown: each of these tests is an attack that works, as docs/threat-model.md says it does."""

from __future__ import annotations

import shutil
from pathlib import Path

import consentprofile as cp
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.slots import SlotKind
from tests.faults.scenes import stored_slots
from tests.support.people import ADA, BOB, edit, look, operations, profile, seen
from tests.support.stores import DAY, START, SetClock, StoreFactory


def test_whoever_is_in_the_process_opens_what_is_open_there_and_leaves_no_trace(
    stores: StoreFactory, path: Path
) -> None:
    with stores.open(path) as store:
        session, before = store._session, operations(store)
        opened = 0
        for slot in stored_slots(path):
            if slot.header.kind == SlotKind.COMPARTMENT and slot.key_held:
                name = session.purpose_names[slot.header.purpose]
                key = session.keys.unwrap(slot, purpose=name, terms=session.bound(slot.header.terms))
                rows = session.ground.rows("block").of(slot.number, slot.header.generation)
                opened += len([key.open(RecordType.BLOCK, row) for row in rows])
        assert opened >= 4
        assert operations(store) == before


def test_an_old_copy_of_everything_with_the_key_shows_what_was_erased_since(stores: StoreFactory, path: Path) -> None:
    """No certificate can say that there is none."""
    copy = path.with_name("copy")
    shutil.copytree(path, copy)
    with stores.open(path) as store:
        assert store.erase(ADA).file
        assert profile(store, ADA) is None
    with stores.open(copy) as store:
        assert seen(store, ADA) == 3


def test_a_writer_of_the_keyring_destroys_and_nothing_brings_it_back(stores: StoreFactory, path: Path) -> None:
    for slot in stored_slots(path):
        emptied = slot._replace(wrapped=bytes(len(slot.wrapped))).record
        assert edit(path, "keys.db", "UPDATE slot SET record = ? WHERE number = ?", emptied, slot.number) == 1
    with stores.open(path) as store:
        assert profile(store, ADA) is None
        assert store.check().findings


def test_a_writer_of_the_keyring_lifts_a_suppression_without_a_word(stores: StoreFactory, path: Path) -> None:
    with stores.open(path) as store:
        store.suppress(ADA, "deceased")
        assert profile(store, ADA) is None
    assert edit(path, "keys.db", "DELETE FROM suppression") == 1
    with stores.open(path) as store:
        assert seen(store, ADA) == 3
        assert store.check().findings == ()


def test_events_past_retention_are_held_until_it_is_run(stores: StoreFactory, path: Path) -> None:
    with stores.open(path, SetClock(START + 100 * DAY)) as store:
        assert seen(store, ADA) == 0
        assert len(store.access(ADA).compartments["support"].events) == 3
        store.upkeep.run_retention(attended=True)
        assert store.access(ADA).compartments["support"].events == []


def test_whoever_has_the_files_counts_accounts_and_sees_states_and_times(stores: StoreFactory, path: Path) -> None:
    """Without any key: how many accounts there are, and when each of them consented; not who they are."""
    slots = [slot.header for slot in stored_slots(path)]
    assert sum(header.kind == SlotKind.ACCOUNT for header in slots) == 2
    assert {header.since for header in slots if header.kind == SlotKind.COMPARTMENT} == {START}
    ((blocks,),) = look(path, "data.db", "SELECT count(*) FROM block")
    assert blocks == 4


def test_within_a_compartment_equal_devices_look_equal_and_across_them_nothing_does(
    stores: StoreFactory, path: Path
) -> None:
    def devices(store: cp.Store, account: str) -> set[object]:
        with store.view("support", "agent:7") as view:
            return {event.fields["device"] for event in view.events(account) or ()}

    with stores.open(path) as store:
        assert len(devices(store, ADA)) == 1
        assert devices(store, ADA).isdisjoint(devices(store, BOB))
