"""Re-tagging: a rotation with a new index key, so that whoever has the old one finds nobody by it any more.

The index key lies in every capability, and tells, with ``keys.db``, whether an account is in the store. Under another
one every account has another tag. A call that had looked an account up before would not find it afterwards: so nobody
else has the store open meanwhile, and whoever opens it before the end is told to finish.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.providers import KeyProvider
from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.errors import CorruptRecord
from consentprofile.store.ports import ACCOUNT
from consentprofile.usecases import heads, rotation
from consentprofile.usecases.rotation import Progress, Rotated
from consentprofile.usecases.session import Clock, Session, open_session
from consentprofile.usecases.tags import Found, move

PAGE: Final = 300
"""Slots that are looked at, and whose accounts move, in one transaction."""


def retag(
    path: Path,
    key: KeyProvider,
    new_key: KeyProvider | None,
    clock: Clock,
    *,
    wait: float,
    progress: Progress | None = None,
) -> Rotated | None:
    """Rotate the keys of the store at ``path`` to ``new_key``, and give every account a new tag.

    Without ``new_key`` an interrupted re-tagging is carried to its end, the store opened by its new ``key``; None where
    there is none. Raises :class:`StoreBusy` while anybody else has the store open, :class:`CorruptRecord` where the id
    of an account does not open, and what :func:`consentprofile.usecases.rotation.rotate` raises; then nothing has
    changed. Cost: as a rotation, and some 50 microseconds for each account.
    """
    session = open_session(path, key, clock, wait=wait, durability="full", retagging=True)
    try:
        session.keys.require_officer()
        with session.ground.files.alone():
            if new_key is not None:
                _require_ids(session)
                rotation.begin(session, new_key, retag=True)
            elif not session.ground.epochs.is_retagging():
                return None
            slices = rotation.Slices(session, progress)
            slices.wrap_keys()
            slices.seal_entries()
            left = _move_all(session)
            rotation.close(session, keep_indexes=bool(left) or session.ground.epochs.is_anybody_left())
            heads.checkpoint_if_grown(session)
            done = slices.done()
            return msgspec.structs.replace(done, damaged=done.damaged + left)
    finally:
        session.close()


def _require_ids(session: Session) -> None:
    """Raise :class:`CorruptRecord` unless the id of every account opens and is that of its tag."""
    after = 0
    while after >= 0:
        accounts, after = _accounts(session, after)
        for slot, normalized in accounts:
            if normalized is None or session.keys.index.account(normalized) != slot.header.tag:
                raise CorruptRecord(
                    "the id of an account is not the one that its tag was made of; run `consentprofile check`"
                )


def _move_all(session: Session) -> int:
    """Move each account that is still under the former index key, with all that the keyring has of it.

    How many could not be, for their ids were lost since it was begun: they are found under the former one when they are
    named, and move with their next decision. A store that waited for their ids would open for nobody.
    """
    former, after, left = session.keys.former_indexes[0], 0, 0
    while after >= 0:
        accounts, after = _accounts(session, after)
        known = [(slot.header.tag, normalized) for slot, normalized in accounts if normalized is not None]
        left += len(accounts) - len(known)
        tags = [(tag, session.keys.index.account(normalized)) for tag, normalized in known]
        due = [(tag, new) for tag, new in tags if tag != new]
        if due:
            with session.ground.writing(), session.ground.files.keyring_transaction():
                for tag, new in due:
                    move(session, session.ground.keyring, Found(tag, former), new)
    return left


def _accounts(session: Session, after: int) -> tuple[list[tuple[Slot, bytes | None]], int]:
    """The accounts with a key among the slots above ``after``, with their ids; and the last slot, -1 at the end."""
    ground = session.ground
    with ground.files.reading(), ground.keyring.snapshot():
        page = ground.keyring.iterate(after, PAGE)
        found = [(slot, _id(session, slot)) for slot in page if slot.header.kind == SlotKind.ACCOUNT and slot.key_held]
    return found, page[-1].number if len(page) == PAGE else -1


def _id(session: Session, slot: Slot) -> bytes | None:
    """The id of an account; None where it is lost or does not open."""
    rows = session.ground.rows(ACCOUNT).of(slot.number, slot.header.generation)
    try:
        return session.keys.unwrap(slot).open(RecordType.ACCOUNT, rows[-1]) if rows else None
    except CorruptRecord:
        return None
