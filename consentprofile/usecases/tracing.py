"""The trail: who did what to one account, and what one actor did. Looking at it leaves a trace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.slots import Slot
from consentprofile.errors import InputError
from consentprofile.model.ids import Actor, normalize_account, parse_actor
from consentprofile.model.withheld import Withheld
from consentprofile.store.ports import ACCOUNT_PLACE, FIRST_PURPOSE_PLACE, TRAIL, Head, SealedRow
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.actor_book import open_entry
from consentprofile.usecases.consent import moment
from consentprofile.usecases.session import Session
from consentprofile.usecases.tags import recall

PAGE: Final = 1_000
SALT_BYTES: Final = 16
MAXIMUM_REASON: Final = 256


class TrailEntry(Withheld, frozen=True, array_like=True):
    """Who did what to an account, as it is sealed in the compartment or account that it concerns.

    ``leaf`` is the sequence of the leaf that commits to this entry: SHA-256 of its canonical bytes, which nobody can
    guess, for ``salt`` is random.
    """

    leaf: int
    second: int
    role: str
    name: str
    operation: str
    reason: str
    salt: bytes


class Trace(Withheld, frozen=True, kw_only=True):
    """Who did what, when, for which purpose and why. ``leaf`` is the sequence of its leaf, ``at`` is aware UTC."""

    leaf: int
    at: datetime
    actor: str
    operation: str
    purpose: str
    reason: str


def trail_entry(
    session: Session, second: int, actor: Actor, operation: Operation, reason: str, head: Head | None = None
) -> bytes:
    """The plaintext of an entry for the next leaf of the log, after ``head``; the caller holds the writer lock."""
    sequence = session.ground.log.size() if head is None else head.frontier.size
    entry = TrailEntry(sequence, second, actor.role, actor.name, operation, reason, random_bytes(SALT_BYTES))
    return canonical.pack(entry)


def require_reason(reason: str | None) -> str:
    """The reason as it is kept; ``""`` for none. Raises :class:`InputError` for a long or unprintable one."""
    if reason is not None and (len(reason) > MAXIMUM_REASON or not reason.isprintable()):
        raise InputError(f"a reason is at most {MAXIMUM_REASON} printable characters")
    return reason or ""


def commitment(plain: bytes) -> bytes:
    """What the leaf says of a trail entry."""
    return canonical.digest(plain)


def leave(session: Session, actor: Actor, operation: Operation, reason: str, *, tag: bytes | None = None) -> int:
    """Note that an actor looked at personal data: a leaf, an entry of the actor book, and one of the account's trail.

    Durable by the store's setting, and before anything is opened. Returns the second, UTC.
    """
    ground = session.ground
    with ground.writing():
        now = session.now()
        plain = trail_entry(session, now, actor, operation, reason)
        role = actor.role if actor.role in session.policy.all_roles else ""
        slot = None if tag is None else ground.keyring.slot_at(tag, ACCOUNT_PLACE)
        key = None if slot is None else session.keys.unwrap(slot)
        facts = (("commitment", commitment(plain)),)
        with ground.files.data_transaction(full=False):
            if key is not None:
                sealed = key.seal(RecordType.TRAIL, plain)
                ground.rows(TRAIL).append([SealedRow(key.slot, key.generation, sealed)])
            sequence = ground.log.append((Draft(operation, now, "", role, facts),), session.policy.digest)
            book = session.actor_entry(sequence, now, actor, operation, "", reason)
            ground.log.note_actors([(sequence, book)])
    return now


def of_account(session: Session, account: str, *, actor: str, reason: str | None) -> list[Trace]:
    """The trail of an account, of all its purposes and of officer acts, in the order of the log.

    Empty for an account that the store does not know, or no longer. Raises :class:`InvalidAccount`,
    :class:`InvalidActor`.
    """
    session.keys.require_officer()
    who, normalized = parse_actor(actor), normalize_account(account)
    tag = recall(session, normalized)
    leave(session, who, Operation.AUDIT_READ, require_reason(reason), tag=tag)
    with session.ground.files.reading(), session.ground.keyring.snapshot():
        traces = [trace for slot in session.ground.keyring.slots_of(tag).items() for trace in _of_slot(session, *slot)]
    return sorted(traces, key=lambda trace: trace.leaf)


def _of_slot(session: Session, place: int, slot: Slot) -> list[Trace]:
    if not slot.key_held:
        return []
    if place == ACCOUNT_PLACE:
        return entries(session, session.keys.unwrap(slot), "")
    if place < FIRST_PURPOSE_PLACE:
        return []
    purpose = session.terms(slot.header.terms).purpose
    key = session.keys.unwrap(slot, purpose=purpose, terms=session.bound(slot.header.terms))
    return entries(session, key, purpose)


def entries(session: Session, key: SlotKey, purpose: str) -> list[Trace]:
    """The trail that lies in one slot, in the order of the log. Raises :class:`CorruptRecord`."""
    rows = session.ground.rows(TRAIL).of(key.slot, key.generation)
    found = [canonical.unpack(key.open(RecordType.TRAIL, sealed), TrailEntry) for sealed in rows]
    traces = [
        Trace(
            leaf=entry.leaf,
            at=moment(entry.second),
            actor=f"{entry.role}:{entry.name}",
            operation=entry.operation,
            purpose=purpose,
            reason=entry.reason,
        )
        for entry in found
    ]
    return sorted(traces, key=lambda trace: trace.leaf)


def of_actor(
    session: Session, name: str, *, actor: str, since: datetime | None, until: datetime | None
) -> Iterator[Trace]:
    """What the actor ``name`` (``role:name``) did from ``since`` to before ``until``, in the order of the log.

    Read in pages, whatever the length of the book. Raises :class:`InvalidActor`, :class:`InputError` for a time
    without a zone, :class:`CorruptRecord`.
    """
    session.keys.require_officer()
    wanted, who = parse_actor(name), parse_actor(actor)
    if any(bound is not None and bound.tzinfo is None for bound in (since, until)):
        raise InputError("a time is a datetime with a time zone")
    leave(session, who, Operation.AUDIT_READ, "")
    return _book(session, wanted, since, until)


def _book(session: Session, wanted: Actor, since: datetime | None, until: datetime | None) -> Iterator[Trace]:
    start = 0
    while True:
        with session.ground.files.reading():
            page = session.ground.log.actors(start, PAGE)
        for sequence, sealed in page:
            entry = open_entry(session.keys, sequence, sealed)
            at = moment(entry.second)
            if (entry.role, entry.name) != wanted or (since and at < since) or (until and at >= until):
                continue
            yield Trace(
                leaf=sequence,
                at=at,
                actor=str(wanted),
                operation=entry.operation,
                purpose=entry.purpose,
                reason=entry.reason,
            )
        if not page:
            return
        start = page[-1][0] + 1
