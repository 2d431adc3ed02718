"""Rotation: the store moves to a new key while it is used, whatever interrupts it, and the old key opens nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.crypto.slots import NO_KEY
from consentprofile.usecases import rotation
from tests.support.people import ADA, BOB, agree, login, look, operations, profile, seen, sound
from tests.support.policies import NOTICE, small_policy
from tests.support.stores import SetClock, StoreFactory, scratch

CARL: Final = "account-carl"
TABLES: Final = ("block", "pack", "run", "evidence", "account", "trail")
PHRASE: Final = "a phrase for tests that is long"
KILLED: Final = 97


@pytest.fixture
def stores() -> Iterator[StoreFactory]:
    """A factory of stores whose files are gone after the test."""
    with scratch() as directory:
        yield StoreFactory(directory)


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices so small that there are many."""
    monkeypatch.setattr(rotation, "SLOTS", 2)
    monkeypatch.setattr(rotation, "PAGES", 2)
    monkeypatch.setattr(rotation, "ENTRIES", 2)


@pytest.fixture
def path(stores: StoreFactory) -> Path:
    """A closed store: Ada and Bob agree to everything and have logged in, Bob is suppressed, Carl was erased."""
    path = stores.new()
    with stores.open(path) as store:
        for account, count in ((ADA, 3), (BOB, 1), (CARL, 1)):
            agree(store, account)
            store.record_many(login(account, number) for number in range(count))
        store.withdraw_consent(BOB, ["analytics"])
        store.suppress(BOB, "quiet", actor="officer:5")
        store.erase(CARL, reference="request", actor="officer:5")
        for _ in range(3):
            assert seen(store, ADA) == 3
    return path


@pytest.fixture
def new_key(tmp_path: Path) -> cp.KeyFile:
    """A key that does not exist yet."""
    return cp.KeyFile(tmp_path / "new.key")


