"""The store that is measured: made with the benchmark's policy, its accounts' consents given, and opened again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec

from benchmarks import workload
from consentprofile import KeyFile, Store
from consentprofile.model.policy_file import read_policy
from consentprofile.store.ports import Durability


class Place(msgspec.Struct, frozen=True):
    """Where a store is and what its clock says, as another process is told."""

    path: str
    key: str
    now: datetime


class Ours:
    """One store in ``folder`` whose clock stands still at ``now``. Recording is relaxed unless opened otherwise."""

    def __init__(self, folder: Path, name: str, now: datetime, *, key: Path | None = None) -> None:
        self.path = folder / name
        self._key = folder / f"{name}.key" if key is None else key
        self._folder = folder
        self._now = now

    @classmethod
    def at(cls, place: Place) -> Self:
        """The store that another process has made."""
        path = Path(place.path)
        return cls(path.parent, path.name, place.now, key=Path(place.key))

    @property
    def place(self) -> Place:
        """What another process is told."""
        return Place(os.fspath(self.path.absolute()), os.fspath(self._key.absolute()), self._now)

    def create(
        self, consented: datetime, accounts: Iterable[str], *, purposes: int = 1, declared: str | None = None
    ) -> int:
        """Make the store, with the consents of ``accounts`` given at ``consented``; the nanoseconds that took.

        Its policy is the usual one, or what is ``declared``.
        """
        policy = read_policy(workload.policy(purposes) if declared is None else declared, "policy.toml")
        with Store.create(self.path, policy=policy, key=KeyFile(self._key), clock=lambda: consented) as store:
            start = time.perf_counter_ns()
            store.give_consents(workload.consent_of(account, purposes) for account in accounts)
            return time.perf_counter_ns() - start

    def copy(self, name: str) -> Ours:
        """The closed store once more, under another name, and on the disk: nothing is left to write back."""
        copied = Ours(self._folder, name, self._now, key=self._key)
        shutil.copytree(self.path, copied.path)
        os.sync()
        return copied

    def remove(self) -> None:
        """Remove the closed store."""
        shutil.rmtree(self.path)

    def open(self, durability: Durability = "relaxed", *, now: datetime | None = None, gather: float = 0.0) -> Store:
        """Open it, with another moment as its clock's where one is given. Nobody gives up on a lock for a minute."""
        moment = self._now if now is None else now
        key = KeyFile(self._key)
        return Store.open(self.path, key=key, clock=lambda: moment, durability=durability, wait=60.0, gather=gather)

    def sizes(self) -> tuple[int, int]:
        """The bytes of ``data.db`` and ``keys.db`` of the closed store."""
        return (self.path / "data.db").stat().st_size, (self.path / "keys.db").stat().st_size

    def free(self) -> int:
        """The bytes of ``data.db`` in pages that hold nothing, to be used again. The store is closed."""
        connection = sqlite3.connect(self.path / "data.db")
        try:
            (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        finally:
            connection.close()
        return int(pages * size)
