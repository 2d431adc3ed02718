"""Re-tagging: under a new index key everybody is found, and whoever has the old one finds nobody who is alive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.crypto.binding import RecordType
from consentprofile.store.ports import ACCOUNT, ACCOUNT_PLACE, Keyring, SealedRow
from consentprofile.usecases import retagging, rotation
from consentprofile.usecases.session import Session
from consentprofile.usecases.tags import Found, move
from tests.support.people import ADA, BOB, agree, edit, login, look, seen, sound
from tests.support.policies import NOTICE
from tests.support.stores import DAY, START, SetClock, StoreFactory, scratch

CARL, DORA, EVE, FAY = "account-carl", "account-dora", "account-eve", "account-fay"
KILLED = 97


@pytest.fixture
def stores() -> Iterator[StoreFactory]:
    """A factory of stores whose files are gone after the test."""
    with scratch() as directory:
        yield StoreFactory(directory)


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices so small that there are many."""
    monkeypatch.setattr(rotation, "SLOTS", 3)
    monkeypatch.setattr(retagging, "PAGE", 3)


@pytest.fixture
def path(stores: StoreFactory) -> Path:
    """A closed store: Ada is there, Bob is suppressed and has refused, Carl and Dora were erased, she suppressed."""
    path = stores.new()
    with stores.open(path) as store:
        for account in (ADA, BOB, CARL, DORA):
            agree(store, account)
            store.record(login(account))
        store.refuse_consent(BOB, ["marketing"])
        for account in (BOB, DORA):
            store.suppress(account, "quiet")
        store.erase([CARL, DORA])
    return path


def retag(path: Path, key: cp.KeyProvider, new: cp.KeyProvider | None, **more: object) -> cp.Rotated | None:
    return cp.Store.retag(path, key=key, new_key=new, clock=SetClock(), **more)  # type: ignore[arg-type]


def reopen(path: Path, key: cp.KeyProvider) -> cp.Store:
    return cp.Store.open(path, key=key, clock=SetClock(), durability="relaxed")


def tags(path: Path) -> set[object]:
    return {tag for (tag,) in look(path, "keys.db", "SELECT tag FROM directory UNION SELECT tag FROM suppression")}


def former_indexes(path: Path) -> list[object]:
    query = "SELECT name FROM epoch_key WHERE name LIKE 'former:%' ORDER BY name"
    return [name for (name,) in look(path, "keys.db", query)]


def all_is_there(store: cp.Store) -> None:
    assert [seen(store, account) for account in (ADA, BOB, CARL, DORA)] == [1, 1, None, None]
    assert [store.access(account).account for account in (ADA, BOB, CARL, DORA)] == [ADA, BOB, None, None]
    assert [store.access(account).suppressed for account in (ADA, BOB, CARL, DORA)] == [[], ["quiet"], [], ["quiet"]]
    for account, acts in ((BOB, ["give", "refuse"]), (CARL, ["give", "erase"]), (DORA, ["give", "erase"])):
        assert [entry.act for entry in store.consents(account)["marketing"].history] == acts
    assert store.consents(BOB)["marketing"].state == "withdrawn"


def test_everybody_is_found_under_a_new_tag(stores: StoreFactory, path: Path, tmp_path: Path) -> None:
    key, before = cp.KeyFile(tmp_path / "new.key"), tags(path)
    rows = {table: look(path, "data.db", f"SELECT * FROM {table}") for table in ("block", "evidence", "account")}
    done = retag(path, stores.key, key)
    assert done is not None
    assert (done.epoch, done.damaged) == (2, 0)
    assert {table: look(path, "data.db", f"SELECT * FROM {table}") for table in rows} == rows
    assert len(before & tags(path)) == 2  # of those who were erased nobody knows the id
    assert former_indexes(path) == ["former:index:1"]
    with reopen(path, key) as store:
        all_is_there(store)
        assert store.record(login(ADA, 1))["support"] is cp.Outcome.RECORDED
        assert store.record(login(BOB, 1))["marketing"] is not cp.Outcome.RECORDED
        (began,) = [entry for entry in store.audit.log() if entry.operation == "keys-rotated"]
        assert began.facts == {"epoch": 2, "retagged": 1}
        sound(store)


def test_who_comes_back_is_known_again_and_moves(stores: StoreFactory, path: Path, tmp_path: Path) -> None:
    key, before = cp.KeyFile(tmp_path / "new.key"), tags(path)
    retag(path, stores.key, key)
    with reopen(path, key) as store:
        agree(store, DORA)
        assert store.record(login(DORA, 2))["marketing"] is not cp.Outcome.RECORDED
        assert [entry.act for entry in store.consents(DORA)["support"].history] == ["give", "erase", "give"]
        assert store.access(DORA).suppressed == ["quiet"]
        assert store.lift_suppression(CARL, "quiet") is False
        assert store.suppress(CARL, "quiet") is True
        assert [entry.act for entry in store.consents(CARL)["support"].history] == ["give", "erase"]
        assert store.give_consents([old_decision(CARL)]) == 0  # what was decided before the erasure stays so
        sound(store)
    assert not before & tags(path)
    later = cp.KeyFile(tmp_path / "later.key")
    retag(path, key, later)
    assert former_indexes(path) == []  # nobody is left under a former tag
    with reopen(path, later) as store:
        assert seen(store, DORA) == 1
        sound(store)


