"""Reading: one actor, one purpose, and never without a trace.

A read commits its leaf first, under the writer lock: the sealed trail in the compartment, the actor book's entry, the
leaf. Only then, under the gate and slice by slice, keys are fetched, blocks opened, and keys put down again. A read
that meets a destroyed key on the way answers as if there had never been one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.slots import Slot
from consentprofile.errors import AccessDenied, RoleNotAllowed, UndeclaredPurpose
from consentprofile.model.consent import IN_FORCE
from consentprofile.model.event import Recorded, Value
from consentprofile.model.ids import Actor, parse_actor
from consentprofile.model.policy import Purpose
from consentprofile.model.profile import Profile, dedupe, fold
from consentprofile.model.withheld import Withheld
from consentprofile.store.ports import BLOCK, TRAIL, SealedRow, Standing
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.consent import moment
from consentprofile.usecases.session import Session
from consentprofile.usecases.tracing import commitment, require_reason, trail_entry

SLICE: Final = 65_536
"""Bytes of blocks that are opened under the gate before it is passed on: about a thousand events, or 4 ms."""


class StoredEvent(Withheld, frozen=True, kw_only=True):
    """An event as a purpose keeps it: ``at`` aware UTC and floored, tokens as hex digests, ``id`` hex."""

    at: datetime
    kind: str
    fields: dict[str, Value]
    id: str


class _Found(NamedTuple):
    """What was read of an account, and the purpose as far as it holds for it."""

    events: list[Recorded]
    rules: Purpose


class Reader:
    """One actor's access to one purpose."""

    def __init__(self, session: Session, purpose: str, actor: str, reason: str | None) -> None:
        self._session = session
        self._actor, self._purpose = _admit(session, purpose, actor, reason)
        self._reason = reason or ""

    @property
    def purpose(self) -> Purpose:
        """The purpose that is read."""
        return self._purpose

    def profile(self, account: str) -> Profile | None:
        """The profile, or None alike for unknown, refused, withdrawn, expired, erased and suppressed accounts."""
        found = self._read(account)
        return None if found is None else fold(found.events, self._session.policy, found.rules)

    def events(self, account: str) -> list[StoredEvent] | None:
        """The events in the order of time, repeats dropped, the newest ``keep`` of them; None as for a profile."""
        found = self._read(account)
        if found is None:
            return None
        return [public_event(event) for event in dedupe(found.events)[-found.rules.keep :]]

    def _read(self, account: str) -> _Found | None:
        session, purpose = self._session, self._purpose
        tag = session.tag(account)
        now, slot, changes = self._leave_trace(tag)
        events: list[Recorded] = []
        rows: list[bytes] | None = None
        generation = done = 0
        while rows is None or done < len(rows):
            with session.ground.files.reading():
                if session.ground.changes != changes:
                    standing = session.ground.standings.of(tag)
                    changes, slot = standing.outlook.changes, self._readable(tag, standing, now)
                if slot is None:
                    return None
                if rows is not None and slot.header.generation != generation:
                    events, rows, done = [], None, 0  # it has a new key meanwhile: from the beginning
                    continue
                key = self._unwrap(slot)
                if rows is None:
                    generation = slot.header.generation
                    rows = session.ground.rows(BLOCK).of(slot.number, generation)
                end = _slice_end(rows, done)
                events.extend(open_blocks(session, key, rows[done:end], slot.header.terms, now))
                del key
                done = end
        return _Found(events, session.books.rules(purpose, slot, events)) if slot is not None else None

    def _readable(self, tag: bytes, standing: Standing, now: int) -> Slot | None:
        """The slot of the compartment that is read, or None where nothing may be read."""
        session, purpose = self._session, self._purpose.name
        number = session.purpose_numbers[purpose]
        slot = next((one.slot for one in standing.compartments if one.purpose == number), None)
        if slot is None or session.state(slot, now) not in IN_FORCE:
            return None
        holds = session.held(slot.header.terms).holds
        if self._actor.role not in holds.readers:
            return None  # those who consented before this role became a reader did not consent to it
        return None if standing.outlook.suppressions and not holds.reasons.isdisjoint(session.reasons(tag)) else slot

    def _unwrap(self, slot: Slot) -> SlotKey:
        session = self._session
        return session.keys.unwrap(slot, purpose=self._purpose.name, terms=session.bound(slot.header.terms))

    def _leave_trace(self, tag: bytes) -> tuple[int, Slot | None, int]:
        """Commit the leaf, the trail and the actor book's entry of a read.

        The second of the read, and the slot that may be read for as long as the keyring counts so many changes.
        """
        session, actor, purpose = self._session, self._actor, self._purpose.name
        ground = session.ground
        with ground.files.writing():
            standing = ground.standing(tag)
            with ground.files.data_transaction(full=False):
                head = ground.log.head()
                now = session.now(head)
                plain = trail_entry(session, now, actor, Operation.READ, self._reason, head)
                slot = self._readable(tag, standing, now)
                # Without a compartment there is nowhere to keep the entry. The commitment looks the same, so the leaf
                # does not tell whether anything was read.
                if slot is not None:
                    sealed = self._unwrap(slot).seal(RecordType.TRAIL, plain)
                    ground.rows(TRAIL).append([SealedRow(slot.number, slot.header.generation, sealed)])
                facts = (("commitment", commitment(plain)),)
                draft = Draft(Operation.READ, now, purpose, actor.role, facts)
                sequence = ground.log.append((draft,), session.policy.digest, head)
                book = session.actor_entry(sequence, now, actor, Operation.READ, purpose, self._reason)
                ground.log.note_actors([(sequence, book)])
        return now, slot, standing.outlook.changes


