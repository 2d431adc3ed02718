"""The keyring's tables: identity and epochs, purposes and terms, slots and the directory, suppressions.

Everything here expects the caller to hold the writer lock for a change, or the gate for a read.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from consentprofile import canonical
from consentprofile.crypto import slots
from consentprofile.crypto.block_sealing import CompartmentSlot
from consentprofile.crypto.keys import PURPOSE, WrappedKey
from consentprofile.crypto.slots import Slot, SlotHeader, SlotKind
from consentprofile.crypto.tags import IndexKey
from consentprofile.errors import CorruptRecord

ACCOUNT_PLACE: Final = 0
EVIDENCE_PLACE: Final = 1
FIRST_PURPOSE_PLACE: Final = 2

_FEW: Final = 16
_AT_ONCE: Final = 128
_COMPARTMENTS_OF_ONE: Final = (
    "SELECT place, slot, record FROM directory LEFT JOIN slot ON number = slot "
    f"WHERE tag = ? AND place >= {FIRST_PURPOSE_PLACE}"
)
_COMPARTMENTS: Final = (
    "SELECT tag, place, slot, record FROM directory LEFT JOIN slot ON number = slot "
    f"WHERE tag IN ({', '.join('?' * _AT_ONCE)}) AND place >= {FIRST_PURPOSE_PLACE}"
)


class Terms(NamedTuple):
    """What a consent was given under."""

    number: int
    purpose: str
    notice: str
    notice_sha256: bytes
    declaration: bytes
    policy: bytes

    @property
    def bound(self) -> bytes:
        """What binds a wrapped key to its terms: SHA-256 of their canonical bytes."""
        return canonical.digest(canonical.pack(self))


class Epoch(NamedTuple):
    """One epoch as the keyring keeps it."""

    number: int
    provider: bytes
    check_value: bytes
    wrapped: list[WrappedKey]


class Keyring:
    """The tables of ``keys.db`` over one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the keyring as it stands now, its file lock taken once for all queries of the block."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    # ---- identity --------------------------------------------------------------------------------

    def establish(self, store: bytes, origin: str, epoch: Epoch, purposes: list[str]) -> None:
        """Write the first epoch of a new store."""
        db = self._db
        query = "INSERT INTO keyring (id, store, origin, epoch, changes) VALUES (1, ?, ?, ?, 0)"
        db.execute(query, (store, origin, epoch.number))
        db.execute("INSERT INTO epoch VALUES (?, ?, ?)", epoch[:3])
        db.executemany("INSERT INTO epoch_key VALUES (?, ?, ?)", [(epoch.number, *key) for key in epoch.wrapped])
        db.executemany("INSERT INTO purpose VALUES (?, ?)", list(enumerate(purposes, 1)))

    def identity(self) -> tuple[bytes, int]:
        """The store id (16 bytes) and the current epoch."""
        row = self._db.execute("SELECT store, epoch FROM keyring").fetchone()
        if row is None:
            raise CorruptRecord("the keyring does not say which store it belongs to; restore keys.db")
        return row[0], row[1]

    def epoch(self, number: int) -> Epoch:
        """One epoch."""
        row = self._db.execute("SELECT number, provider, check_value FROM epoch WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise CorruptRecord("the keyring's epoch is missing; restore keys.db")
        keys = self._db.execute("SELECT name, wrapped FROM epoch_key WHERE epoch = ? ORDER BY name", (number,))
        return Epoch(row[0], row[1], row[2], [WrappedKey._make(key) for key in keys])

    def origin(self) -> str:
        """The name of the store's audit log."""
        return str(self._db.execute("SELECT origin FROM keyring").fetchone()[0])

    def accept(self, number: int, digest: bytes, index: IndexKey) -> None:
        """Note that the policy with this number and digest was accepted."""
        query = "INSERT INTO accepted_policy (number, digest, seal) VALUES (?, ?, ?)"
        self._db.execute(query, (number, digest, index.policy(number, digest)))

    def add_purposes(self, epoch: int, wrapped: Sequence[WrappedKey]) -> None:
        """Number purposes that are new, by their names, and keep their keys of the epoch."""
        names = [(key.name.removeprefix(PURPOSE),) for key in wrapped]
        query = "INSERT INTO purpose VALUES ((SELECT ifnull(max(number), 0) + 1 FROM purpose), ?)"
        self._db.executemany(query, names)
        self._db.executemany("INSERT INTO epoch_key VALUES (?, ?, ?)", [(epoch, *key) for key in wrapped])

    def accepted(self, index: IndexKey) -> dict[int, bytes]:
        """The digests of the accepted policies, by number. Raises :class:`CorruptRecord` for one nobody accepted."""
        found = self._db.execute("SELECT number, digest, seal FROM accepted_policy").fetchall()
        for number, digest, seal in found:
            if not hmac.compare_digest(seal, index.policy(number, digest)):
                raise CorruptRecord("the keyring names a policy that this store never accepted; restore keys.db")
        return {number: digest for number, digest, _ in found}

    def reseal_policies(self, former: IndexKey, index: IndexKey) -> None:
        """Seal the accepted policies anew. Raises :class:`CorruptRecord` for one nobody accepted."""
        for number, digest in self.accepted(former).items():
            query = "UPDATE accepted_policy SET seal = ? WHERE number = ?"
            self._db.execute(query, (index.policy(number, digest), number))

    def anchors(self) -> list[tuple[int, bytes]]:
        """The (size, root) of the newest head that was signed, if any was."""
        return self._db.execute("SELECT size, root FROM anchor").fetchall()

    def anchor(self, size: int, root: bytes) -> None:
        """Keep the newest signed head."""
        query = "INSERT INTO anchor (id, size, root) VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE SET size = ?1, root = ?2"
        self._db.execute(query, (size, root))

    def changes(self) -> int:
        """How many transactions have changed the keyring."""
        return int(self._db.execute("SELECT changes FROM keyring").fetchone()[0])

    def purposes(self) -> dict[int, str]:
        """The names of the purposes by their numbers."""
        found = dict(self._db.execute("SELECT number, name FROM purpose"))
        if found.keys() != set(range(1, len(found) + 1)):
            raise CorruptRecord("the keyring's purposes are not numbered as they were written; restore keys.db")
        return found

    # ---- terms -----------------------------------------------------------------------------------

    def all_terms(self) -> dict[int, Terms]:
        """Every terms row by its number."""
        query = "SELECT number, purpose, notice, notice_sha256, declaration, policy FROM terms"
        found = {row[0]: Terms._make(row) for row in self._db.execute(query)}
        if found.keys() != set(range(1, len(found) + 1)):
            raise CorruptRecord("the keyring's terms are not numbered as they were written; restore keys.db")
        return found

    def add_terms(self, terms: Terms) -> None:
        """Add terms; their number is in them."""
        self._db.execute("INSERT INTO terms VALUES (?, ?, ?, ?, ?, ?)", terms)

    # ---- slots and the directory -----------------------------------------------------------------

    def slots_of(self, tag: bytes) -> dict[int, Slot]:
        """Every slot of an account, by place. Raises :class:`CorruptRecord` where a slot is not this account's."""
        query = "SELECT place, slot, record FROM directory LEFT JOIN slot ON number = slot WHERE tag = ?"
        return {
            place: own_slot(tag, place, number, record) for place, number, record in self._db.execute(query, (tag,))
        }

    def compartments_of(self, tag: bytes) -> list[CompartmentSlot]:
        """The compartments of an account. Raises :class:`CorruptRecord` where a slot is not this account's."""
        return [own_compartment(tag, *row) for row in self._db.execute(_COMPARTMENTS_OF_ONE, (tag,))]

    def compartments_of_many(self, tags: Sequence[bytes]) -> dict[bytes, list[CompartmentSlot]]:
        """The compartments of many accounts, by tag; an account without any is left out.

        The tags are looked up in order, so that neighbours share pages. Raises :class:`CorruptRecord` as
        :meth:`compartments_of` does. Cost: about 4 microseconds an account, and 10 where the keyring is larger than
        the cache.
        """
        if len(tags) < _FEW:
            singly = {tag: self.compartments_of(tag) for tag in tags}
            return {tag: found for tag, found in singly.items() if found}
        found: dict[bytes, list[CompartmentSlot]] = {}
        ordered = sorted(tags)
        for start in range(0, len(ordered), _AT_ONCE):
            some = ordered[start : start + _AT_ONCE]
            # One statement serves every number of tags: what is left of its places is filled with the last tag.
            some += some[-1:] * (_AT_ONCE - len(some))
            for tag, place, number, record in self._db.execute(_COMPARTMENTS, some):
                found.setdefault(tag, []).append(own_compartment(tag, place, number, record))
        return found

    def slot_at(self, tag: bytes, place: int) -> Slot | None:
        """One slot of an account."""
        query = "SELECT slot, record FROM directory LEFT JOIN slot ON number = slot WHERE tag = ? AND place = ?"
        row = self._db.execute(query, (tag, place)).fetchone()
        return None if row is None else own_slot(tag, place, *row)

    def slot(self, number: int) -> Slot | None:
        """One slot by its number."""
        row = self._db.execute("SELECT record FROM slot WHERE number = ?", (number,)).fetchone()
        return None if row is None else slots.decode(number, row[0])

    def iterate(self, after: int = 0, limit: int = 1000) -> list[Slot]:
        """Up to ``limit`` slots with numbers above ``after``, in order: no cursor outlives the caller's lock."""
        query = "SELECT number, record FROM slot WHERE number > ? ORDER BY number LIMIT ?"
        return [slots.decode(number, record) for number, record in self._db.execute(query, (after, limit))]

    def every_slot(self, page: int = 1000) -> Iterator[Slot]:
        """Every slot in order, read in pages; for callers that hold a lock throughout."""
        after = 0
        while found := self.iterate(after, page):
            yield from found
            after = found[-1].number

    def allocate(self) -> tuple[int, int]:
        """A slot that belongs to nobody, and its generation: a free one, or a new one at the end of the table.

        New rows are appended only: an append splits pages without moving a wrapped key.
        """
        row = self._db.execute(
            "DELETE FROM free_slot WHERE number = (SELECT min(number) FROM free_slot) RETURNING number"
        ).fetchall()
        if row:
            free = self.slot(row[0][0])
            if free is None or free.key_held:
                raise CorruptRecord("the keyring's list of free slots names one that is not free; restore keys.db")
            return free.number, free.header.generation
        record = slots.unused().encode() + slots.NO_KEY
        query = "INSERT INTO slot VALUES ((SELECT ifnull(max(number), 0) + 1 FROM slot), ?) RETURNING number"
        return int(self._db.execute(query, (record,)).fetchall()[0][0]), 0

    def overwrite(self, slot: Slot) -> None:
        """Write a slot where it stands."""
        written = self._db.execute("UPDATE slot SET record = ? WHERE number = ?", (slot.record, slot.number)).rowcount
        if written != 1:
            raise CorruptRecord("a slot of the keyring has vanished; restore keys.db")

    def enter(self, tag: bytes, place: int, number: int) -> None:
        """Say in the directory whose slot it is."""
        try:
            self._db.execute("INSERT INTO directory (tag, place, slot) VALUES (?, ?, ?)", (tag, place, number))
        except sqlite3.IntegrityError:
            raise CorruptRecord("the keyring's directory names this slot already; restore keys.db") from None

    def is_known(self, tag: bytes) -> bool:
        """Whether there is anything of an account: a slot, or a suppression."""
        query = "SELECT 1 FROM directory WHERE tag = ?1 UNION ALL SELECT 1 FROM suppression WHERE tag = ?1 LIMIT 1"
        return self._db.execute(query, (tag,)).fetchone() is not None

    def enter_as(self, former: bytes, tag: bytes) -> None:
        """Say in the directory that the slots of ``former`` are now those of ``tag``, which has none."""
        self._db.execute("UPDATE directory SET tag = ? WHERE tag = ?", (tag, former))

    def vacate(self, tag: bytes, place: int, slot: Slot) -> None:
        """Take an emptied slot out of the directory, so that it belongs to nobody and can be used again."""
        self._db.execute("DELETE FROM directory WHERE tag = ? AND place = ?", (tag, place))
        self.overwrite(Slot(slot.number, slots.unused(slot.header.generation), slots.NO_KEY))
        self._db.execute("INSERT INTO free_slot (number) VALUES (?)", (slot.number,))

    # ---- a new key for a compartment --------------------------------------------------------------

    def await_succession(self, succeeding: Slot) -> tuple[int, int]:
        """Let the record that a compartment's slot is to have wait in a slot of nobody's.

        The number of that slot, and the generation that it goes back to. A wrapped key may only ever lie in a row of
        fixed size that is overwritten in place: so it waits here, and not in the note of the pending work.
        """
        number, generation = self.allocate()
        header = succeeding.header._replace(kind=SlotKind.TO_COME)
        self.overwrite(Slot(number, header, succeeding.wrapped))
        return number, generation

    def succeed(self, number: int, waiting: int, generation: int) -> None:
        """Overwrite the key in slot ``number`` with the one that waits for it. Needs no keys."""
        old, new = self.slot(number), self.slot(waiting)
        if (
            old is None
            or new is None
            or new.header.kind != SlotKind.TO_COME
            or (old.header.kind, old.header.tag) != (SlotKind.COMPARTMENT, new.header.tag)
            or old.header.generation + 1 != new.header.generation
        ):
            raise CorruptRecord("the keyring's pending work names a slot that nothing waits for; restore keys.db")
        self.overwrite(Slot(number, new.header._replace(kind=SlotKind.COMPARTMENT), new.wrapped))
        self.dismiss(waiting, generation)

    def dismiss(self, waiting: int, generation: int) -> None:
        """Overwrite a key that waits, and give its slot back."""
        self.overwrite(Slot(waiting, slots.unused(generation), slots.NO_KEY))
        self._db.execute("INSERT INTO free_slot (number) VALUES (?)", (waiting,))

    def every_entry(self) -> Iterator[tuple[int, bytes, int]]:
        """Every entry of the directory: (slot, tag, place); for callers that hold a lock throughout."""
        yield from self._db.execute("SELECT slot, tag, place FROM directory ORDER BY slot").fetchall()

    def free(self) -> set[int]:
        """The numbers of the slots that can be used again."""
        return {number for (number,) in self._db.execute("SELECT number FROM free_slot")}

    def count(self) -> int:
        """How many slots there are, empty ones included: they are numbered from 1 without gaps."""
        return int(self._db.execute("SELECT ifnull(max(number), 0) FROM slot").fetchone()[0])

    # ---- suppressions ----------------------------------------------------------------------------

    def has_suppressions(self) -> bool:
        """Whether anybody is suppressed at all."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM suppression)").fetchone()[0])

    def suppressions(self) -> list[tuple[bytes, str, bytes]]:
        """Every suppression: (tag, reason, seal)."""
        return self._db.execute("SELECT tag, reason, seal FROM suppression").fetchall()

    def suppress(self, tag: bytes, reason: str, index: IndexKey) -> None:
        """Note a reason for an account."""
        self._db.execute(
            "INSERT INTO suppression (tag, reason, seal) VALUES (?, ?, ?)",
            (tag, reason, index.suppression(tag, reason)),
        )

    def lift(self, tag: bytes, reason: str) -> None:
        """Take a reason away again."""
        self._db.execute("DELETE FROM suppression WHERE tag = ? AND reason = ?", (tag, reason))

    def reasons(self, tag: bytes, index: IndexKey) -> list[str]:
        """The reasons noted for an account. Raises :class:`CorruptRecord` for one that no key holder wrote."""
        found = self._db.execute(
            "SELECT reason, seal FROM suppression WHERE tag = ? ORDER BY reason", (tag,)
        ).fetchall()
        for reason, seal in found:
            if not hmac.compare_digest(seal, index.suppression(tag, reason)):
                raise CorruptRecord("a suppression was not written by this store; run `consentprofile check`")
        return [reason for reason, _ in found]


def own_slot(tag: bytes, place: int, number: int, record: bytes | None) -> Slot:
    """The slot that the directory names for an account. Raises :class:`CorruptRecord` where it is another account's."""
    if record is None:
        raise CorruptRecord("the keyring's directory names a slot that is not there; restore keys.db")
    slot = slots.decode(number, record)
    header = slot.header
    # The wrapped key is bound to the tag in its slot; this is what binds the directory to it.
    if header.tag != tag or place_of(header) != place:
        raise CorruptRecord("the keyring's directory names a slot of another account; restore keys.db")
    return slot


def own_compartment(tag: bytes, place: int, number: int, record: bytes | None) -> CompartmentSlot:
    """As :func:`own_slot`, for a compartment that is to be recorded into. Raises :class:`CorruptRecord`."""
    found = None if record is None else CompartmentSlot.of(tag, number, record)
    if found is None or FIRST_PURPOSE_PLACE + found.purpose != place:
        own_slot(tag, place, number, record)  # what is wrong with it
        raise CorruptRecord("the keyring's directory names a slot that is no compartment's; restore keys.db")
    return found


def place_of(header: SlotHeader) -> int | None:
    """Where the directory must name this slot; None for a slot that belongs to nobody."""
    if header.kind == SlotKind.COMPARTMENT:
        return FIRST_PURPOSE_PLACE + header.purpose
    return {SlotKind.ACCOUNT: ACCOUNT_PLACE, SlotKind.EVIDENCE: EVIDENCE_PLACE}.get(SlotKind(header.kind))


def destroyed(slot: Slot, *, state: int, since: int) -> Slot:
    """The slot with its key gone: the next generation, every byte of the wrapped key zero."""
    header: SlotHeader = slot.header.vacated(state=state, since=since)
    return Slot(slot.number, header, slots.NO_KEY)