def reopen(path: Path, key: cp.KeyProvider, *, wait: float = 5.0) -> cp.Store:
    return cp.Store.open(path, key=key, clock=SetClock(), durability="relaxed", wait=wait)


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every account, as it lies in the file."""
    return {table: look(path, "data.db", f"SELECT * FROM {table}") for table in TABLES}


def all_is_there(store: cp.Store) -> None:
    """What the fixture has put in is still in it, and nothing else."""
    assert [seen(store, account) for account in (ADA, BOB, CARL)] == [3, 1, None]
    held = store.access(ADA)
    assert held.account == ADA
    assert {name: len(one.events) for name, one in held.compartments.items()} == {
        "support": 3,
        "analytics": 3,
        "marketing": 0,
    }
    assert store.access(BOB).suppressed == ["quiet"]
    assert [entry.act for entry in store.consents(CARL)["support"].history] == ["give", "erase"]
    assert {trace.operation for trace in store.audit.actor("officer:5")} >= {"suppressed", "erased"}
    assert {trace.operation for trace in store.audit.actor("agent:7")} == {"read"}


class Stopped(BaseException):
    """The process ended here."""


def stop_at(number: int) -> Callable[[int, int], None]:
    """Ends the process after so many slices."""
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if len(told) == number:
            raise Stopped

    return progress


def begin(path: Path, stores: StoreFactory, key: cp.KeyProvider, *, slices: int = 1) -> None:
    """Begin a rotation and end after some slices."""
    store = stores.open(path)
    with pytest.raises(Stopped):
        store.rotate_keys(key, progress=stop_at(slices))
    store.close()


# ---- from one key to the other ----------------------------------------------------------------------


def test_everything_is_there_under_the_new_key(stores: StoreFactory, path: Path, new_key: cp.KeyFile) -> None:
    with stores.open(path) as store:
        public_key = store.audit.public_key
        tokens = [event.fields["device"] for event in store.access(ADA).compartments["support"].events]
        done = store.rotate_keys(new_key)
        assert (done.epoch, done.damaged) == (2, 0)
        all_is_there(store)  # the store that did it goes on
        sound(store)
    with reopen(path, new_key) as store:
        all_is_there(store)
        sound(store)
        assert store.audit.public_key == public_key
        assert [event.fields["device"] for event in store.access(ADA).compartments["support"].events] == tokens
        assert store.record(login(ADA, 0))["support"] is cp.Outcome.RECORDED
        assert seen(store, ADA) == 3  # a repeated event is still known by its id
        agree(store, CARL)
        assert seen(store, CARL) == 0
        sound(store)


def test_no_row_of_any_account_is_touched(stores: StoreFactory, path: Path, new_key: cp.KeyFile) -> None:
    before = rows(path)
    with stores.open(path) as store:
        store.rotate_keys(new_key)
    assert rows(path) == before
    assert sum(len(found) for found in before.values()) > 10


def test_the_log_says_when_an_epoch_began_and_when_the_one_before_ended(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile
) -> None:
    with stores.open(path) as store:
        size = store.audit.verify().size
        store.rotate_keys(new_key)
        told = [(entry.operation, entry.role, entry.facts) for entry in store.audit.log(size)]
    assert told == [("keys-rotated", "officer", {"epoch": 2}), ("epoch-closed", "officer", {"epoch": 1})]


def test_the_keys_are_rotated_again_and_again(stores: StoreFactory, path: Path, tmp_path: Path) -> None:
    key: cp.KeyProvider = stores.key
    for number in range(2, 5):
        later = cp.KeyFile(tmp_path / f"{number}.key")
        with reopen(path, key) as store:
            assert store.rotate_keys(later).epoch == number
        key = later
    with reopen(path, key) as store:
        all_is_there(store)
        sound(store)


def test_progress_rises_to_its_total(stores: StoreFactory, path: Path, new_key: cp.KeyFile) -> None:
    told: list[tuple[int, int]] = []
    with stores.open(path) as store:
        store.rotate_keys(new_key, progress=lambda done, total: told.append((done, total)))
    assert len(told) > 3
    assert told == sorted(told)
    assert len({total for _, total in told}) == 1
    assert told[-1][0] == told[-1][1]


def providers(folder: Path) -> dict[str, cp.KeyProvider]:
    return {
        "key-file": cp.KeyFile(folder / "another.key"),
        "environment": cp.EnvKey("CONSENTPROFILE_TEST_KEY"),
        "passphrase": cp.Passphrase(PHRASE, memory_kib=19 * 1024, iterations=2, lanes=1),
    }


@pytest.mark.parametrize("kind", ["key-file", "environment", "passphrase"])
def test_the_new_key_may_come_from_any_provider(
    stores: StoreFactory, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_TEST_KEY", cp.new_key_text())
    key = providers(tmp_path)[kind]
    with stores.open(path) as store:
        store.rotate_keys(key)
    with reopen(path, key) as store:
        assert store.key_status().provider == kind
        all_is_there(store)
        with pytest.raises(cp.InputError, match="already"):
            store.rotate_keys(key)


def test_the_same_secret_is_refused_wherever_it_comes_from_and_nothing_is_changed(
    stores: StoreFactory, path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_TEST_KEY", stores.key_file.read_text())
    copy = tmp_path / "copy.key"
    shutil.copy(stores.key_file, copy)
    before = (path / "keys.db").read_bytes()
    for key in (stores.key, cp.KeyFile(copy), cp.EnvKey("CONSENTPROFILE_TEST_KEY")):
        with stores.open(path) as store, pytest.raises(cp.InputError, match="already"):
            store.rotate_keys(key)
    assert (path / "keys.db").read_bytes() == before


def test_a_new_key_that_is_not_to_be_had_changes_nothing(stores: StoreFactory, path: Path, tmp_path: Path) -> None:
    (tmp_path / "open.key").write_text(cp.new_key_text())
    (tmp_path / "open.key").chmod(0o644)
    before = (path / "keys.db").read_bytes()
    missing = (cp.EnvKey("CONSENTPROFILE_TEST_NONE"), cp.Passphrase("short"), cp.KeyFile(tmp_path / "open.key"))
    for key in missing:
        with stores.open(path) as store, pytest.raises(cp.KeyUnavailable):
            store.rotate_keys(key)
    assert (path / "keys.db").read_bytes() == before


# ---- what the old key can still do ------------------------------------------------------------------


def test_a_rotation_that_failed_is_not_taken_for_one_that_another_process_carried_out(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile, tmp_path: Path
) -> None:
    with stores.open(path) as store:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store._session.ground.epochs, "begin", lambda epoch: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                store.rotate_keys(cp.KeyFile(tmp_path / "never.key"))
        assert seen(store, ADA) == 3
        with stores.open(path) as other:
            other.rotate_keys(new_key)
        assert is_told(store.resume_rotation)
        assert is_told(lambda: seen(store, ADA))
    with reopen(path, new_key) as store:
        all_is_there(store)


def test_neither_key_opens_the_others_keyring(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(path, old)
    with stores.open(path) as store:
        store.rotate_keys(new_key)
    with pytest.raises(cp.WrongKey):
        stores.open(path)
    with pytest.raises(cp.WrongKey):
        reopen(old, new_key)
    shutil.copy(old / "keys.db", path / "keys.db")  # yesterday's keyring beside today's data
    with pytest.raises(cp.WrongKey):
        reopen(path, new_key)


def test_no_byte_of_a_former_wrapped_key_is_left(stores: StoreFactory, path: Path, new_key: cp.KeyFile) -> None:
    def wrapped() -> set[bytes]:
        connection = sqlite3.connect(path / "keys.db", isolation_level=None)
        found = {bytes(one) for (one,) in connection.execute("SELECT wrapped FROM epoch_key")}
        found |= {bytes(one) for (one,) in connection.execute("SELECT check_value FROM epoch")}
        found |= {bytes(one[81:]) for (one,) in connection.execute("SELECT record FROM slot")}
        connection.close()
        return found - {NO_KEY}

    before = wrapped()
    begin(path, stores, new_key)
    during = wrapped()
    with reopen(path, new_key) as store:
        store.resume_rotation()
    after = wrapped()
    assert len(before) > 10
    assert not before & after
    gone = (before | during) - after
    content = (path / "keys.db").read_bytes()
    assert [one for one in gone if one in content or one[:24] in content or one[-24:] in content] == []
    assert look(path, "keys.db", "SELECT number FROM epoch") == [(2,)]
    names = {name for (name,) in look(path, "keys.db", "SELECT name FROM epoch_key")}
    purposes = {f"purpose:{name}" for name in small_policy().purposes}
    assert names == {"index", "signing", "import", "officer"} | purposes


def attempts(store: cp.Store) -> Mapping[str, Callable[[], object]]:
    """Everything that a store is asked for."""
    decision = cp.Decision(account=ADA, purposes=("support",), act=cp.Act.WITHDRAW)
    return {
        "give": lambda: agree(store, "account-dora"),
        "refuse": lambda: store.refuse_consent(ADA, ["support"]),
        "renew": lambda: store.renew_consent(ADA, ["support"], notice=NOTICE),
        "withdraw": lambda: store.withdraw_consent(ADA, ["support"]),
        "invalidate": lambda: store.invalidate_consent(ADA, ["support"]),
        "decide": lambda: store.give_consents([decision]),
        "consents": lambda: store.consents(ADA),
        "suppress": lambda: store.suppress(ADA, "deceased"),
        "lift": lambda: store.lift_suppression(BOB, "quiet"),
        "record": lambda: store.record(login(ADA, 9)),
        "record many": lambda: store.record_many([login(ADA, 9)]),
        "profile": lambda: profile(store, ADA),
        "access": lambda: store.access(ADA),
        "erase": lambda: store.erase(ADA),
        "plan erasure": lambda: store.plan_erasure(ADA),
        "statistics": store.statistics,
        "check": store.check,
        "verify": store.audit.verify,
        "checkpoint": store.audit.checkpoint,
        "log": lambda: list(store.audit.log()),
        "actor": lambda: list(store.audit.actor("officer:5")),
        "trail": lambda: store.audit.account(ADA),
        "compact": lambda: store.upkeep.compact(everything=True),
        "step": store.upkeep.step,
        "retention": lambda: store.upkeep.run_retention(attended=True),
        "expiry": lambda: store.upkeep.expire_consents(attended=True),
        "key status": store.key_status,
        "resume": store.resume_rotation,
        "rotate": lambda: store.rotate_keys(cp.EnvKey("CONSENTPROFILE_TEST_NONE")),
    }


def is_told(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except cp.KeysRotated as error:
        return "new key" in str(error)
    return False


@pytest.mark.parametrize("finished", [False, True])
def test_whoever_has_it_open_with_the_old_key_is_told_and_writes_nothing(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile, tmp_path: Path, finished: bool
) -> None:
    old = stores.open(path)
    assert seen(old, ADA) == 3  # nothing that it remembers helps
    if finished:
        with stores.open(path) as store:
            store.rotate_keys(new_key)
    else:
        begin(path, stores, new_key, slices=3)
    with reopen(path, new_key) as store:
        size = store.audit.verify().size
        refused = {name for name, attempt in attempts(old).items() if is_told(attempt)}
        assert refused == attempts(old).keys()
        with pytest.raises(cp.KeysRotated):
            old.back_up_keyring(tmp_path / "copy")
        old.close()
        assert not (tmp_path / "copy").exists()
        assert store.audit.verify().size == size
        store.resume_rotation()
        all_is_there(store)
        sound(store)


# ---- interrupted ------------------------------------------------------------------------------------


def slices(path: Path, stores: StoreFactory, tmp_path: Path) -> int:
    """Into how many slices the rotation of a copy of this store falls."""
    told: list[int] = []
    copy = tmp_path / "counted"
    shutil.copytree(path, copy)
    with stores.open(copy) as store:
        store.rotate_keys(cp.KeyFile(tmp_path / "counted.key"), progress=lambda done, _: told.append(done))
    return len(told)


def test_it_is_interrupted_after_any_slice_and_carried_to_its_end(
    stores: StoreFactory, path: Path, tmp_path: Path
) -> None:
    count = slices(path, stores, tmp_path)
    assert count > 5
    for number in range(1, count + 1):
        copy, key = tmp_path / f"store-{number}", cp.KeyFile(tmp_path / f"{number}.key")
        shutil.copytree(path, copy)
        begin(copy, stores, key, slices=number)
        with pytest.raises(cp.KeysRotated, match="new key"):
            stores.open(copy)
        with reopen(copy, key) as store:
            all_is_there(store)
            (finding,) = store.check().findings
            assert finding.where == "epoch 1"
            assert "--resume" in finding.what
            assert store.key_status().rotating
            with pytest.raises(cp.InputError, match="unfinished"):
                store.rotate_keys(cp.EnvKey("CONSENTPROFILE_TEST_NONE"))
            assert store.record(login(ADA, 77))["support"] is cp.Outcome.RECORDED
            agree(store, "account-new")
            assert store.withdraw_consent(BOB, ["support"]).key_ids
        with reopen(copy, key) as store:
            done = store.resume_rotation()
            assert done is not None
            assert done.damaged == 0
            assert [seen(store, account) for account in (ADA, BOB, CARL, "account-new")] == [4, None, None, 0]
            sound(store)
            assert not store.key_status().rotating
            assert store.resume_rotation() is None
        with pytest.raises(cp.WrongKey):
            stores.open(copy)


STEPS: Final = ("noted", "applied", "cleared")


@pytest.mark.parametrize("step", [*(f"begin {step}" for step in STEPS), "slice 3", *(f"close {s}" for s in STEPS)])
def test_a_process_is_killed_on_the_way(stores: StoreFactory, path: Path, new_key: cp.KeyFile, step: str) -> None:
    """The process ends without a word; the next one has all of one epoch, or two and what to do."""
    child = os.fork()
    if child == 0:
        rotate_until(stores.open(path), new_key, step)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    with reopen(path, new_key) as store:
        all_is_there(store)
        ended = step.startswith("close")
        assert [finding.where for finding in store.check().findings] == ([] if ended else ["epoch 1"])
        assert (store.resume_rotation() is None) is ended
        assert operations(store).count("keys-rotated") == operations(store).count("epoch-closed") == 1
        all_is_there(store)
        sound(store)


def rotate_until(store: cp.Store, key: cp.KeyProvider, step: str) -> None:
    """Rotate, and end at a step."""
    phase, _, at = step.partition(" ")
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if phase == "slice" and len(told) == int(at):
            os._exit(KILLED)

    def observe(seen_step: str) -> None:
        if seen_step == at and phase == ("close" if told else "begin"):
            os._exit(KILLED)

    store._session.ground.pending._observe = observe
    store.rotate_keys(key, progress=progress)


# ---- meanwhile --------------------------------------------------------------------------------------


def test_others_record_read_agree_withdraw_and_erase_between_the_slices(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile
) -> None:
    others: list[cp.Store] = []
    said: list[object] = []

    def progress(done: int, total: int) -> None:
        if not others:
            others.append(reopen(path, new_key, wait=0.2))
        other, number = others[0], len(said)
        account = f"account-{number}"
        agree(other, account)
        other.record(login(account))
        other.record_many([login(ADA, 100 + number)])
        assert [seen(other, one) for one in (ADA, account)] == [4 + number, 1]
        other.renew_consent(ADA, ["support"], notice=NOTICE)
        if number % 2:
            other.withdraw_consent(account, ["support"])
        else:
            other.erase(account)
        said.append(seen(other, account))

    with stores.open(path) as store:
        assert store.rotate_keys(new_key, progress=progress).damaged == 0
    (other,) = others
    assert len(said) > 5
    assert set(said) == {None}
    other.upkeep.compact(everything=True)
    assert seen(other, ADA) == 3 + len(said)
    sound(other)
    other.close()


def test_two_who_carry_it_on_at_once_do_it_once(stores: StoreFactory, path: Path, new_key: cp.KeyFile) -> None:
    """Another process finds it unfinished, and is at its end first."""
    told: list[cp.Rotated | None] = []

    def progress(done: int, total: int) -> None:
        if not told:
            with reopen(path, new_key) as other:
                told.append(other.resume_rotation())

    with stores.open(path) as store:
        assert store.rotate_keys(new_key, progress=progress).epoch == 2
        assert told[0] is not None
        assert told[0].keys > 0
        assert operations(store).count("epoch-closed") == 1
        all_is_there(store)
        sound(store)


def test_a_slot_that_changes_between_being_read_and_written_keeps_its_change(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others, and other threads of the same store, change slots that are about to be written."""
    clock = SetClock()
    write = rotation.Slices._write
    done: list[bool] = []

    def change_first(slices: rotation.Slices, renewed: object) -> None:
        if not done:
            done.append(True)
            clock.second += 60
            store.renew_consent(ADA, ["support"], notice=NOTICE)
            with reopen(path, new_key) as other:
                other.withdraw_consent(ADA, ["analytics"])
        write(slices, renewed)  # type: ignore[arg-type]

    monkeypatch.setattr(rotation, "SLOTS", 1_000)
    monkeypatch.setattr(rotation.Slices, "_write", change_first)
    with stores.open(path, clock) as store:
        assert store.rotate_keys(new_key).damaged == 0
        standing = store.consents(ADA)
        assert (standing["support"].state, standing["analytics"].state) == ("renewed", "withdrawn")
        assert [seen(store, ADA, purpose) for purpose in ("support", "analytics")] == [3, None]
        sound(store)


