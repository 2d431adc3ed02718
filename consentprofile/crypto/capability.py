"""A capability: a file that opens one or more purposes of one epoch, and nothing else.

It holds the index key, which finds accounts, the keys of its purposes, and the role that it pins. It holds no root and
no key for officers, signing or importing: what these wrap stays closed to whoever has the file, whatever they run.

::

    file  "consentprofile-capability-1:" ‖ base64(pack([head, held])) ‖ newline
    head  [store, epoch, check value, id, role, [purpose, ...], protection]
    keys  the index key ‖ the key of each purpose, 32 bytes each
    held  keys ‖ HMAC(index key, 07 ‖ pack(head) ‖ keys)     without a passphrase
          keys, sealed                                       with one

The head is authenticated: against damage and careless edits, and with a passphrase against everybody without it. The
role binds a service that is honest or confused; whoever takes the keys out of the file has the purposes, in any role.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Final, NamedTuple, NoReturn

import msgspec

from consentprofile import canonical
from consentprofile.crypto.aead import KEY_BYTES, SealingKey
from consentprofile.crypto.keys import INDEX, PURPOSE, EpochKeys
from consentprofile.crypto.providers import Parameters, Passphrase, PathLike, read_private
from consentprofile.crypto.tags import TAG_BYTES, IndexKey, hkdf_sha256
from consentprofile.errors import CorruptRecord, KeysRotated, KeyUnavailable, WrongKey

PREFIX: Final = "consentprofile-capability-1:"
"""What the text of a capability begins with."""

ANY_VERSION: Final = "consentprofile-capability-"
MAXIMUM_CHARACTERS: Final = 65_536
ID_BYTES: Final = 16
UNPROTECTED: Final = Parameters("")

_INFO: Final = b"consentprofile capability "
_ASSOCIATED: Final = b"consentprofile capability 1\n"
_WHAT: Final = "the capability file"


class EpochMark(NamedTuple):
    """Which epoch of which store: the store id (16 bytes), the number, and the check value (32 bytes) of its root."""

    store: bytes
    number: int
    check: bytes


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What a capability says of itself in the clear. ``purposes`` are in the order of their names, none twice."""

    store: bytes
    epoch: int
    check: bytes
    id: bytes
    role: str
    purposes: tuple[str, ...]
    protection: Parameters


class _Written(msgspec.Struct, frozen=True, array_like=True):
    head: Head
    held: bytes


class Grant(NamedTuple):
    """What a capability grants: the role that it pins, and the keys that it holds."""

    role: str
    keys: EpochKeys


class Capability:
    """A capability file, to open a store with: ``Store.open(..., key=cp.Capability("support.cap"))``.

    The file is its owner's alone (mode 0600). ``passphrase`` is asked for only where the file is sealed by one. A
    capability opens the purposes that it was issued for until the keys are rotated; it makes no store, and no epoch.
    """

    def __init__(self, path: PathLike, *, passphrase: Passphrase | None = None) -> None:
        self.path = path
        self._passphrase = passphrase

    def enroll(self) -> tuple[bytes, Parameters]:
        """Raises :class:`KeyUnavailable`: a capability holds no secret that an epoch could begin with."""
        raise KeyUnavailable("a capability opens a store and makes none: use a key file, a variable or a passphrase")

    def recall(self, parameters: Parameters) -> bytes:
        """Raises :class:`KeyUnavailable`: a capability holds no secret of the store."""
        raise KeyUnavailable("a capability does not hold the secret of the store: use the key of the store")

    def open(self, current: EpochMark) -> Grant:
        """What it grants in the store whose current epoch this is.

        Raises :class:`KeyUnavailable` for no usable file, :class:`WrongKey` for another store's and a wrong passphrase,
        :class:`KeysRotated` for an epoch that is over.
        """
        written = parse(read_private(self.path, _WHAT, MAXIMUM_CHARACTERS))
        head = written.head
        if head.store != current.store:
            raise WrongKey("this is a capability of another store; nothing was opened")
        if (head.epoch, head.check) != (current.number, current.check):
            raise KeysRotated("this capability has ended: the keys were rotated; ask for a new one")
        opened = _open(written, self._passphrase)
        names = [INDEX, *(PURPOSE + purpose for purpose in head.purposes)]
        if len(opened) != KEY_BYTES * len(names):
            raise KeyUnavailable(f"{_WHAT} does not hold the keys of its purposes; ask for a new one")
        keys = {name: opened[KEY_BYTES * at : KEY_BYTES * (at + 1)] for at, name in enumerate(names)}
        return Grant(head.role, EpochKeys(head.store, head.epoch, keys))

    def __repr__(self) -> str:
        return "<Capability, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("capabilities are not pickled")


