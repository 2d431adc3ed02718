"""Checkpoints (C2SP tlog-checkpoint, https://c2sp.org/tlog-checkpoint): the signed head of the log, as a note.

The specification's own example (its signature line broken in two here):

    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gG
    zGku9nTo+zyWE+xeMcTOAYQ8=

The lines are the origin, the number of leaves, the root, and extension lines if there are any (we write none). A
checkpoint vouches for its tree only as far as its signer does: that a log never signed two heads that contradict each
other is known only to those who kept the earlier one and compare (``proof.py``), and to witnesses
(``cosignature.py``).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from consentprofile.errors import ProofRefused
from consentprofile.tlog.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from consentprofile.tlog.note import (
    Note,
    SignBytes,
    VerifierKey,
    from_base64,
    parse_note,
    sign_note,
    to_base64,
    verify_note,
)

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x1f]")


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of a log: its origin, its number of leaves, the root over them (32 bytes), opaque extension lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(not line or _CONTROL.search(line) for line in (self.origin, *self.extensions)):
            raise ProofRefused("the origin or an extension line of the checkpoint is empty or holds control characters")
        if not 0 <= self.size <= MAX_SIZE or len(self.root) != HASH_SIZE:
            raise ProofRefused("the size or the root of the checkpoint is not one of a log")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise ProofRefused("the checkpoint claims an empty log with a root that is not that of an empty log")

    def text(self) -> str:
        """The text of the note: what the log signs."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, to_base64(self.root), *self.extensions))


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint whose text (that of the note, without signatures) is ``text``. Raises :class:`ProofRefused`."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise ProofRefused("a checkpoint needs an origin, a size and a root, each on its line")
    origin, size, root, *extensions = lines[:-1]
    return Checkpoint(origin, parse_decimal(size), from_base64(root), tuple(extensions))


def sign_checkpoint(checkpoint: Checkpoint, public: bytes, sign: SignBytes) -> Note:
    """The checkpoint as a note, signed under its origin as the name of the key (32 public bytes).

    A log must never sign a head that does not extend every head it has signed before: whoever calls this has checked
    that. Raises :class:`ProofRefused` for an origin that cannot name a key, and for a signature that does not hold.
    """
    return sign_note(checkpoint.text(), VerifierKey(checkpoint.origin, public), sign)


def open_checkpoint(data: bytes, key: VerifierKey, *, origin: str | None = None) -> Checkpoint:
    """The checkpoint in the signed note ``data``, once its signature by ``key`` has been verified.

    The origin must be ``origin``, or the key's name when that is None, so that the head of one log cannot be shown for
    another's. Raises :class:`ProofRefused`. An old checkpoint opens as well as the newest.
    """
    return verify_checkpoint(parse_note(data), key, origin=origin)


def verify_checkpoint(note: Note, key: VerifierKey, *, origin: str | None = None) -> Checkpoint:
    """As :func:`open_checkpoint`, for a note already parsed."""
    verify_note(note, key)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != (key.name if origin is None else origin):
        raise ProofRefused("the checkpoint is that of another log: its origin is not the expected one")
    return checkpoint


def parse_decimal(text: str) -> int:
    """A number from 0 to 2**63 - 1 in ASCII digits without leading zeros. Raises :class:`ProofRefused`."""
    if _DECIMAL.fullmatch(text) is None or int(text) > MAX_SIZE:
        raise ProofRefused("there is a number that is not written as its specification says")
    return int(text)
