"""The peer that a Python team would otherwise write, and the list of all of them.

A Fernet token for each row in SQLite through SQLAlchemy: Core, not its object mapper, rows in batches, account and time
in the clear for the index.
"""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from cryptography.fernet import Fernet

from benchmarks import peers
from benchmarks.peers import ConsentedRows, Peer, cipher, plain
from benchmarks.workload import Row


class FernetRows(Peer):
    """A Fernet token for each row; account and time stay in the clear, for the index."""

    columns = False

    def __init__(self, name: str, path: Path, alchemy: ModuleType) -> None:
        self._fernet = Fernet(Fernet.generate_key())
        self._alchemy = alchemy
        column, text, number = alchemy.Column, alchemy.Text, alchemy.Integer
        self._tables = alchemy.MetaData()
        self._event = alchemy.Table(
            "event",
            self._tables,
            column("account", text, nullable=False),
            column("at", number, nullable=False),
            column("token", alchemy.LargeBinary, nullable=False),
            alchemy.Index("event_account", "account", "at"),
        )
        self._audit = alchemy.Table(
            "audit",
            self._tables,
            column("id", number, primary_key=True),
            column("at", number),
            column("actor", text),
            column("reason", text),
        )
        account = self._event.c.account
        self._insert = self._event.insert()
        self._select = (
            alchemy.select(self._event).where(account == alchemy.bindparam("name")).order_by(self._event.c.at)
        )
        self._delete = self._event.delete().where(account == alchemy.bindparam("name"))
        super().__init__(name, path, plain, index=True)

    def open(self) -> None:
        """Open the file, as a new one if it is not there."""
        self._engine = self._alchemy.create_engine(f"sqlite:///{os.fspath(self.path.absolute())}")

        def tune(connection: sqlite3.Connection, _: object) -> None:
            for pragma in peers.pragmas(tuned=True):
                connection.execute(f"PRAGMA {pragma}").fetchall()

        self._alchemy.event.listen(self._engine, "connect", tune)
        self._tables.create_all(self._engine)
        self._connection = self._engine.connect()

    def synchronous(self, level: str) -> None:
        """How durable a commit is from now on: FULL or NORMAL."""
        self._connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        self._connection.commit()

    def _token(self, row: Row) -> dict[str, object]:
        token = self._fernet.encrypt(json.dumps((row.kind, *row[3:])).encode())
        return {"account": row.account, "at": row.at, "token": token}

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows in one transaction."""
        with self._connection.begin():
            self._connection.execute(self._insert, [self._token(row) for row in rows])

    def add_one(self, row: Row) -> None:
        """Add one row in a transaction of its own."""
        with self._connection.begin():
            self._connection.execute(self._insert, self._token(row))

    def read(self, account: str) -> Sequence[Sequence[object]]:
        """The rows of an account in the order of time."""
        decrypt = self._fernet.decrypt
        with self._connection.begin():
            rows = self._connection.execute(self._select, {"name": account})
            return [(name, at, *json.loads(decrypt(token))) for name, at, token in rows]

    def read_with_entry(self, account: str) -> Sequence[Sequence[object]]:
        """The same, a row that says who asked committed first."""
        with self._connection.begin():
            entry = {"at": 0, "actor": "support-agent:1", "reason": "ticket"}
            self._connection.execute(self._audit.insert(), entry)
        return self.read(account)

    def erase(self, account: str) -> None:
        """Delete the rows of an account."""
        with self._connection.begin():
            self._connection.execute(self._delete, {"name": account})

    def close(self) -> None:
        """Close the file, its WAL written back."""
        self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.close()
        self._engine.dispose()


def _alchemy() -> ModuleType | None:
    try:
        return importlib.import_module("sqlalchemy")
    except ImportError:
        return None


_FILES: Final = {
    peers.PLAIN: "plain.db",
    peers.INDEX: "index.db",
    peers.COMMON: "common.db",
    peers.TUNED: "tuned.db",
    peers.SAME_WORK: "same.db",
    peers.FERNET: "fernet.db",
}


def make(folder: Path, names: Iterable[str] = peers.EVERY) -> list[Peer]:
    """These peers, each with a new file in ``folder``, but for those whose library is not installed here."""
    sqlcipher, alchemy = cipher(), _alchemy()
    made: list[Peer] = []
    for name in names:
        path = folder / _FILES[name]
        if name in (peers.PLAIN, peers.INDEX):
            made.append(Peer(name, path, plain, index=name == peers.INDEX))
        elif name == peers.FERNET:
            if alchemy is not None:
                made.append(FernetRows(name, path, alchemy))
        elif sqlcipher is not None:
            kind = ConsentedRows if name == peers.SAME_WORK else Peer
            made.append(kind(name, path, sqlcipher, index=True, tuned=name == peers.TUNED))
    return made
