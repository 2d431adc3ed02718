"""A release with differential privacy: charged, then drawn, then kept, then signed for, and only then handed out.

1. One durable transaction writes the charge: its sealed entry of the ledger, which says what is asked and what that
   costs, and its leaf. Under the writer lock the budget was found to pay for it.
2. A head of the log is signed over it and anchored in the keyring, so that no older ``data.db`` passes for the newest.
3. Noise is drawn.
4. One durable transaction puts the files into the entry of the charge, with the leaf of the release.
5. A head is signed over the answer (:func:`consentprofile.usecases.release.release` does it, whoever drew). A
   ``data.db`` from between charge and answer does not pass for the newest either, so no second answer is drawn.

All of it but 5 is under one hold of the writer lock, so two that ask at once get one charge and one answer. A crash
after 1 leaves a charge without an answer. It stays spent, and the same specification asked again is drawn under it,
from whoever is counted then. That costs nothing more: what was drawn before the crash was in the memory of the process
that died and nowhere else, for files leave it after 5 only, so nobody has seen more than one draw. What decides whether
a draw is lost is a crash, which noise and figures have no part in. Where the charge weighs no more, or nobody can tell
whether it was answered, it is paid for again (:func:`consentprofile.usecases.budget.unanswered`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.randomness import random_bytes
from consentprofile.model.ids import Actor
from consentprofile.release import ledger
from consentprofile.release.dp.accounting import Loss, counted_in
from consentprofile.release.dp.budget import affordable_at, left
from consentprofile.release.dp.entry import SALT_BYTES, ChargedEntry, charge, drawn
from consentprofile.release.dp.manifest import noisy_manifest
from consentprofile.release.dp.mechanisms import require_opendp
from consentprofile.release.dp.plan import planned_noise
from consentprofile.release.dp.protect import mechanism, protect
from consentprofile.release.dp.rows import find_widths
from consentprofile.release.plan import ReleasePlan, plan_noisy
from consentprofile.release.spec import ReleaseSpec, check_period
from consentprofile.release.writers import render
from consentprofile.store.ports import StoredRelease
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases import budget, heads
from consentprofile.usecases.approval import Approved, is_approved
from consentprofile.usecases.budget import Charges
from consentprofile.usecases.census import Census, Standing
from consentprofile.usecases.consent import moment
from consentprofile.usecases.release_traces import note
from consentprofile.usecases.released import entries
from consentprofile.usecases.session import Session


class Paid(NamedTuple):
    """A charge: the number of its release, and its entry."""

    number: int
    entry: ChargedEntry


def require_payable(
    spec: ReleaseSpec, asked: Loss, charges: Charges, known: Mapping[int, ledger.Entry], now: int
) -> None:
    """Raise before anybody is counted where the release could not be drawn or paid for.

    :class:`UnsupportedEnvironment` without the extra ``dp``, :class:`ReleaseRefused` where the budget does not allow
    it. What was paid for already is paid for.
    """
    require_opendp()
    if budget.unanswered(charges, known, spec, now) is None:
        budget.require(charges, spec, asked, known, now)


def plan(session: Session, spec: ReleaseSpec, asked: Loss, asker: Actor) -> ReleasePlan:
    """What the release would be and cost, with a leaf. Nobody is counted for it.

    Raises :class:`UnsupportedEnvironment` without the extra ``dp``, :class:`ReleaseRefused` for a period that could not
    be released.
    """
    require_opendp()
    with session.ground.writing():
        now, known = session.now(), entries(session)
        charges = Charges(session, spec.purpose)
        paid = _paid(charges, known, spec, now)
        if paid is None:
            check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(known.values(), spec))
        whole, made = budget.allowed(spec), charges.made(known)
        with session.ground.files.data_transaction(full=False):
            note(session, Operation.RELEASE_PLANNED, now, spec.purpose, asker)
    cost = Loss(whole.currency, 0) if paid is not None else counted_in(asked, whole.currency) or asked
    when = affordable_at(whole, cost, made, now)
    noise = planned_noise(spec, asked, cost, left(whole, made, now), None if when is None else moment(when))
    approved = None if paid is not None else is_approved(session, spec)
    answered_by = None if paid is None or not paid.entry.files else paid.number
    return msgspec.structs.replace(plan_noisy(spec, noise), approved=approved, answered_by=answered_by)


def try_to_publish(
    session: Session,
    spec: ReleaseSpec,
    census: Census,
    asker: Actor,
    approved: Approved,
    known: Mapping[int, ledger.Entry],
    charges: Charges,
) -> tuple[int, dict[str, bytes], bool] | None:
    """Charge, draw and keep the release, unless somebody else has meanwhile; None where who counts has changed.

    ``known`` is the ledger, and ``charges`` are those to its purpose, as far as they went before anybody was counted.
    """
    if spec.noise is None:
        raise ValueError("this specification asks for no noise")
    standing = census.standing(session)
    find_widths(spec, mechanism(spec, spec.noise.loss))
    with session.ground.writing():
        now, known = session.now(), entries(session, known)
        found = ledger.answer(known, spec)
        if found is not None:
            return *found, True
        check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(known.values(), spec))
        approved.require()
        if session.ground.keyring.changes() != standing.changes or now >= standing.until:
            return None
        # What could not be signed for is not paid for.
        heads.require_extension(session, session.ground.log.head().frontier)
        paid = _paid(charges, known, spec, now)
        if paid is None:
            budget.require(charges, spec, spec.noise.loss, known, now)
            paid = _pay(session, spec, spec.noise.loss, known, now, asker)
        heads.checkpoint(session)
        files = _draw(session, spec, standing, paid)
        _keep(session, drawn(paid.entry, policy=session.policy.digest, files=files), paid.number, now, asker)
    return paid.number, files, False


def _paid(charges: Charges, known: Mapping[int, ledger.Entry], spec: ReleaseSpec, now: int) -> Paid | None:
    """The charge of this very specification: with its answer, or to be drawn under."""
    found = ledger.charged(known, spec)
    if found is None or not found[1].files:
        found = budget.unanswered(charges, known, spec, now)
    return None if found is None else Paid(*found)


def _pay(
    session: Session, spec: ReleaseSpec, asked: Loss, known: Mapping[int, ledger.Entry], now: int, asker: Actor
) -> Paid:
    """Charge the budget, which was found to allow it, durably.

    A charge that nothing can be drawn under any more is in the ledger under its number, and makes room for this one.
    """
    before = ledger.charged(known, spec)
    number = session.ground.releases.next_number() if before is None else before[0]
    entry = charge(spec, asked, second=now, policy=session.policy.digest, salt=random_bytes(SALT_BYTES))
    sealed = session.keys.seal_record(RecordType.LEDGER, number, ledger.pack(entry))
    facts = (*budget.facts(number, asked), ("specification", spec.digest))
    with session.ground.files.data_transaction(full=True):
        if before is None:
            session.ground.releases.add(StoredRelease(number, entry.digest, sealed))
        else:
            session.ground.releases.settle(number, entry.digest, sealed)
        note(session, Operation.BUDGET_CHARGED, now, spec.purpose, asker, facts)
    return Paid(number, entry)


def _draw(session: Session, spec: ReleaseSpec, standing: Standing, paid: Paid) -> dict[str, bytes]:
    """The files of the release, with noise that costs what was charged."""
    noisy = protect(spec, standing.counted, mechanism(spec, paid.entry.charged.loss))
    root = session.ground.log.head().frontier.root()
    return render(spec, noisy, noisy_manifest(spec, session.policy, noisy, salt=paid.entry.salt, root=root))


def _keep(session: Session, entry: ChargedEntry, number: int, now: int, asker: Actor) -> None:
    """Put what was drawn into the entry of its charge."""
    sealed = session.keys.seal_record(RecordType.LEDGER, number, ledger.pack(entry))
    facts = (("release", number), ("specification", entry.digest))
    with session.ground.files.data_transaction(full=True):
        session.ground.releases.settle(number, entry.digest, sealed)
        note(session, Operation.RELEASED, now, entry.purpose, asker, facts)
