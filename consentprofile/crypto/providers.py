"""Key providers: where the secret comes from that opens a store. What they return never touches the store's files.

A provider *enrols* once for each epoch, which gives the secret and the public parameters that the keyring keeps,
and *recalls* the secret from these parameters whenever the store is opened.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn, Protocol

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from consentprofile import canonical
from consentprofile.crypto.aead import KEY_BYTES
from consentprofile.crypto.randomness import random_bytes
from consentprofile.errors import CorruptRecord, KeyUnavailable

PathLike = str | os.PathLike[str]

KEY_PREFIX: Final = "consentprofile-key-1:"
"""What the text of a key begins with; base64 of 32 random bytes follows."""


class Parameters(msgspec.Struct, frozen=True, array_like=True):
    """What the keyring keeps of a provider, in the clear."""

    provider: str
    salt: bytes = b""
    memory_kib: int = 0
    iterations: int = 0
    lanes: int = 0


class KeyProvider(Protocol):
    """Gives the secret of an epoch."""

    def enroll(self) -> tuple[bytes, Parameters]:
        """The secret for a new epoch, and what to keep in the keyring. Raises :class:`KeyUnavailable`."""
        ...

    def recall(self, parameters: Parameters) -> bytes:
        """The secret of the epoch that these parameters belong to. Raises :class:`KeyUnavailable`."""
        ...


def new_key_text() -> str:
    """A new random key, as one line of text."""
    return KEY_PREFIX + base64.b64encode(random_bytes(KEY_BYTES)).decode()


def _parse(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().removeprefix(KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES or not text.startswith(KEY_PREFIX):
        raise KeyUnavailable(
            f"{where} does not hold a key: expected one line, {KEY_PREFIX} and 44 characters of base64"
        )
    return key


def read_private(path: PathLike, what: str, characters: int) -> str:
    """At most so many characters of a file that is its owner's alone; ``what`` names it in messages.

    A link is followed, and what it leads to is judged. Raises :class:`KeyUnavailable`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not block
    except OSError as error:
        raise KeyUnavailable(f"{what} cannot be read: {error.strerror}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise KeyUnavailable(f"{what} is not a regular file")
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyUnavailable(f"{what} may be read by others: run `chmod 600` on it, and think who has read it")
        return file.read(characters)


def _require(parameters: Parameters, provider: str) -> None:
    if parameters.provider != provider:
        raise KeyUnavailable(
            f"this store's key comes from the provider {parameters.provider!r}, not from {provider!r}; use that one"
        )


class _Provider:
    """Providers cannot be pickled: they may hold a secret."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("key providers are not pickled")


class KeyFile(_Provider):
    """A file with one line of text, readable by its owner alone.

    ``Store.create`` makes it (mode 0600) where it does not exist; whoever loses it loses the store. A file that
    others may read or write is refused.
    """

    provider: Final = "key-file"

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def enroll(self) -> tuple[bytes, Parameters]:
        """The secret of the file, which is made where it does not exist."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return self._read(), Parameters(self.provider)
        except OSError as error:
            raise KeyUnavailable(f"the key file cannot be created: {error.strerror}") from None
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(new_key_text() + "\n")
                file.flush()
                os.fsync(file.fileno())
            directory = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)  # a store whose key file did not survive a power cut would be lost
            finally:
                os.close(directory)
        except OSError as error:
            with suppress(OSError):  # nothing is under this key yet
                self.path.unlink()
            raise KeyUnavailable(f"the key file cannot be written: {error.strerror}") from None
        return self._read(), Parameters(self.provider)

    def recall(self, parameters: Parameters) -> bytes:
        """The secret of the file."""
        _require(parameters, self.provider)
        return self._read()

    def _read(self) -> bytes:
        return _parse(read_private(self.path, "the key file", 1024), "the key file")


class EnvKey(_Provider):
    """An environment variable that holds a key as a key file does. Make one with ``consentprofile keys new``."""

    provider: Final = "environment"

    def __init__(self, variable: str) -> None:
        self.variable = variable

    def enroll(self) -> tuple[bytes, Parameters]:
        """The secret of the variable."""
        return self._read(), Parameters(self.provider)

    def recall(self, parameters: Parameters) -> bytes:
        """The secret of the variable."""
        _require(parameters, self.provider)
        return self._read()

    def _read(self) -> bytes:
        text = os.environ.get(self.variable)
        if not text:
            raise KeyUnavailable(f"the environment variable {self.variable} is not set")
        return _parse(text, f"the environment variable {self.variable}")


class Passphrase(_Provider):
    """A passphrase, stretched by Argon2id (RFC 9106; 64 MiB, 3 passes, 4 lanes unless told otherwise).

    ``text`` is the passphrase or a function that asks for it. The parameters lie in the keyring, where whoever can
    write the file can change them; they are bounded before use, so that a hostile keyring can neither exhaust the
    machine nor weaken the stretching of a passphrase that is about to be typed.
    """

    provider: Final = "passphrase"
    MINIMUM_CHARACTERS: Final = 12
    MEMORY_KIB: Final = (19 * 1024, 1024 * 1024)
    ITERATIONS: Final = (2, 16)
    LANES: Final = (1, 16)

    def __init__(
        self, text: str | Callable[[], str], *, memory_kib: int = 64 * 1024, iterations: int = 3, lanes: int = 4
    ) -> None:
        self._text = text
        self._parameters = (memory_kib, iterations, lanes)
        bounds = (self.MEMORY_KIB, self.ITERATIONS, self.LANES)
        if not all(low <= value <= high for value, (low, high) in zip(self._parameters, bounds, strict=True)):
            raise KeyUnavailable("the parameters of Argon2id are out of bounds; leave them out to use good ones")

    def enroll(self, minimum: int = MINIMUM_CHARACTERS) -> tuple[bytes, Parameters]:
        """A secret stretched with a fresh salt; a passphrase of fewer characters is refused."""
        text = self._ask()
        if len(text) < minimum:
            raise KeyUnavailable(f"the passphrase is too short: use at least {minimum} characters")
        parameters = Parameters(self.provider, random_bytes(16), *self._parameters)
        self._require_bounds(parameters)
        return self._stretch(text, parameters), parameters

    def recall(self, parameters: Parameters) -> bytes:
        """The secret stretched as it was when the store was made. Raises :class:`CorruptRecord` for bounds."""
        _require(parameters, self.provider)
        self._require_bounds(parameters)
        return self._stretch(self._ask(), parameters)

    def _ask(self) -> str:
        return self._text() if callable(self._text) else self._text

    def _require_bounds(self, parameters: Parameters) -> None:
        bounds = (
            (parameters.memory_kib, self.MEMORY_KIB),
            (parameters.iterations, self.ITERATIONS),
            (parameters.lanes, self.LANES),
            (len(parameters.salt), (16, 64)),
        )
        if not all(low <= value <= high for value, (low, high) in bounds):
            raise CorruptRecord("the keyring's Argon2id parameters are out of bounds; the passphrase was not used")

    @staticmethod
    def _stretch(text: str, parameters: Parameters) -> bytes:
        return Argon2id(
            salt=parameters.salt,
            length=KEY_BYTES,
            iterations=parameters.iterations,
            lanes=parameters.lanes,
            memory_cost=parameters.memory_kib,
        ).derive(text.encode())


def encode_parameters(parameters: Parameters) -> bytes:
    """The canonical bytes of the parameters."""
    return canonical.pack(parameters)


def decode_parameters(data: bytes) -> Parameters:
    """The parameters behind their canonical bytes. Raises :class:`CorruptRecord`."""
    return canonical.unpack(data, Parameters)
