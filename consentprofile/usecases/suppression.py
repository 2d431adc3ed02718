"""Suppression: a declared reason switches purposes off for an account, whatever it has consented to.

Keys stay, for the person may come back; nothing is recorded, read or released meanwhile. A suppression outlives the
account's erasure. It is noted by tag, sealed with the index key: nobody can add one without it. (Whoever can write
``keys.db`` could remove the row: file permissions guard that.)
"""

from __future__ import annotations

from consentprofile.crypto.binding import RecordType
from consentprofile.errors import InvalidDecision
from consentprofile.model.ids import normalize_account, parse_actor
from consentprofile.store.ports import TRAIL, Keyring, Work
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases.account_keys import AccountKeys, Changes
from consentprofile.usecases.session import Session
from consentprofile.usecases.tags import bring, recall
from consentprofile.usecases.tracing import commitment, trail_entry


def suppress(session: Session, account: str, reason: str, *, actor: str = "officer:unnamed") -> bool:
    """Note a declared reason for an account; whether that changed anything. Raises :class:`InvalidDecision`."""
    return _set(session, account, reason, actor, lift=False)


def lift_suppression(session: Session, account: str, reason: str, *, actor: str = "officer:unnamed") -> bool:
    """Take a reason away again; whether that changed anything. Raises :class:`InvalidDecision`."""
    return _set(session, account, reason, actor, lift=True)


def _set(session: Session, account: str, reason: str, actor: str, *, lift: bool) -> bool:
    session.keys.require_officer()
    who = parse_actor(actor)
    if reason not in (session.history.reasons if lift else session.policy.suppressions):
        raise InvalidDecision("the policy declares no such reason; `policy show` lists the reasons for suppression")
    normalized = normalize_account(account)
    operation = Operation.SUPPRESSION_LIFTED if lift else Operation.SUPPRESSED
    recall(session, normalized)
    with session.ground.writing():
        now = session.now()
        first = session.ground.log.size()

        def change(keyring: Keyring) -> Work:
            changes = Changes(session, now)
            tag, _ = bring(session, keyring, normalized)
            noted = reason in keyring.reasons(tag, session.keys.index)
            if noted is not lift:
                return changes.work()
            if lift:
                keyring.lift(tag, reason)
            else:
                keyring.suppress(tag, reason, session.keys.index)
            key = AccountKeys(session, keyring, tag).account(changes, normalized)
            plain = trail_entry(session, now, who, operation, reason)
            changes.row(TRAIL, RecordType.TRAIL, key, plain)
            changes.leaf(operation, role=who.role, facts=(("commitment", commitment(plain)),))
            changes.actors.append((first, session.actor_entry(first, now, who, operation, "", reason)))
            return changes.work()

        return not session.ground.pending.perform(change).is_empty
