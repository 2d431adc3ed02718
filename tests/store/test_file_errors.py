"""When files fail, close or are inherited: a typed error each time, and nothing was changed by the call."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from consentprofile.errors import CorruptRecord, StoreBusy, StoreClosed, StoreFault
from consentprofile.store.files import DATA, KEYS, Files


def count(files: Files, number: int) -> None:
    """Add one row to data.db."""
    with files.writing(), files.data_transaction(full=True) as data:
        data.execute("INSERT INTO block (slot, arrival, generation, sealed) VALUES (?, 0, 0, x'00')", (number,))


def look(files: Files) -> int:
    """Read something of either file."""
    with files.reading():
        (keys,) = files.keys.execute("SELECT count(record) FROM slot").fetchone()
        (data,) = files.data.execute("SELECT count(sealed) FROM block").fetchone()
    return int(keys + data)


def counted(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / DATA)) as data:
        return [slot for (slot,) in data.execute("SELECT slot FROM block ORDER BY slot")]


MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
WRITES = {
    KEYS: MANY + "INSERT INTO slot SELECT i, zeroblob(173) FROM n",
    DATA: MANY + "INSERT INTO block (slot, arrival, generation, sealed) SELECT i, 0, 0, zeroblob(173) FROM n",
}


def write(files: Files, name: str) -> None:
    """Write many pages."""
    with files.writing():
        transaction = files.keyring_transaction() if name == KEYS else files.data_transaction(full=True)
        with transaction as connection:
            connection.execute(WRITES[name])


# ---- a child of a process that closed it -----------------------------------------------------------


def in_child(act: Callable[[], None]) -> int:
    """Do it in a forked child: 0 where it returned, 1 where it raised."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_goes_on_where_the_parent_has_closed_since(files: Files) -> None:
    begun, go_on = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.read(begun, 1)  # the parent has closed
            count(files, 7)
            files.close()
            code = 0
        finally:
            os._exit(code)
    files.close()
    os.write(go_on, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(begun)
    os.close(go_on)
    assert counted(files.path) == [7]


def test_a_child_of_a_closed_store_finds_it_closed(files: Files) -> None:
    def use() -> None:
        for entering in (files.writing, files.reading):
            with pytest.raises(StoreClosed), entering():
                raise RuntimeError("never reached")
        files.close()

    files.close()
    assert in_child(use) == 0


def test_a_child_that_closes_what_it_inherited_takes_nothing_from_the_parent(files: Files) -> None:
    count(files, 7)
    assert in_child(files.close) == 0
    count(files, 8)
    assert (files.path / "data.db-wal").stat().st_size > 0
    files.close()
    assert counted(files.path) == [7, 8]


# ---- closing while others call ---------------------------------------------------------------------


def test_calls_that_race_with_closing_are_done_or_told_that_it_is_closed(folder: Path) -> None:
    for _ in range(20):
        files = Files(folder, wait=1.0, durability="relaxed")
        start = threading.Barrier(5)
        ended: list[type[BaseException]] = []

        def calls(act: Callable[[Files], object], opened: Files = files) -> None:
            start.wait()  # noqa: B023 - every thread ends within its round
            try:
                while True:
                    act(opened)
            except BaseException as error:  # noqa: BLE001 - an error of another kind is what is looked for
                ended.append(type(error))  # noqa: B023 - as above

        acts = (lambda opened: count(opened, 1), look, look, lambda opened: count(opened, 1))
        threads = [threading.Thread(target=calls, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        start.wait()
        files.close()
        for thread in threads:
            thread.join(20)
        assert ended == [StoreClosed] * 4
        assert not (folder / "data.db-wal").exists()


# ---- what SQLite says of its files -------------------------------------------------------------------


@pytest.mark.parametrize("name", [KEYS, DATA])
def test_a_full_disk_is_a_store_fault_and_nothing_was_changed(files: Files, name: str) -> None:
    connection = files.keys if name == KEYS else files.data
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(StoreFault) as caught:
        write(files, name)
    assert not isinstance(caught.value, StoreBusy | StoreClosed)
    assert look(files) == 0
    assert not connection.in_transaction
    connection.execute("PRAGMA max_page_count = 1073741823")
    write(files, name)
    assert look(files) == 2000


@pytest.mark.parametrize("name", [KEYS, DATA])
def test_a_database_that_another_program_writes_is_a_typed_error_and_nothing_was_changed(
    files: Files, name: str
) -> None:
    with closing(sqlite3.connect(files.path / name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFault):
            write(files, name)
        assert look(files) == 0
        other.execute("ROLLBACK")
    write(files, name)
    assert look(files) == 2000


def test_a_database_that_another_program_holds_alone_is_busy(files: Files) -> None:
    """So it can be with the keyring only: readers of data.db never wait for its writers."""
    with closing(sqlite3.connect(files.path / KEYS, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy):
            look(files)
        with pytest.raises(StoreBusy), files.writing():
            files.keys.execute("SELECT count(record) FROM slot").fetchone()
    assert look(files) == 0


@pytest.mark.parametrize("name", [KEYS, DATA])
def test_a_damaged_page_is_a_corrupt_record_and_nothing_was_changed(files: Files, name: str) -> None:
    folder = files.path
    write(files, name)
    (size,) = files.keys.execute("PRAGMA page_size").fetchone()
    files.close()
    table = "slot" if name == KEYS else "block"
    with closing(sqlite3.connect(folder / name)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = connection.execute(query, (table,)).fetchone()
        others = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    with open(folder / name, "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\x55" * size)
    before = (folder / name).read_bytes()
    files = Files(folder, wait=0.2, durability="full")
    with pytest.raises(CorruptRecord, match="damaged"):
        look(files)
    with pytest.raises(CorruptRecord, match="damaged"):
        write(files, name)
    with files.reading():
        connection = files.keys if name == KEYS else files.data
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == others
        assert not connection.in_transaction
    files.close()
    assert (folder / name).read_bytes() == before


def test_what_sqlite_says_is_told_without_its_statement_or_values(files: Files) -> None:
    """An error of SQLite that is none of ours becomes one that names its code, and nothing else of it."""
    with pytest.raises(StoreFault) as caught, files.reading():
        files.data.execute("SELECT secret FROM hidden WHERE canary = 'canary'")
    assert "SQLITE_ERROR" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("secret", "hidden", "canary"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
