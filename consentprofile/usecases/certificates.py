"""Certificates of destruction: what an erasure or a withdrawal hands to whoever asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from consentprofile.errors import BrokenLog, InputError, ProofRefused
from consentprofile.model.consent import Consent
from consentprofile.tlog import certificate as certificates
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.certificate import Kind
from consentprofile.tlog.merkle import MAX_SIZE
from consentprofile.tlog.proof import inclusion_proof
from consentprofile.usecases import heads
from consentprofile.usecases.session import Session


class IssuedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an erasure or a withdrawal.

    ``file`` is the certificate to hand on: it names nobody, and verifies offline with the log's public key alone. It is
    empty where there was no key to destroy. ``key_ids`` (hex) stand in the leaves ``leaves`` of the log.
    ``reference_salt`` (hex) is for the operator alone: with it, it can be shown later which request the certificate
    answers. ``found`` counts the accounts that the store knew; ``consents`` is what stands after a withdrawal, by
    purpose.
    """

    found: int
    key_ids: tuple[str, ...]
    purposes: tuple[str, ...]
    leaves: tuple[int, ...]
    file: bytes
    reference_salt: str | None = None
    consents: Mapping[str, Consent] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<IssuedCertificate of {len(self.key_ids)} destroyed keys>"


def certify(session: Session, kind: Kind, sequences: Sequence[int]) -> bytes:
    """The certificate file over the leaves with these sequences; empty for none.

    A head that covers them is signed first; where that fails, the error says that the keys are destroyed all the same,
    and the certificate can be had later (:func:`certify_leaves`). Cost: a checkpoint, and a logarithm of reads for each
    leaf.
    """
    if not sequences:
        return b""
    key = heads.signing_key(session)
    try:
        with heads.what_was_done_stands("the keys are destroyed"):
            head = heads.checkpoint(session)
    except BrokenLog as error:
        told = f"the keys are destroyed, and that stands; but no certificate can be signed: {error}"
        raise BrokenLog(told, sequence=error.sequence) from None
    with session.ground.files.reading():
        proven = [
            (
                leaves.decode(session.ground.log.page(sequence, 1)[0].body),
                inclusion_proof(sequence, head.size, session.ground.nodes.read),
            )
            for sequence in sequences
        ]
    return certificates.certify(kind, proven, head.note, heads.verifier_key(session), key.sign).encode()


def certify_leaves(session: Session, sequences: Sequence[int]) -> bytes:
    """The certificate over these destruction leaves, for one that was lost. Raises :class:`InputError` for others."""
    heads.signing_key(session)
    ordered = sorted({sequence for sequence in sequences if 0 <= sequence <= MAX_SIZE})
    with session.ground.files.reading():
        pages = [session.ground.log.page(sequence, 1) for sequence in ordered]
        found = [leaves.decode(page[0].body) for page in pages if page]
    operations = {leaf.operation for leaf in found}
    kind = next((kind for kind, known in certificates.DESTRUCTIONS.items() if operations and operations <= known), None)
    try:
        if kind is None or [leaf.sequence for leaf in found] != ordered or len(ordered) != len(set(sequences)):
            raise ProofRefused("these are not leaves of destructions of one kind")
        certificates.state(kind, found)
    except ProofRefused:
        message = "name the leaves of one erasure or one withdrawal, as the audit log numbers them"
        raise InputError(message) from None
    return certify(session, kind, ordered)
