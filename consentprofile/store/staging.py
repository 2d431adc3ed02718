"""Where a restored store is made: a whole store of its own, beside the files that it will replace."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from consentprofile import canonical
from consentprofile.errors import CorruptRecord, StoreBusy, StoreFault, UnreadableInput
from consentprofile.store.connection import connect, require_format
from consentprofile.store.copying import copy_rows, reading_connection
from consentprofile.store.faults import typed
from consentprofile.store.locks import ALIVE, FileLock
from consentprofile.store.names import DATA, KEYS, PART
from consentprofile.store.pending import POLICY, Work
from consentprofile.store.settling import Observe, commit, is_unsettled, nobody_watches, overwrite, settle

# What has happened since the copy was made is not undone with it: the log and its heads, who did what, what was
# released. Of evidence, ids and trails both are kept, for each row authenticates itself.
_REPLACED: Final = ("leaf", "node", "tree", "checkpoint", "actor_book", "release")
_ADDED: Final = ("evidence", "account", "trail")
_ADD: Final = (
    "INSERT INTO {table} (slot, generation, sealed) SELECT slot, generation, sealed FROM live.{table} AS other "
    "WHERE NOT EXISTS (SELECT 1 FROM main.{table} AS mine "
    "WHERE mine.slot = other.slot AND mine.generation = other.generation AND mine.sealed = other.sealed) "
    "ORDER BY other.id"
)
_ADD_POLICIES: Final = (
    "INSERT INTO policy SELECT * FROM live.policy WHERE number > (SELECT max(number) FROM main.policy)"
)
_HINDRANCES: Final = ("FULL", "BUSY", "NOMEM", "READONLY", "CANTOPEN", "PERM", "IOERR")
_UNREADABLE: Final = ("SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS")
"""Of the last of these: what tells that a file cannot be read, and not that something is in the way of writing."""


class Staging:
    """A place to restore in, with nobody else in the store: the block holds the alive lock alone.

    What is not committed when the block ends is cleared away, and the store is what it was. Raises
    :class:`StoreBusy` where the store is open somewhere, :class:`StoreFault` where nothing can be written.
    """

    def __init__(self, directory: Path, *, wait: float, observe: Observe = nobody_watches) -> None:
        self._directory = directory
        self._wait = wait
        self._observe = observe
        self._made = False
        self.path: Final = directory / PART

    def __enter__(self) -> Self:
        try:
            if not self._directory.exists():
                self._directory.mkdir(mode=0o700)
                self._made = True
            self._alive = FileLock(self._directory / ALIVE, wait=self._wait)
        except OSError as error:
            raise StoreFault(f"the store's directory cannot be used: {error.strerror}") from None
        try:
            try:
                self._alive.acquire()
            except StoreBusy:
                raise StoreBusy("somebody has the store open; close it everywhere, then restore") from None
            for name in (KEYS, DATA):
                if (self._directory / name).is_symlink():
                    raise StoreFault(f"{name} is a symbolic link; a restore replaces files, not links")
            settle(self._directory, self._observe)
            self._roll_back()
            self._begin()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if is_unsettled(self._directory):
                settle(self._directory)
        finally:
            self._leave()

    def _roll_back(self) -> None:
        """Undo what a crash has left half written in the keyring in place: who only reads it cannot, and would fail."""
        if (self._directory / KEYS).is_file() and (self._directory / (KEYS + "-journal")).exists():
            with suppress(CorruptRecord), closing(connect(self._directory / KEYS, wait=self._wait)) as keys:
                try:
                    keys.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                except sqlite3.DatabaseError as error:
                    raise typed(error) from None

    def _begin(self) -> None:
        try:
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise StoreFault(f"there is no place to restore in: {error.strerror}") from None

    def _leave(self) -> None:
        if self._made:  # under the lock: nobody else can have come to hold the file that goes
            with suppress(OSError):
                (self._directory / ALIVE).unlink()
                self._directory.rmdir()
        self._alive.close()

    def take(self, name: str, source: Path | None) -> None:
        """Copy the live rows of a backup, or of the store's own file, to here, under ``name``.

        What was taken before goes, a keyring overwritten first. Raises :class:`UnreadableInput` for what is not one,
        :class:`CorruptRecord` for one that is damaged.
        """
        target = self.path / name
        found = self._directory / name if source is None else source
        if not found.is_file():
            raise UnreadableInput(f"there is no file to restore {name} from")
        try:
            if name == KEYS:
                overwrite(target)
            for ending in ("", "-wal", "-shm", "-journal"):
                (self.path / (name + ending)).unlink(missing_ok=True)
            os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreFault(f"there is no place to restore in: {error.strerror}") from None
        with reading_connection(found) as connection:
            require_format(connection, name)
            copy_rows(connection, target)
        self._observe(f"{name} taken")

    def keep_record(self) -> bool:
        """Let the record of what has happened be that of the store's own ``data.db``, if that can be read.

        The log with its heads, the actor book and the releases take the place of those of the backup; evidence, ids
        and trails that it does not have are added. Only events stay as the backup has them. Whether that was done.

        Raises :class:`StoreFault` where something is in the way of it, which says nothing of the record.
        """
        live = self._directory / DATA
        if not live.is_file():
            return False
        try:
            with closing(connect(self.path / DATA, wait=self._wait)) as data:
                data.execute("ATTACH ? AS live", (f"{live.absolute().as_uri()}?mode=ro",))
                data.execute("BEGIN IMMEDIATE")
                if (
                    data.execute("SELECT store FROM main.store").fetchall()
                    != data.execute("SELECT store FROM live.store").fetchall()
                ):
                    return False
                for table in _REPLACED:
                    data.execute(f"DELETE FROM main.{table}")
                    data.execute(f"INSERT INTO main.{table} SELECT * FROM live.{table}")
                for table in _ADDED:
                    data.execute(_ADD.format(table=table))
                data.execute(_ADD_POLICIES)
                data.execute("COMMIT")
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:  # what was begun is undone with the connection
            name = str(getattr(error, "sqlite_errorname", ""))
            if name not in _UNREADABLE and name.removeprefix("SQLITE_").split("_")[0] in _HINDRANCES:
                raise typed(error) from None
            return False
        self._observe("record kept")
        return True

    def give_policies(self, texts: dict[bytes, bytes]) -> tuple[int, dict[int, bytes]]:
        """Let the data have the policies that the keyring has accepted: no others, and of ``texts`` those it lacks.

        ``texts`` are canonical JSON by digest. How many are missing still, those left out that pending work brings; and
        the texts, by number, of those that were taken out, for the keyring is from before they were accepted.
        """
        try:
            with closing(connect(self.path / KEYS)) as keys, closing(connect(self.path / DATA)) as data:
                accepted = dict(keys.execute("SELECT number, digest FROM accepted_policy ORDER BY number"))
                kept = dict(data.execute("SELECT number, text FROM policy ORDER BY number"))
                for number, digest in accepted.items():
                    if number not in kept and digest in texts:
                        query = "INSERT INTO policy (number, digest, text) VALUES (?, ?, ?)"
                        data.execute(query, (number, digest, texts[digest]))
                later = {number: text for number, text in kept.items() if number not in accepted}
                data.executemany("DELETE FROM policy WHERE number = ?", [(number,) for number in later])
                have = {number for (number,) in data.execute("SELECT number FROM policy")}
                for (body,) in keys.execute("SELECT body FROM pending"):
                    have |= {row[1] for row in canonical.unpack(body, Work).rows if row[0] == POLICY}
        except sqlite3.DatabaseError as error:
            raise typed(error) from None
        return len(accepted.keys() - have), later

    def commit(self) -> None:
        """Let what was made here take the place of the old files."""
        left = self.path / (DATA + "-wal")
        if left.exists() and left.stat().st_size:
            raise StoreFault("the restored data could not be written whole; make room, and restore again")
        self._observe("made whole")
        self._made = False  # from here on it is a store's directory, and others may come
        commit(self._directory, self._observe)
