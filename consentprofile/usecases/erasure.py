"""Erasure: every key of an account dies, and with it every copy of what it sealed.

What stays is the evidence of the consent decisions, which the controller must be able to show, under its own key and
for its own lifetime; suppressions, so that nobody is contacted again because he asked to be forgotten; and leaves,
which name key ids and nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.slots import Slot
from consentprofile.errors import InputError
from consentprofile.model.consent import State
from consentprofile.model.ids import Actor, normalize_account, parse_actor
from consentprofile.store.ports import ACCOUNT_PLACE, FIRST_PURPOSE_PLACE, Keyring, Work
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases.account_keys import AccountKeys, Changes, add_evidence
from consentprofile.usecases.certificates import IssuedCertificate, certify
from consentprofile.usecases.session import Session
from consentprofile.usecases.tags import find

ERASE: Final = "erase"
MAXIMUM_REFERENCE: Final = 256
MAXIMUM_ACCOUNTS: Final = 1_000


class ErasurePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure would do: how many of the accounts the store knows, and how many keys would die."""

    found: int
    keys: int
    purposes: tuple[str, ...]


def plan(session: Session, accounts: Sequence[str]) -> ErasurePlan:
    """What :func:`erase` would do to these accounts now. Nothing is changed and nothing personal opened."""
    session.keys.require_officer()
    named = list(dict.fromkeys(map(normalize_account, accounts)))
    names = {session.place(name): name for name in session.purpose_numbers}
    found = keys = 0
    purposes: set[str] = set()
    with session.ground.files.reading(), session.ground.keyring.snapshot():
        for normalized in named:
            tag = find(session, session.ground.keyring, normalized).tag
            account = AccountKeys(session, session.ground.keyring, tag)
            dying = _dying(account)
            found += ACCOUNT_PLACE in account.slots
            keys += len(dying)
            purposes.update(names[place] for place, _ in dying if place in names)
    return ErasurePlan(found=found, keys=keys, purposes=tuple(sorted(purposes)))


def erase(
    session: Session, accounts: Sequence[str], *, reference: str | None = None, actor: str = "officer:unnamed"
) -> IssuedCertificate:
    """Erase accounts, all in one change. Accounts that the store does not know are none the wiser.

    When it returns, no process can read the data, and what lies in files is sealed under keys that no longer exist.
    Raises :class:`InvalidAccount`, :class:`InvalidActor` or :class:`InputError` before anything has changed. Should the
    process end before the certificate is made, it can be had later from the leaves.
    """
    session.keys.require_officer()
    if len(accounts) > MAXIMUM_ACCOUNTS:
        raise InputError(f"at most {MAXIMUM_ACCOUNTS} accounts are erased at once; call again for the others")
    who = parse_actor(actor)
    if reference is not None and (not 0 < len(reference) <= MAXIMUM_REFERENCE or not reference.isprintable()):
        raise InputError(f"a reference is 1 to {MAXIMUM_REFERENCE} printable characters")
    named = list(dict.fromkeys(map(normalize_account, accounts)))
    salt = random_bytes(16)
    commitment = b"" if reference is None else canonical.digest(salt + reference.encode())
    found = 0
    destroyed: list[bytes] = []
    with session.ground.writing():
        now = session.now()
        first = session.ground.log.size()

        def change(keyring: Keyring) -> Work:
            nonlocal found
            found = 0
            destroyed.clear()
            changes = Changes(session, now)
            for normalized in named:
                account = AccountKeys(session, keyring, find(session, keyring, normalized).tag)
                found += ACCOUNT_PLACE in account.slots
                destroyed.extend(slot.header.key_id for _, slot in _dying(account))
                _erase(session, account, changes, who)
            if changes.leaves and commitment:
                changes.leaves = [
                    msgspec.structs.replace(leaf, facts=(*leaf.facts, ("reference", commitment)))
                    for leaf in changes.leaves
                ]
            if changes.leaves:
                entry = session.actor_entry(first, now, who, Operation.ERASED, "", "")
                changes.actors.append((first, entry))
            return changes.work()

        work = session.ground.pending.perform(change)
    sequences = tuple(range(first, first + len(work.leaves)))
    return IssuedCertificate(
        found=found,
        key_ids=tuple(key_id.hex() for key_id in destroyed),
        purposes=tuple(sorted({leaf.purpose for leaf in work.leaves} - {""})),
        leaves=sequences,
        file=certify(session, "erasure", sequences),
        reference_salt=salt.hex() if reference is not None else None,
    )


def _dying(account: AccountKeys) -> list[tuple[int, Slot]]:
    """The (place, slot) of each key that an erasure destroys: of compartments, then of the account."""
    living = [(place, slot) for place, slot in sorted(account.slots.items()) if slot.key_held]
    compartments = [entry for entry in living if entry[0] >= FIRST_PURPOSE_PLACE]
    return compartments + [entry for entry in living if entry[0] == ACCOUNT_PLACE]


def _erase(session: Session, account: AccountKeys, changes: Changes, who: Actor) -> None:
    names = {session.place(name): name for name in session.purpose_numbers}
    # Where the clock was put back, a decision may lie ahead of it: the erasure comes after that one too.
    since = [slot.header.since for place, slot in account.slots.items() if place != ACCOUNT_PLACE]
    latest = max([changes.now, *since])
    for place, slot in sorted(account.slots.items()):
        if place < FIRST_PURPOSE_PLACE:
            continue
        if slot.key_held:
            terms = session.terms(slot.header.terms)
            evidence = account.evidence(changes)
            account.destroy(place, changes, Operation.ERASED, since=changes.now, purpose=names[place], role=who.role)
            add_evidence(changes, evidence, ERASE, terms, state=State.WITHDRAWN, method="", decided=changes.now)
        account.vacate(place)
    if ACCOUNT_PLACE in account.slots:
        account.destroy(ACCOUNT_PLACE, changes, Operation.ERASED, since=changes.now, role=who.role)
        account.vacate(ACCOUNT_PLACE)
        account.note_erasure(latest)
