"""An open store's ground: its files, and the tables in them, as one thing that use cases are given."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from consentprofile.crypto.randomness import random_bytes
from consentprofile.errors import CorruptRecord, KeysRotated, PolicyChanged, StoreExists, StoreFault
from consentprofile.store import migrations
from consentprofile.store.blocks import Blocks
from consentprofile.store.compartments import Compartments
from consentprofile.store.connection import keep_pages
from consentprofile.store.copying import copy_rows, reading_connection
from consentprofile.store.epochs import Epochs
from consentprofile.store.faults import typed
from consentprofile.store.files import DATA, KEYS, Durability, Files
from consentprofile.store.heads import Heads, Nodes
from consentprofile.store.journal import Journal
from consentprofile.store.keyring import Keyring
from consentprofile.store.log import Log
from consentprofile.store.pending import PendingWork
from consentprofile.store.resumption import Resumption
from consentprofile.store.rows import BLOCK, TABLES, Rows, RowTable
from consentprofile.store.standing import Standing, Standings
from consentprofile.store.syncing import sync
from consentprofile.store.tables import DataFile, Releases


class Ground:
    """The files of one open store, and the tables over them, which are made anew when a fork replaces connections."""

    keyring: Keyring
    """The keyring's tables."""
    epochs: Epochs
    """The keyring's epochs."""
    standings: Standings
    """How the keyring stands, and accounts in it."""
    log: Log
    """The audit log and the actor book."""
    heads: Heads
    """The signed heads of the log."""
    nodes: Nodes
    """The nodes of the log's tree."""
    data_file: DataFile
    """The identity of ``data.db`` and the accepted policies."""
    releases: Releases
    """The releases."""

    def __init__(self, path: Path, *, wait: float, durability: Durability) -> None:
        self.epoch = 0
        """The epoch of the keys that are held, and 0 while none are: nobody goes on under keys that were rotated."""
        self.policy = 0
        """The number of the policy that is gone by, and 0 while none is."""
        self.wait: Final = wait
        self.changes = 0
        """How often the keyring had changed when the gate was entered."""
        self.files = Files(path, wait=wait, durability=durability, opened=self._lay)
        self.files.entered = self._look
        self.pending = PendingWork(self.files)
        self.journal = Journal(path)

    def _lay(self, files: Files) -> None:
        """Put the tables over the connections of ``files``."""
        self.keyring, self.epochs, self.standings = Keyring(files.keys), Epochs(files.keys), Standings(files.keys)
        data = files.data
        self.log, self.heads, self.nodes = Log(data), Heads(data), Nodes(data)
        self.data_file, self.releases = DataFile(data), Releases(data)
        self._few = {table: RowTable(data, table) for table in TABLES if table != BLOCK}

    def require_agreement(self) -> None:
        """Raise :class:`CorruptRecord` where the two files belong to different stores."""
        if self.keyring.identity()[0] != self.data_file.identity():
            raise CorruptRecord("keys.db and data.db belong to different stores; put the right ones together")

    @property
    def path(self) -> Path:
        """The store's directory."""
        return self.files.path

    def rows(self, table: str) -> Rows:
        """One of the kinds of sealed rows."""
        return self.blocks if table == BLOCK else self._few[table]

    @property
    def blocks(self) -> Blocks:
        """The blocks, with what compaction does, arranged as is the shape of every open store at this moment."""
        return Blocks(self.files.data)

    @property
    def resumption(self) -> Resumption:
        """What a restore changes in the keyring."""
        return Resumption(self.files.keys)

    def _look(self) -> None:
        """See how the keyring stands when the gate has been entered."""
        if self.epoch:
            try:
                outlook = self.standings.outlook()
            except sqlite3.DatabaseError as error:
                raise typed(error) from None
            self.changes = outlook.changes
            self.require(outlook.epoch, outlook.policy)

    def require(self, epoch: int, policy: int) -> None:
        """Raise :class:`KeysRotated` or :class:`PolicyChanged` unless these, which are in force, are gone by here.

        Asked under the writer lock and the gate: nothing is recorded, decided or read under what is over.
        """
        if epoch != self.epoch and self.epoch:
            raise KeysRotated("the keys were rotated meanwhile; open the store again, with the new key")
        if policy != self.policy and self.policy:
            raise PolicyChanged("the policy of this store was changed meanwhile; open the store again to go by it")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer lock, with everything that others left pending finished first.

        Raises :class:`KeysRotated` where the keys that are held are those of an epoch before, and
        :class:`PolicyChanged` where the policy that is gone by is over.
        """
        with self.files.writing():
            while (outlook := self.standings.outlook()).pending:
                self.pending.finish()
            self.require(outlook.epoch, outlook.policy)
            yield

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Hold the writer lock for one transaction of ``data.db`` beside a snapshot of the keyring, which is only read.

        As :meth:`writing`, with what others left pending finished first; each file's own lock is taken once.
        """
        with self.files.writing():
            while True:
                with self.keyring.snapshot():
                    outlook = self.standings.outlook()
                    if not outlook.pending:
                        self.require(outlook.epoch, outlook.policy)
                        with self.files.data_transaction(full=False):
                            yield
                        return
                self.pending.finish()

    def standing(self, tag: bytes) -> Standing:
        """What the keyring says of one account, with everything that others left pending finished first.

        The caller holds the writer lock, so it stays true until that is given back.
        """
        while (found := self.standings.of(tag)).outlook.pending:
            self.pending.finish()
        self.require(found.outlook.epoch, found.outlook.policy)
        return found

    def purge_below(self, slot: int, generation: int) -> None:
        """Drop every sealed row of a slot whose key has died. Housekeeping, inside the caller's transaction."""
        for table in TABLES:
            self.rows(table).purge(slot, generation)

    @property
    def compartments(self) -> Compartments:
        """The compartments of one purpose, slice by slice."""
        return Compartments(self.files.keys, self.files.data)

    @contextmanager
    def scanning(self) -> Iterator[None]:
        """Keep few pages of both files during the block, in which all of them are gone through. Takes no lock.

        Other threads that use this store meanwhile have few pages, too.
        """
        connections = self.files.keys, self.files.data
        try:
            for connection in connections:
                keep_pages(connection, few=True)
            yield
        finally:
            with suppress(sqlite3.Error):  # they are closed, or the disk fails: whoever asks them next is told
                for connection in connections:
                    keep_pages(connection, few=False)

    def damage(self) -> list[tuple[str, str]]:
        """What SQLite itself finds wrong with its files: (file, problem)."""
        found = []
        for name, connection in ((KEYS, self.files.keys), (DATA, self.files.data)):
            for (problem,) in connection.execute("PRAGMA integrity_check(20)"):
                if problem != "ok":
                    found.append((name, problem))
        return found

    def copy_keyring(self, target: Path) -> None:
        """Copy the live rows of the keyring into ``target``, an existing empty file; remnants are not copied."""
        copy_rows(self.files.keys, target)

    def copy_data(self, target: Path) -> None:
        """The same of ``data.db``, as it stands now, through a connection of its own: others go on meanwhile."""
        with reading_connection(self.path / DATA) as connection:
            copy_rows(connection, target)


def create_directory(path: Path, establish: Callable[[Ground], None]) -> None:
    """Make a store at ``path``, whole or not at all: it is built beside, and renamed when ``establish`` has returned.

    Raises :class:`StoreExists` where something is, :class:`StoreFault` where nothing can be made.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StoreExists("there is something at this path already; choose another one")
    building = path.absolute().with_name(f".{path.name}.{random_bytes(4).hex()}")
    try:
        building.mkdir(mode=0o700)
    except OSError as error:
        raise StoreFault(f"the store's directory cannot be made: {error.strerror}") from None
    try:
        migrations.create_files(building)
        ground = Ground(building, wait=5.0, durability="full")
        try:
            establish(ground)
        finally:
            ground.files.close()
        sync(building)
        os.rename(building, path)
        try:
            sync(building.parent)
        except OSError:
            os.rename(path, building)  # nobody was told of it yet
            raise
    except BaseException as error:
        shutil.rmtree(building, ignore_errors=True)
        if isinstance(error, OSError):
            raise StoreFault(f"the store cannot be made: {error.strerror}") from None
        if isinstance(error, sqlite3.DatabaseError):
            raise typed(error) from None
        raise
