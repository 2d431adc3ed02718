"""Whoever can write the files can destroy, but can neither read, nor prolong, nor pass one person off as another; and
a log that was touched says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.crypto import slots as slot_values
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.merkle import leaf_hash
from tests.support.people import ADA, BOB, agree, edit, login, look, operations, profile, seen
from tests.support.policies import PURPOSES
from tests.support.sealed import every_row
from tests.support.stores import DAY, START, SetClock, StoreFactory

SUPPORT: Final = 2 + 1
"""Where the directory keeps the compartment of the first purpose."""


def slot_of(stores: StoreFactory, path: Path, account: str, place: int = SUPPORT) -> int:
    """The number of a slot."""
    with stores.open(path) as store:
        session = store._session
        slot = session.ground.keyring.slot_at(session.keys.index.account(account.encode()), place)
        assert slot is not None
        return slot.number


# ---- rows in the wrong place ----------------------------------------------------------------------


def test_a_block_put_into_another_compartment_does_not_open(stores: StoreFactory, path: Path) -> None:
    ada, bob = slot_of(stores, path, ADA), slot_of(stores, path, BOB)
    assert edit(path, "data.db", "UPDATE block SET slot = ?, arrival = 77 WHERE slot = ?", bob, ada) == 1
    with stores.open(path) as store:
        with pytest.raises(cp.CorruptRecord):
            profile(store, BOB)
        with pytest.raises(cp.CorruptRecord):
            store.access(BOB)
        assert [finding.where for finding in store.check().findings] == ["block"]


def test_a_block_of_another_purpose_does_not_open(stores: StoreFactory, path: Path) -> None:
    support, analytics = slot_of(stores, path, ADA), slot_of(stores, path, ADA, SUPPORT + 1)
    assert edit(path, "data.db", "UPDATE block SET slot = ?, arrival = 77 WHERE slot = ?", analytics, support) == 1
    with stores.open(path) as store, pytest.raises(cp.CorruptRecord):
        profile(store, ADA, "analytics")


def test_a_flipped_bit_of_a_block_is_a_corrupt_record(stores: StoreFactory, path: Path) -> None:
    ada = slot_of(stores, path, ADA)
    ((sealed,),) = look(path, "data.db", "SELECT sealed FROM block WHERE slot = ?", ada)
    assert isinstance(sealed, bytes)
    for at in (0, 12, len(sealed) - 1):
        flipped = bytearray(sealed)
        flipped[at] ^= 1
        assert edit(path, "data.db", "UPDATE block SET sealed = ? WHERE slot = ?", bytes(flipped), ada) == 1
        with stores.open(path) as store, pytest.raises(cp.CorruptRecord):
            profile(store, ADA)


def test_a_directory_that_points_to_another_accounts_slot_is_refused(stores: StoreFactory, path: Path) -> None:
    ada, bob = slot_of(stores, path, ADA), slot_of(stores, path, BOB)
    for number, other in ((-1, ada), (ada, bob), (bob, -1)):
        assert edit(path, "keys.db", "UPDATE directory SET slot = ? WHERE slot = ?", number, other) == 1
    with stores.open(path) as store:
        for account in (ADA, BOB):
            for attempt in attempts(store, account):
                with pytest.raises(cp.CorruptRecord):
                    attempt()


def test_slots_that_change_owners_with_their_tags_do_not_open(stores: StoreFactory, path: Path) -> None:
    """The tag in the slot is bound into the wrapped key: changing it with the directory is no way in."""
    ada, bob = slot_of(stores, path, ADA), slot_of(stores, path, BOB)
    ((theirs,), (mine,)) = (look(path, "keys.db", "SELECT record FROM slot WHERE number = ?", n) for n in (ada, bob))
    record_ada, record_bob = theirs[0], mine[0]
    assert isinstance(record_ada, bytes)
    assert isinstance(record_bob, bytes)
    disguised = record_ada[:33] + record_bob[33:65] + record_ada[65:]
    edit(path, "keys.db", "UPDATE slot SET record = ? WHERE number = ?", disguised, bob)
    with stores.open(path) as store, pytest.raises(cp.CorruptRecord):
        profile(store, BOB)


def attempts(store: cp.Store, account: str) -> list[Callable[[], object]]:
    """Everything that opens compartments of an account."""
    return [
        lambda: profile(store, account),
        lambda: store.record(login(account, 99)),
        lambda: store.record_many([login(account, 99)]),
        lambda: store.access(account),
    ]


HEADER: Final = {
    "version": (0, 1),
    "kind, to unused": (1, 1),
    "kind, to that of an account": (1, 3),
    "kind, unknown": (1, 9),
    "state, given to renewed": (2, 1),
    "state, unknown": (2, 64),
    "generation": (10, 1),
    "purpose, to another": (12, 3),
    "purpose, to none": (12, 64),
    "terms, to others": (16, 3),
    "terms, to none": (16, 64),
    "since": (24, 1),
    "until, stretched": (29, 1),
    "tag": (33, 1),
    "key id": (65, 1),
    "wrapped key": (100, 1),
}
"""(byte, bits to flip) in the record of a slot."""

REFUSED: Final = {
    # Nobody knows what an unknown state means, so it is a no.
    "state, unknown": cp.Outcome.NO_CONSENT,
    # Where the edited second itself refuses the event, the key is not opened, which would tell.
    "since": cp.Outcome.BEFORE_CONSENT,
}
"""What recording may answer instead of an error: it refuses, and records nothing."""


@pytest.mark.parametrize("field", HEADER)
def test_no_field_of_a_slot_can_be_edited(stores: StoreFactory, path: Path, field: str) -> None:
    """Not the expiry, not the terms, not whose it is: nothing is shown and nothing is recorded."""
    at, bits = HEADER[field]
    ada = slot_of(stores, path, ADA)
    ((record,),) = look(path, "keys.db", "SELECT record FROM slot WHERE number = ?", ada)
    assert isinstance(record, bytes)
    edited = bytearray(record)
    edited[at] ^= bits
    edit(path, "keys.db", "UPDATE slot SET record = ? WHERE number = ?", bytes(edited), ada)
    with stores.open(path) as store:
        for attempt in attempts(store, ADA):
            try:
                said = attempt()
            except cp.CorruptRecord:
                continue
            outcomes = said.outcomes if isinstance(said, cp.Summary) else said
            assert isinstance(outcomes, Mapping)
            assert outcomes["support"] in (REFUSED[field], {REFUSED[field]: 1})
        assert seen(store, BOB) == 1


def test_a_consent_that_is_over_cannot_be_stretched(stores: StoreFactory, path: Path) -> None:
    clock = SetClock(START + 11 * DAY)
    with stores.open(path, clock) as store:
        assert profile(store, ADA, "analytics") is None
    number = slot_of(stores, path, ADA, SUPPORT + 1)
    ((record,),) = look(path, "keys.db", "SELECT record FROM slot WHERE number = ?", number)
    assert isinstance(record, bytes)
    slot = slot_values.decode(number, record)
    longer = slot._replace(header=slot.header._replace(until=START + 99 * DAY))
    edit(path, "keys.db", "UPDATE slot SET record = ? WHERE number = ?", longer.record, number)
    with stores.open(path, clock) as store, pytest.raises(cp.CorruptRecord):
        profile(store, ADA, "analytics")


def test_terms_cannot_be_rewritten(stores: StoreFactory, path: Path) -> None:
    """What somebody consented to is bound into his key."""
    changed = edit(path, "keys.db", "UPDATE terms SET notice_sha256 = ? WHERE purpose = 'support'", bytes(32))
    assert changed == 1
    with stores.open(path) as store:
        for attempt in attempts(store, ADA):
            with pytest.raises(cp.CorruptRecord):
                attempt()


def test_a_suppression_cannot_be_forged(stores: StoreFactory, path: Path) -> None:
    with stores.open(path) as store:
        tag = store._session.keys.index.account(ADA.encode())
    edit(path, "keys.db", "INSERT INTO suppression VALUES (?, 'quiet', ?)", tag, bytes(32))
    with stores.open(path) as store, pytest.raises(cp.CorruptRecord):
        profile(store, ADA)


# ---- the log -----------------------------------------------------------------------------------------


def require_broken(stores: StoreFactory, path: Path, sequence: int) -> None:
    """The log is found broken, and the first bad leaf is named."""
    with stores.open(path) as store:
        with pytest.raises(cp.BrokenLog) as caught:
            store.audit.verify()
        assert caught.value.sequence == sequence
        assert [finding.where for finding in store.check().findings] == ["audit log"]


def body_of(path: Path, sequence: int) -> bytes:
    ((body,),) = look(path, "data.db", "SELECT body FROM leaf WHERE sequence = ?", sequence)
    assert isinstance(body, bytes)
    return body


def test_an_edited_leaf_is_named(stores: StoreFactory, path: Path) -> None:
    edited = body_of(path, 4).replace(b"consent-given", b"consent-taken")
    assert edited != body_of(path, 4)
    assert edit(path, "data.db", "UPDATE leaf SET body = ? WHERE sequence = 4", edited) == 1
    require_broken(stores, path, 4)


def test_an_edited_leaf_with_a_hash_to_match_is_found(stores: StoreFactory, path: Path) -> None:
    """The node above names the first leaf of the pair that holds it."""
    decoded = leaves.decode(body_of(path, 5))
    forged = leaves.Leaf(leaves.VERSION, 5, decoded.hour, "read", "support", "agent", decoded.policy, ()).encode()
    edit(path, "data.db", "UPDATE leaf SET body = ?, hash = ? WHERE sequence = 5", forged, leaf_hash(forged))
    require_broken(stores, path, 4)


@pytest.mark.parametrize("sequence", [0, 4, 9])
def test_a_deleted_leaf_is_named(stores: StoreFactory, path: Path, sequence: int) -> None:
    assert edit(path, "data.db", "DELETE FROM leaf WHERE sequence = ?", sequence) == 1
    require_broken(stores, path, sequence)


def test_reordered_leaves_are_named(stores: StoreFactory, path: Path) -> None:
    for number, other in ((-1, 3), (3, 6), (6, -1)):
        edit(path, "data.db", "UPDATE leaf SET sequence = ? WHERE sequence = ?", number, other)
    require_broken(stores, path, 3)


def test_a_truncated_log_is_named(stores: StoreFactory, path: Path) -> None:
    assert edit(path, "data.db", "DELETE FROM leaf WHERE sequence >= 7") == 3
    require_broken(stores, path, 7)


def test_a_leaf_added_behind_the_trees_back_is_named(stores: StoreFactory, path: Path) -> None:
    decoded = leaves.decode(body_of(path, 9))
    extra = leaves.Leaf(leaves.VERSION, 10, decoded.hour, "read", "support", "agent", decoded.policy, ()).encode()
    edit(path, "data.db", "INSERT INTO leaf VALUES (10, ?, ?)", leaf_hash(extra), extra)
    with stores.open(path) as store, pytest.raises(cp.BrokenLog):
        store.record(login(ADA, 99))
    require_broken(stores, path, 10)


# ---- other files in their place ------------------------------------------------------------------


def test_the_data_of_another_store_is_refused(stores: StoreFactory, path: Path) -> None:
    other = stores.directory / "other"
    cp.Store.create(other, policy=store_policy(stores, path), key=stores.key, clock=SetClock()).close()
    shutil.copy(other / "data.db", path / "data.db")
    with pytest.raises(cp.CorruptRecord, match="different stores"):
        stores.open(path)


@pytest.mark.parametrize("act", ["withdraw", "erase"])
def test_an_older_data_file_brings_nothing_back(stores: StoreFactory, path: Path, act: str) -> None:
    """The keys are gone; slots that others use by now make no difference."""
    shutil.copy(path / "data.db", path.with_suffix(".old"))
    with stores.open(path) as store:
        if act == "withdraw":
            store.withdraw_consent(ADA, PURPOSES)
        else:
            store.erase(ADA)
        agree(store, "account-eve")
        store.record(login("account-eve"))
    shutil.copy(path.with_suffix(".old"), path / "data.db")
    with stores.open(path) as store:
        assert [profile(store, ADA, purpose) for purpose in PURPOSES] == [None] * 3
        assert store.access(ADA).compartments == {}
        assert seen(store, BOB) == 1
        assert seen(store, "account-eve") == 0
        agree(store, ADA)
        assert [seen(store, ADA, purpose) for purpose in PURPOSES] == [0, 0, 0]
        with pytest.raises(cp.BrokenLog):
            store.audit.verify()  # the log that came back with the file is not the one whose head is anchored
        found = {(finding.where, finding.what.split(" ", 1)[1]) for finding in store.check(repair=True).findings}
        assert ("block", "rows whose key has been destroyed, to be purged") in found
        assert {finding.where for finding in store.check().findings} == {"audit log", "account"}  # of Eve it has no id


@pytest.mark.parametrize("file", ["keys.db", "data.db"])
@pytest.mark.parametrize(("version", "error"), [(1, cp.OlderFormat), (3, cp.NewerFormat)])
def test_another_format_is_refused(
    stores: StoreFactory, path: Path, file: str, version: int, error: type[cp.ConsentProfileError]
) -> None:
    before = look(path, file, "SELECT count(*) FROM sqlite_master")
    edit(path, file, f"PRAGMA user_version = {version}")
    with pytest.raises(error):
        stores.open(path)
    assert look(path, file, "SELECT count(*) FROM sqlite_master") == before


@pytest.mark.parametrize("file", ["keys.db", "data.db"])
def test_a_file_that_is_no_database_is_a_typed_error(stores: StoreFactory, path: Path, file: str) -> None:
    (path / file).write_bytes(os.urandom(8192))
    with pytest.raises(cp.CorruptRecord):
        stores.open(path)


@pytest.mark.parametrize("file", ["keys.db", "data.db"])
def test_a_missing_file_is_a_typed_error(stores: StoreFactory, path: Path, file: str) -> None:
    (path / file).unlink()
    with pytest.raises(cp.StoreNotFound):
        stores.open(path)
    assert not (path / file).exists()


# ---- four errors that are not one ------------------------------------------------------------------


def test_wrong_corrupt_destroyed_and_quarantined_are_four_errors(stores: StoreFactory, path: Path) -> None:
    with stores.open(path) as store:
        session = store._session
        rows = every_row(session.ground.rows("block"))
        store.withdraw_consent(ADA, ["support"])
        slot = session.ground.keyring.slot(rows[0].slot)
        assert slot is not None
        with pytest.raises(cp.DestroyedKey):
            session.keys.unwrap(slot, purpose="support", terms=session.bound(1))
        with pytest.raises(cp.DestroyedKey):
            slot_values.require_alive(rows[0].generation, slot)
        with pytest.raises(cp.QuarantinedRecord):
            slot_values.require_alive(rows[0].generation + 2, slot)
        with pytest.raises(cp.QuarantinedRecord):
            slot_values.require_alive(0, None)
    other = cp.KeyFile(stores.directory / "other-key")
    cp.Store.create(stores.directory / "other", policy=store_policy(stores, path), key=other).close()
    with pytest.raises(cp.WrongKey):
        cp.Store.open(path, key=other)
    damaged = "UPDATE epoch_key SET wrapped = zeroblob(60) WHERE name = 'purpose:support'"
    assert edit(path, "keys.db", damaged) == 1
    with pytest.raises(cp.CorruptRecord):
        stores.open(path)
    four = (cp.WrongKey, cp.CorruptRecord, cp.DestroyedKey, cp.QuarantinedRecord)
    assert not any(issubclass(one, other) for one in four for other in four if one is not other)


def store_policy(stores: StoreFactory, path: Path) -> cp.Policy:
    with stores.open(path) as store:
        return store.policy


def test_rows_from_elsewhere_are_quarantined_not_purged(stores: StoreFactory, path: Path) -> None:
    ada = slot_of(stores, path, ADA)
    assert edit(path, "data.db", "UPDATE block SET generation = 7 WHERE slot = ?", ada) == 1
    with stores.open(path) as store:
        assert seen(store, ADA) == 0
        (finding,) = store.check(repair=True).findings
        assert "from elsewhere" in finding.what
        assert not finding.repaired
        assert "repaired" not in operations(store)
    ((count,),) = look(path, "data.db", "SELECT count(*) FROM block WHERE slot = ? AND generation = 7", ada)
    assert count == 1
