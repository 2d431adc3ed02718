"""Releases: read in slices, protected, written to the ledger, and only then handed out.

What has been answered once is answered again from the ledger, byte for byte. Everything else is counted anew from the
compartments in force; an account whose key vanishes on the way is dropped before anything is published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.errors import RoleNotAllowed
from consentprofile.model.declaration import may_release
from consentprofile.model.ids import Actor, parse_actor
from consentprofile.model.policy import Purpose
from consentprofile.model.profile import dedupe
from consentprofile.release import ledger
from consentprofile.release.counting import Counting
from consentprofile.release.derived import Also, derive, wanted
from consentprofile.release.figures import Figures, figures_of
from consentprofile.release.ledger import SALT_BYTES, LedgerEntry
from consentprofile.release.manifest import manifest
from consentprofile.release.period import is_told
from consentprofile.release.plan import ReleasePlan
from consentprofile.release.plan import plan as plan_release
from consentprofile.release.spec import ReleaseSpec, check_period
from consentprofile.release.spec_file import read_spec
from consentprofile.release.threshold import protect, settle
from consentprofile.release.writers import render, write_folder
from consentprofile.store.ports import BLOCK, StoredRelease
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.approval import Approved, is_approved
from consentprofile.usecases.reading import open_blocks, rules_for
from consentprofile.usecases.session import Session

SLICE: Final = 100
"""Compartments read under the gate before it is passed on: a few milliseconds."""

Progress = Callable[[int, int], None]
"""Told how many slots of how many have been read."""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A release: its number in the ledger, its folder, and its files by name. ``repeated``: it was answered before."""

    number: int
    repeated: bool
    folder: str
    files: dict[str, bytes]

    def __repr__(self) -> str:
        return f"<Release {self.number}>"

    @property
    def figures(self) -> Figures:
        """The figures as a table, for people, data frames and pictures."""
        return figures_of(self.files)


class _Counted:
    """What is counted over the compartments in force, and where each counted account stands in the keyring."""

    def __init__(self, spec: ReleaseSpec) -> None:
        self.counting = Counting(spec)
        self.members: dict[int, tuple[int, bytes]] = {}
        """slot → (generation, pseudonym)"""


def release(
    session: Session,
    text: str,
    name: str,
    out: Path,
    *,
    also: Sequence[Also] | None = (),
    actor: str = "officer:unnamed",
    progress: Progress | None = None,
) -> Release:
    """Release what the specification ``text`` (called ``name`` in messages) asks for, into the folder ``out``.

    ``also`` is derived from it, into the same folder. ``actor`` is who asks. Raises :class:`InvalidSpec`,
    :class:`ReleaseRefused`, :class:`InvalidActor` or :class:`RoleNotAllowed`; then nothing has left the store.
    """
    session.keys.require_officer()
    derived = wanted(also)
    asker = _asker(session, actor)
    spec = read_spec(text, name, session.policy)
    found = _answer(session, spec, asker)
    if found is None:
        approved = Approved(session, spec, asker)
        approved.require()
        counted = _count(session, spec, progress)
        found = _publish(session, spec, counted, asker, approved)
    number, files, repeated = found
    beside = derive(files, derived)
    write_folder(files, out, beside)
    return Release(number=number, repeated=repeated, folder=str(out), files=files | beside)


def _asker(session: Session, actor: str) -> Actor:
    asker = parse_actor(actor)
    if asker.role not in session.policy.all_roles:
        raise RoleNotAllowed("the policy knows no such role; `policy show` lists the roles")
    return asker


def plan(session: Session, text: str, name: str, *, progress: Progress | None = None) -> ReleasePlan:
    """What the release would be, never its figures. Raises like :func:`release`. Costs as much as the release."""
    session.keys.require_officer()
    spec = read_spec(text, name, session.policy)
    with session.ground.writing():
        now = session.now()
        entries = _ledger(session)
        answered = next((entry for entry in entries if entry.spec == spec.canonical), None)
        if answered is None:
            check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(entries, spec))
        with session.ground.files.data_transaction(full=False):
            draft = Draft(Operation.RELEASE_PLANNED, now, spec.purpose, "officer")
            session.ground.log.append((draft,), session.policy.digest)
    if answered is not None:
        return plan_release(spec, answered.cells)
    counted = _count(session, spec, progress)
    settled = settle(counted.counting.counted(), spec.rules, ledger.earlier_cells(entries, spec.purpose))
    return msgspec.structs.replace(plan_release(spec, settled), approved=is_approved(session, spec))


def _ledger(session: Session) -> list[LedgerEntry]:
    with session.ground.files.reading():
        stored = session.ground.releases.all()
    return [ledger.unpack(session.keys.open_record(RecordType.LEDGER, row.number, row.ledger)) for row in stored]


def _answer(session: Session, spec: ReleaseSpec, asker: Actor) -> tuple[int, dict[str, bytes], bool] | None:
    """What this specification was answered with, read with a leaf; or None, once the period was found releasable."""
    with session.ground.writing():
        now = session.now()
        entries = _ledger(session)
        files = ledger.answer(entries, spec)
        if files is None:
            check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(entries, spec))
            return None
        number = next(number for number, entry in enumerate(entries, 1) if entry.spec == spec.canonical)
        with session.ground.files.data_transaction(full=True):
            draft = Draft(Operation.RELEASE_READ, now, spec.purpose, asker.role, (("release", number),))
            session.ground.log.append((draft,), session.policy.digest)
    return number, files, True


