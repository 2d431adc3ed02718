"""Stores for tests: a clock that stands where it is put, and copies of one store made once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import consentprofile as cp
from consentprofile.crypto.providers import Parameters
from consentprofile.store.files import Durability
from tests.support.memory import in_memory
from tests.support.policies import small_policy

START: Final = int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp())
"""Where the clock of every test store stands at first."""

DAY: Final = 86_400


class SetClock:
    """A clock that stands still until it is set. ``second`` is in seconds since 1970, UTC."""

    def __init__(self, second: int = START) -> None:
        self.second = second

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.second, UTC)


def moment(second: int) -> datetime:
    """The aware UTC datetime of a second."""
    return datetime.fromtimestamp(second, UTC)


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory of its own, in memory where the machine has such a place, gone afterwards."""
    with tempfile.TemporaryDirectory(dir=in_memory(), prefix="consentprofile-test-") as name:
        yield Path(name)


class ReadyKey(cp.KeyFile):
    """A key file that is there already: nothing is written where an epoch begins with it."""

    def enroll(self) -> tuple[bytes, Parameters]:
        """The secret of the file."""
        parameters = Parameters(self.provider)
        return self.recall(parameters), parameters


class StoreFactory:
    """Hands out stores below one directory; each is a copy of a store that was made once, under the same key."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key_file = directory / "key"
        self.new_key_file = directory / "new.key"
        """Where the key lies that stores are rotated to, if they are."""
        self._template = directory / "template"
        self._made = 0

    @property
    def key(self) -> cp.KeyFile:
        """The key of every store."""
        return cp.KeyFile(self.key_file)

    def new(self) -> Path:
        """A new store, closed and empty but for its two first leaves."""
        if not self._template.exists():
            cp.Store.create(self._template, policy=small_policy(), key=self.key, clock=SetClock()).close()
        self._made += 1
        path = self.directory / f"store-{self._made}"
        shutil.copytree(self._template, path)
        return path

    def open(
        self,
        path: Path,
        clock: SetClock | None = None,
        *,
        durability: Durability = "relaxed",
        wait: float = 5.0,
        key: Path | None = None,
    ) -> cp.Store:
        """Open a store of this factory, with its key file or with the one that its keys were rotated to.

        Where that is not said and there is a new key for all of them, a rotation is carried to its end, re-tagging too.
        """
        clock = clock or SetClock()
        file = self.key if key is None else cp.KeyFile(key)
        try:
            return cp.Store.open(path, key=file, clock=clock, durability=durability, wait=wait)
        except (cp.KeysRotated, cp.WrongKey):
            if key is not None or not self.new_key_file.exists():
                raise
        new = cp.KeyFile(self.new_key_file)
        try:
            store = cp.Store.open(path, key=new, clock=clock, durability=durability, wait=wait)
        except cp.KeysRotated:
            cp.Store.retag(path, key=new, clock=clock, wait=wait)
            store = cp.Store.open(path, key=new, clock=clock, durability=durability, wait=wait)
        store.resume_rotation()
        return store
