"""How the files come into being and, later, from one format to the next. Each migration and its record share a
transaction (sqlite-utils); a file of a newer format is refused when it is opened
(:func:`consentprofile.store.connection.require_format`).
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from consentprofile.store.connection import APPLICATION_ID, PRAGMAS
from consentprofile.store.names import DATA, KEYS

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations


STEPS: Final = {1: ".sql"}
"""What makes each format out of the one before it, and the first out of nothing: scripts ``keys`` and ``data`` with
this ending. Format 1 is frozen. A step is never changed once its format is; the next one is added below, together with
:data:`consentprofile.store.connection.FORMAT`. New files go through all of them."""


def statements(name: str) -> list[str]:
    """The statements of a ``.sql`` file of this package, in order."""
    from importlib import resources

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
    for number, suffix in STEPS.items():
        script = name.replace(".db", suffix)
        migrations(name=f"format {number}")(lambda db, number=number, script=script: _step(db, number, script))
    return migrations


def _step(db: Database, number: int, script: str) -> None:
    for statement in statements(script):
        db.conn.execute(statement)
    db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.conn.execute(f"PRAGMA user_version = {number + 1}")


def create_files(directory: Path) -> None:
    """Make both files in ``directory``."""
    for name in (KEYS, DATA):
        create_file(directory / name)