def test_work_that_a_crash_left_pending_is_finished_before_the_epoch_begins(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile
) -> None:
    clock = SetClock()
    clock.second += 130 * 86_400
    store = stores.open(path, clock)

    def observe(step: str) -> None:
        if step == "applied":
            raise Stopped

    store._session.ground.pending._observe = observe
    with pytest.raises(Stopped):
        store.upkeep.run_retention(attended=True)
    store._session.close()
    assert look(path, "keys.db", "SELECT count(*) FROM pending") == [(1,)]
    with stores.open(path, clock) as again:
        again.rotate_keys(new_key)
        assert seen(again, ADA) == 0
        sound(again)


def test_workers_of_a_store_that_was_opened_meanwhile_seal_for_it(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile
) -> None:
    begin(path, stores, new_key)
    with reopen(path, new_key) as store:
        summary = store.record_many((login(ADA, number) for number in range(200, 260)), batch_size=30, workers=1)
        assert summary.outcomes["support"] == {cp.Outcome.RECORDED: 60}
        store.resume_rotation()
        store.record_many((login(ADA, number) for number in range(300, 330)), workers=1)
        assert seen(store, ADA) == 93
        sound(store)


# ---- capabilities -----------------------------------------------------------------------------------


def test_capabilities_end_and_what_they_left_in_the_actor_book_stays(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile, tmp_path: Path
) -> None:
    with stores.open(path) as store:
        for role in ("agent", "app"):
            store.issue_capability(tmp_path / role, ["support"], role)
    key = cp.Capability(tmp_path / "agent")
    service, recorder = reopen(path, key), reopen(path, cp.Capability(tmp_path / "app"))
    assert seen(service, ADA) == 3
    begin(path, stores, new_key)
    for attempt in (lambda: seen(service, ADA), lambda: recorder.record(login(ADA, 8)), service.statistics):
        assert is_told(attempt)
    service.close()
    recorder.close()
    with pytest.raises(cp.KeysRotated):
        reopen(path, key)
    with reopen(path, new_key) as store:
        with pytest.raises(cp.InputError, match="unfinished"):
            store.issue_capability(tmp_path / "early", ["support"], "agent")
        store.resume_rotation()
        store.issue_capability(tmp_path / "later", ["support"], "agent")
        (copy,) = store.key_status().copies
        assert (copy.what, copy.purpose, copy.role) == ("capability", "support", "agent")
        assert [trace.operation for trace in store.audit.actor("agent:7")].count("read") == 4
        sound(store)
    with reopen(path, cp.Capability(tmp_path / "later")) as service:
        assert seen(service, ADA) == 3
    assert not (tmp_path / "early").exists()