def old_decision(account: str) -> cp.Decision:
    at = datetime(2024, 2, 1, tzinfo=UTC)
    return cp.Decision(account=account, purposes=("support",), notice=NOTICE, method="form", at=at)


def test_former_tags_outlast_rotations_and_further_tags(stores: StoreFactory, path: Path, tmp_path: Path) -> None:
    keys = [stores.key, *(cp.KeyFile(tmp_path / f"{number}.key") for number in range(3))]
    retag(path, keys[0], keys[1])
    with reopen(path, keys[1]) as store:
        store.rotate_keys(keys[2])
        all_is_there(store)
        store.erase(BOB)
    retag(path, keys[2], keys[3])
    assert former_indexes(path) == ["former:index:1", "former:index:3"]
    with reopen(path, keys[3]) as store:
        assert [entry.act for entry in store.consents(CARL)["support"].history] == ["give", "erase"]
        assert [entry.act for entry in store.consents(BOB)["support"].history] == ["give", "erase"]
        assert [store.access(account).suppressed for account in (BOB, DORA)] == [["quiet"], ["quiet"]]
        agree(store, BOB)
        assert seen(store, BOB) == 0
        sound(store)


def test_whoever_has_it_open_is_in_the_way_and_nothing_is_changed(
    stores: StoreFactory, path: Path, tmp_path: Path
) -> None:
    with stores.open(path) as store:
        with pytest.raises(cp.StoreBusy):
            retag(path, stores.key, cp.KeyFile(tmp_path / "new.key"), wait=0.1)
        all_is_there(store)
    with stores.open(path) as store:
        assert store.key_status().epoch == 1
        sound(store)


def ends_at(number: int) -> Callable[[int, int], None]:
    """Ends the process without a word after so many slices."""
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if len(told) == number:
            os._exit(KILLED)

    return progress


