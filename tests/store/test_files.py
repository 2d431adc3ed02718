"""The two files: pragmas are set and read back, formats are judged, transactions need the lock, a fork opens anew."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consentprofile.errors import (
    CorruptRecord,
    NewerFormat,
    OlderFormat,
    StoreClosed,
    StoreFault,
    StoreNotFound,
    UnsupportedEnvironment,
)
from consentprofile.store.connection import PRAGMAS, connect, require_format
from consentprofile.store.files import DATA, KEYS, Files

WANTED = {
    KEYS: {
        "journal_mode": "delete",
        "synchronous": 3,
        "secure_delete": 1,
        "foreign_keys": 1,
        "temp_store": 2,
        "trusted_schema": 0,
        "cell_size_check": 1,
    },
    DATA: {
        "auto_vacuum": 2,
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 0,
        "wal_autocheckpoint": 0,
        "journal_size_limit": 2 * 1024 * 1024,
        "temp_store": 2,
        "trusted_schema": 0,
        "cell_size_check": 1,
    },
}


@pytest.mark.parametrize("name", [KEYS, DATA])
def test_every_pragma_is_set_and_can_be_read_back_from_the_connection(folder: Path, name: str) -> None:
    connection = connect(folder / name)
    actual = {pragma: connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in WANTED[name]}
    connection.close()
    assert actual == WANTED[name]
    assert dict(PRAGMAS[name]) == WANTED[name]


@pytest.mark.parametrize("name", [KEYS, DATA])
@pytest.mark.parametrize("pragma", ["synchronous", "secure_delete"])
def test_a_connection_that_does_not_take_a_pragma_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, pragma: str
) -> None:
    monkeypatch.setitem(PRAGMAS, name, ((pragma, 9),))  # SQLite takes 9 for something else
    with pytest.raises(UnsupportedEnvironment, match=f"{pragma} = 9"):
        connect(folder / name)


@pytest.mark.parametrize("name", [KEYS, DATA])
def test_new_files_say_whose_they_are_and_of_which_format(folder: Path, name: str) -> None:
    connection = sqlite3.connect(folder / name)
    assert connection.execute("PRAGMA application_id").fetchone() == (0x434F4E53,)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


JUDGED = {
    "a format to come": ("user_version", 3, NewerFormat),
    "a far format": ("user_version", 2**31 - 1, NewerFormat),
    "the format that ended": ("user_version", 1, OlderFormat),
    "no format": ("user_version", 0, StoreFault),
    "a negative format": ("user_version", -1, StoreFault),
    "nobody's file": ("application_id", 0, StoreFault),
    "somebody else's file": ("application_id", 0x434F4E54, StoreFault),
}


@pytest.mark.parametrize("name", [KEYS, DATA])
@pytest.mark.parametrize(("pragma", "value", "error"), JUDGED.values(), ids=JUDGED)
def test_a_file_that_is_not_of_this_format_is_refused(
    folder: Path, name: str, pragma: str, value: int, error: type[StoreFault]
) -> None:
    connection = sqlite3.connect(folder / name)
    connection.execute(f"PRAGMA {pragma} = {value}")
    with pytest.raises(error) as caught:
        require_format(connection, name)
    assert type(caught.value) is error
    connection.close()
    with pytest.raises(error):
        Files(folder, wait=0.2, durability="full")


@pytest.mark.parametrize("name", [KEYS, DATA])
def test_a_missing_file_is_a_store_that_is_not_there(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(StoreNotFound, match=name):
        Files(folder, wait=0.2, durability="full")
    assert not (folder / name).exists()


@pytest.mark.parametrize("name", [KEYS, DATA])
@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be read" * 100, b"SQLite format 3\x00" + bytes(500)]
)
def test_a_file_that_is_no_database_is_damage(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(CorruptRecord, match=name):
        Files(folder, wait=0.2, durability="full")


def test_a_text_that_is_not_utf_8_is_damage_and_no_decoding_error(files: Files) -> None:
    with files.writing():
        files.keys.execute("INSERT INTO purpose VALUES (1, CAST(x'ff' AS TEXT))")
    with pytest.raises(CorruptRecord):
        files.keys.execute("SELECT name FROM purpose").fetchall()


def test_a_transaction_without_the_writer_lock_is_a_programming_error(files: Files) -> None:
    for transaction in (files.keyring_transaction(), files.data_transaction(full=True)):
        with pytest.raises(AssertionError, match="writer lock"), transaction:
            raise RuntimeError("never reached")


def test_a_keyring_transaction_counts_and_a_failed_one_changes_nothing(files: Files) -> None:
    def changes() -> int:
        return int(files.keys.execute("SELECT changes FROM keyring").fetchone()[0])

    def fail() -> None:
        with files.keyring_transaction() as keys:
            keys.execute("INSERT INTO purpose VALUES (1, 'support')")
            raise KeyError

    with files.writing():
        with files.keyring_transaction():
            pass
        assert changes() == 1
        with pytest.raises(KeyError):
            fail()
    assert changes() == 1
    assert files.keys.execute("SELECT count(*) FROM purpose").fetchone() == (0,)


DURABILITY = {"recording": (False, 1), "consent and erasure": (True, 2)}


@pytest.mark.parametrize(("full", "synchronous"), DURABILITY.values(), ids=DURABILITY)
def test_relaxed_recording_is_normal_and_everything_else_is_full(files: Files, full: bool, synchronous: int) -> None:
    with files.writing():
        for before in (True, False):
            with files.data_transaction(full=before):
                pass
            with files.data_transaction(full=full) as data:
                assert data.execute("PRAGMA synchronous").fetchone() == (synchronous,)


def test_a_full_store_never_records_less_than_full(folder: Path) -> None:
    files = Files(folder, wait=0.2, durability="full")
    with files.writing(), files.data_transaction(full=False) as data:
        assert data.execute("PRAGMA synchronous").fetchone() == (2,)
    files.close()


def commit(files: Files, slot: int, size: int) -> None:
    """Commit a block of ``size`` bytes."""
    with files.writing(), files.data_transaction(full=True) as data:
        data.execute(
            "INSERT INTO block (slot, arrival, generation, sealed) VALUES (?, 0, 0, zeroblob(?))", (slot, size)
        )


def test_the_writer_lock_is_had_at_once_only_where_nobody_has_it_or_waits_for_it(files: Files, folder: Path) -> None:
    other = Files(folder, wait=0.2, durability="full")

    def had_at_once() -> bool:
        with files.writing_at_once() as held:
            assert not held or files._writers == 1
        return held

    assert had_at_once()
    with other.writing():
        assert not had_at_once()
    waiting = other._writer._turn
    assert waiting is not None
    with waiting.held():
        assert not had_at_once()
    with files.mutex, ThreadPoolExecutor(1) as pool:
        assert not pool.submit(had_at_once).result(20)
    assert had_at_once()
    with other.writing():  # nothing was kept of it
        commit(other, 1, 10)
    other.close()
    files.close()
    with pytest.raises(StoreClosed):
        had_at_once()


def test_a_writer_lock_that_was_had_at_once_is_given_back_by_every_error(files: Files, folder: Path) -> None:
    other = Files(folder, wait=0.2, durability="full")

    def fail() -> None:
        with files.writing_at_once(), files.data_transaction(full=False) as data:
            data.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreFault):
        fail()
    commit(other, 1, 10)
    (folder / DATA).rename(folder / "elsewhere.db")
    with pytest.raises(StoreFault, match="moved"):
        fail()
    (folder / "elsewhere.db").rename(folder / DATA)
    commit(other, 2, 10)
    other.close()


def test_closing_leaves_no_wal_and_every_later_call_says_that_it_is_closed(files: Files) -> None:
    with files.writing(), files.data_transaction(full=True) as data:
        data.execute("INSERT INTO operation VALUES (zeroblob(16))")
    assert (files.path / "data.db-wal").stat().st_size > 0
    files.close()
    files.close()
    assert not (files.path / "data.db-wal").exists()
    for entering in (files.writing, files.reading):
        with pytest.raises(StoreClosed), entering():
            raise RuntimeError("never reached")


def test_a_fork_opens_its_own_connections_and_leaves_those_of_the_parent_alone(files: Files) -> None:
    inherited = files.data
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with files.writing(), files.data_transaction(full=True) as data:
                data.execute("INSERT INTO operation VALUES (zeroblob(16))")
                code = 0 if data is not inherited else 2
            files.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with files.writing():
        assert files.data is inherited
        assert files.data.execute("SELECT id FROM operation").fetchall() == [(bytes(16),)]
