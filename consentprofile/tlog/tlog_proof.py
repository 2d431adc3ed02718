"""Proof files (C2SP tlog-proof, https://c2sp.org/tlog-proof): one leaf's inclusion in a signed log, verifiable offline.

The specification's own example, its signatures shortened there:

    c2sp.org/tlog-proof@v1
    extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
    index 73894
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
    B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
    EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
    RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
    AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

    example.com/fancylog
    109482
    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

    — example.com/fancylog hI2DJw[...]1roloI=
    — witness1.example mJirIklj[...]qY9v2B/5bg==

The lines after the index are the inclusion proof, from the leaf's sibling up; the checkpoint follows verbatim. The
entry itself is not in the file: whoever verifies brings it along. The extra data are signed by nobody. The file's
extension is ``.tlog-proof``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from consentprofile.errors import ProofRefused
from consentprofile.tlog.checkpoint import Checkpoint, parse_checkpoint, parse_decimal, verify_checkpoint
from consentprofile.tlog.cosignature import verify_quorum
from consentprofile.tlog.merkle import HASH_SIZE, MAX_SIZE, leaf_hash
from consentprofile.tlog.note import MAX_BYTES, Note, VerifierKey, from_base64, parse_note, to_base64
from consentprofile.tlog.proof import verify_inclusion

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_MAX_HASHES: Final = 63


class TlogProof(msgspec.Struct, frozen=True):
    """The content of a proof file: the leaf's ``index`` from 0, its inclusion proof, the signed checkpoint.

    ``extra`` are opaque, unauthenticated bytes, or None.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_SIZE or len(self.hashes) > _MAX_HASHES or self.extra == b"":
            raise ProofRefused("the index, the proof or the extra data are not those of a proof file")
        if any(len(item) != HASH_SIZE for item in self.hashes):
            raise ProofRefused("a hash of the proof does not have 32 bytes")
        parse_checkpoint(self.checkpoint.text)

    def encode(self) -> bytes:
        """The canonical bytes of the file."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {to_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(to_base64(item) for item in self.hashes)
        return "\n".join([*lines, "", ""]).encode() + self.checkpoint.encode()


def parse_tlog_proof(data: bytes) -> TlogProof:
    """The proof file whose canonical bytes are ``data``; nothing in it is verified. Raises :class:`ProofRefused`."""
    if len(data) > 2 * MAX_BYTES:
        raise ProofRefused("the proof file is too long to be one")
    head, _, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise ProofRefused("the proof file holds something else before its checkpoint") from None
    if lines.pop(0) != _HEADER:
        raise ProofRefused("the file does not begin as a proof file of version 1")
    extra = from_base64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index ") or len(lines) > 1 + _MAX_HASHES:
        raise ProofRefused("the proof file has no index, or more hashes than any log needs")
    index = parse_decimal(lines[0][6:])
    return TlogProof(index, tuple(from_base64(line) for line in lines[1:]), parse_note(note), extra)


def verify_tlog_proof(
    proof: TlogProof,
    entry: bytes,
    key: VerifierKey,
    *,
    origin: str | None = None,
    witnesses: Sequence[VerifierKey] = (),
    quorum: int = 0,
) -> Checkpoint:
    """Check that ``entry`` is in the log that ``key`` signs, at the proof's index; the verified checkpoint.

    ``origin`` is as in :func:`~consentprofile.tlog.checkpoint.open_checkpoint`; at least ``quorum`` of ``witnesses``
    must have cosigned. Raises :class:`ProofRefused`. That the log shows everybody the same is only as sure as the
    witnesses are independent.
    """
    checkpoint = verify_checkpoint(proof.checkpoint, key, origin=origin)
    verify_quorum(proof.checkpoint, witnesses, quorum)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint
