"""Finding, minting and destroying the keys of one account. Everything here runs inside a keyring transaction.

Destroying is always the same three things: the slot is overwritten under its next generation, a leaf names the key id,
and the rows that the dead key sealed are noted to be purged.
"""

from __future__ import annotations

from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.slots import NO_KEY, Slot, SlotHeader, SlotKind
from consentprofile.store.ports import (
    ACCOUNT,
    ACCOUNT_PLACE,
    EVIDENCE,
    EVIDENCE_PLACE,
    Keyring,
    Terms,
    Work,
    destroyed,
)
from consentprofile.tlog.leaf import KEY_ID, Draft, Fact, Operation
from consentprofile.usecases.session import Session


class Changes:
    """What one operation has to tell ``data.db``, as it grows."""

    def __init__(self, session: Session, now: int) -> None:
        self._session = session
        self.now = now
        self.leaves: list[Draft] = []
        self.rows: list[tuple[str, int, int, bytes]] = []
        self.purges: list[tuple[int, int]] = []
        self.actors: list[tuple[int, bytes]] = []
        self.successions: list[tuple[int, int, int]] = []

    def leaf(self, operation: Operation, *, purpose: str = "", role: str = "", facts: tuple[Fact, ...] = ()) -> None:
        """Add a leaf."""
        self.leaves.append(Draft(operation, self.now, purpose, role, facts))

    def row(self, table: str, record: RecordType, key: SlotKey, plain: bytes) -> None:
        """Seal a row and add it."""
        self.rows.append((table, key.slot, key.generation, key.seal(record, plain)))

    def work(self) -> Work:
        """All of it, frozen."""
        return Work(
            self._session.policy.digest,
            tuple(self.leaves),
            tuple(self.rows),
            tuple(self.purges),
            tuple(self.actors),
            tuple(self.successions),
        )