# ---- what is damaged --------------------------------------------------------------------------------


def test_what_no_key_opens_is_counted_and_left_and_does_not_stop_it(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile
) -> None:
    connection = sqlite3.connect(path / "keys.db", isolation_level=None)
    (slot,) = connection.execute("SELECT slot FROM directory WHERE place = 3 LIMIT 1").fetchone()
    (record,) = connection.execute("SELECT record FROM slot WHERE number = ?", (slot,)).fetchone()
    broken = record[:-1] + bytes((record[-1] ^ 1,))
    connection.execute("UPDATE slot SET record = ? WHERE number = ?", (broken, slot))
    connection.close()
    with stores.open(path) as store:
        assert store.rotate_keys(new_key).damaged == 1
        assert f"slot {slot}" in {finding.where for finding in store.check().findings}
    assert look(path, "keys.db", "SELECT record FROM slot WHERE number = ?", slot) == [(broken,)]


def test_a_rotation_whose_former_keys_were_taken_away_destroys_no_more(
    stores: StoreFactory, path: Path, new_key: cp.KeyFile
) -> None:
    begin(path, stores, new_key)
    connection = sqlite3.connect(path / "keys.db", isolation_level=None)
    connection.execute("DELETE FROM epoch_key WHERE name LIKE 'former:%'")
    connection.close()
    with reopen(path, new_key) as store, pytest.raises(cp.CorruptRecord):
        store.resume_rotation()
    assert look(path, "keys.db", "SELECT count(*) FROM epoch") == [(2,)]
