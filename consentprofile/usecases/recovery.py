"""The recovery copy of the root: for the day when the key is lost, and with it everything in the store.

It is one more copy of the secret. Together with an old copy of the keyring and its passphrase it opens what was erased
since that copy was made; so it counts for the shred horizon, and it has a leaf.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from consentprofile.crypto import keys, recovery
from consentprofile.crypto.capability import Capability
from consentprofile.crypto.providers import KeyProvider, Passphrase, decode_parameters, read_private
from consentprofile.errors import BeyondCapability, InputError, KeysRotated, WrongKey
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.private_files import fill, new_file
from consentprofile.usecases.session import Session

_RECOVERABLE: Final = ("key-file", "environment")


class RecoveredKey(msgspec.Struct, frozen=True, kw_only=True):
    """Which store (its id, hex) and which epoch of it the key opens that was written."""

    store: str
    epoch: int


def write_recovery_copy(session: Session, target: Path, key: KeyProvider, passphrase: Passphrase) -> None:
    """Seal the secret of ``key``, which must be the store's, under ``passphrase`` into ``target`` (mode 0600).

    Raises :class:`WrongKey` for another key, :class:`InputError` where something is in the way or the store opens with
    a passphrase itself, :class:`KeyUnavailable` for a passphrase of fewer than 20 characters, :class:`KeysRotated`,
    :class:`StoreFault`.
    """
    session.keys.require_officer()
    if isinstance(key, Capability):
        raise BeyondCapability("a capability does not hold the secret of the store: use the key of the store")
    with session.ground.files.reading():
        store, number = session.ground.keyring.identity()
        epoch = session.ground.keyring.epoch(number)
    parameters = decode_parameters(epoch.provider)
    if parameters.provider not in _RECOVERABLE:
        raise InputError("this store opens with a passphrase: write that down, there is nothing else to recover")
    secret = key.recall(parameters)
    if keys.check_value(keys.derive_root(secret, store, number)) != epoch.check_value:
        raise WrongKey("this is not the key that the store opens with; nothing was copied")
    with new_file(target, "recovery copy"):
        text = recovery.write(store, number, secret, passphrase)
        with session.ground.writing(), session.ground.files.data_transaction(full=True):
            if session.ground.keyring.identity()[1] != number:
                raise KeysRotated("the keys were rotated meanwhile; show the new key")
            draft = Draft(Operation.RECOVERY_COPIED, session.now(), "", "officer")
            session.ground.log.append((draft,), session.policy.digest)
        fill(target, text)


def recover_key(copy: Path, key_file: Path, passphrase: Passphrase) -> RecoveredKey:
    """Write the key in a recovery copy to a new key file (mode 0600). It needs no store.

    Raises :class:`KeyUnavailable` for no usable copy, :class:`WrongKey` for another passphrase, :class:`InputError`
    where there is a file already, :class:`StoreFault`.
    """
    text = read_private(copy, "the recovery copy", recovery.MAXIMUM_CHARACTERS)
    found = recovery.read(text, passphrase)
    with new_file(key_file, "key file"):
        fill(key_file, found.key + "\n")
    return RecoveredKey(store=found.store.hex(), epoch=found.epoch)