def _slice_end(rows: Sequence[bytes], start: int) -> int:
    """Where the slice that begins at ``start`` ends: after one block at least."""
    end, size = start, 0
    while end < len(rows) and (end == start or size + len(rows[end]) <= SLICE):
        size += len(rows[end])
        end += 1
    return end


def open_blocks(session: Session, key: SlotKey, rows: Iterable[bytes], terms: int, now: int) -> list[Recorded]:
    """What blocks of one compartment hold that its terms allow, as :meth:`Books.allowed` says."""
    return session.books.allowed(key.open_all(RecordType.BLOCK, rows), terms, now)


def open_all_blocks(session: Session, key: SlotKey, rows: Iterable[bytes]) -> list[Recorded]:
    """Every event of blocks of one compartment, as :meth:`Books.everything` says."""
    return session.books.everything(key.open_all(RecordType.BLOCK, rows))


def public_event(event: Recorded) -> StoredEvent:
    """An event as callers see it."""
    return StoredEvent(at=moment(event.at), kind=event.kind, fields=dict(event.fields), id=event.id.hex())


@contextmanager
def view(session: Session, purpose: str, actor: str, reason: str | None) -> Iterator[Reader]:
    """Open a reader.

    Raises :class:`UndeclaredPurpose`, :class:`RoleNotAllowed` or :class:`BeyondCapability`, each with a leaf of the
    refusal.
    """
    yield Reader(session, purpose, actor, reason)


def _admit(session: Session, purpose: str, actor: str, reason: str | None) -> tuple[Actor, Purpose]:
    who = parse_actor(actor)
    why = require_reason(reason)
    try:
        declared = session.purpose(purpose)
        session.keys.require_purpose(purpose)
        session.require_role(who.role)
        if who.role not in declared.readers:
            readers = ", ".join(declared.readers) or "nobody"
            raise RoleNotAllowed(f"this role is not among the readers of the purpose {purpose!r}, which are: {readers}")
    except AccessDenied as error:
        # An undeclared purpose or role is not repeated in the log: it could be anything, a person's name too.
        named = "" if isinstance(error, UndeclaredPurpose) else purpose
        _note_refusal(session, who, named, why)
        raise
    return who, declared


def _note_refusal(session: Session, actor: Actor, purpose: str, reason: str) -> None:
    with session.ground.writing():
        now = session.now()
        role = actor.role if actor.role in session.policy.all_roles else ""
        draft = Draft(Operation.READ_REFUSED, now, purpose, role)
        with session.ground.files.data_transaction(full=False):
            sequence = session.ground.log.append((draft,), session.policy.digest)
            book = session.actor_entry(sequence, now, actor, Operation.READ_REFUSED, purpose, reason)
            session.ground.log.note_actors([(sequence, book)])