def _count(session: Session, spec: ReleaseSpec, progress: Progress | None) -> _Counted:
    """Read every compartment of the purpose that is in force, slice by slice."""
    counted = _Counted(spec)
    purpose = session.policy.purposes[spec.purpose]
    after = done = 0
    while True:
        with session.ground.files.reading(), session.ground.keyring.snapshot():
            now = session.now()
            total = session.ground.keyring.count()
            slots = session.ground.keyring.iterate(after, SLICE)
            suppressed = session.ground.keyring.has_suppressions()
            rows = session.ground.rows(BLOCK).between(after + 1, slots[-1].number) if slots else {}
            for slot in slots:
                if _counts(session, slot, spec, now, suppressed=suppressed):
                    key = session.keys.unwrap(slot, purpose=spec.purpose, terms=session.bound(slot.header.terms))
                    sealed = rows.get((slot.number, slot.header.generation), ())
                    events = open_blocks(session, key, sealed, slot.header.terms, now)
                    rules = rules_for(session, purpose, slot, events)
                    if _tells(session, spec, rules):
                        counted.counting.add(key.secret.member(), dedupe(events)[-rules.keep :])
                        counted.members[slot.number] = slot.header.generation, key.secret.member()
                    del key
        if not slots:
            return counted
        after = slots[-1].number
        done += len(slots)
        if progress is not None:
            progress(done, max(total, done))


def _counts(session: Session, slot: Slot, spec: ReleaseSpec, now: int, *, suppressed: bool) -> bool:
    """Whether a slot is a compartment that may be counted; ``suppressed``: anybody is at all.

    Whoever consented to stricter releases than this one is not counted in it.
    """
    header = slot.header
    if (
        header.kind != SlotKind.COMPARTMENT
        or header.purpose != session.purpose_numbers[spec.purpose]
        or not session.is_in_force(slot, now)
    ):
        return False
    holds = session.held(header.terms).holds
    if not may_release(holds.release, spec.rules, spec.min_accounts):
        return False
    return not suppressed or holds.reasons.isdisjoint(session.reasons(header.tag))


def _tells(session: Session, spec: ReleaseSpec, rules: Purpose) -> bool:
    """Whether times as they are kept tell what is asked: what lies within the period, and in which order."""
    if rules.precision == "second":
        return True
    return not spec.measure.exact and is_told(session.calendar, rules, spec.instants)


def _publish(
    session: Session, spec: ReleaseSpec, counted: _Counted, asker: Actor, approved: Approved
) -> tuple[int, dict[str, bytes], bool]:
    with session.ground.writing():
        now = session.now()
        entries = _ledger(session)
        files = ledger.answer(entries, spec)
        if files is not None:  # another process answered meanwhile; there is one answer
            number = next(number for number, entry in enumerate(entries, 1) if entry.spec == spec.canonical)
            return number, files, True
        check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(entries, spec))
        approved.require()  # an officer may have taken it back while it was counted
        _drop_vanished(session, spec, counted, now)
        earlier = ledger.earlier_cells(entries, spec.purpose)
        protected = protect(counted.counting.counted(), spec.rules, earlier, min_accounts=spec.min_accounts)
        salt = random_bytes(SALT_BYTES)
        root = session.ground.log.head().frontier.root()
        files = render(spec, protected.published, manifest(spec, session.policy, salt=salt, root=root))
        entry = ledger.entry(spec, policy=session.policy.digest, salt=salt, cells=protected.ledger, files=files)
        number = session.ground.releases.next_number()
        sealed = session.keys.seal_record(RecordType.LEDGER, number, ledger.pack(entry))
        facts = (("release", number), ("specification", entry.digest))
        with session.ground.files.data_transaction(full=True):
            session.ground.releases.add(StoredRelease(number, entry.digest, sealed))
            draft = Draft(Operation.RELEASED, now, spec.purpose, asker.role, facts)
            sequence = session.ground.log.append((draft,), session.policy.digest)
            booked = session.actor_entry(sequence, now, asker, Operation.RELEASED, spec.purpose, "")
            session.ground.log.note_actors([(sequence, booked)])
    return number, files, False


def _drop_vanished(session: Session, spec: ReleaseSpec, counted: _Counted, now: int) -> None:
    with session.ground.keyring.snapshot():
        suppressed = session.ground.keyring.has_suppressions()
        for number, (generation, pseudonym) in counted.members.items():
            slot = session.ground.keyring.slot(number)
            if slot is None or not _counts(session, slot, spec, now, suppressed=suppressed):
                counted.counting.drop(pseudonym)
            elif slot.header.generation != generation:
                # A new key of the same compartment (retention) keeps its secret; a new consent has another one.
                key = session.keys.unwrap(slot, purpose=spec.purpose, terms=session.bound(slot.header.terms))
                if key.secret.member() != pseudonym:
                    counted.counting.drop(pseudonym)
