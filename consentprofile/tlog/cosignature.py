"""Cosignatures (C2SP tlog-cosignature, https://c2sp.org/tlog-cosignature), version 1: Ed25519, timestamped.

A cosignature is one more signature line below a checkpoint, made by a witness: a second machine or person who has seen
that each head of the log extends the one before. The specification's own example of the message that is signed:

    cosignature/v1
    time 1679315147
    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

and of the line, base64(key id || timestamp as 8 bytes, big-endian || 64 bytes of Ed25519), broken in two here:

    — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ
    qhf5nNo0xUe+mbIUBkBIfZ+qnA==

The key id is made with type 04, so that a witness's line can never be taken for a log's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consentprofile.errors import ProofRefused
from consentprofile.tlog.checkpoint import parse_checkpoint
from consentprofile.tlog.merkle import MAX_SIZE
from consentprofile.tlog.note import (
    COSIGNATURE,
    Note,
    Signature,
    SignBytes,
    VerifierKey,
    signatures_by,
    verify_ed25519,
)

_LENGTH: Final = 8 + 64


def cosignature_message(text: str, timestamp: int) -> bytes:
    """What a witness signs: a header, the time in seconds since 1970-01-01T00:00:00Z, the checkpoint's text."""
    if not 0 <= timestamp <= MAX_SIZE:
        raise ProofRefused("the time of a cosignature is not one")
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def cosign(note: Note, key: VerifierKey, sign: SignBytes, *, timestamp: int) -> Note:
    """The note with one more line below it: the cosignature of ``key`` (type 04), made by ``sign``.

    An earlier line of the same key is replaced. The witness must have verified the log's own signature and that the
    checkpoint extends the largest one it has cosigned for this origin; nothing of that is checked here. Raises
    :class:`ProofRefused` when the note is no checkpoint, or ``sign`` answers with what ``key`` does not verify.
    """
    _check_kind(key)
    parse_checkpoint(note.text)
    message = cosignature_message(note.text, timestamp)
    signature = sign(message)
    verify_ed25519(key.public, message, signature)
    key_id = key.key_id
    others = tuple(item for item in note.signatures if (item.name, item.key_id) != (key.name, key_id))
    return Note(note.text, (*others, Signature(key.name, key_id, timestamp.to_bytes(8, "big") + signature)))


def verify_cosignature(note: Note, key: VerifierKey) -> int:
    """Check that ``key`` (type 04) has cosigned the checkpoint; the time it says it did, in seconds since 1970 (UTC).

    Of several lines of this key every one must hold; the newest time counts. Raises :class:`ProofRefused`. The log's
    own signature is not looked at (``checkpoint.py``), and the time is the witness's word.
    """
    _check_kind(key)
    parse_checkpoint(note.text)
    times: list[int] = []
    for signature in signatures_by(note, key):
        if len(signature) != _LENGTH:
            raise ProofRefused("a cosignature does not have the length that its specification says")
        timestamp = int.from_bytes(signature[:8], "big")
        verify_ed25519(key.public, cosignature_message(note.text, timestamp), signature[8:])
        times.append(timestamp)
    return max(times)


def verify_quorum(note: Note, witnesses: Sequence[VerifierKey], quorum: int) -> None:
    """Check that at least ``quorum`` of ``witnesses``, each counted once, have cosigned the checkpoint.

    A line that names one of them and does not hold refuses the whole note. Raises :class:`ProofRefused`.
    """
    present = {(item.name, item.key_id) for item in note.signatures}
    cosigned = {key for key in witnesses if (key.name, key.key_id) in present}
    for key in cosigned:
        verify_cosignature(note, key)
    # One public key under two names is one witness: the message does not hold the name.
    if len({key.public for key in cosigned}) < quorum:
        raise ProofRefused("the checkpoint has not been cosigned by as many witnesses as were asked for")


def _check_kind(key: VerifierKey) -> None:
    if key.kind != COSIGNATURE:
        raise ProofRefused("this key is not one for cosigning: its type is not 04")
