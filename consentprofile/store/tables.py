"""The small tables of ``data.db``: which store it is, accepted policies, releases."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from consentprofile import canonical
from consentprofile.errors import CorruptRecord


class DataFile:
    """Which store ``data.db`` belongs to, and the policies that blocks name by number."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def establish(self, store: bytes) -> None:
        """Write the store id of a new store."""
        self._db.execute("INSERT INTO store (id, store) VALUES (1, ?)", (store,))

    def identity(self) -> bytes:
        """The store id, 16 bytes."""
        row = self._db.execute("SELECT store FROM store").fetchone()
        if row is None:
            raise CorruptRecord("data.db does not say which store it belongs to; restore it from a backup")
        return bytes(row[0])

    def add_policy(self, number: int, text: bytes) -> None:
        """Keep an accepted policy: its canonical JSON, under its number, unless a restore has brought it already.

        Whether it is the one that was accepted, is found by its digest whenever the store is opened.
        """
        query = "INSERT INTO policy (number, digest, text) VALUES (?, ?, ?) ON CONFLICT (number) DO NOTHING"
        self._db.execute(query, (number, canonical.digest(text), text))

    def policies(self) -> dict[int, tuple[bytes, bytes]]:
        """The (digest, canonical JSON) of every accepted policy, by number; the highest is the one in force."""
        query = "SELECT number, digest, text FROM policy ORDER BY number"
        return {number: (digest, text) for number, digest, text in self._db.execute(query)}


class StoredRelease(NamedTuple):
    """A release as it lies in the store. ``ledger`` is sealed."""

    number: int
    digest: bytes
    ledger: bytes


class Releases:
    """Releases, once for each canonical specification and period."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def next_number(self) -> int:
        """The number of the next release."""
        return int(self._db.execute("SELECT ifnull(max(number), 0) + 1 FROM release").fetchone()[0])

    def has(self, digest: bytes) -> bool:
        """Whether the canonical specification with this digest was answered."""
        return self._db.execute("SELECT 1 FROM release WHERE digest = ?", (digest,)).fetchone() is not None

    def add(self, release: StoredRelease) -> None:
        """Keep a release."""
        self._db.execute("INSERT INTO release (number, digest, ledger) VALUES (?, ?, ?)", release)

    def settle(self, number: int, digest: bytes, ledger: bytes) -> None:
        """Let what was paid for under this number be the release that was drawn for it.

        Raises :class:`CorruptRecord` where there is no such number.
        """
        query = "UPDATE release SET digest = ?, ledger = ? WHERE number = ?"
        if self._db.execute(query, (digest, ledger, number)).rowcount != 1:
            raise CorruptRecord("the ledger has lost what was paid for; run `consentprofile check`")

    def overwrite(self, number: int, ledger: bytes) -> None:
        """Write the sealed entry of the ledger of a release anew."""
        self._db.execute("UPDATE release SET ledger = ? WHERE number = ?", (ledger, number))

    def since(self, number: int) -> StoredRelease | None:
        """The first release from this number on."""
        query = "SELECT number, digest, ledger FROM release WHERE number >= ? ORDER BY number LIMIT 1"
        row = self._db.execute(query, (number,)).fetchone()
        return None if row is None else StoredRelease._make(row)
