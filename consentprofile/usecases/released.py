"""What has been released: the list of the ledger, and the figures of one release as they were handed out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from consentprofile.crypto.binding import RecordType
from consentprofile.errors import InputError
from consentprofile.release import ledger
from consentprofile.release.figures import Figures, figures_of
from consentprofile.release.ledger import LedgerEntry
from consentprofile.store.ports import StoredRelease
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.session import Session

LARGEST: Final = 2**63 - 1
"""The largest number that SQLite knows."""


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """What one release was about, without its figures: its number in the ledger, the question and its period (UTC)."""

    number: int
    purpose: str
    measure: str
    by: tuple[str, ...]
    since: datetime
    until: datetime
    where: dict[str, tuple[str, ...]]
    min_accounts: int


class _Terms(msgspec.Struct):
    """What is read of a canonical specification."""

    measure: str
    where: dict[str, tuple[str, ...]]
    protection: dict[str, str | int]
    by: tuple[str, ...] = ()


def released(session: Session) -> tuple[Released, ...]:
    """Every release of the ledger, oldest first. It says what was asked, not who or how many were behind it.

    Each entry of the ledger is opened whole. Raises :class:`BeyondCapability`, :class:`CorruptRecord`.
    """
    session.keys.require_officer()
    with session.ground.writing(), session.ground.files.reading():
        stored = session.ground.releases.all()
        return tuple(_released(row.number, _opened(session, row)) for row in stored)


def figures(session: Session, number: int) -> Figures:
    """The figures of a release, from the bytes that it was answered with, once the reading has its leaf.

    Raises :class:`InputError` for a number that the ledger does not have, :class:`BeyondCapability`.
    """
    session.keys.require_officer()
    with session.ground.writing():
        now = session.now()
        with session.ground.files.reading():
            row = session.ground.releases.since(number) if 0 < number <= LARGEST else None
        if row is None or row.number != number:
            raise InputError("the ledger has no release of this number; `consentprofile release list` shows them all")
        entry = _opened(session, row)
        with session.ground.files.data_transaction(full=True):
            draft = Draft(Operation.RELEASE_READ, now, entry.purpose, "officer", (("release", number),))
            session.ground.log.append((draft,), session.policy.digest)
    return figures_of(entry.published)


def _opened(session: Session, row: StoredRelease) -> LedgerEntry:
    return ledger.unpack(session.keys.open_record(RecordType.LEDGER, row.number, row.ledger))


def _released(number: int, entry: LedgerEntry) -> Released:
    terms = msgspec.json.decode(entry.spec, type=_Terms)
    least = terms.protection.get("min_accounts")
    return Released(
        number=number,
        purpose=entry.purpose,
        measure=terms.measure,
        by=terms.by,
        since=datetime.fromtimestamp(entry.period.since, UTC),
        until=datetime.fromtimestamp(entry.period.until, UTC),
        where=terms.where,
        min_accounts=least if isinstance(least, int) else 0,
    )
