"""What has been released: the list of the ledger, and the figures of one release as they were handed out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from consentprofile.crypto.binding import RecordType
from consentprofile.errors import CorruptRecord, InputError
from consentprofile.release import ledger
from consentprofile.release.asked import Asked, terms_of
from consentprofile.release.figures import Figures, figures_of
from consentprofile.release.kept import Settled
from consentprofile.release.ledger import Entry
from consentprofile.store.ports import StoredRelease
from consentprofile.tlog.leaf import Leaf, Operation
from consentprofile.usecases.audit import mentioning
from consentprofile.usecases.consent import moment
from consentprofile.usecases.release_traces import asker, note
from consentprofile.usecases.session import Session

LARGEST: Final = 2**63 - 1
"""The largest number that SQLite knows."""

SECONDS_AN_HOUR: Final = 3600

RELEASE: Final = "release"
"""The fact of a leaf that names a release by its number."""


class Released(Asked, frozen=True, kw_only=True):
    """What one release was about, without its figures; ``number`` is that of the ledger.

    ``hour`` is when it was released, to the hour, aware UTC (None where the log has lost it); ``role`` asked for it.
    """

    hour: datetime | None
    role: str


def released(session: Session) -> tuple[Released, ...]:
    """Every release of the ledger, oldest first: what was asked, when and by which role, not how many are behind it.

    Each entry of the ledger is opened, one at a time, and the log is skimmed: about a microsecond a leaf. Raises
    :class:`BeyondCapability`, :class:`CorruptRecord`, :class:`BrokenLog`.
    """
    session.keys.require_officer()
    with session.ground.writing():
        answered = {number: entry for number, entry in entries(session).items() if entry.files}
    leaves = {dict(leaf.facts).get(RELEASE): leaf for leaf in mentioning(session, (Operation.RELEASED,))}
    return tuple(_released(number, entry.spec, leaves.get(number)) for number, entry in answered.items())


def stored(session: Session, number: int = 1) -> StoredRelease | None:
    """The first release from this number on, fetched by itself: whoever destroys keys waits for no other."""
    with session.ground.files.reading():
        return session.ground.releases.since(number)


def entries(session: Session, known: Mapping[int, Entry] = MappingProxyType({})) -> dict[int, Entry]:
    """What every entry of the ledger says by its number, oldest first, but for those behind it.

    Entries that are ``known`` and have files are never changed again, and are not opened again. Costs some 0.1 seconds
    for each other one about a million accounts. Raises :class:`CorruptRecord`.
    """
    found = {number: entry for number, entry in known.items() if entry.files}
    number = 1
    while True:
        if number not in found:
            row = stored(session, number)
            if row is None:
                return dict(sorted(found.items()))
            number = row.number
            found[number] = opened(session, row).outline
        number += 1


def earlier(session: Session, known: Mapping[int, Entry], purpose: str) -> Iterator[Settled]:
    """What was settled for a purpose in the ``known`` entries, oldest first, one of them in memory at a time.

    Raises :class:`CorruptRecord`.
    """
    return (settled(session, number) for number, entry in known.items() if entry.purpose == purpose)


def settled(session: Session, number: int) -> Settled:
    """The cells of one release. Raises :class:`CorruptRecord`."""
    row = stored(session, number)
    if row is None or row.number != number:
        raise CorruptRecord("the ledger of releases has a gap; run `consentprofile check`")
    return opened(session, row).settled()


def figures(session: Session, number: int, *, actor: str = "officer:unnamed") -> Figures:
    """The figures of a release, from the bytes that it was answered with, once the reading has its leaf.

    Raises :class:`InputError` for a number that the ledger does not have, :class:`InvalidActor`,
    :class:`RoleNotAllowed`, :class:`BeyondCapability`.
    """
    session.keys.require_officer()
    who = asker(session, actor)
    with session.ground.writing():
        now = session.now()
        row = stored(session, number) if 0 < number <= LARGEST else None
        entry = None if row is None or row.number != number else opened(session, row)
        if entry is None or not entry.files:
            raise InputError("the ledger has no release of this number; `consentprofile release list` shows them all")
        with session.ground.files.data_transaction(full=True):
            note(session, Operation.RELEASE_READ, now, entry.purpose, who, (("release", number),))
    return figures_of(entry.published)


def opened(session: Session, row: StoredRelease) -> Entry:
    """The ledger entry of a stored release. Raises :class:`CorruptRecord`, :class:`KeysRotated`."""
    try:
        return ledger.unpack(session.keys.open_record(RecordType.LEDGER, row.number, row.ledger))
    except CorruptRecord:
        with session.ground.writing():  # which tells of other keys, under which it may lie by now
            raise


def _released(number: int, spec: bytes, leaf: Leaf | None) -> Released:
    terms = terms_of(spec)
    return Released(
        number=number,
        purpose=terms.purpose,
        measure=terms.measure,
        by=terms.by,
        since=terms.since,
        until=terms.until,
        where=terms.where,
        terms=terms.own,
        protection=terms.kind,
        min_accounts=terms.min_accounts,
        hour=None if leaf is None else moment(leaf.hour * SECONDS_AN_HOUR),
        role="" if leaf is None else leaf.role,
    )
