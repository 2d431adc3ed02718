"""Files of other stores, of other days, cut short, replaced or linked: nobody is shown what is another's, nothing that
was acknowledged is lost without a word, and what is not found is said in docs/threat-model.md."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.crypto.slots import SlotKind
from tests.faults.attempts import remnants
from tests.faults.scenes import stored_slots
from tests.support.people import ADA, BOB, agree, edit, login, look, operations, profile, seen, sound
from tests.support.policies import small_policy
from tests.support.stores import DAY, START, SetClock, StoreFactory

EVERY_FILE: Final = ("keys.db", "data.db")


@pytest.fixture
def other(stores: StoreFactory) -> Path:
    """Another store, under the same key file, with an account of the same name in the same slots."""
    path = stores.directory / "other"
    with cp.Store.create(path, policy=small_policy(), key=stores.key, clock=SetClock()) as store:
        agree(store, ADA)
        store.record_many(login(ADA, number) for number in range(7))
    return path


# ---- rows ----------------------------------------------------------------------------------------------

ROWS: Final = ("block", "evidence", "account", "trail")


@pytest.mark.parametrize("table", ROWS)
def test_a_row_of_another_store_does_not_open(stores: StoreFactory, path: Path, other: Path, table: str) -> None:
    """Same key file, same account, same slot: the store's id is in what is authenticated."""
    with stores.open(other) as store:
        profile(store, ADA)
    with stores.open(path) as store:
        profile(store, ADA)
    ((slot, generation, sealed),) = look(other, "data.db", f"SELECT slot, generation, sealed FROM {table} LIMIT 1")
    arrival = ", arrival" if table == "block" else ""
    values = (slot, generation, sealed, 99) if arrival else (slot, generation, sealed)
    put = f"INSERT INTO {table} (slot, generation, sealed{arrival}) VALUES ({', '.join('?' * len(values))})"
    assert edit(path, "data.db", put, *values) == 1
    with stores.open(path) as store:
        with pytest.raises(cp.CorruptRecord):
            store.access(ADA)
        (finding,) = store.check().findings
        assert (finding.where, finding.repaired) == (table, False)


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("target", ROWS)
def test_a_row_does_not_open_in_another_table(stores: StoreFactory, path: Path, table: str, target: str) -> None:
    if table == target:
        return
    with stores.open(path) as store:
        profile(store, ADA)
        store.access(ADA)
    ((slot, generation, sealed),) = look(path, "data.db", f"SELECT slot, generation, sealed FROM {table} LIMIT 1")
    arrival = ", arrival" if target == "block" else ""
    values = (slot, generation, sealed, 99) if arrival else (slot, generation, sealed)
    put = f"INSERT INTO {target} (slot, generation, sealed{arrival}) VALUES ({', '.join('?' * len(values))})"
    assert edit(path, "data.db", put, *values) == 1
    with stores.open(path) as store:
        (finding,) = store.check().findings
        assert (finding.where, finding.what) == (target, "1 rows that do not authenticate")


def test_deleted_rows_are_not_found_and_rows_put_back_count_once(stores: StoreFactory, path: Path) -> None:
    """What the threat model says of them: no mark is left, and nothing is shown twice."""
    rows = look(path, "data.db", "SELECT slot, arrival, generation, sealed FROM block ORDER BY slot, arrival")
    assert edit(path, "data.db", "DELETE FROM block WHERE slot = ?", rows[0][0]) > 0
    with stores.open(path) as store:
        assert seen(store, ADA) == 0
        assert store.check().findings == ()
        assert any("deleted" in unknowable for unknowable in store.check().cannot_know)
    for slot, arrival, generation, sealed in rows:
        put = "INSERT OR IGNORE INTO block VALUES (?1, ?2, ?3, ?4), (?1, ?2 + 500, ?3, ?4)"
        edit(path, "data.db", put, slot, arrival, generation, sealed)
    with stores.open(path) as store:
        assert (seen(store, ADA), seen(store, BOB)) == (3, 1)
        assert store.check().findings == ()


# ---- the keyring ---------------------------------------------------------------------------------------

TERMS: Final = {
    "the notice": "UPDATE terms SET notice = '2024-01' WHERE purpose = 'support'",
    "the declaration": "UPDATE terms SET declaration = zeroblob(32) WHERE purpose = 'support'",
    "the declaration, for that of another purpose": "UPDATE terms SET declaration = "
    "(SELECT declaration FROM terms WHERE purpose = 'analytics') WHERE purpose = 'support'",
    "the policy": "UPDATE terms SET policy = zeroblob(32) WHERE purpose = 'support'",
}


@pytest.mark.parametrize("what", TERMS)
def test_what_was_consented_to_cannot_be_swapped(stores: StoreFactory, path: Path, what: str) -> None:
    """It is bound into the key: the compartment does not open under other terms."""
    assert edit(path, "keys.db", TERMS[what]) == 1
    with stores.open(path) as store:
        with pytest.raises(cp.CorruptRecord):
            profile(store, ADA)
        with pytest.raises(cp.CorruptRecord):
            store.record(login(ADA, 9))
        assert {finding.where.split()[0] for finding in store.check().findings} >= {"terms"}


