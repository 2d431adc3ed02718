"""Proofs for outsiders: of one leaf, of a log that extends an earlier one, and the log itself as static files."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from consentprofile.errors import BrokenLog, InputError, ProofRefused, StoreFault
from consentprofile.store.ports import StoredHead
from consentprofile.tlog.checkpoint import open_checkpoint
from consentprofile.tlog.lineage import is_earlier
from consentprofile.tlog.note import VerifierKey, parse_note
from consentprofile.tlog.proof import consistency_proof, inclusion_proof, verify_consistency
from consentprofile.tlog.tiles import CHECKPOINT_PATH, Tile, encode_bundle, encode_tile, tiles_between
from consentprofile.tlog.tlog_proof import TlogProof, verify_tlog_proof
from consentprofile.usecases import heads
from consentprofile.usecases.session import Session

EMPTY: Final = 0


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote: the number of leaves that its checkpoint covers, and of files that were new."""

    size: int
    files: int


def prove(session: Session, sequence: int) -> bytes:
    """A ``.tlog-proof`` file (C2SP tlog-proof) that leaf ``sequence`` is in the log, under its newest signed head.

    Where no signed head covers the leaf yet, one is signed. The proof is verified before it is returned. Raises
    :class:`InputError` for a leaf that is not there, :class:`BrokenLog` for one that cannot be proved.
    """
    key = heads.verifier_key(session)
    with session.ground.files.reading():
        size = session.ground.log.size()
    if not 0 <= sequence < size:
        raise InputError(f"there is no such leaf: the log has the leaves 0 to {size - 1}")
    head = head_over(session, sequence)
    with session.ground.files.reading():
        hashes = inclusion_proof(sequence, head.size, session.ground.nodes.read)
        page = session.ground.log.page(sequence, 1)
    try:
        proof = TlogProof(index=sequence, hashes=tuple(hashes), checkpoint=parse_note(head.note))
        verify_tlog_proof(proof, page[0].body if page else b"", key)
    except ProofRefused:
        raise BrokenLog(f"leaf {sequence} cannot be proved; run `audit verify`", sequence=sequence) from None
    return proof.encode()


def head_over(session: Session, sequence: int) -> StoredHead:
    """A signed head whose tree holds the leaf."""
    with session.ground.files.reading():
        newest = session.ground.heads.newest()
    if newest is not None and newest.size > sequence:
        return newest
    return heads.checkpoint(session)


def require_extends(session: Session, seen: bytes) -> int:
    """Show that today's log extends the one whose signed checkpoint was ``seen`` earlier; its size then.

    The old checkpoint is verified with the log's key, and the proof that connects it to today's head is made and
    verified. It may be of an earlier lineage of the log, as far as that is left. Raises :class:`ProofRefused` where
    that does not hold.
    """
    old = open_checkpoint(seen, _key_of(session, seen))
    with session.ground.files.reading():
        frontier = session.ground.log.head().frontier
        if old.size > frontier.size:
            raise ProofRefused(
                f"the log has {frontier.size} leaves, fewer than the {old.size} that its checkpoint vouched for earlier"
            )
        proof = consistency_proof(old.size, frontier.size, session.ground.nodes.read) if old.size else []
    if old.size:
        verify_consistency(old.size, old.root, frontier.size, frontier.root(), proof)
    return old.size


def _key_of(session: Session, seen: bytes) -> VerifierKey:
    """The log's key under the name in a checkpoint, if that is one of the log's: its own, or an earlier lineage's."""
    key = heads.verifier_key(session)
    named = seen.partition(b"\n")[0].decode(errors="replace")
    return VerifierKey(named, key.public) if is_earlier(named, key.name) else key


def export(session: Session, out: Path, progress: Callable[[int], None] | None = None) -> Exported:
    """Write the log as C2SP tlog-tiles into ``out``, its checkpoint last; an earlier export there is extended.

    The files hold no personal data. Raises :class:`ProofRefused` if ``out`` holds the checkpoint of another log, or of
    one that this log does not extend, and :class:`StoreFault` where a file cannot be written.
    """
    head = heads.checkpoint(session)
    done = _earlier(session, out)
    files = 0
    for tile in tiles_between(done, head.size):
        _write(out / tile.path(), _content(session, tile))
        files += 1
        if progress is not None:
            progress(files)
    _write(out / CHECKPOINT_PATH, head.note)
    return Exported(size=head.size, files=files + 1)


def _earlier(session: Session, out: Path) -> int:
    try:
        return require_extends(session, (out / CHECKPOINT_PATH).read_bytes())
    except FileNotFoundError:
        return EMPTY
    except OSError as error:
        raise StoreFault(f"the earlier export cannot be read: {error.strerror}") from None


def _content(session: Session, tile: Tile) -> bytes:
    with session.ground.files.reading():
        if tile.level is None:
            page = session.ground.log.page(tile.index * 256, tile.width)
            return encode_bundle([leaf.body for leaf in page])
        return encode_tile(tile, session.ground.nodes.read)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise StoreFault(f"the export cannot be written: {error.strerror}") from None
