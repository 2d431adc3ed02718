"""Expiry: a consent whose lifetime is over is denied at once by the clock; here its key is destroyed, after the grace.
The same happens, without grace, to consents to a purpose that the policy in force does not declare any more.

Grace is for mistakes (a renewal that came in late is given anew, but the evidence is still beside it); reading and
recording never see it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.errors import DestructionStopped
from consentprofile.model.consent import State
from consentprofile.model.plausibility import why_to_stop
from consentprofile.store.ports import Keyring, Work
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases.account_keys import AccountKeys, Changes, add_evidence
from consentprofile.usecases.held_terms import SECONDS_A_DAY
from consentprofile.usecases.session import Session

EXPIRE: Final = "expire"
BATCH: Final = 500
PAGE: Final = 1_000


class Expiry(msgspec.Struct, frozen=True, kw_only=True):
    """What an expiry run would do or did: keys whose grace is over, of how many living compartments, by purpose.

    ``stopped`` says why an unattended run would stop itself; None where it would not.
    """

    dying: int
    living: int
    purposes: dict[str, int]
    stopped: str | None


def plan(session: Session) -> Expiry:
    """What :func:`expire` would do now. Reads the whole keyring, in slices."""
    return _find(session)[0]


def expire(session: Session, *, attended: bool = False) -> Expiry:
    """Destroy the keys of consents whose lifetime and grace are over.

    Raises :class:`DestructionStopped` before anything is destroyed where that is implausible, unless ``attended``:
    a person has seen the plan and means it.
    """
    found, dying = _find(session)
    if found.stopped is not None and not attended:
        raise DestructionStopped(f"{found.stopped}; look at the clock, then run it attended if you mean it")
    for start in range(0, len(dying), BATCH):
        _destroy(session, dying[start : start + BATCH])
    return found


def _find(session: Session) -> tuple[Expiry, list[int]]:
    session.keys.require_officer()
    ground, after, living = session.ground, 0, 0
    dying: list[int] = []
    purposes: dict[str, int] = {}
    names = {number: name for name, number in session.purpose_numbers.items()}
    while True:
        with ground.files.reading(), ground.keyring.snapshot():
            newest = ground.log.hour() * 3600
            now = session.now()
            slots = ground.keyring.iterate(after, PAGE)
        for slot in slots:
            if slot.header.kind == SlotKind.COMPARTMENT and slot.key_held:
                living += 1
                if _is_over(session, slot, now):
                    dying.append(slot.number)
                    name = names[slot.header.purpose]
                    purposes[name] = purposes.get(name, 0) + 1
        if not slots:
            break
        after = slots[-1].number
    stopped = why_to_stop(dying=len(dying), living=living, idle_seconds=now - newest)
    return Expiry(dying=len(dying), living=living, purposes=purposes, stopped=stopped), dying


def _is_over(session: Session, slot: Slot, now: int) -> bool:
    held = session.held(slot.header.terms)
    if session.history.has_ended(held.purpose):
        return True
    grace = held.holds.grace_days * SECONDS_A_DAY
    return session.state(slot, now) is State.EXPIRED and now >= session.ends(slot) + grace


def _destroy(session: Session, numbers: list[int]) -> None:
    with session.ground.writing():
        now = session.now()

        def change(keyring: Keyring) -> Work:
            changes = Changes(session, now)
            for number in numbers:
                slot = keyring.slot(number)
                # Between the plan and now the consent may have been given anew, or the slot have another owner.
                if slot is None or not slot.key_held or not _is_over(session, slot, now):
                    continue
                terms = session.terms(slot.header.terms)
                account = AccountKeys(session, keyring, slot.header.tag)
                evidence = account.evidence(changes)
                ended = session.ends(slot) or now
                account.destroy(
                    session.place(terms.purpose),
                    changes,
                    Operation.CONSENT_EXPIRED,
                    since=ended,
                    state=State.EXPIRED,
                    purpose=terms.purpose,
                )
                add_evidence(changes, evidence, EXPIRE, terms, state=State.EXPIRED, method="", decided=ended)
            return changes.work()

        session.ground.pending.perform(change)
