"""Backups: of the data, which may be kept for long, and of the keyring, apart from it and for a short, stated time.

A copy of the data is noise without the keyring: whatever is withdrawn or erased later is gone from it, too. An old copy
of the keyring, together with the key, opens what was erased since; so the shorter it is kept the better, and so there
is the destruction journal (:mod:`consentprofile.store.journal`), which tells a restored keyring what had died since.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from consentprofile.errors import InputError
from consentprofile.store.ports import JOURNAL, encode_destruction, read_journal
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.private_files import new_file
from consentprofile.usecases.session import Session


def back_up(session: Session, target: Path) -> None:
    """Copy ``data.db`` as it stands now, live rows only, to ``target`` (mode 0600), which must not exist.

    It has a leaf, which is in the copy. Others read and write meanwhile: the copy is of one moment, and no lock is held
    for it; the write-ahead log is not cut before it is done, so it grows. Raises :class:`InputError` where something is
    in the way, :class:`StoreFault` where it cannot be written; then nothing is left there.
    """
    session.keys.require_officer()
    with new_file(target, "data backup"):
        _leave(session, Operation.BACKED_UP)
        session.ground.copy_data(target)


def back_up_keyring(session: Session, target: Path) -> None:
    """Copy the keyring, live rows only, to ``target`` (mode 0600), which must not exist. It has a leaf.

    Raises :class:`InputError` where something is in the way, :class:`StoreFault` where it cannot be written.
    """
    session.keys.require_officer()
    with new_file(target, "keyring backup"), session.ground.writing():
        _leave(session, Operation.KEYRING_BACKED_UP)
        session.ground.copy_keyring(target)


def journal(session: Session, since: datetime | None) -> bytes:
    """The destruction journal as it stands now, whole or from the hour of ``since`` on.

    Raises :class:`InputError` for a time without a zone, :class:`CorruptRecord` for a journal that is damaged.
    """
    session.keys.require_officer()
    if since is not None and since.tzinfo is None:
        raise InputError("a time is a datetime with a time zone")
    first = 0 if since is None else int(since.timestamp()) // 3600
    with session.ground.writing():  # what a crash left unwritten is in it, too
        lines = [encode_destruction(one) for one in read_journal(session.ground.path / JOURNAL) if one.hour >= first]
    return b"".join(lines)


def _leave(session: Session, operation: Operation) -> None:
    with session.ground.writing(), session.ground.files.data_transaction(full=True):
        session.ground.log.append((Draft(operation, session.now(), "", "officer"),), session.policy.digest)
