"""Approval: where the policy asks for it, an officer approves a question, and somebody else then releases it.

What is approved is one canonical specification, its period and protection with it, under the policy in force: not one
like it, and not under another policy. It is good for one release, for what was released is answered again without.

The log says that there was an approval (a leaf with the digest of the specification); what counts is the entry of the
actor book beside it, which only the key of the store seals, and which opens nowhere else. A leaf that takes approvals
back counts by itself: whoever could forge that one could stop releases anyway. So whoever can write ``data.db`` alone
makes up no approval. To hide that one was taken back, all that came after has to be hidden with it, or the leaf be
rewritten: a log that does not reach what was signed last is not judged at all, and the rewriting is found by
``audit verify``. A log that goes on under another name after a restore may have lost such a leaf: approvals from before
do not count any more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from consentprofile import canonical
from consentprofile.errors import CorruptRecord, InputError, InvalidActor, ReleaseRefused, RoleNotAllowed
from consentprofile.model.ids import OFFICER, Actor, parse_actor
from consentprofile.release import ledger
from consentprofile.release.asked import Asked, terms_of
from consentprofile.release.spec import ReleaseSpec, check_period
from consentprofile.release.spec_file import read_spec
from consentprofile.tlog.leaf import Draft, Leaf, Operation
from consentprofile.usecases import heads
from consentprofile.usecases.actor_book import ApprovalEntry, open_entry, seal_entry
from consentprofile.usecases.audit import mentioning
from consentprofile.usecases.consent import moment
from consentprofile.usecases.released import entries
from consentprofile.usecases.session import Session
from consentprofile.usecases.tracing import leave, require_reason

SPECIFICATION: Final = "specification"
"""The fact of a leaf that names a canonical specification by its digest."""

_ACTS: Final = (Operation.RELEASE_APPROVED, Operation.RELEASE_DISAPPROVED, Operation.LINEAGE_BEGUN)

MISSING: Final = (
    "the policy asks for the approval of an officer, and this specification has none, or not any more; an officer "
    "gives it with `consentprofile release approve SPEC --actor officer:NAME`"
)
NAMELESS: Final = (
    "the policy asks for the approval of another one than who asks for the release: say who asks (--actor ROLE:NAME)"
)
OWN: Final = (
    "who asks for this release has approved it, and the policy asks for the approval of another one: let somebody else "
    "ask for it, or another officer approve it"
)


class ReleaseApproval(Asked, frozen=True, kw_only=True):
    """An approval that stands: what may be released once, who approved it, when (aware UTC) and why.

    ``number`` is the sequence of its leaf in the audit log, ``digest`` the SHA-256 of the canonical specification, hex.
    """

    digest: str
    at: datetime
    actor: str
    reason: str

    def __repr__(self) -> str:
        return f"<ReleaseApproval {self.number}>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Nothing of what it holds: rich asks for this instead of the representation."""
        return []


class _Given(NamedTuple):
    """An approval: the sequence of its leaf, and its entry."""

    leaf: int
    entry: ApprovalEntry

    @property
    def actor(self) -> Actor:
        return Actor(self.entry.role, self.entry.name)