def test_a_slot_of_another_store_does_not_open(stores: StoreFactory, path: Path, other: Path) -> None:
    theirs = {slot.number: slot for slot in stored_slots(other)}
    for mine in stored_slots(path):
        if mine.number in theirs:
            record = (
                theirs[mine.number]._replace(header=theirs[mine.number].header._replace(tag=mine.header.tag)).record
            )
            assert edit(path, "keys.db", "UPDATE slot SET record = ? WHERE number = ?", record, mine.number) == 1
    with stores.open(path) as store, pytest.raises(cp.CorruptRecord):
        profile(store, ADA)


@pytest.mark.parametrize("file", EVERY_FILE)
def test_a_file_of_another_store_is_refused_under_the_same_key(
    stores: StoreFactory, path: Path, other: Path, file: str
) -> None:
    before = {name: (path / name).read_bytes() for name in EVERY_FILE if name != file}
    shutil.copy(other / file, path / file)
    with pytest.raises(cp.CorruptRecord, match="different stores"):
        stores.open(path)
    assert {name: (path / name).read_bytes() for name in before} == before


def test_copies_of_keys_that_a_careless_program_has_left_open_until_the_keys_are_rotated(
    stores: StoreFactory, path: Path
) -> None:
    """Another program's connection, with ``secure_delete`` off, leaves copies of the rows of slots in free pages.

    They are of keys that live, so nothing tells the store of them when the keys die. A rotation ends what wraps them.
    """
    (dying,) = (slot for slot in stored_slots(path) if slot.key_held and slot.header.kind == SlotKind.ACCOUNT and
                slot.header.tag == tag_of(stores, path, ADA))  # fmt: skip
    careless = sqlite3.connect(path / "keys.db", isolation_level=None)
    careless.execute("PRAGMA secure_delete = OFF")
    for number in range(5):
        careless.execute(f"CREATE TABLE copy_{number} AS SELECT * FROM slot")
    for number in range(5):
        careless.execute(f"DROP TABLE copy_{number}")
    careless.close()
    with stores.open(path) as store:
        store.erase(ADA)
        assert remnants(path, frozenset({dying.wrapped})) == ["keys.db"]
        store._session.keys.unwrap(dying)
        store.rotate_keys(cp.KeyFile(stores.directory / "new-key"))
        with pytest.raises(cp.CorruptRecord):
            store._session.keys.unwrap(dying)


def tag_of(stores: StoreFactory, path: Path, account: str) -> bytes:
    """The tag of an account."""
    with stores.open(path) as store:
        return store._session.tag(account)


# ---- files cut short, linked, replaced ---------------------------------------------------------------------

