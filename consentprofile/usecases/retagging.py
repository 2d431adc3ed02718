"""Re-tagging: a rotation with a new index key, so that whoever has the old one finds nobody by it any more.

The index key lies in every capability, and tells, with ``keys.db``, whether an account is in the store. Under another
one every account has another tag. A call that had looked an account up before would not find it afterwards: so nobody
else has the store open meanwhile, and whoever opens it before the end is told to finish.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from consentprofile.crypto.providers import KeyProvider
from consentprofile.errors import CorruptRecord
from consentprofile.usecases import heads, rotation
from consentprofile.usecases.rotation import Progress, Rotated
from consentprofile.usecases.session import Clock, Session, open_session
from consentprofile.usecases.tags import Found, move, under
from consentprofile.usecases.whereabouts import accounts

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

    Accounts whose id is lost keep their tag, and are counted: their id has to be told. Without ``new_key`` an
    interrupted re-tagging is carried to its end, the store opened by its new ``key``; None where there is none. Raises
    :class:`StoreBusy` while anybody else has the store open, :class:`CorruptRecord` where the id of an account is not
    the one that its tag was made of, and what :func:`consentprofile.usecases.rotation.rotate` raises; then nothing has
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
            return msgspec.structs.replace(done, under_former_tags=left)
    finally:
        session.close()


def _require_ids(session: Session) -> None:
    """Raise :class:`CorruptRecord` unless the tag of every account is of its id, where that is known."""
    after = 0
    while after >= 0:
        found, after = accounts(session, after, PAGE)
        for tag, normalized, _ in found:
            if normalized is not None and under(session, tag, normalized) is None:
                raise CorruptRecord(
                    "the id of an account is not the one that its tag was made of; run `consentprofile check`"
                )


def _move_all(session: Session) -> int:
    """Move each account that is still under a former index key, with all that the keyring has of it.

    How many could not be, for their ids are lost: they are found under the former one when they are named, and move
    then. A store that waited for their ids would open for nobody.
    """
    after = left = 0
    while after >= 0:
        found, after = accounts(session, after, PAGE)
        due: list[tuple[Found, bytes]] = []
        for tag, normalized, _ in found:
            index = None if normalized is None else under(session, tag, normalized)
            if normalized is None or index is None:
                left += 1
            elif index is not session.keys.index:
                due.append((Found(tag, index), session.keys.index.account(normalized)))
        if due:
            with session.ground.writing(), session.ground.files.keyring_transaction():
                for former, new in due:
                    move(session, session.ground.keyring, former, new)
    return left
