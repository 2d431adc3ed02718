"""The files come into being as their .sql says, private, once, and with a record of it."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from consentprofile.store import migrations
from consentprofile.store.connection import FORMAT
from consentprofile.store.files import DATA, KEYS

TABLES = {
    KEYS: (
        "keyring epoch epoch_key purpose accepted_policy anchor terms slot free_slot directory suppression pending"
    ).split(),
    DATA: (
        "store policy block run pack evidence account trail actor_book leaf tree node checkpoint operation release"
    ).split(),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_statement_of_the_sql_file_is_run(tmp_path: Path, name: str) -> None:
    migrations.create_file(tmp_path / name)
    connection = sqlite3.connect(tmp_path / name)
    made = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    tables = {table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    strict = {row[1] for row in connection.execute("PRAGMA table_list") if row[5] and row[1] != "_sqlite_migrations"}
    recorded = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id").fetchall()
    version = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    written = [
        "\n".join(line for line in statement.splitlines() if not line.startswith("--")).strip().rstrip(";")
        for statement in migrations.statements(name.replace(".db", ".sql"))
    ]
    assert {statement for statement in written if statement not in made} == set()
    assert tables == {*TABLES[name], "_sqlite_migrations"}
    assert strict == set(TABLES[name])
    assert recorded == [(f"format {number}",) for number in migrations.STEPS] == [("format 1",)]
    assert version == (FORMAT + 1,) == (2,)


def test_the_last_step_makes_the_format_of_this_version() -> None:
    assert list(migrations.STEPS) == list(range(1, FORMAT + 1))


@pytest.mark.parametrize("name", TABLES)
def test_statements_are_whole_and_in_order(name: str) -> None:
    statements = migrations.statements(name.replace(".db", ".sql"))
    assert all(sqlite3.complete_statement(statement) for statement in statements)
    assert sum("CREATE TABLE" in statement for statement in statements) == len(TABLES[name])


@pytest.mark.parametrize("name", TABLES)
def test_a_file_is_made_for_its_owner_alone_and_never_over_another(tmp_path: Path, name: str) -> None:
    before = os.umask(0)
    try:
        migrations.create_file(tmp_path / name)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    content = (tmp_path / name).read_bytes()
    with pytest.raises(FileExistsError):
        migrations.create_file(tmp_path / name)
    assert (tmp_path / name).read_bytes() == content
