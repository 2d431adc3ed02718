"""The tags of accounts: under which index key an account is found, and how it moves from one to another.

Whoever is alive is found under the index key in force: recording and reading know no other. An account that was erased
when tags were changed has left evidence, and perhaps a suppression, under its former tag, which only its id can tell;
and so has, whole, one whose id was lost amid that. It is looked for there when somebody names the account, and moves
when the person comes back.
"""

from __future__ import annotations

from typing import NamedTuple

from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.crypto.tags import IndexKey
from consentprofile.store.ports import Keyring
from consentprofile.usecases.session import Session


class Found(NamedTuple):
    """Where the keyring has an account: its tag, and the index key that this is under."""

    tag: bytes
    under: IndexKey


def find(session: Session, keyring: Keyring, normalized: bytes) -> Found:
    """Where the keyring has an account; under the index key in force where it has nothing of it."""
    for index in session.keys.former_indexes:
        tag = index.account(normalized)
        if keyring.is_known(tag):
            return Found(tag, index)
    return Found(session.keys.index.account(normalized), session.keys.index)


def bring(session: Session, keyring: Keyring, normalized: bytes) -> bytes:
    """The account's tag under the index key in force, all that the keyring has of it moved there.

    Inside a keyring transaction.
    """
    found = find(session, keyring, normalized)
    if found.under is session.keys.index:
        return found.tag
    tag = session.keys.index.account(normalized)
    move(session, keyring, found, tag)
    return tag


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
