"""Pending work: how a change reaches two files that cannot commit together.

Every operation that changes the keyring rolls forward through three transactions::

    1. keys.db   the change, and a note of the work that data.db still has to see
    2. data.db   the work: rows, leaves, purges, and the operation's id, which is unique there
    3. keys.db   the note is cleared

Whoever next takes the writer lock to change something finishes what is noted, before anything else. A note is made of
sealed rows and leaf drafts only, so finishing it needs no keys, and it reveals nothing that its rows do not. What has
to happen is a pure function of two facts, :func:`next_step`; nothing is ever collected by guess.

A new key for a compartment (a *succession*) goes the same way, with two keys alive meanwhile::

    1. keys.db   the new key, waiting in a slot of nobody's, and a note of which slot waits for which
    2. data.db   what remains, sealed under the new key for the slot's next generation, and leaves
    3. keys.db   the old key overwritten with the new one; the note becomes one of the rows that the old key sealed
    4. data.db   these are purged, once no reader holds the old key
    5. keys.db   the note is cleared

Before a note is cleared whose keys have died, the destruction journal has a line for each of them
(:mod:`consentprofile.store.journal`); of a succession, before step 3.

The note of a succession holds no rows: where 2 has not happened, the new key is given up, and nothing has changed.
Readers find the slot's own generation at any moment: until 3 the old key with the old rows, which are all still there,
and from 3 on the new key with the new rows, which have been there since 2.

If the work is lost between 1 and 2 together with the whole of ``data.db`` (an older copy was put in its place), the
note is still there and is done on the copy. Dead keys are dead from the moment that 1 is durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.crypto.randomness import random_bytes
from consentprofile.errors import StoreFault
from consentprofile.store.blocks import rows_of
from consentprofile.store.files import Files
from consentprofile.store.journal import SUCCEEDED, Destruction, Journal
from consentprofile.store.keyring import Keyring
from consentprofile.store.log import SECONDS_AN_HOUR, Log
from consentprofile.store.rows import TABLES, SealedRow
from consentprofile.store.syncing import settle_data
from consentprofile.store.tables import DataFile
from consentprofile.tlog.leaf import GRANTS, KEY_ID, Draft

POLICY: Final = "policy"
"""In :attr:`Work.rows`: a policy that the keyring has accepted. Its text is no secret, and is sealed by no key."""


class Work(msgspec.Struct, frozen=True, array_like=True):
    """What ``data.db`` has to see of one operation."""

    policy: bytes
    """The digest of the policy in force."""
    leaves: tuple[Draft, ...] = ()
    rows: tuple[tuple[str, int, int, bytes], ...] = ()
    """(table, slot, generation, sealed) to append; or ("policy", number, 0, text) of a policy that is accepted."""
    purges: tuple[tuple[int, int], ...] = ()
    """(slot, generation): keys of this slot below this generation have died."""
    actors: tuple[tuple[int, bytes], ...] = ()
    """(sequence, sealed) entries of the actor book. The sequence is known while the writer lock is held, and stays
    true afterwards: nobody appends a leaf before pending work is finished."""
    successions: tuple[tuple[int, int, int], ...] = ()
    """(slot, waiting, generation): the key that lies in the slot ``waiting`` takes the place of that in ``slot``; then
    ``waiting`` belongs to nobody, under ``generation``."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do: the operation changed nothing."""
        return not (self.leaves or self.rows or self.purges)


class Step(Enum):
    """What is left to do for an operation."""

    NOTHING = auto()
    APPLY = auto()
    CLEAR = auto()
    ABANDON = auto()