def test_it_is_killed_after_any_slice_and_nobody_gets_in_before_it_is_finished(
    stores: StoreFactory, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 0
    while True:
        number += 1
        copy, key = tmp_path / f"store-{number}", cp.KeyFile(tmp_path / f"{number}.key")
        shutil.copytree(path, copy)
        child = os.fork()
        if child == 0:
            retag(copy, stores.key, key, progress=ends_at(number))
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            break
        for with_key in (stores.key, key):
            with pytest.raises(cp.KeysRotated):
                reopen(copy, with_key)
        assert ["--retag" in one.advice for one in cp.examine(copy).symptoms if one.where == "keys"] == [True]
        done = retag(copy, key, None)
        assert done is not None
        assert done.damaged == 0
        with reopen(copy, key) as store:
            all_is_there(store)
            sound(store)
        assert retag(copy, key, None) is None
    assert number > 4


def test_it_is_killed_while_accounts_move(
    stores: StoreFactory, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are under the new tag, some under the old one, when the process ends."""
    key = cp.KeyFile(tmp_path / "new.key")
    child = os.fork()
    if child == 0:
        told: list[int] = []

        def move_one(session: Session, keyring: Keyring, found: Found, tag: bytes) -> None:
            told.append(1)
            if len(told) == 2:
                os._exit(KILLED)
            move(session, keyring, found, tag)

        monkeypatch.setattr(retagging, "move", move_one)
        monkeypatch.setattr(retagging, "PAGE", 1)
        retag(path, stores.key, key)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    with pytest.raises(cp.KeysRotated, match="--retag"):
        reopen(path, key)
    assert retag(path, key, None) is not None
    with reopen(path, key) as store:
        all_is_there(store)
        sound(store)


def test_the_data_is_lost_amid_it_and_restored_from_a_copy_that_does_not_know_everybody(
    stores: StoreFactory, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is finished all the same. Who is not in it is found when named, and moves then."""
    key, backup = cp.KeyFile(tmp_path / "new.key"), tmp_path / "data"
    with stores.open(path) as store:
        store.back_up(backup)
        for account in (EVE, FAY):
            agree(store, account)
            store.suppress(account, "quiet")
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(retagging, "move", lambda *_: os._exit(KILLED))
        retag(path, stores.key, key)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    for file in path.glob("data.db*"):
        file.unlink()
    cp.Store.restore(path, key=key, data=backup, clock=SetClock())
    with pytest.raises(cp.KeysRotated, match="--retag"):
        reopen(path, key)
    done = retag(path, key, None)
    assert done is not None
    assert (done.damaged, done.under_former_tags) == (0, 2)
    with cp.Store.open(path, key=key, clock=SetClock(START + DAY), durability="relaxed") as store:
        all_is_there(store)
        assert store.record(login(EVE))["support"] is cp.Outcome.NO_CONSENT
        assert [finding.what.split()[0] for finding in store.check().findings] == ["2"]
        assert store.plan_erasure(EVE).keys == 4
        held = store.access(EVE)
        assert held.consents["support"].state == "given"
        assert held.suppressed == ["quiet"]
        assert store.record(login(EVE))["support"] is cp.Outcome.RECORDED
        assert [trace.operation for trace in store.audit.account(EVE)] == ["accessed", "audit-read"]
        assert store.plan_erasure(EVE).keys == len(store.erase(EVE).key_ids) == 4
        store.renew_consent(FAY, ["support"], notice=NOTICE)
        assert store.record(login(FAY))["support"] is cp.Outcome.RECORDED
        assert store.record(login(FAY))["marketing"] is not cp.Outcome.RECORDED
        sound(store)


def test_who_has_no_id_keeps_the_tag_and_is_found_when_named(stores: StoreFactory, path: Path, tmp_path: Path) -> None:
    """As it is after a restore from a copy that did not know Ada and Bob yet; of Bob the row turns up again."""
    ((slot, generation, sealed),) = look(path, "data.db", "SELECT slot, generation, sealed FROM account WHERE id = 2")
    assert edit(path, "data.db", "DELETE FROM account WHERE id < 3") == 2
    keys = [stores.key, *(cp.KeyFile(tmp_path / f"{number}.key") for number in range(3))]
    done = retag(path, keys[0], keys[1])
    assert done is not None
    assert (done.damaged, done.under_former_tags) == (0, 2)
    assert former_indexes(path) == ["former:index:1"]
    put = "INSERT INTO account (slot, generation, sealed) VALUES (?, ?, ?)"
    assert edit(path, "data.db", put, slot, generation, sealed) == 1
    with reopen(path, keys[1]) as store:
        found = [finding.what for finding in store.check().findings]
        assert [what.split()[0] for what in found] == ["1", "1"]
        assert "whose id is lost" in found[0]
        assert "under a former tag" in found[1]
        assert [seen(store, account) for account in (ADA, BOB)] == [None, None]
        assert [store.plan_erasure(account).keys for account in (ADA, BOB)] == [4, 3]
    again = retag(path, keys[1], keys[2])  # who has an id moves, whichever index key the tag was under
    assert again is not None
    assert again.under_former_tags == 1
    with reopen(path, keys[2]) as store:
        assert [seen(store, account) for account in (ADA, BOB)] == [None, 1]
        agree(store, ADA)  # changes nothing but that
        all_is_there(store)
        assert [entry.operation for entry in store.audit.log()].count("repaired") == 1
        sound(store)
    last = retag(path, keys[2], keys[3])
    assert last is not None
    assert last.under_former_tags == 0


def test_a_tag_that_is_not_of_its_id_stops_it_before_anything_is_changed(
    stores: StoreFactory, path: Path, tmp_path: Path
) -> None:
    with stores.open(path) as store:
        session = store._session
        with session.ground.writing(), session.ground.files.data_transaction(full=True):
            slot = session.ground.keyring.slot_at(session.tag(ADA), ACCOUNT_PLACE)
            assert slot is not None
            key = session.keys.unwrap(slot)
            row = SealedRow(key.slot, key.generation, key.seal(RecordType.ACCOUNT, BOB.encode()))
            session.ground.rows(ACCOUNT).append([row])
    with pytest.raises(cp.CorruptRecord):
        retag(path, stores.key, cp.KeyFile(tmp_path / "new.key"))
    with stores.open(path) as store:
        assert store.key_status().epoch == 1
        assert seen(store, ADA) == 1
        assert [finding.what.split(":")[0] for finding in store.check().findings] == [
            "1 accounts whose id is not the one that their tag was made of"
        ]


def test_an_id_that_does_not_open_is_as_good_as_lost(stores: StoreFactory, path: Path, tmp_path: Path) -> None:
    assert edit(path, "data.db", "UPDATE account SET sealed = zeroblob(length(sealed)) WHERE id = 1") == 1
    done = retag(path, stores.key, cp.KeyFile(tmp_path / "new.key"))
    assert done is not None
    assert done.under_former_tags == 1
    with reopen(path, cp.KeyFile(tmp_path / "new.key")) as store:
        assert [finding.what for finding in store.check().findings] == ["1 rows that do not authenticate"]
        agree(store, ADA)
        assert seen(store, ADA) == 1
        assert store.erase(ADA).found == 1
        sound(store)


def test_an_old_capability_finds_nobody_by_its_index_key(stores: StoreFactory, path: Path, tmp_path: Path) -> None:
    with stores.open(path) as store:
        store.issue_capability(tmp_path / "cap", ["support"], "agent")
    with reopen(path, cp.Capability(tmp_path / "cap")) as service:
        index = service._session.keys.index
    assert index.account(ADA.encode()) in tags(path)
    retag(path, stores.key, cp.KeyFile(tmp_path / "new.key"))
    assert index.account(ADA.encode()) not in tags(path)
    with pytest.raises(cp.KeysRotated):
        reopen(path, cp.Capability(tmp_path / "cap"))
