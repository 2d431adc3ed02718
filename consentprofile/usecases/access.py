"""Access: everything that the store holds about one account, for the person who asks for it (GDPR, articles 15 and 20).

All that the keys still open is shown, also what is no longer used: a consent whose lifetime is over, in its days of
grace, is shown as not in force. Reading it leaves a leaf, an entry in the account's trail, and one in the actor book.
"""

from __future__ import annotations

from consentprofile.crypto.slots import Slot
from consentprofile.model.consent import IN_FORCE, Consent
from consentprofile.model.ids import normalize_account, parse_actor
from consentprofile.model.profile import Profile, dedupe, fold
from consentprofile.model.withheld import Withheld
from consentprofile.store.ports import ACCOUNT_PLACE, BLOCK, FIRST_PURPOSE_PLACE
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases import tracing
from consentprofile.usecases.account_keys import sealed_id
from consentprofile.usecases.consent import consents
from consentprofile.usecases.reading import StoredEvent, open_all_blocks, public_event
from consentprofile.usecases.session import Session
from consentprofile.usecases.tags import find, recall
from consentprofile.usecases.tracing import Trace


class HeldCompartment(Withheld, frozen=True, kw_only=True):
    """What one purpose holds. ``in_force`` is False for a consent that is over but whose key is still in grace."""

    in_force: bool
    profile: Profile
    events: list[StoredEvent]
    trail: list[Trace]


class Held(Withheld, frozen=True, kw_only=True):
    """Everything that the store holds about one account."""

    account: str | None
    controller: str
    contact: str
    policy: str
    consents: dict[str, Consent]
    compartments: dict[str, HeldCompartment]
    suppressed: list[str]
    trail: list[Trace]


def access(session: Session, account: str, *, actor: str = "officer:unnamed", reason: str | None = None) -> Held:
    """Everything held about one account. Raises :class:`InvalidAccount` or :class:`InvalidActor`.

    For an account that the store does not know, ``account`` is None and there is nothing but perhaps evidence.
    """
    session.keys.require_officer()
    who = parse_actor(actor)
    ground, normalized = session.ground, normalize_account(account)
    tag = recall(session, normalized)
    now = tracing.leave(session, who, Operation.ACCESSED, tracing.require_reason(reason), tag=tag)
    role = who.role if who.role in session.policy.all_roles else ""
    standing = consents(session, account, role=role)
    with ground.files.reading(), ground.keyring.snapshot():
        slots = ground.keyring.slots_of(tag)
        names = {session.place(name): name for name in session.purpose_numbers}
        held = {
            names[place]: _compartment(session, names[place], slot, now)
            for place, slot in sorted(slots.items())
            if place >= FIRST_PURPOSE_PLACE and slot.key_held
        }
        known, trail = _account(session, slots.get(ACCOUNT_PLACE))
        suppressed = ground.keyring.reasons(*find(session, ground.keyring, normalized))
    return Held(
        account=known,
        controller=session.policy.controller.name,
        contact=session.policy.controller.contact,
        policy=session.policy.digest.hex(),
        consents=standing,
        compartments=held,
        suppressed=suppressed,
        trail=trail,
    )


def _compartment(session: Session, purpose: str, slot: Slot, now: int) -> HeldCompartment:
    key = session.keys.unwrap(slot, purpose=purpose, terms=session.bound(slot.header.terms))
    rows = session.ground.rows(BLOCK).of(slot.number, slot.header.generation)
    events = open_all_blocks(session, key, rows)
    policy = session.history.newest(purpose)
    return HeldCompartment(
        in_force=session.state(slot, now) in IN_FORCE,
        profile=fold(events, policy, session.books.rules(policy.purposes[purpose], slot, events)),
        events=[public_event(event) for event in dedupe(events)],
        trail=tracing.entries(session, key, purpose),
    )


def _account(session: Session, slot: Slot | None) -> tuple[str | None, list[Trace]]:
    if slot is None:
        return None, []
    key = session.keys.unwrap(slot)
    known = sealed_id(session, slot)
    return None if known is None else known.decode(), tracing.entries(session, key, "")
