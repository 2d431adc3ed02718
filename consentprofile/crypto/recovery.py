"""A recovery copy: the secret that a store opens with, sealed under a long passphrase, for the day when it is lost.

::

    file    "consentprofile-recovery-1:" ‖ base64(pack([head, sealed])) ‖ newline
    head    [store, epoch, protection]      protection: the parameters of Argon2id, as those of a passphrase provider
    sealed  the 32 secret bytes, under HKDF(stretched passphrase, salt = store, info = "consentprofile recovery")

The head is authenticated with what is sealed. It says which store and which epoch the secret is of. Whoever has the
file can guess at the passphrase, at Argon2id's price.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple

import msgspec

from consentprofile import canonical
from consentprofile.crypto.aead import SealingKey
from consentprofile.crypto.providers import KEY_PREFIX, Parameters, Passphrase
from consentprofile.crypto.tags import hkdf_sha256
from consentprofile.errors import CorruptRecord, KeyUnavailable, WrongKey

PREFIX: Final = "consentprofile-recovery-1:"
"""What the text of a recovery copy begins with."""

ANY_VERSION: Final = "consentprofile-recovery-"
MAXIMUM_CHARACTERS: Final = 4_096
MINIMUM_PASSPHRASE: Final = 20
"""Characters. The copy may lie where many can get at it, for years."""

STORE_BYTES: Final = 16
_INFO: Final = b"consentprofile recovery"
_ASSOCIATED: Final = b"consentprofile recovery 1\n"


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What a recovery copy says of itself in the clear."""

    store: bytes
    epoch: int
    protection: Parameters


class _Written(msgspec.Struct, frozen=True, array_like=True):
    head: Head
    sealed: bytes


class Recovered(NamedTuple):
    """The text of the key, as a key file has it, and what it opens: the store id and the number of the epoch."""

    key: str
    store: bytes
    epoch: int

    def __repr__(self) -> str:
        return "<Recovered, withheld>"


def write(store: bytes, epoch: int, secret: bytes, passphrase: Passphrase) -> str:
    """The text of a recovery copy of ``secret``. Raises :class:`KeyUnavailable` for a passphrase that is too short."""
    stretched, protection = passphrase.enroll(MINIMUM_PASSPHRASE)
    head = Head(store, epoch, protection)
    sealed = _sealing(head, stretched).seal(secret, _ASSOCIATED + canonical.pack(head))
    return PREFIX + base64.b64encode(canonical.pack(_Written(head, sealed))).decode() + "\n"


def read(text: str, passphrase: Passphrase) -> Recovered:
    """The key behind the text of a recovery copy.

    Raises :class:`KeyUnavailable` for what is none, :class:`CorruptRecord` for parameters out of bounds, before the
    passphrase is asked for, and :class:`WrongKey` where it does not open.
    """
    written = _parse(text)
    head = written.head
    stretched = passphrase.recall(head.protection)
    try:
        secret = _sealing(head, stretched).open(written.sealed, _ASSOCIATED + canonical.pack(head))
    except CorruptRecord:
        raise WrongKey("this passphrase does not open the recovery copy, or a byte of it was changed") from None
    return Recovered(KEY_PREFIX + base64.b64encode(secret).decode(), head.store, head.epoch)


def _parse(text: str) -> _Written:
    if text.startswith(ANY_VERSION) and not text.startswith(PREFIX):
        raise KeyUnavailable("the recovery copy is of another version of this package; use that one")
    try:
        if not text.startswith(PREFIX):
            raise ValueError
        written = canonical.unpack(base64.b64decode(text.strip().removeprefix(PREFIX), validate=True), _Written)
    except (binascii.Error, ValueError, CorruptRecord):
        raise KeyUnavailable(
            f"this is no whole recovery copy: expected one line, {PREFIX} and base64; take another copy of it"
        ) from None
    if len(written.head.store) != STORE_BYTES:
        raise KeyUnavailable("this is no recovery copy that this package wrote; take another copy of it")
    return written


def _sealing(head: Head, stretched: bytes) -> SealingKey:
    return SealingKey(hkdf_sha256(stretched, salt=head.store, info=_INFO))
