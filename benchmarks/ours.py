"""The store that is measured: made with the benchmark's policy, its accounts' consents given, and opened again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from benchmarks import workload
from consentprofile import KeyFile, Store
from consentprofile.model.policy_file import read_policy
from consentprofile.store.ports import Durability


class Ours:
    """One store in ``folder`` whose clock stands still at ``now``. Recording is relaxed unless opened otherwise."""

    def __init__(self, folder: Path, name: str, now: datetime) -> None:
        self.path = folder / name
        self._key = KeyFile(folder / f"{name}.key")
        self._folder = folder
        self._now = now

    def create(self, consented: datetime, accounts: Iterable[str]) -> int:
        """Make the store, with the consents of ``accounts`` given at ``consented``; the nanoseconds that took."""
        policy = read_policy(workload.POLICY, "policy.toml")
        with Store.create(self.path, policy=policy, key=self._key, clock=lambda: consented) as store:
            start = time.perf_counter_ns()
            store.give_consents(map(workload.consent_of, accounts))
            return time.perf_counter_ns() - start

    def copy(self, name: str) -> Ours:
        """The closed store once more, under another name."""
        copied = Ours(self._folder, name, self._now)
        shutil.copytree(self.path, copied.path)
        copied._key = self._key
        return copied

    def remove(self) -> None:
        """Remove the closed store."""
        shutil.rmtree(self.path)

    def open(self, durability: Durability = "relaxed") -> Store:
        """Open it."""
        return Store.open(self.path, key=self._key, clock=lambda: self._now, durability=durability)

    def sizes(self) -> tuple[int, int]:
        """The bytes of ``data.db`` and ``keys.db`` of the closed store."""
        return (self.path / "data.db").stat().st_size, (self.path / "keys.db").stat().st_size