CUTS: Final[dict[str, Callable[[int], int]]] = {
    "to nothing": lambda size: 0,
    "within the header": lambda size: 50,
    "to one page": lambda size: 4096,
    "by half": lambda size: size // 2,
    "within the last page": lambda size: size - 1000,
    "by the last page": lambda size: size - 4096,
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("file", EVERY_FILE)
def test_a_file_cut_short_is_an_error_or_found_unless_nothing_stood_there(
    stores: StoreFactory, path: Path, file: str, cut: str
) -> None:
    with stores.open(path) as store:
        before = shown(store)
    os.truncate(path / file, CUTS[cut]((path / file).stat().st_size))
    with suppress(cp.IntegrityFault, cp.StoreFault), stores.open(path) as store:
        assert store.check().findings or shown(store) == before


def shown(store: cp.Store) -> list[object]:
    """What a store shows of Ada and Bob."""
    return [
        (held.account, sorted(held.compartments), [len(one.events) for one in held.compartments.values()])
        for held in (store.access(account) for account in (ADA, BOB))
    ]


def test_a_wal_of_another_store_shows_nobody_anything_and_is_found(
    stores: StoreFactory, path: Path, other: Path
) -> None:
    """SQLite does not know whose log it replays: then the files are two stores', or damaged, and say so."""
    with stores.open(other) as store:
        store.record(login(ADA, 90))
        leftover = (other / "data.db-wal").read_bytes()
    (path / "data.db-wal").write_bytes(leftover)
    with suppress(cp.IntegrityFault, cp.StoreFault), stores.open(path) as store:
        assert store.check().findings
        assert seen(store, ADA) == 3


def test_a_log_of_the_data_cut_in_a_frame_loses_its_end_and_nothing_else(stores: StoreFactory, path: Path) -> None:
    """The leftover of a store that was not closed."""
    left = path.with_name("left")
    with stores.open(path) as store:
        store.record(login(ADA, 90))
        store.record(login(ADA, 91))
        shutil.copytree(path, left)
    wal = left / "data.db-wal"
    os.truncate(wal, wal.stat().st_size - 700)
    with stores.open(left) as store:
        assert seen(store, ADA) == 4
        sound(store)


@pytest.mark.parametrize("file", EVERY_FILE)
def test_a_link_in_the_place_of_a_file_is_refused(stores: StoreFactory, path: Path, file: str) -> None:
    """What is written, and what is overwritten when a key dies, stays in the store's own directory."""
    elsewhere = path.with_name("elsewhere")
    (path / file).rename(elsewhere)
    (path / file).symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    with pytest.raises(cp.StoreFault, match="link"):
        stores.open(path)
    assert elsewhere.read_bytes() == before
    (path / file).unlink()
    elsewhere.rename(path / file)
    with stores.open(path) as store:
        sound(store)


def test_a_linked_directory_is_a_store_like_any_other(stores: StoreFactory, path: Path) -> None:
    link = path.with_name("current")
    link.symlink_to(path)
    with stores.open(link) as store:
        assert seen(store, ADA) == 3


@pytest.mark.parametrize("file", EVERY_FILE)
def test_a_file_replaced_while_it_is_open_is_an_error_and_nothing_is_acknowledged(
    stores: StoreFactory, path: Path, file: str
) -> None:
    """What is recorded or withdrawn must not go into a file that nobody will ever open again."""
    copy = path.with_name("copy")
    with stores.open(path) as store:
        assert seen(store, ADA) == 3
        shutil.copy(path / file, copy)
        copy.replace(path / file)
        for attempt in attempts(store):
            with pytest.raises(cp.StoreFault, match="replaced"):
                attempt()
        with pytest.raises(cp.StoreFault, match="replaced"):
            store.close()
    with stores.open(path) as store:
        assert seen(store, ADA) == 3


def attempts(store: cp.Store) -> list[Callable[[], object]]:
    """What changes a store, or is logged."""
    return [
        lambda: store.record(login(ADA, 70)),
        lambda: store.record_many([login(ADA, 71)]),
        lambda: agree(store, "account-eve"),
        lambda: store.withdraw_consent(ADA, ["support"]),
        lambda: store.erase(ADA),
        lambda: profile(store, ADA),
    ]


def test_another_program_that_holds_a_file_is_waited_for_and_told(stores: StoreFactory, path: Path) -> None:
    """A foreign connection that writes: SQLite's busy is an error of ours, and nothing was changed."""
    for file, attempt in (("data.db", 0), ("keys.db", 3)):
        with stores.open(path, wait=0.05) as store:
            foreign = sqlite3.connect(path / file, isolation_level=None)
            foreign.execute("BEGIN IMMEDIATE")
            try:
                with pytest.raises(cp.StoreBusy):
                    attempts(store)[attempt]()
            finally:
                foreign.close()
            assert seen(store, ADA) == 3
            sound(store)


# ---- forks and clocks --------------------------------------------------------------------------------------


def test_a_fork_in_the_middle_of_a_batch_loses_nothing_and_doubles_nothing(stores: StoreFactory, path: Path) -> None:
    """The child is born while the parent reads its events: it records with the same store, and goes."""
    with stores.open(path) as store:

        def events() -> Iterator[cp.Event]:
            yield login(ADA, 20)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    store.record(login(BOB, 21))
                    store.close()
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            yield login(ADA, 22)

        store.record_many(events())
        assert (seen(store, ADA), seen(store, BOB)) == (5, 2)
        sound(store)


def test_a_clock_ten_years_ahead_destroys_nothing_and_says_why(stores: StoreFactory, path: Path) -> None:
    keys = {slot.wrapped for slot in stored_slots(path) if slot.key_held}
    later = SetClock(START + 3652 * DAY)
    with stores.open(path, later) as store:
        for run in (store.upkeep.run_retention, store.upkeep.expire_consents):
            with pytest.raises(cp.DestructionStopped, match="clock"):
                run()
    assert {slot.wrapped for slot in stored_slots(path) if slot.key_held} == keys
    with stores.open(path) as store:
        assert seen(store, ADA) == 3
        sound(store)


def test_once_such_a_clock_is_in_the_log_consents_are_over_but_nothing_is_destroyed(
    stores: StoreFactory, path: Path
) -> None:
    """The log's time does not run backwards: what the threat model says of a clock that runs ahead."""
    keys = {slot.wrapped for slot in stored_slots(path) if slot.key_held}
    with stores.open(path, SetClock(START + 3652 * DAY)) as store:
        assert profile(store, ADA) is None
    with stores.open(path) as store:
        assert profile(store, ADA) is None
        assert len(store.access(ADA).compartments["support"].events) == 3
        with pytest.raises(cp.DestructionStopped):
            store.upkeep.expire_consents()
        assert "consent-expired" not in operations(store)
    assert {slot.wrapped for slot in stored_slots(path) if slot.key_held} == keys