def next_step(*, noted: bool, applied: bool, succession: bool = False) -> Step:
    """The whole state machine: ``noted`` in the keyring, ``applied`` in ``data.db``; a ``succession`` notes no rows."""
    if not noted:
        return Step.NOTHING
    if applied:
        return Step.CLEAR
    return Step.ABANDON if succession else Step.APPLY


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
        self._journal = Journal(files.path)
        self._observe = observe
        """Told after each step; for tests, which end the process there."""

    def perform(self, change: Callable[[Keyring], Work]) -> Work:
        """Carry out ``change``, which alters the keyring inside a transaction and returns the work for ``data.db``.

        The caller holds the writer lock. When ``change`` raises, nothing has happened. When it returns empty work it
        must have changed nothing. Raises :class:`StoreBusy` if a reader does not let go in time: the keys are dead
        then all the same, and the rest is finished by whoever comes next.
        """
        self.finish()
        operation, work = self._note(change)
        if work.is_empty:
            return work
        self._observe("noted")
        if work.purges:
            self._files.pass_the_gate()
            self._observe("gate passed")
        try:
            self._settle(operation, work, applied=False)
        except sqlite3.DatabaseError as error:
            # From here on nothing is undone: a caller who was told so would give again what is gone.
            raise StoreFault(
                f"the change is made in the keyring and stands, and dead keys stay dead, but data.db could not follow "
                f"({_name(error)}); make room: it is finished with the next change"
            ) from None
        return work

    def begin_succession(self, change: Callable[[Keyring], Work]) -> Work:
        """Steps 1 and 2 of a succession; :meth:`advance` does the others, and so does whoever comes next.

        As :meth:`perform` otherwise. When ``data.db`` cannot follow, nothing has changed but that a note is left.
        """
        self.finish()
        operation, work = self._note(change)
        if not work.is_empty:
            self._observe("noted")
            self._apply(operation, work)
            self._observe("applied")
        return work

    def advance(self) -> bool:
        """Take what is noted one step further; whether anything is still noted. The caller holds the writer lock."""
        note = self._files.keys.execute("SELECT operation, body FROM pending ORDER BY operation LIMIT 1").fetchone()
        if note is not None:
            try:
                self._go_on(*note)
            except sqlite3.DatabaseError as error:
                raise StoreFault(
                    f"what was begun could not be finished ({_name(error)}) and stands; it goes on with the next change"
                ) from None
        return self.is_noted()

    def is_noted(self) -> bool:
        """Whether anything is pending."""
        return bool(self._files.keys.execute("SELECT EXISTS (SELECT 1 FROM pending)").fetchone()[0])

    def finish(self) -> int:
        """Finish whatever is noted; how many notes that were. The caller holds the writer lock."""
        done = 0
        while notes := self._files.keys.execute("SELECT operation, body FROM pending ORDER BY operation").fetchall():
            for operation, body in notes:
                self._go_on(operation, body)
            done += len(notes)
        return done

    def _note(self, change: Callable[[Keyring], Work]) -> tuple[bytes, Work]:
        """Step 1: change the keyring and note the work, unless there is none."""
        operation = random_bytes(16)
        try:
            with self._files.keyring_transaction() as keys:
                work = change(Keyring(keys))
                if work.is_empty:
                    raise _Unchanged(work)  # rolls the transaction back: nothing is written at all
                # The note names sequences of leaves and stands once this commits: the leaves before must last, too.
                settle_data(self._files.path)
                noted = Work(work.policy, successions=work.successions) if work.successions else work
                _insert(keys, operation, noted)
        except _Unchanged as unchanged:
            return operation, unchanged.work
        return operation, work

    def _go_on(self, operation: bytes, body: bytes) -> None:
        query = "SELECT EXISTS (SELECT 1 FROM operation WHERE id = ?)"
        (applied,) = self._files.data.execute(query, (operation,)).fetchone()
        work = canonical.unpack(body, Work)
        if work.purges:
            self._files.pass_the_gate()
            self._observe("gate passed")
        self._settle(operation, work, applied=bool(applied))

    def _settle(self, operation: bytes, work: Work, *, applied: bool) -> None:
        step = next_step(noted=True, applied=applied, succession=bool(work.successions))
        if step is Step.APPLY:
            self._apply(operation, work)
            self._observe("applied")
        if step is not Step.ABANDON and (ended := self._ended(work)):
            self._journal.note(ended)
            self._observe("journalled")
        with self._files.keyring_transaction() as keys:
            keyring = Keyring(keys)
            for slot, waiting, generation in work.successions:
                if step is Step.ABANDON:
                    keyring.dismiss(waiting, generation)
                else:
                    keyring.succeed(slot, waiting, generation)
            keys.execute("DELETE FROM pending WHERE operation = ?", (operation,))
            if work.successions and step is Step.CLEAR:
                _insert(keys, random_bytes(16), Work(work.policy, purges=_outlived(keyring, work)))
        self._observe("succeeded" if work.successions and step is Step.CLEAR else "cleared")

    def _ended(self, work: Work) -> list[Destruction]:
        """The keys that have died in this work, or are about to."""
        if work.successions:
            hour = Log(self._files.data).hour()
            slots = [Keyring(self._files.keys).slot(number) for number, _, _ in work.successions]
            return [
                Destruction(slot.number, slot.header.generation, slot.header.key_id, SUCCEEDED, hour)
                for slot in slots
                if slot is not None
            ]
        # Whoever destroys a key adds its leaf and its purge together, so both are in one order.
        gone = [draft for draft in work.leaves if draft.operation not in GRANTS and KEY_ID in dict(draft.facts)]
        return [
            Destruction(slot, below - 1, _key_id(draft), draft.operation, draft.second // SECONDS_AN_HOUR)
            for draft, (slot, below) in zip(gone, work.purges, strict=False)
        ]

    def _apply(self, operation: bytes, work: Work) -> None:
        with self._files.data_transaction(full=True) as data:
            # Every earlier operation has been cleared, for each is finished before the next begins. So their ids may
            # go; should this one be replayed, the insert below fails rather than doing the work twice.
            data.execute("DELETE FROM operation")
            data.execute("INSERT INTO operation (id) VALUES (?)", (operation,))
            for table in TABLES:
                rows = rows_of(data, table)
                rows.append(SealedRow(*row[1:]) for row in work.rows if row[0] == table)
                for slot, generation in work.purges:
                    rows.purge(slot, generation)
            for number, text in [(row[1], row[3]) for row in work.rows if row[0] == POLICY]:
                DataFile(data).add_policy(number, text)
            log = Log(data)
            first = log.append(work.leaves, work.policy)
            # On a copy that was put in place of the file that it was noted for, the log may end elsewhere.
            log.note_actors(entry for entry in work.actors if 0 <= entry[0] - first < len(work.leaves))


def _key_id(draft: Draft) -> bytes:
    key_id = dict(draft.facts)[KEY_ID]
    return key_id if isinstance(key_id, bytes) else b""


def _name(error: sqlite3.DatabaseError) -> str:
    return str(getattr(error, "sqlite_errorname", type(error).__name__))


def _insert(keys: sqlite3.Connection, operation: bytes, work: Work) -> None:
    keys.execute("INSERT INTO pending (operation, body) VALUES (?, ?)", (operation, canonical.pack(work)))


def _outlived(keyring: Keyring, work: Work) -> tuple[tuple[int, int], ...]:
    """What the old keys of a succession have sealed, as :attr:`Work.purges`."""
    found = [keyring.slot(number) for number, _, _ in work.successions]
    return tuple((slot.number, slot.header.generation) for slot in found if slot is not None)
