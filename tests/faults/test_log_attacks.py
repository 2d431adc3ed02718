"""Attacks on the log, by name. Whoever can write both files but has no key is found, and told where.

What only somebody can find who has kept an earlier head stands at the end.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import msgspec
import pytest

import consentprofile as cp
from tests.faults.log_attacks import ATTACKS, SIZE, Attack, another, log_of, rewrite, tree_deleted
from tests.support.people import ADA, BOB, agree, edit, login, look, profile
from tests.support.stores import StoreFactory

HEADS: Final = (2, 9, 12, 15)
"""How many leaves each signed head covers."""

BACKUP: Final = "keys.backup"
EARLIER: Final = "earlier"


@pytest.fixture
def path(stores: StoreFactory) -> Path:
    """A closed store with some history, and in it a copy of itself as it was before the end."""
    path = stores.new()
    with stores.open(path) as store:
        agree(store, ADA)
        agree(store, BOB)
        store.record(login(ADA))
        store.audit.checkpoint()
        profile(store, ADA)
        store.consents(ADA)
        store.suppress(BOB, "quiet")
    shutil.copytree(path, path / EARLIER, ignore=shutil.ignore_patterns(EARLIER))
    with stores.open(path) as store:
        store.consents(BOB)
        store.record(login(BOB))
        profile(store, BOB)
    assert look(path, "data.db", "SELECT count(*) FROM leaf") == [(SIZE,)]
    assert look(path, "data.db", "SELECT size FROM checkpoint ORDER BY size") == [(size,) for size in HEADS]
    return path


def found(stores: StoreFactory, path: Path) -> cp.BrokenLog | None:
    """What verifying says; None for a log that verifies."""
    store = stores.open(path)
    try:
        store.audit.verify()
    except cp.BrokenLog as error:
        return error
    finally:
        store.close()  # the head of a broken log is not signed, and nothing is raised here
    return None


@pytest.mark.parametrize(("attack", "place", "says"), ATTACKS, ids=[attack.__name__ for attack, _, _ in ATTACKS])
def test_the_attack_is_found_and_its_place_is_named(
    stores: StoreFactory, path: Path, attack: Attack, place: int, says: str
) -> None:
    if attack is tree_deleted:
        attack(path)
        with pytest.raises(cp.BrokenLog, match=says), stores.open(path) as store:
            store.audit.verify()
        return
    assert found(stores, path) is None
    attack(path)
    error = found(stores, path)
    assert error is not None
    assert error.sequence == place
    assert says in str(error)


def test_nobody_without_the_root_key_can_put_a_signing_key_of_his_own(stores: StoreFactory, path: Path) -> None:
    other = stores.directory / "other"
    with stores.open(path) as store:
        policy = store.policy
    cp.Store.create(other, policy=policy, key=stores.key).close()
    ((wrapped,),) = look(other, "keys.db", "SELECT wrapped FROM epoch_key WHERE name = 'signing'")
    assert edit(path, "keys.db", "UPDATE epoch_key SET wrapped = ? WHERE name = 'signing'", wrapped) == 1
    with pytest.raises(cp.CorruptRecord):
        stores.open(path)


def test_a_log_that_was_renamed_is_found(stores: StoreFactory, path: Path) -> None:
    assert edit(path, "keys.db", "UPDATE keyring SET origin = 'another.example/log'") == 1
    error = found(stores, path)
    assert error is not None
    assert (error.sequence, "does not verify" in str(error)) == (2, True)


# ---- other files in their place ------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["erase", "withdraw"])
def test_a_keyring_backup_that_brings_a_key_back_is_found(stores: StoreFactory, path: Path, act: str) -> None:
    with stores.open(path) as store:
        store.back_up_keyring(path / BACKUP)
        if act == "erase":
            store.erase(ADA)
        else:
            store.withdraw_consent(ADA, ["analytics"])
    assert found(stores, path) is None
    shutil.copy(path / BACKUP, path / "keys.db")
    error = found(stores, path)
    assert error is not None
    assert "log and keyring disagree" in str(error)


def test_a_keyring_backup_from_before_a_grant_is_found(stores: StoreFactory, path: Path) -> None:
    with stores.open(path) as store:
        store.back_up_keyring(path / BACKUP)
        agree(store, "account-eve")
    shutil.copy(path / BACKUP, path / "keys.db")
    error = found(stores, path)
    assert error is not None
    assert "log and keyring disagree" in str(error)


def test_a_keyring_backup_under_which_nothing_was_granted_or_destroyed_is_as_good_as_the_keyring(
    stores: StoreFactory, path: Path
) -> None:
    """Its anchor lags behind, as an anchor may."""
    with stores.open(path) as store:
        store.back_up_keyring(path / BACKUP)
        profile(store, ADA)
        store.audit.checkpoint()
    shutil.copy(path / BACKUP, path / "keys.db")
    assert found(stores, path) is None


def test_older_data_under_a_newer_keyring_is_found_and_never_signed(stores: StoreFactory, path: Path) -> None:
    shutil.copy(path / EARLIER / "data.db", path / "data.db")
    error = found(stores, path)
    assert error is not None
    assert (error.sequence, "was cut" in str(error)) == (12, True)
    store = stores.open(path)
    store.consents(ADA)
    with pytest.raises(cp.BrokenLog):
        store.audit.checkpoint()
    store.close()
    assert look(path, "data.db", "SELECT max(size) FROM checkpoint") == [(12,)]


# ---- what only a head kept elsewhere finds ---------------------------------------------------------------------------


def test_a_whole_store_put_back_is_found_by_a_head_that_was_kept(stores: StoreFactory, path: Path) -> None:
    with stores.open(path) as store:
        kept = store.audit.checkpoint()
    for name in ("data.db", "keys.db"):
        shutil.copy(path / EARLIER / name, path / name)
    assert found(stores, path) is None
    with stores.open(path) as store, pytest.raises(cp.ProofRefused, match="fewer"):
        store.audit.extends(kept)


def test_leaves_that_no_head_covers_yet_are_only_as_safe_as_the_files(stores: StoreFactory, path: Path) -> None:
    """Whoever edits the newest leaves with their tree, before a head is signed over them, leaves no trace. (A head is
    signed after each act of an officer and on closing, so these are the last reads of a process that was killed.)"""
    log = log_of(path)
    read = msgspec.structs.replace(log[14], sequence=15)
    rewrite(path, [*log, read])
    with stores.open(path) as store:
        assert store.audit.verify().size == 16
        kept = store.audit.checkpoint()
    rewrite(path, [*log, another([*log, read], 15)])
    with stores.open(path) as store, pytest.raises(cp.ProofRefused):
        store.audit.extends(kept)
    error = found(stores, path)
    assert error is not None
    assert error.sequence == 16
