"""Releases: read in slices, protected, written to the ledger, and only then handed out.

What has been answered once is answered again from the ledger, byte for byte. Everything else is counted anew from the
compartments in force; an account whose key vanishes on the way is dropped before anything is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.randomness import random_bytes
from consentprofile.model.ids import Actor
from consentprofile.release import ledger
from consentprofile.release.derived import Also, derive, wanted
from consentprofile.release.figures import Figures, figures_of
from consentprofile.release.ledger import SALT_BYTES, Entry, LedgerEntry
from consentprofile.release.manifest import manifest
from consentprofile.release.plan import ReleasePlan
from consentprofile.release.plan import plan as plan_release
from consentprofile.release.spec import ReleaseSpec, check_period
from consentprofile.release.spec_file import read_spec
from consentprofile.release.summed import protected
from consentprofile.release.writers import render, write_folder
from consentprofile.store.ports import StoredRelease
from consentprofile.tlog.leaf import Operation
from consentprofile.usecases import heads, noising, release_traces, released
from consentprofile.usecases.approval import Approved, is_approved
from consentprofile.usecases.budget import Charges
from consentprofile.usecases.census import Census, Progress, take
from consentprofile.usecases.release_traces import note
from consentprofile.usecases.session import Session

ATTEMPTS: Final = 3
"""How often a release is prepared beside others that change the store, before it is prepared with all others waiting.
"""


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


def release(
    session: Session,
    text: str,
    name: str,
    out: Path,
    *,
    also: Sequence[Also] | None = (),
    actor: str = "officer:unnamed",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Release:
    """Release what the specification ``text`` (called ``name`` in messages) asks for, into the folder ``out``.

    ``also`` is derived from it, into the same folder. ``actor`` is who asks. ``workers`` other processes count
    beside this one; None stands for one fewer than there are processors where there is much to count. Raises
    :class:`InvalidSpec`, :class:`ReleaseRefused`, :class:`InvalidActor` or :class:`RoleNotAllowed`; then nothing has
    left the store.
    """
    session.keys.require_officer()
    derived = wanted(also)
    asker = release_traces.asker(session, actor)
    spec = read_spec(text, name, session.policy)
    charges = Charges(session, spec.purpose)
    known = released.entries(session)
    found = _answer(session, spec, asker, charges, known)
    if found is None:
        approved = Approved(session, spec, asker)
        approved.require()
        census = take(session, spec, text, workers=workers, progress=progress)
        found = _publish(session, spec, census, asker, approved, charges, known)
    heads.checkpoint_if_grown(session)  # over the answer before it is out: no data.db from before it is the newest then
    number, files, repeated = found
    beside = derive(files, derived)
    write_folder(files, out, beside)
    return Release(number=number, repeated=repeated, folder=str(out), files=files | beside)


def plan(
    session: Session,
    text: str,
    name: str,
    *,
    actor: str = "officer:unnamed",
    workers: int | None = None,
    progress: Progress | None = None,
) -> ReleasePlan:
    """What the release would be, never its figures. Raises like :func:`release`.

    Costs as much as the release; with differential privacy next to nothing, for nothing is counted, and what the budget
    does not allow yet is planned too.
    """
    session.keys.require_officer()
    asker = release_traces.asker(session, actor)
    spec = read_spec(text, name, session.policy)
    if spec.noise is not None:
        return noising.plan(session, spec, spec.noise.loss, asker)
    known = released.entries(session)
    with session.ground.writing():
        now = session.now()
        entries = released.entries(session, known)
        number, answered = next(ledger.asked(entries, spec), (0, None))
        if answered is None:
            check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(entries.values(), spec))
        with session.ground.files.data_transaction(full=False):
            note(session, Operation.RELEASE_PLANNED, now, spec.purpose, asker)
    if isinstance(answered, LedgerEntry):
        cells = released.settled(session, number).cells
        return msgspec.structs.replace(plan_release(spec, cells), answered_by=number)
    counted = take(session, spec, text, workers=workers, progress=progress).standing(session).counted
    earlier = released.earlier(session, entries, spec.purpose)
    cells = protected(spec, counted, earlier, min_accounts=spec.rules.min_accounts).ledger.cells
    return msgspec.structs.replace(plan_release(spec, cells), approved=is_approved(session, spec))


def _answer(
    session: Session, spec: ReleaseSpec, asker: Actor, charges: Charges, known: Mapping[int, Entry]
) -> tuple[int, dict[str, bytes], bool] | None:
    """What this specification was answered with, read with a leaf; or None, once the period was found releasable."""
    with session.ground.writing():
        now = session.now()
        entries = released.entries(session, known)
        found = ledger.answer(entries, spec)
        if found is None:
            check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(entries.values(), spec))
            if spec.noise is not None:
                noising.require_payable(spec, spec.noise.loss, charges, entries, now)
            return None
        number, files = found
        with session.ground.files.data_transaction(full=True):
            note(session, Operation.RELEASE_READ, now, spec.purpose, asker, (("release", number),))
    return number, files, True


def _publish(
    session: Session,
    spec: ReleaseSpec,
    census: Census,
    asker: Actor,
    approved: Approved,
    charges: Charges,
    known: Mapping[int, Entry],
) -> tuple[int, dict[str, bytes], bool]:
    """Protect what was counted and keep it in the ledger, unless somebody else has answered meanwhile.

    ``known`` is the ledger as it was before anybody was counted; that is not opened again.

    What takes long is done before the writer lock is taken. Where keyring or ledger change between the two it is done
    anew, and at last under the lock.
    """
    attempt = _try_to_publish if spec.noise is None else partial(noising.try_to_publish, charges=charges)
    for _ in range(ATTEMPTS):
        found = attempt(session, spec, census, asker, approved, known)
        if found is not None:
            return found
    with session.ground.writing():
        # The ledger as it is now: one that lost an entry meanwhile would never be followed by the next number.
        while (found := attempt(session, spec, census, asker, approved, {})) is None:
            pass  # the clock has passed the end of a consent
    return found


def _try_to_publish(
    session: Session, spec: ReleaseSpec, census: Census, asker: Actor, approved: Approved, known: Mapping[int, Entry]
) -> tuple[int, dict[str, bytes], bool] | None:
    entries, standing = released.entries(session, known), census.standing(session)
    safe = protected(spec, standing.counted, released.earlier(session, entries, spec.purpose))
    with session.ground.writing():
        now = session.now()
        number = session.ground.releases.next_number()
        is_next = number == max(entries, default=0) + 1
        if not is_next:
            entries = released.entries(session, entries)
        found = ledger.answer(entries, spec)
        if found is not None:  # another process answered meanwhile; there is one answer
            return *found, True
        check_period(spec, session.policy, session.calendar, now, ledger.earlier_periods(entries.values(), spec))
        approved.require()  # an officer may have taken it back while it was counted
        unchanged = session.ground.keyring.changes() == standing.changes and now < standing.until
        if not unchanged or not is_next:
            return None
        salt = random_bytes(SALT_BYTES)
        root = session.ground.log.head().frontier.root()
        files = render(spec, safe.published, manifest(spec, session.policy, salt=salt, root=root))
        entry = ledger.entry(spec, policy=session.policy.digest, salt=salt, settled=safe.ledger, files=files)
        sealed = session.keys.seal_record(RecordType.LEDGER, number, ledger.pack(entry))
        facts = (("release", number), ("specification", entry.digest))
        with session.ground.files.data_transaction(full=True):
            session.ground.releases.add(StoredRelease(number, entry.digest, sealed))
            note(session, Operation.RELEASED, now, spec.purpose, asker, facts)
    return number, files, False
