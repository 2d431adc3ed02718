"""The tags of accounts: under which index key an account is found, and how it moves from one to another.

Whoever is alive is found under the index key in force: recording and reading know no other. An account that was erased
when tags were changed has left evidence, and perhaps a suppression, under its former tag, which only its id can tell;
and so has, whole, one whose id was lost by then. It is looked for there when somebody names the account, and moves when
the person comes back, or when an officer names one who never went.
"""

from __future__ import annotations

from typing import NamedTuple

from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.crypto.tags import IndexKey
from consentprofile.store.ports import ACCOUNT_PLACE, Keyring, Work
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases.account_keys import AccountKeys, Changes, has_id
from consentprofile.usecases.session import Session


class Found(NamedTuple):
    """Where the keyring has an account: its tag, and the index key that this is under."""

    tag: bytes
    under: IndexKey


class Brought(NamedTuple):
    """The account's tag under the index key in force; whether somebody alive had another one."""

    tag: bytes
    moved: bool


def find(session: Session, keyring: Keyring, normalized: bytes) -> Found:
    """Where the keyring has an account; under the index key in force where it has nothing of it."""
    for index in session.keys.former_indexes:
        tag = index.account(normalized)
        if keyring.is_known(tag):
            return Found(tag, index)
    return Found(session.keys.index.account(normalized), session.keys.index)


def bring(session: Session, keyring: Keyring, normalized: bytes) -> Brought:
    """Move all that the keyring has of an account under the index key in force. Inside a keyring transaction."""
    found = find(session, keyring, normalized)
    if found.under is session.keys.index:
        return Brought(found.tag, moved=False)
    tag, alive = session.keys.index.account(normalized), keyring.slot_at(found.tag, ACCOUNT_PLACE) is not None
    move(session, keyring, found, tag)
    return Brought(tag, moved=alive)


def recall(session: Session, normalized: bytes) -> bytes:
    """The account's tag, now that an officer names it: what was lost of a living one is put right, with a leaf.

    That is its sealed id, where the data was restored from a copy without it, and with that its place under the index
    key in force. Of an account that the store does not know, or no longer, nothing is changed.
    """
    ground = session.ground
    with ground.files.reading(), ground.keyring.snapshot():
        found = find(session, ground.keyring, normalized)
        if _is_whole(session, found, ground.keyring):
            return found.tag
    with ground.writing():

        def change(keyring: Keyring) -> Work:
            changes = Changes(session, session.now())
            found = find(session, keyring, normalized)
            if not _is_whole(session, found, keyring):
                AccountKeys(session, keyring, bring(session, keyring, normalized).tag).keep_id(changes, normalized)
                changes.leaf(Operation.REPAIRED, role="officer")
            return changes.work()

        ground.pending.perform(change)
        return find(session, ground.keyring, normalized).tag


def _is_whole(session: Session, found: Found, keyring: Keyring) -> bool:
    """Whether nothing is to be put right: nobody is alive there, or the id and the tag are as they should be."""
    slot = keyring.slot_at(found.tag, ACCOUNT_PLACE)
    return slot is None or (found.under is session.keys.index and has_id(session, slot))


def under(session: Session, tag: bytes, normalized: bytes) -> IndexKey | None:
    """The index key under which this is the tag of this id; None where it is under none that the store has."""
    indexes = (session.keys.index, *session.keys.former_indexes)
    return next((index for index in indexes if index.account(normalized) == tag), None)


def move(session: Session, keyring: Keyring, found: Found, tag: bytes) -> None:
    """Move an account to another tag: its slots, its entries of the directory, its suppressions.

    Inside a keyring transaction. Raises :class:`CorruptRecord`.
    """
    for slot in keyring.slots_of(found.tag).values():
        keyring.overwrite(_retagged(session, slot, tag))
    reasons = keyring.reasons(found.tag, found.under)
    keyring.enter_as(found.tag, tag)
    for reason in reasons:
        keyring.lift(found.tag, reason)
        keyring.suppress(tag, reason, session.keys.index)


def _retagged(session: Session, slot: Slot, tag: bytes) -> Slot:
    header = slot.header._replace(tag=tag)
    if not slot.key_held:
        return slot._replace(header=header)
    if header.kind != SlotKind.COMPARTMENT:
        return session.keys.rewrap(slot, header)[0]
    purpose, terms = session.purpose_names[header.purpose], session.bound(header.terms)
    return session.keys.rewrap(slot, header, purpose=purpose, terms=terms, new_terms=terms)[0]
