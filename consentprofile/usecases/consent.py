"""Consent: give, renew, refuse, withdraw, invalidate, and what stands now with the evidence behind it.

Whatever an act does to a key is decided by :func:`consentprofile.model.consent.judge`; here it is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.slots import Slot
from consentprofile.errors import CorruptRecord, InvalidDecision
from consentprofile.model.consent import DPV_STATUS, IN_FORCE, Act, Consent, Decision, Effect, Entry, State, judge
from consentprofile.model.ids import normalize_account
from consentprofile.model.policy import Policy
from consentprofile.model.withheld import Withheld
from consentprofile.store.ports import EVIDENCE, EVIDENCE_PLACE, Keyring, Terms, Work
from consentprofile.tlog.leaf import KEY_ID, Draft, Operation
from consentprofile.usecases.account_keys import AccountKeys, Changes, add_evidence
from consentprofile.usecases.certificates import IssuedCertificate, certify
from consentprofile.usecases.held_terms import SECONDS_A_DAY
from consentprofile.usecases.session import Session
from consentprofile.usecases.tags import bring, find

MAXIMUM_METHOD: Final = 256

_LEAVES: Final = {
    State.GIVEN: Operation.CONSENT_GIVEN,
    State.RENEWED: Operation.CONSENT_RENEWED,
    State.REFUSED: Operation.CONSENT_REFUSED,
    State.WITHDRAWN: Operation.CONSENT_WITHDRAWN,
    State.INVALIDATED: Operation.CONSENT_INVALIDATED,
}
_DESTRUCTIONS: Final = frozenset({Operation.CONSENT_WITHDRAWN, Operation.CONSENT_INVALIDATED})
_NEEDS_NOTICE: Final = frozenset({Act.GIVE, Act.RENEW})


class _Judged(Withheld, frozen=True):
    """A decision that was found valid, in the terms of the store."""

    normalized: bytes
    purposes: tuple[str, ...]
    act: Act
    notice: str | None
    method: str
    at: int
    dated: bool
    """Whether the caller said when it was decided; otherwise it is decided now."""


class Decided(NamedTuple):
    """What became of decisions: for each, what stands afterwards by purpose; and the leaves of it, by sequence."""

    answers: list[dict[str, Consent]]
    leaves: list[tuple[int, Draft]]


class _StoredEntry(Withheld, frozen=True, array_like=True):
    """The plaintext of one entry of the evidence."""

    act: str
    purpose: str
    state: int
    notice: str
    notice_sha256: bytes
    declaration: bytes
    method: str
    decided: int
    recorded: int


def decide(session: Session, decisions: Sequence[Decision], *, imported: bool = False, role: str = "app") -> Decided:
    """Carry out decisions, all or none, in one change of the keyring.

    Decisions that are older than what stands, or than an erasure of the account, change nothing: repeating an import
    adds nothing. But whoever is named and alive gets the sealed id again where it was lost, and the tag under the index
    key in force. ``imported`` also takes decisions under superseded notices. Raises :class:`InvalidDecision`,
    :class:`InvalidAccount` or :class:`UndeclaredPurpose`; then nothing has changed.
    """
    session.keys.require_officer()
    with session.ground.writing():
        now = session.now()
        first = session.ground.log.size()
        judged = [_validate(session, decision, now, imported=imported) for decision in decisions]
        answers: list[dict[str, Consent]] = []

        def change(keyring: Keyring) -> Work:
            answers.clear()
            changes, mended = Changes(session, now), False
            accounts: dict[bytes, AccountKeys] = {}
            for decision in judged:
                tag, moved = bring(session, keyring, decision.normalized)
                account = accounts.get(tag)
                if account is None:
                    account = accounts[tag] = AccountKeys(session, keyring, tag)
                answers.append(
                    {purpose: _apply(session, keyring, account, changes, decision, purpose, role)
                     for purpose in decision.purposes}
                )  # fmt: skip
                mended |= moved | account.keep_id(changes, decision.normalized)
            if mended and not changes.leaves:
                changes.leaf(Operation.REPAIRED, role=role)
            return changes.work()

        try:
            work = session.ground.pending.perform(change)
        except BaseException:
            session.forget_terms()
            raise
    return Decided(answers, [(first + index, leaf) for index, leaf in enumerate(work.leaves)])


def end(session: Session, decision: Decision, *, role: str = "app") -> IssuedCertificate:
    """Carry out a withdrawal or an invalidation, and certify the destruction of its keys."""
    decided = decide(session, [decision], role=role)
    destroyed = [(sequence, leaf) for sequence, leaf in decided.leaves if leaf.operation in _DESTRUCTIONS]
    sequences = tuple(sequence for sequence, _ in destroyed)
    key_ids = [dict(leaf.facts).get(KEY_ID) for _, leaf in destroyed]
    return IssuedCertificate(
        found=int(bool(destroyed)),
        key_ids=tuple(key_id.hex() for key_id in key_ids if isinstance(key_id, bytes)),
        purposes=tuple(sorted({leaf.purpose for _, leaf in destroyed})),
        leaves=sequences,
        file=certify(session, "withdrawal", sequences),
        consents=decided.answers[0],
    )


def _validate(session: Session, decision: Decision, now: int, *, imported: bool) -> _Judged:
    normalized = normalize_account(decision.account)
    if not decision.purposes or len(set(decision.purposes)) != len(decision.purposes):
        raise InvalidDecision("a decision names at least one purpose, and none twice")
    purposes = tuple(session.purpose(name).name for name in decision.purposes)
    at = now
    if decision.at is not None:
        if decision.at.tzinfo is None:
            raise InvalidDecision("a decision's time is a datetime with a time zone")
        at = int(decision.at.timestamp())
        if at > now:
            raise InvalidDecision("a decision cannot be from the future")
        if at < 0:
            raise InvalidDecision("a decision's time is before 1970")
    notice = decision.notice
    if notice is None:
        if decision.act in _NEEDS_NOTICE:
            raise InvalidDecision("name the version of the notice that the person was shown")
    elif notice not in session.policy.notices:
        raise InvalidDecision("the policy knows no such notice; `policy show` lists the versions")
    elif not imported and any(session.policy.purposes[name].notice != notice for name in purposes):
        raise InvalidDecision("this notice is superseded for one of the purposes; show the person the one in force")
    method = decision.method or ""
    if decision.act is Act.GIVE and not method:
        raise InvalidDecision("say by what method the person gave consent, such as 'signup form'")
    if len(method) > MAXIMUM_METHOD or (method and not method.isprintable()):
        raise InvalidDecision(f"a method is at most {MAXIMUM_METHOD} printable characters")
    return _Judged(normalized, purposes, decision.act, notice, method, at, decision.at is not None)


def _apply(
    session: Session,
    keyring: Keyring,
    account: AccountKeys,
    changes: Changes,
    decision: _Judged,
    purpose: str,
    role: str,
) -> Consent:
    slot = account.compartment(purpose)
    held = slot is not None and slot.key_held
    latest = _latest(session, account, slot)
    if decision.dated and decision.at < latest:
        return _consent(session, account, purpose, changes.now)  # something later stands already
    # What is decided now is decided last, even where a clock has been put back a little: a no is never passed over.
    decision = msgspec.structs.replace(decision, at=max(decision.at, latest))
    state = session.state(slot, decision.at)
    known = slot.header.terms if slot is not None and held else 0
    before = session.terms(known) if known else None
    if before is not None and state in IN_FORCE and _is_older(session, decision, before):
        raise InvalidDecision("this decision is under an older notice than the consent in force")
    same = before is not None and decision.notice == before.notice
    after, effect = judge(state, decision.act, same_notice=same, key_held=held)
    given = _policy_of(session, decision, purpose)
    until = decision.at + given.purposes[purpose].lifetime_days * SECONDS_A_DAY
    if effect is Effect.ADVANCE and same and slot is not None and until <= session.ends(slot):
        effect = Effect.NOTHING  # this renewal, or a later one, stands already
    if effect is Effect.NOTE and state is State.WITHDRAWN and decision.dated and decision.at == latest:
        effect = Effect.NOTHING  # this refusal has withdrawn the consent already
    if effect is Effect.NOTHING:
        return _consent(session, account, purpose, changes.now)

    place = session.place(purpose)
    terms = before if effect is Effect.DESTROY and before else _terms(session, keyring, given, purpose, decision.notice)
    account.account(changes, decision.normalized)
    evidence = account.evidence(changes)
    if effect is Effect.DESTROY:
        account.destroy(place, changes, _LEAVES[after], since=decision.at, state=after, purpose=purpose, role=role)
    elif effect is Effect.NOTE:
        account.note_state(purpose, state=after, since=decision.at)
        changes.leaf(_LEAVES[after], purpose=purpose, role=role)
    elif effect is Effect.ADVANCE:
        account.advance_compartment(terms, state=after, until=until)
        changes.leaf(_LEAVES[after], purpose=purpose, role=role)
    else:
        if held:  # an expired consent within its days of grace: the old key does not come back to life
            account.destroy(
                place,
                changes,
                Operation.CONSENT_EXPIRED,
                since=decision.at,
                state=State.EXPIRED,
                purpose=purpose,
                role=role,
            )
        key_id = account.mint_compartment(terms, state=after, since=decision.at, until=until)
        changes.leaf(_LEAVES[after], purpose=purpose, role=role, facts=((KEY_ID, key_id),))
    add_evidence(changes, evidence, decision.act, terms, state=after, method=decision.method, decided=decision.at)
    return _consent(session, account, purpose, changes.now, changed=True)


def _latest(session: Session, account: AccountKeys, slot: Slot | None) -> int:
    """The second of the latest decision that stands: a renewal has moved the end of the lifetime, not its beginning."""
    latest = account.erased_at
    if slot is not None:
        latest = max(latest, slot.header.since)
        if slot.key_held:
            latest = max(latest, slot.header.until - session.held(slot.header.terms).lifetime)
    return latest


def _is_older(session: Session, decision: _Judged, before: Terms) -> bool:
    versions = list(session.policy.notices)
    if decision.notice is None or before.notice not in versions or decision.act not in _NEEDS_NOTICE:
        return False
    return versions.index(decision.notice) < versions.index(before.notice)


def _policy_of(session: Session, decision: _Judged, purpose: str) -> Policy:
    """The policy whose declaration the decision is about: for one under a superseded notice, that of its time."""
    in_force = session.policy.purposes[purpose].notice
    if decision.notice is None or decision.notice == in_force:
        return session.policy
    return session.history.asking(purpose, decision.notice)


def _terms(session: Session, keyring: Keyring, given: Policy, purpose: str, notice: str | None) -> Terms:
    """The terms of policy ``given`` for this purpose and notice; added to the keyring where they are new."""
    version = notice or given.purposes[purpose].notice
    declaration = given.declaration(purpose)
    known = keyring.all_terms()
    for terms in known.values():
        if (terms.purpose, terms.notice, terms.declaration) == (purpose, version, declaration):
            return terms
    shown = bytes.fromhex(given.notices[version].sha256)
    terms = Terms(max(known, default=0) + 1, purpose, version, shown, declaration, given.digest)
    keyring.add_terms(terms)
    session.forget_terms()
    return terms


def _consent(session: Session, account: AccountKeys, purpose: str, now: int, *, changed: bool = False) -> Consent:
    slot = account.compartment(purpose)
    state = session.state(slot, now)
    if slot is None:
        return Consent(purpose=purpose, state=state.label, dpv=DPV_STATUS[state])
    header = slot.header
    return Consent(
        purpose=purpose,
        state=state.label,
        dpv=DPV_STATUS[state],
        since=moment(session.ends(slot) or now if state is State.EXPIRED and header.until else header.since),
        until=moment(session.ends(slot)) if state in IN_FORCE else None,
        notice=session.terms(header.terms).notice if state in IN_FORCE else None,
        changed=changed,
    )


def moment(second: int) -> datetime:
    """The aware UTC datetime of a second since 1970. Raises :class:`CorruptRecord` for one that no calendar has."""
    try:
        return datetime.fromtimestamp(second, UTC)
    except (OverflowError, ValueError, OSError):
        raise CorruptRecord("a record holds a time that cannot be; run `consentprofile check`") from None


def consents(session: Session, account: str, *, role: str = "app") -> dict[str, Consent]:
    """What stands for an account, for every declared purpose, with the evidence of how it came to stand.

    Purposes that have ended are there, too, while there is evidence. The reading has a leaf. After an erasure the
    evidence is still here, until its own lifetime is over. Raises :class:`InvalidAccount`.
    """
    session.keys.require_officer()
    normalized = normalize_account(account)
    with session.ground.writing():
        now = session.now()
        changes = Changes(session, now)
        changes.leaf(Operation.CONSENT_READ, role=role)
        with session.ground.files.data_transaction(full=False):
            session.ground.log.append(changes.leaves, session.policy.digest)
    with session.ground.files.reading():
        keyring = session.ground.keyring
        keys = AccountKeys(session, keyring, find(session, keyring, normalized).tag)
        entries: list[_StoredEntry] = []
        slot = keys.slots.get(EVIDENCE_PLACE)
        if slot is not None:
            key = session.keys.unwrap(slot)
            rows = session.ground.rows(EVIDENCE).of(slot.number, slot.header.generation)
            entries = [canonical.unpack(key.open(RecordType.EVIDENCE, sealed), _StoredEntry) for sealed in rows]
        history = list(_within_lifetime(session, entries, now))
        proven = {entry.purpose for entry in history}
        names = [*session.policy.purposes, *sorted(proven - session.policy.purposes.keys())]
        standing = {name: _consent(session, keys, name, now) for name in names}
    return {
        name: msgspec.structs.replace(
            consent, history=tuple(_public(entry) for entry in history if entry.purpose == name)
        )
        for name, consent in standing.items()
    }


def _within_lifetime(session: Session, entries: Iterable[_StoredEntry], now: int) -> Iterable[_StoredEntry]:
    """Leave out evidence that has outlived its purpose's months, counted from when the decision ended: with the next
    decision on the purpose, with the consent's lifetime, or at once where it was a no."""
    kept: list[_StoredEntry] = []
    next_decision: dict[str, int] = {}
    for entry in sorted(entries, key=lambda entry: (entry.decided, entry.recorded))[::-1]:
        if entry.purpose not in session.purpose_numbers:
            continue
        purpose = session.history.newest(entry.purpose).purposes[entry.purpose]
        ended = entry.decided
        if State(entry.state) in IN_FORCE:
            given = session.history.declaring(entry.purpose, entry.declaration) or purpose
            lifetime_over = entry.decided + given.lifetime_days * SECONDS_A_DAY
            ended = min(next_decision.get(entry.purpose, lifetime_over), lifetime_over)
        next_decision[entry.purpose] = entry.decided
        if session.calendar.month(ended) >= session.calendar.oldest_month(now, purpose.evidence_months):
            kept.append(entry)
    return reversed(kept)


def _public(entry: _StoredEntry) -> Entry:
    return Entry(
        act=entry.act,
        purpose=entry.purpose,
        state=State(entry.state).label,
        notice=entry.notice,
        notice_sha256=entry.notice_sha256.hex(),
        declaration=entry.declaration.hex(),
        method=entry.method,
        decided=moment(entry.decided),
        recorded=moment(entry.recorded),
    )
