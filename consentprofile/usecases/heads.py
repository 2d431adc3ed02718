"""Heads of the log: signed, never over a tree that does not extend what was signed before.

A head is durable before it is signed, and signed before it is anchored in the keyring or shown. So an anchor may lag
behind the log, but a log that does not reach its anchor has been cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from consentprofile.crypto.signing import SigningKey
from consentprofile.errors import BeyondCapability, BrokenLog, KeysRotated, PolicyChanged, ProofRefused, StoreFault
from consentprofile.store.ports import StoredHead
from consentprofile.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consentprofile.tlog.merkle import Frontier
from consentprofile.tlog.note import VerifierKey
from consentprofile.tlog.proof import tree_root
from consentprofile.usecases.session import Session


def verifier_key(session: Session) -> VerifierKey:
    """The public key of the log, under its origin: what outsiders verify heads, proofs and certificates with."""
    return VerifierKey(session.origin, signing_key(session).public)


def signing_key(session: Session) -> SigningKey:
    """The key that signs for the log. Raises :class:`BeyondCapability` where it is not at hand."""
    if session.keys.signing is None:
        raise BeyondCapability("a capability cannot sign for the log: it needs the key of the store")
    return session.keys.signing


def checkpoint(session: Session) -> StoredHead:
    """The signed head of the log as it stands now; the one that is there, if nothing was logged since.

    Raises :class:`BrokenLog` rather than sign a head that does not extend the newest one and the keyring's anchor.
    Cost: two durable transactions of ``data.db`` and one of the keyring, whatever the size of the log.
    """
    key = signing_key(session)
    ground = session.ground
    with ground.writing():
        frontier = ground.log.head().frontier
        newest = ground.heads.newest()
        require_extension(session, frontier)
        if newest is not None and newest.size == frontier.size:
            _require_signed(session, newest)
            _anchor(session, newest)
            return newest
        root = frontier.root()
        with ground.files.data_transaction(full=True):
            ground.heads.begin(frontier.size, root)
        head = Checkpoint(session.origin, frontier.size, root)
        note = sign_checkpoint(head, key.public, key.sign).encode()
        with ground.files.data_transaction(full=True):
            ground.heads.finish(frontier.size, note)
        signed = StoredHead(frontier.size, root, note)
        _anchor(session, signed)
        return signed


def checkpoint_if_grown(session: Session) -> None:
    """Sign a head if anything was logged since the newest one: after an officer's act, and at the end of a session.

    Over a log that does not extend its last head nothing is signed. That does not undo what was done, so it is not
    raised here but logged; :func:`checkpoint`, ``audit verify`` and ``check`` raise or report it. Where the keys were
    rotated or the policy was changed meanwhile, whoever opens the store next signs. Where the files are in the way, the
    :class:`StoreFault` says that what was done stands.
    """
    try:
        with what_was_done_stands("what was asked for is done"):
            _sign_if_grown(session)
    except (KeysRotated, PolicyChanged):
        return
    except BrokenLog as error:
        import logging

        logging.getLogger("consentprofile").error("the head of the audit log was not signed: %s", error)


def _sign_if_grown(session: Session) -> None:
    with session.ground.files.reading():
        frontier = session.ground.log.head().frontier
        newest = session.ground.heads.newest()
    if session.keys.signing is not None and (newest is None or newest.size != frontier.size):
        checkpoint(session)


@contextmanager
def what_was_done_stands(done: str) -> Iterator[None]:
    """Sign for what is ``done``: where that fails, whoever reads the error must not think that it was undone."""
    try:
        yield
    except StoreFault as error:
        raise type(error)(f"{done}, and that stands; but the log's head could not be signed for it: {error}") from None


def require_extension(session: Session, frontier: Frontier) -> None:
    """Raise :class:`BrokenLog` unless the log extends the newest head and the anchor. Logarithmic cost."""
    ground = session.ground
    read = ground.nodes.read
    if tree_root(frontier.size, read) != frontier.root():
        raise BrokenLog("the nodes of the tree do not agree with its frontier", sequence=0)
    known = [(head.size, head.root) for head in [ground.heads.newest()] if head is not None]
    for size, root in known + ground.keyring.anchors():
        if size > frontier.size:
            raise BrokenLog(f"the log was cut: it had {size} leaves when its head was signed", sequence=frontier.size)
        if tree_root(size, read) != root:
            raise BrokenLog(f"the log does not extend the head of {size} leaves that was signed", sequence=0)


def _require_signed(session: Session, head: StoredHead) -> None:
    try:
        signed = open_checkpoint(head.note, verifier_key(session))
    except ProofRefused:
        raise BrokenLog(f"the signed head over {head.size} leaves does not verify", sequence=head.size) from None
    if (signed.size, signed.root) != (head.size, head.root):
        raise BrokenLog(f"the signed head over {head.size} leaves is that of another log", sequence=head.size)


def _anchor(session: Session, head: StoredHead) -> None:
    if (head.size, head.root) not in session.ground.keyring.anchors():
        with session.ground.files.keyring_transaction():
            session.ground.keyring.anchor(head.size, head.root)
