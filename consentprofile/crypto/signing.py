"""The signing key of the audit log: Ed25519 (RFC 8032), made from 32 random bytes that the root wraps."""

from __future__ import annotations

from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SigningKey:
    """Signs heads and certificates. It cannot be printed, copied or pickled; only its public half can be had."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()
        """32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes; the same for the same message."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return "<SigningKey, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")
