"""Signed notes (C2SP signed-note, https://c2sp.org/signed-note): a text, a blank line, one line for each signature.

The specification's own example, with the key that verifies it:

    This is an example message.

    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=

    example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k

A signature line is an em dash, a space, the key's name, a space and base64(key id || signature). A verifier key is
name, "+", the key id in hexadecimal, "+", base64(type || public key); the key id is the first 4 bytes of
SHA-256(name || 0A || type || public key). Only Ed25519 is built (type 01 here, type 04 in ``cosignature.py``).

Parsing is canonical: what would not be written back byte for byte is refused with :class:`ProofRefused`. A parsed note
is worth nothing before :func:`verify_note` has returned: anybody can write one.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consentprofile.errors import ProofRefused

SignBytes: TypeAlias = Callable[[bytes], bytes]
"""Signs a message with Ed25519: 64 bytes for any bytes. The private key stays where it is."""

ED25519: Final = 0x01
"""The signature type of an Ed25519 signature over the note's text."""

COSIGNATURE: Final = 0x04
"""The signature type of a timestamped Ed25519 cosignature (``cosignature.py``)."""

MAX_SIGNATURES: Final = 100
"""More signature lines than this are refused, as Go's ``sumdb/note`` does; the specification asks for at least 16."""

MAX_BYTES: Final = 1_000_000
"""A longer note is refused unread."""

_DASH: Final = "— "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME: Final = re.compile(r"[^\s+\x00-\x1f]+")


def is_key_name(name: str) -> bool:
    """Whether ``name`` can name a key: not empty, neither Unicode spaces nor "+" nor control characters in it."""
    return _NAME.fullmatch(name) is not None and _is_utf8(name)


class Signature(msgspec.Struct, frozen=True):
    """One signature line: who signed, by name and 4-byte key id, and the raw signature, unverified."""

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name) or len(self.key_id) != 4 or not self.signature:
            raise ProofRefused("a signature line of the note is malformed")

    def line(self) -> str:
        """The line, its newline included."""
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.signature)}\n"


class Note(msgspec.Struct, frozen=True):
    """A text (it ends in a newline) with the signature lines below it, in their order."""

    text: str
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        _check_text(self.text)
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise ProofRefused(f"the note does not have between 1 and {MAX_SIGNATURES} signatures")

    def encode(self) -> bytes:
        """The canonical bytes of the note. Raises :class:`ProofRefused` beyond :data:`MAX_BYTES`."""
        data = (self.text + "\n" + "".join(item.line() for item in self.signatures)).encode()
        if len(data) > MAX_BYTES:
            raise ProofRefused("the note is too long to be one")
        return data


class VerifierKey(msgspec.Struct, frozen=True):
    """A public key under its name: ``public`` is 32 bytes of Ed25519, ``kind`` is 01 or, for cosigning, 04."""

    name: str
    public: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not is_key_name(self.name) or len(self.public) != 32 or self.kind not in (ED25519, COSIGNATURE):
            raise ProofRefused("a verifier key needs a name without spaces, 32 public bytes and a known type")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which signature lines name the key. They identify it, they do not prove anything."""
        return sha256(self.name.encode() + b"\n" + bytes((self.kind,)) + self.public).digest()[:4]

    def encode(self) -> str:
        """The text that other tools take: name, key id and key, joined by "+"."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes((self.kind,)) + self.public)}"


# ---- parsing ------------------------------------------------------------------------------------


def parse_note(data: bytes) -> Note:
    """The note whose canonical bytes are ``data``; its signatures are not verified. Raises :class:`ProofRefused`."""
    if len(data) > MAX_BYTES:
        raise ProofRefused("the note is too long to be one")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise ProofRefused("the note is not UTF-8") from None
    # The text may hold blank lines; the signatures may not: the last one divides.
    cut = whole.rfind("\n\n")
    if cut < 0 or not whole.endswith("\n") or cut + 2 == len(whole):
        raise ProofRefused("the note has no blank line with signature lines after it")
    lines = whole[cut + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise ProofRefused(f"the note has more than {MAX_SIGNATURES} signatures")
    return Note(whole[: cut + 1], tuple(_parse_line(line) for line in lines))


def parse_key(text: str) -> VerifierKey:
    """The verifier key whose canonical text is ``text``. Raises :class:`ProofRefused`, for a wrong key id too."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    material = from_base64(encoded)
    key = VerifierKey(name, material[1:], material[0])
    if key.key_id.hex() != key_id:
        raise ProofRefused("the key id in the verifier key is not that of its name and key; copy it again, whole")
    return key


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text) or not _is_utf8(text):
        raise ProofRefused("the text of the note does not end in a newline, or holds control characters")


def _parse_line(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise ProofRefused("a line after the text of the note is no signature line")
    name, _, encoded = line[len(_DASH) :].partition(" ")
    blob = from_base64(encoded)
    return Signature(name, blob[:4], blob[4:])


# ---- signing and verifying ----------------------------------------------------------------------


def sign_note(text: str, key: VerifierKey, sign: SignBytes) -> Note:
    """A note with this text and one signature by ``key`` (type 01), made by ``sign``.

    Ed25519 is deterministic: the same text and key give the same bytes. Raises :class:`ProofRefused` for a text that no
    note can have, and when ``sign`` answers with a signature that ``key`` does not verify, so that no head ever leaves
    signed by the wrong key.
    """
    if key.kind != ED25519:
        raise ProofRefused("a key for cosigning does not sign notes")
    _check_text(text)
    signature = sign(text.encode())
    note = Note(text, (Signature(key.name, key.key_id, signature),))
    verify_note(note, key)
    return note


def verify_note(note: Note, key: VerifierKey) -> None:
    """Check that ``key`` (type 01) has signed the note's text. Raises :class:`ProofRefused`.

    Lines of other keys are ignored, as the specification asks for; every line that names this key must hold, and there
    must be one.
    """
    if key.kind != ED25519:
        raise ProofRefused("a key for cosigning does not vouch for a note")
    message = note.text.encode()
    for signature in signatures_by(note, key):
        verify_ed25519(key.public, message, signature)


def signatures_by(note: Note, key: VerifierKey) -> tuple[bytes, ...]:
    """The raw, unverified signatures whose lines name ``key``. Raises :class:`ProofRefused` when there is none."""
    key_id = key.key_id
    found = tuple(item.signature for item in note.signatures if item.name == key.name and item.key_id == key_id)
    if not found:
        raise ProofRefused("the note is not signed by the key that was asked for")
    return found


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature (RFC 8032) of 64 bytes under 32 public bytes. Raises :class:`ProofRefused`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise ProofRefused("the signature does not hold: the text was changed, or another key signed it") from None


# ---- base64 -------------------------------------------------------------------------------------


def to_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: str) -> bytes:
    """The bytes of canonical, non-empty base64; anything else, stray bits included, raises :class:`ProofRefused`."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        data = b""
    if not data or to_base64(data) != text:
        raise ProofRefused("there is something that is not canonical base64")
    return data


def _is_utf8(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8 (lone surrogates cannot)."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