class Approvals:
    """The approvals under the policy in force that were not taken back, as far as the log has been followed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._next = 0
        self._given: dict[bytes, list[_Given]] = {}

    def follow(self) -> None:
        """Go on to the end of the log. Raises :class:`BrokenLog` where it does not reach what was signed last.

        Cost: about a microsecond for each leaf that was not looked at yet.
        """
        ground = self._session.ground
        with ground.writing():  # so that nobody signs between the looks
            frontier = ground.log.head().frontier
            heads.require_extension(self._session, frontier)
        for leaf in mentioning(self._session, _ACTS, self._next, frontier.size):
            self._note(leaf)
        self._next = frontier.size

    def of(self, digest: bytes) -> tuple[_Given, ...]:
        """The approvals of the specification with this digest, oldest first."""
        return tuple(self._given.get(digest, ()))

    def all(self) -> list[_Given]:
        """Every approval, oldest first."""
        return sorted((given for some in self._given.values() for given in some), key=lambda given: given.leaf)

    def _note(self, leaf: Leaf) -> None:
        if leaf.operation == Operation.LINEAGE_BEGUN:
            self._given.clear()
            return
        digest = dict(leaf.facts).get(SPECIFICATION)
        if not isinstance(digest, bytes):
            return
        if leaf.operation == Operation.RELEASE_DISAPPROVED:
            self._given.pop(digest, None)
        elif (entry := self._entry(leaf.sequence)) is not None and canonical.digest(entry.specification) == digest:
            self._given.setdefault(digest, []).append(_Given(leaf.sequence, entry))

    def _entry(self, sequence: int) -> ApprovalEntry | None:
        """The sealed approval beside a leaf, if there is one, and under the policy in force."""
        with self._session.ground.files.reading():
            page = self._session.ground.log.actors(sequence, 1)
        if not page or page[0][0] != sequence:
            return None
        try:
            entry = open_entry(self._session.keys, *page[0])
        except CorruptRecord:
            return None  # what does not open approves nothing; `check` reports it
        if not isinstance(entry, ApprovalEntry) or entry.operation != Operation.RELEASE_APPROVED:
            return None
        return entry if (entry.role, entry.policy) == (OFFICER, self._session.policy.digest) else None


class Approved:
    """Whether a release is approved, as far as the policy asks for it. ``asker`` is who asks for it."""

    def __init__(self, session: Session, spec: ReleaseSpec, asker: Actor) -> None:
        self._spec = spec
        self._asker = asker
        self._approvals = Approvals(session) if spec.rules.asks_approval else None

    def require(self) -> None:
        """Raise :class:`ReleaseRefused` unless another one than the asker has approved it, where somebody has to.

        Asked for once more, it goes by what has happened since. Raises :class:`BrokenLog`.
        """
        if self._approvals is None:
            return
        self._approvals.follow()
        given = self._approvals.of(self._spec.digest)
        if not given:
            raise ReleaseRefused(MISSING)
        if not self._asker.is_named:
            raise ReleaseRefused(NAMELESS)
        if all(self._asker.is_also(one.actor) for one in given):
            raise ReleaseRefused(OWN)


def is_approved(session: Session, spec: ReleaseSpec) -> bool | None:
    """Whether an officer has approved this specification; None where the policy does not ask for it."""
    if not spec.rules.asks_approval:
        return None
    approvals = Approvals(session)
    approvals.follow()
    return bool(approvals.of(spec.digest))


# ---- what officers do ---------------------------------------------------------------------------


def approve(
    session: Session, text: str, name: str, *, actor: str, reason: str | None = None, digest: str | None = None
) -> ReleaseApproval:
    """Approve the release that the specification ``text`` (called ``name`` in messages) asks for.

    ``digest``, where given, is the one that it must have. Who has approved it already has, and nothing is written.
    Raises :class:`InvalidSpec`; :class:`ReleaseRefused` where the policy asks for no approval, the question has been
    answered, or could not be released now; :class:`RoleNotAllowed` and :class:`InvalidActor` for anybody but an officer
    who is named; :class:`InputError` for another digest; :class:`BeyondCapability`, :class:`BrokenLog`.
    """
    session.keys.require_officer()
    who, why = _officer(actor), require_reason(reason)
    spec = read_spec(text, name, session.policy)
    if digest is not None and digest != spec.digest.hex():
        raise InputError("this is not the specification with that digest: it was changed since; look at it again")
    if not spec.rules.asks_approval:
        raise ReleaseRefused("the policy asks for no approval of releases for this purpose; ask for the release itself")
    approvals = Approvals(session)
    approvals.follow()
    with session.ground.writing():
        now = session.now()
        _require_releasable(session, spec, now)
        approvals.follow()
        known = next((given for given in approvals.of(spec.digest) if given.actor.is_also(who)), None)
        if known is not None:
            return _public(known)
        return _public(_write(session, now, who, why, Operation.RELEASE_APPROVED, spec.purpose, spec.canonical))


def disapprove(session: Session, number: int, *, actor: str, reason: str | None = None) -> ReleaseApproval:
    """Take back every approval of the specification that was approved under this number; the one that had it.

    Raises :class:`InputError` where no approval stands under it, :class:`RoleNotAllowed` and :class:`InvalidActor` for
    anybody but an officer who is named, :class:`BeyondCapability`, :class:`BrokenLog`.
    """
    session.keys.require_officer()
    who, why = _officer(actor), require_reason(reason)
    approvals = Approvals(session)
    approvals.follow()
    with session.ground.writing():
        now = session.now()
        approvals.follow()
        found = next((given for given in _unused(session, approvals) if given.leaf == number), None)
        if found is None:
            raise InputError("no approval stands under this number; `consentprofile release list` shows those that do")
        entry = found.entry
        _write(session, now, who, why, Operation.RELEASE_DISAPPROVED, entry.purpose, entry.specification)
    return _public(found)


def standing(session: Session, *, actor: str = "officer:unnamed") -> tuple[ReleaseApproval, ...]:
    """The approvals that stand and were not used, oldest first. Where there are any, the look leaves its traces.

    Raises :class:`InvalidActor`, :class:`BeyondCapability`, :class:`BrokenLog`.
    """
    session.keys.require_officer()
    who = parse_actor(actor)
    approvals = Approvals(session)
    approvals.follow()
    with session.ground.files.reading():
        unused = _unused(session, approvals)
    if unused:
        leave(session, who, Operation.AUDIT_READ, "")
    return tuple(_public(given) for given in unused)


def _officer(actor: str) -> Actor:
    """An officer who is named."""
    who = parse_actor(actor)
    if who.role != OFFICER:
        raise RoleNotAllowed("only an officer approves a release, or takes that back: --actor officer:NAME")
    if not who.is_named:
        raise InvalidActor("say which officer: --actor officer:NAME")
    return who


def _require_releasable(session: Session, spec: ReleaseSpec, now: int) -> None:
    if session.ground.releases.has(spec.digest):
        raise ReleaseRefused("this was released before, and is answered again without an approval")
    known = entries(session)
    check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(known.values(), spec))


def _unused(session: Session, approvals: Approvals) -> list[_Given]:
    """The approvals of what has not been released."""
    answered = session.ground.releases.has
    return [given for given in approvals.all() if not answered(canonical.digest(given.entry.specification))]


def _write(
    session: Session, now: int, who: Actor, why: str, operation: Operation, purpose: str, specification: bytes
) -> _Given:
    """The leaf and the sealed entry beside it, in one durable transaction."""
    log, policy = session.ground.log, session.policy.digest
    entry = ApprovalEntry(now, who.role, who.name, operation, purpose, why, policy, specification)
    facts = ((SPECIFICATION, canonical.digest(specification)),)
    with session.ground.files.data_transaction(full=True):
        sequence = log.append((Draft(operation, now, purpose, who.role, facts),), policy)
        log.note_actors([(sequence, seal_entry(session.keys, sequence, entry))])
    return _Given(sequence, entry)


def _public(given: _Given) -> ReleaseApproval:
    entry, terms = given.entry, terms_of(given.entry.specification)
    return ReleaseApproval(
        number=given.leaf,
        purpose=terms.purpose,
        measure=terms.measure,
        by=terms.by,
        since=terms.since,
        until=terms.until,
        where=terms.where,
        terms=terms.own,
        protection=terms.kind,
        min_accounts=terms.min_accounts,
        digest=canonical.digest(entry.specification).hex(),
        at=moment(entry.second),
        actor=str(given.actor),
        reason=entry.reason,
    )
