"""Sealing and opening: AES-256-GCM-SIV (RFC 8452) with a random 96-bit nonce.

A sealed record is ``nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)``: 28 bytes longer than what it seals.

Why a random nonce is safe: AES-GCM-SIV derives a fresh message key from each nonce, and when a nonce does repeat it
reveals only whether two equal messages were sealed under equal associated data. A compartment key seals far fewer than
the 2^32 messages for which RFC 8452, section 9, bounds the advantage. No counter is kept, because a restored database
would repeat it. What is *not* hidden: the length of the plaintext, and which key (slot) it was sealed under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from consentprofile.crypto.byte_rows import Rows, cut
from consentprofile.crypto.randomness import random_bytes
from consentprofile.errors import CorruptRecord, UnsupportedEnvironment

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD: Final = NONCE_BYTES + TAG_BYTES

_UNAUTHENTIC: Final = "a sealed record does not authenticate; run `consentprofile check`"


class SealingKey:
    """A key that seals and opens. It cannot be printed, compared, copied or pickled; its bytes cannot be had back."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCMSIV(key)

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """Seal ``plaintext`` so that it opens only with the same ``associated`` data."""
        nonce = random_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plaintext, associated)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """The plaintext. Raises :class:`CorruptRecord` for a wrong key, other associated data or any changed bit."""
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
        except (InvalidTag, ValueError):
            raise CorruptRecord(_UNAUTHENTIC) from None

    def open_each(self, sealed: Rows, associated: Sequence[bytes]) -> list[bytes]:
        """As :meth:`open` for many records of one length, a row for each; all of them, or :class:`CorruptRecord`."""
        nonces, ciphertexts = cut(sealed[:, :NONCE_BYTES]), cut(sealed[:, NONCE_BYTES:])
        try:
            return list(map(self._aead.decrypt, nonces, ciphertexts, associated))
        except (InvalidTag, ValueError):
            raise CorruptRecord(_UNAUTHENTIC) from None

    def __repr__(self) -> str:
        return "<SealingKey, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")

    def __copy__(self) -> NoReturn:
        raise TypeError("keys are not copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("keys are not copied")


def nonces(together: int) -> Iterator[bytes]:
    """Random nonces, for as long as they are asked for; so many are drawn together, one at the least.

    To ask the operating system for one takes 0.4 microseconds, for a hundred about 1.5. Whoever takes them lets go of
    the rest when it is done: none is kept for later, and none crosses a fork.
    """
    while True:
        drawn = random_bytes(NONCE_BYTES * max(1, together))
        for start in range(0, len(drawn), NONCE_BYTES):
            yield drawn[start : start + NONCE_BYTES]


def seal_once(key: bytes, plaintext: bytes, associated: bytes, nonces: Iterator[bytes]) -> bytes:
    """As :meth:`SealingKey.seal`, for a key that seals this and no more, with the next of :func:`nonces`."""
    nonce = next(nonces)
    return nonce + AESGCMSIV(key).encrypt(nonce, plaintext, associated)


def open_under_each(
    keys: Sequence[bytes], sealed: Sequence[Sequence[bytes]], associated: Sequence[bytes], more: Callable[[], bool]
) -> tuple[int, list[bytes]]:
    """What each of ``keys`` has ``sealed`` with its ``associated`` data, opened, all in one list; and of how many keys
    that is, for it ends where ``more`` answers false, after one key at the earliest.

    No object that keeps a key outlives its turn. Raises :class:`CorruptRecord` as :meth:`SealingKey.open` does.
    """
    plain: list[bytes] = []
    used = 0
    try:
        for key, records, bound in zip(keys, sealed, associated, strict=True):
            if used and not more():
                break
            used += 1
            decrypt = AESGCMSIV(key).decrypt
            for one in records:
                plain.append(decrypt(one[:NONCE_BYTES], one[NONCE_BYTES:], bound))  # noqa: PERF401 - mostly it is one
    except (InvalidTag, ValueError):
        raise CorruptRecord(_UNAUTHENTIC) from None
    return used, plain


class SuccessorKey(SealingKey):
    """A key that has taken the place of another: it opens what either has sealed, and seals as itself.

    Which of the two it was is found by trying: the seal authenticates its key.
    """

    __slots__ = ("former",)

    def __init__(self, key: bytes, former: bytes) -> None:
        super().__init__(key)
        self.former = SealingKey(former)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """The plaintext. Raises :class:`CorruptRecord` where neither key opens it."""
        try:
            return SealingKey.open(self, sealed, associated)
        except CorruptRecord:
            return self.former.open(sealed, associated)

    def open_each(self, sealed: Rows, associated: Sequence[bytes]) -> list[bytes]:
        """As :meth:`open` for many records of one length."""
        return [self.open(one, bound) for one, bound in zip(cut(sealed), associated, strict=True)]

    def reseal(self, sealed: bytes, associated: bytes) -> bytes | None:
        """What the former key sealed, sealed by this one; None where this one has sealed it already.

        Raises :class:`CorruptRecord` where neither opens it.
        """
        try:
            plaintext = self.former.open(sealed, associated)
        except CorruptRecord:
            SealingKey.open(self, sealed, associated)
            return None
        return self.seal(plaintext, associated)


def require_support() -> None:
    """Raise :class:`UnsupportedEnvironment` where AES-256-GCM-SIV is missing (OpenSSL before 3.2)."""
    try:
        AESGCMSIV(bytes(KEY_BYTES))
    except UnsupportedAlgorithm:
        raise UnsupportedEnvironment(
            "AES-256-GCM-SIV is missing: install cryptography >= 44 with OpenSSL >= 3.2 (its own wheels have it)"
        ) from None
