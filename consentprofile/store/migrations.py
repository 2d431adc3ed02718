"""How the files come into being and, later, from one format to the next. Each migration and its record share a
transaction (sqlite-utils); a file of a newer format is refused by :func:`consentprofile.store.files.require_format`.
"""

from __future__ import annotations

import os
import sqlite3
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from consentprofile.store.files import APPLICATION_ID, DATA, FORMAT, KEYS, PRAGMAS

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations


def statements(name: str) -> list[str]:
    """The statements of a ``.sql`` file of this package, in order."""
    text = resources.files("consentprofile.store").joinpath("sql", name).read_text(encoding="utf-8")
    found: list[str] = []
    rest = ""
    for line in text.splitlines(keepends=True):
        rest += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(rest):
            found.append(rest.strip())
            rest = ""
    return found


def create_file(path: Path) -> None:
    """Make one of the two files, empty, readable by its owner alone."""
    from sqlite_utils import Database

    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma, value in PRAGMAS[path.name]:
            connection.execute(f"PRAGMA {pragma} = {value}").fetchall()
        _migrations(path.name).apply(Database(connection))
    finally:
        connection.close()


def _migrations(name: str) -> Migrations:
    from sqlite_utils import Migrations

    migrations = Migrations(f"consentprofile {name}")

    @migrations(name="format 0")
    def create(db: Database) -> None:
        for statement in statements(name.replace(".db", ".sql")):
            db.conn.execute(statement)
        db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.conn.execute(f"PRAGMA user_version = {FORMAT + 1}")

    return migrations


def create_files(directory: Path) -> None:
    """Make both files in ``directory``."""
    for name in (KEYS, DATA):
        create_file(directory / name)