def write(
    current: EpochMark,
    identity: bytes,
    role: str,
    granted: Mapping[str, bytes],
    enrolled: tuple[bytes, Parameters] | None = None,
) -> str:
    """The text of a capability with the keys of ``granted``, as :meth:`EpochKeys.grant` gave them.

    ``identity`` is 16 random bytes. Where the keys are to be sealed by a passphrase, ``enrolled`` is what
    :meth:`Passphrase.enroll` gave.
    """
    purposes = tuple(sorted(name.removeprefix(PURPOSE) for name in granted if name.startswith(PURPOSE)))
    opened = b"".join([granted[INDEX], *(granted[PURPOSE + purpose] for purpose in purposes)])
    secret, protection = enrolled or (b"", UNPROTECTED)
    head = Head(*current, identity, role, purposes, protection)
    stated = canonical.pack(head)
    if enrolled is None:
        held = opened + IndexKey(granted[INDEX]).capability(stated, opened)
    else:
        held = _sealing(head, secret).seal(opened, _ASSOCIATED + stated)
    return PREFIX + base64.b64encode(canonical.pack(_Written(head, held))).decode() + "\n"


def parse(text: str) -> _Written:
    """What stands in the text of a capability. Raises :class:`KeyUnavailable` for what is none."""
    if text.startswith(ANY_VERSION) and not text.startswith(PREFIX):
        raise KeyUnavailable(f"{_WHAT} is of another version of this package; ask for a new one")
    try:
        if not text.startswith(PREFIX):
            raise ValueError
        packed = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
        written = canonical.unpack(packed, _Written)
    except (binascii.Error, ValueError, CorruptRecord):
        raise KeyUnavailable(
            f"{_WHAT} does not hold a whole capability: expected one line, {PREFIX} and base64"
        ) from None
    head = written.head
    if not head.purposes or list(head.purposes) != sorted(set(head.purposes)) or len(head.store) != ID_BYTES:
        raise KeyUnavailable(f"{_WHAT} does not hold a capability that this package wrote; ask for a new one")
    return written


def _open(written: _Written, passphrase: Passphrase | None) -> bytes:
    """The keys in a capability."""
    head, held = written.head, written.held
    stated = canonical.pack(head)
    if head.protection == UNPROTECTED:
        opened, seal = held[:-TAG_BYTES], held[-TAG_BYTES:]
        expected = IndexKey(opened[:KEY_BYTES]).capability(stated, opened)
        if not hmac.compare_digest(seal, expected):
            raise KeyUnavailable(f"{_WHAT} is damaged or was edited; ask for a new one")
        return opened
    if passphrase is None:
        raise KeyUnavailable("this capability is sealed by a passphrase: give it too")
    try:
        secret = passphrase.recall(head.protection)
    except CorruptRecord:
        raise KeyUnavailable(f"{_WHAT} has Argon2id parameters out of bounds; the passphrase was not used") from None
    try:
        return _sealing(head, secret).open(held, _ASSOCIATED + stated)
    except CorruptRecord:
        raise WrongKey("this is not the passphrase of this capability, or its file was edited") from None


def _sealing(head: Head, secret: bytes) -> SealingKey:
    return SealingKey(hkdf_sha256(secret, salt=head.store, info=_INFO + head.id))
