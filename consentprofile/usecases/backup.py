"""Backups of the keyring, apart from the data and kept for a short, stated time.

An old copy of the keyring, together with the key, opens what was erased since; that is why it is apart, and why the
shorter it is kept the better.
"""

from __future__ import annotations

import os
from pathlib import Path

from consentprofile.errors import InputError, StoreFault
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.session import Session


def back_up_keyring(session: Session, target: Path) -> None:
    """Copy the keyring, live rows only, to ``target`` (mode 0600), which must not exist. It has a leaf.

    Raises :class:`InputError` where something is in the way, :class:`StoreFault` where it cannot be written.
    """
    session.keys.require_officer()
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise InputError("there is a file at the target already; a backup never overwrites one") from None
    except OSError as error:
        raise StoreFault(f"the keyring backup cannot be written: {error.strerror}") from None
    try:
        with session.ground.writing():
            with session.ground.files.data_transaction(full=True):
                draft = Draft(Operation.KEYRING_BACKED_UP, session.now(), "", "officer")
                session.ground.log.append((draft,), session.policy.digest)
            session.ground.copy_keyring(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
