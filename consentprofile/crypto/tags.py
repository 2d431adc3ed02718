"""Keyed digests: HMAC-SHA256 (RFC 2104) under keys that live in the keyring, one use apart from every other.

The same input under two keys gives two digests that nobody without the keys can join. A digest under a compartment's
secret cannot be recomputed once that compartment's key has been destroyed.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TAG_BYTES: Final = 32
SHORT_BYTES: Final = 16

_ACCOUNT: Final = b"\x01"
_SUPPRESSION: Final = b"\x02"
_EVENT: Final = b"\x03"
_TOKEN: Final = b"\x04"
_MEMBER: Final = b"\x05"
_POLICY: Final = b"\x06"


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, message, "sha256")


def hkdf_sha256(secret: bytes, *, salt: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-SHA256 (RFC 5869), extract and expand."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


class _Keyed:
    """A key for digests: it cannot be printed, copied or pickled."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")


class IndexKey(_Keyed):
    """Finds accounts: the tag of a normalized account id, and the seals of suppressions."""

    __slots__ = ()

    def account(self, normalized: bytes) -> bytes:
        """The full-length tag of an account, 32 bytes."""
        return hmac.digest(self._key, _ACCOUNT + normalized, "sha256")

    def suppression(self, tag: bytes, reason: str) -> bytes:
        """What proves that a suppression was written by a holder of the index key, 32 bytes."""
        return hmac.digest(self._key, _SUPPRESSION + tag + reason.encode(), "sha256")

    def policy(self, number: int, digest: bytes) -> bytes:
        """What proves that a policy was accepted by a holder of the index key, 32 bytes."""
        return hmac_sha256(self._key, _POLICY + number.to_bytes(8, "big") + digest)


class CompartmentSecret(_Keyed):
    """Makes the ids, tokens and pseudonyms of one compartment. It survives re-keying and dies with the compartment."""

    __slots__ = ()

    def event(self, given: str) -> bytes:
        """The stored id of an event, 16 bytes."""
        return hmac.digest(self._key, _EVENT + given.encode(), "sha256")[:SHORT_BYTES]

    def token(self, field: str, value: str) -> bytes:
        """The digest that stands for a token, 16 bytes; the same value in another field gives another one."""
        name = field.encode()
        return hmac.digest(self._key, _TOKEN + bytes((len(name),)) + name + value.encode(), "sha256")[:SHORT_BYTES]

    def member(self) -> bytes:
        """The pseudonym under which releases count this compartment, 16 bytes."""
        return hmac.digest(self._key, _MEMBER, "sha256")[:SHORT_BYTES]


class ImportKey(_Keyed):
    """Derives event ids for importers, so that a stored id cannot be searched for the exact content and time."""

    __slots__ = ()

    def event(self, content: bytes) -> str:
        """The derived id of an event with this canonical content, 32 hex digits."""
        return hmac.digest(self._key, content, "sha256")[:SHORT_BYTES].hex()