class AccountKeys:
    """The slots of one account within one keyring transaction."""

    def __init__(self, session: Session, keyring: Keyring, tag: bytes) -> None:
        self._session = session
        self._keyring = keyring
        self.tag = tag
        self.slots = keyring.slots_of(tag)
        self._id_is_there = False

    def account(self, changes: Changes, normalized: bytes) -> SlotKey:
        """The account key; minted, with the sealed id, where the account is new (or was erased)."""
        slot = self.slots.get(ACCOUNT_PLACE)
        if slot is not None:
            self.keep_id(changes, normalized)
            return self._session.keys.unwrap(slot)
        key = self._mint(ACCOUNT_PLACE, SlotHeader(SlotKind.ACCOUNT, 0, 0, since=changes.now))
        changes.row(ACCOUNT, RecordType.ACCOUNT, key, normalized)
        self._id_is_there = True
        return key

    def keep_id(self, changes: Changes, normalized: bytes) -> bool:
        """Seal the account's id again where it was lost with the data that held it; whether it was.

        The caller sees to a leaf. Cost: one query, once for each account.
        """
        slot = self.slots.get(ACCOUNT_PLACE)
        if slot is None or self._id_is_there:
            return False
        self._id_is_there = True
        if has_id(self._session, slot):
            return False
        changes.row(ACCOUNT, RecordType.ACCOUNT, self._session.keys.unwrap(slot), normalized)
        return True

    def evidence(self, changes: Changes) -> SlotKey:
        """The evidence key; minted where the account has none."""
        slot = self.slots.get(EVIDENCE_PLACE)
        if slot is not None:
            return self._session.keys.unwrap(slot)
        return self._mint(EVIDENCE_PLACE, SlotHeader(SlotKind.EVIDENCE, 0, 0))

    @property
    def erased_at(self) -> int:
        """The second of the account's last erasure, as the evidence slot keeps it; 0 where there was none."""
        slot = self.slots.get(EVIDENCE_PLACE)
        return 0 if slot is None else slot.header.since

    def note_erasure(self, now: int) -> None:
        """Keep when the account was erased, so that repeating an old import does not give its consents again."""
        slot = self.slots.get(EVIDENCE_PLACE)
        if slot is not None:
            header = slot.header._replace(since=now)
            self._write(EVIDENCE_PLACE, self._session.keys.rewrap(slot, header)[0])

    def compartment(self, purpose: str) -> Slot | None:
        """The slot of a compartment, alive or not."""
        return self.slots.get(self._session.place(purpose))

    def mint_compartment(self, terms: Terms, *, state: int, since: int, until: int) -> bytes:
        """A new compartment key; its key id."""
        header = SlotHeader(
            SlotKind.COMPARTMENT,
            state,
            0,
            self._session.purpose_numbers[terms.purpose],
            terms.number,
            since,
            until,
        )
        place = self._session.place(terms.purpose)
        self._mint(place, header, purpose=terms.purpose, terms=terms.bound)
        return self.slots[place].header.key_id

    def advance_compartment(self, terms: Terms, *, state: int, until: int) -> None:
        """The same key under new terms and a later expiry."""
        place = self._session.place(terms.purpose)
        slot = self.slots[place]
        header = slot.header._replace(state=state, terms=terms.number, until=until)
        rewrapped, _ = self._session.keys.rewrap(
            slot,
            header,
            purpose=terms.purpose,
            terms=self._session.bound(slot.header.terms),
            new_terms=terms.bound,
        )
        self._write(place, rewrapped)

    def note_state(self, purpose: str, *, state: int, since: int) -> None:
        """Note a state that has no key."""
        place = self._session.place(purpose)
        slot = self.slots.get(place)
        if slot is None:
            number, generation = self._keyring.allocate()
            self._keyring.enter(self.tag, place, number)
            header = SlotHeader(
                SlotKind.COMPARTMENT, state, generation, self._session.purpose_numbers[purpose], 0, since, 0, self.tag
            )
            slot = Slot(number, header, NO_KEY)
        self._write(place, slot._replace(header=slot.header._replace(state=state, since=since)))

    def destroy(
        self,
        place: int,
        changes: Changes,
        operation: Operation,
        *,
        since: int,
        state: int = 0,
        purpose: str = "",
        role: str = "",
    ) -> None:
        """Destroy the key in the slot at ``place``, which must hold one; its state is ``state`` from ``since`` on."""
        slot = self.slots[place]
        changes.leaf(operation, purpose=purpose, role=role, facts=((KEY_ID, slot.header.key_id),))
        dead = destroyed(slot, state=state, since=since)
        changes.purges.append((slot.number, dead.header.generation))
        self._write(place, dead)

    def vacate(self, place: int) -> None:
        """Give an emptied slot back, and forget whose it was."""
        self._keyring.vacate(self.tag, place, self.slots.pop(place))

    def _mint(self, place: int, header: SlotHeader, *, purpose: str = "", terms: bytes = b"") -> SlotKey:
        slot = self.slots.get(place)
        if slot is None:
            number, generation = self._keyring.allocate()
            self._keyring.enter(self.tag, place, number)
        else:
            number, generation = slot.number, slot.header.generation
        header = header._replace(generation=generation, tag=self.tag, key_id=random_bytes(16))
        minted, key = self._session.keys.mint(number, header, purpose=purpose, terms=terms)
        self._write(place, minted)
        return key

    def _write(self, place: int, slot: Slot) -> None:
        self._keyring.overwrite(slot)
        self.slots[place] = slot


def sealed_id(session: Session, slot: Slot) -> bytes | None:
    """The normalized id of the account whose key lives in ``slot``, as ``data.db`` has it.

    None where it is lost: the data was restored from a copy that did not know the account yet, or the row was deleted.
    Raises :class:`CorruptRecord`, :class:`DestroyedKey`.
    """
    rows = _ids(session, slot)
    return session.keys.unwrap(slot).open(RecordType.ACCOUNT, rows[-1]) if rows else None


def has_id(session: Session, slot: Slot) -> bool:
    """Whether there is an id of the account whose key lives in ``slot``. Nothing is opened."""
    return bool(_ids(session, slot))


def _ids(session: Session, slot: Slot) -> list[bytes]:
    return session.ground.rows(ACCOUNT).of(slot.number, slot.header.generation)


def add_evidence(
    changes: Changes, key: SlotKey, act: str, terms: Terms, *, state: int, method: str, decided: int
) -> None:
    """Seal an entry of the evidence and add it."""
    plain = canonical.pack(
        (
            act,
            terms.purpose,
            state,
            terms.notice,
            terms.notice_sha256,
            terms.declaration,
            method,
            decided,
            changes.now,
        )
    )
    changes.row(EVIDENCE, RecordType.EVIDENCE, key, plain)
