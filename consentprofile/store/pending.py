"""Pending work: how a change reaches two files that cannot commit together.

Every operation that changes the keyring rolls forward through three transactions::

    1. keys.db   the change, and a note of the work that data.db still has to see
    2. data.db   the work: rows, leaves, purges, and the operation's id, which is unique there
    3. keys.db   the note is cleared

Whoever next takes the writer lock to change something finishes what is noted, before anything else. A note is made of
sealed rows and leaf drafts only, so finishing it needs no keys, and it reveals nothing that its rows do not. What has
to happen is a pure function of two facts, :func:`next_step`; nothing is ever collected by guess.

If the work is lost between 1 and 2 together with the whole of ``data.db`` (an older copy was put in its place), the
note is still there and is done on the copy. Dead keys are dead from the moment that 1 is durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import Enum, auto

import msgspec

from consentprofile import canonical
from consentprofile.crypto.randomness import random_bytes
from consentprofile.errors import StoreFault
from consentprofile.store.files import Files
from consentprofile.store.keyring import Keyring
from consentprofile.store.log import Log
from consentprofile.store.rows import TABLES, RowTable, SealedRow
from consentprofile.tlog.leaf import Draft


class Work(msgspec.Struct, frozen=True, array_like=True):
    """What ``data.db`` has to see of one operation."""

    policy: bytes
    """The digest of the policy in force."""
    leaves: tuple[Draft, ...] = ()
    rows: tuple[tuple[str, int, int, bytes], ...] = ()
    """(table, slot, generation, sealed) to append."""
    purges: tuple[tuple[int, int], ...] = ()
    """(slot, generation): keys of this slot below this generation have died."""
    actors: tuple[tuple[int, bytes], ...] = ()
    """(sequence, sealed) entries of the actor book. The sequence is known while the writer lock is held, and stays
    true afterwards: nobody appends a leaf before pending work is finished."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do: the operation changed nothing."""
        return not (self.leaves or self.rows or self.purges)


class Step(Enum):
    """What is left to do for an operation."""

    NOTHING = auto()
    APPLY = auto()
    CLEAR = auto()


def next_step(*, noted: bool, applied: bool) -> Step:
    """The whole state machine: ``noted`` in the keyring, ``applied`` in ``data.db``."""
    if not noted:
        return Step.NOTHING
    return Step.CLEAR if applied else Step.APPLY


class _Unchanged(Exception):
    """The operation changed nothing."""

    def __init__(self, work: Work) -> None:
        self.work = work


def _no_observer(step: str) -> None:
    """Nobody watches."""


class PendingWork:
    """Carries out changes of the keyring, and finishes what others left."""

    def __init__(self, files: Files, observe: Callable[[str], None] = _no_observer) -> None:
        self._files = files
        self._observe = observe
        """Told after each step; for tests, which end the process there."""

    def perform(self, change: Callable[[Keyring], Work]) -> Work:
        """Carry out ``change``, which alters the keyring inside a transaction and returns the work for ``data.db``.

        The caller holds the writer lock. When ``change`` raises, nothing has happened. When it returns empty work it
        must have changed nothing. Raises :class:`StoreBusy` if a reader does not let go in time: the keys are dead
        then all the same, and the rest is finished by whoever comes next.
        """
        files, keyring = self._files, Keyring(self._files.keys)
        self.finish()
        operation = random_bytes(16)
        try:
            with files.keyring_transaction() as keys:
                work = change(keyring)
                if work.is_empty:
                    raise _Unchanged(work)  # rolls the transaction back: nothing is written at all
                keys.execute("INSERT INTO pending (operation, body) VALUES (?, ?)", (operation, canonical.pack(work)))
        except _Unchanged as unchanged:
            return unchanged.work
        self._observe("noted")
        if work.purges:
            files.pass_the_gate()
            self._observe("gate passed")
        try:
            self._settle(operation, work, applied=False)
        except sqlite3.DatabaseError as error:
            # From here on nothing is undone: a caller who was told so would give again what is gone.
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            raise StoreFault(
                f"the change is made in the keyring and stands, and dead keys stay dead, but data.db could not follow "
                f"({name}); make room: it is finished with the next change"
            ) from None
        return work

    def is_noted(self) -> bool:
        """Whether anything is pending."""
        return bool(self._files.keys.execute("SELECT EXISTS (SELECT 1 FROM pending)").fetchone()[0])

    def finish(self) -> int:
        """Finish whatever is noted; how many operations that were. The caller holds the writer lock."""
        notes = self._files.keys.execute("SELECT operation, body FROM pending ORDER BY operation").fetchall()
        for operation, body in notes:
            query = "SELECT EXISTS (SELECT 1 FROM operation WHERE id = ?)"
            (applied,) = self._files.data.execute(query, (operation,)).fetchone()
            work = canonical.unpack(body, Work)
            if work.purges:
                self._files.pass_the_gate()
            self._settle(operation, work, applied=bool(applied))
        return len(notes)

    def _settle(self, operation: bytes, work: Work, *, applied: bool) -> None:
        step = next_step(noted=True, applied=applied)
        if step is Step.APPLY:
            self._apply(operation, work)
            self._observe("applied")
        with self._files.keyring_transaction() as keys:
            keys.execute("DELETE FROM pending WHERE operation = ?", (operation,))
        self._observe("cleared")

    def _apply(self, operation: bytes, work: Work) -> None:
        with self._files.data_transaction(full=True) as data:
            # Every earlier operation has been cleared, for each is finished before the next begins. So their ids may
            # go; should this one be replayed, the insert below fails rather than doing the work twice.
            data.execute("DELETE FROM operation")
            data.execute("INSERT INTO operation (id) VALUES (?)", (operation,))
            for table in TABLES:
                rows = RowTable(data, table)
                rows.append(SealedRow(*row[1:]) for row in work.rows if row[0] == table)
                for slot, generation in work.purges:
                    rows.purge(slot, generation)
            log = Log(data)
            log.append(work.leaves, work.policy)
            log.note_actors(work.actors)
