"""Certificates: the signed proof that keys were destroyed, for whoever asks, without telling about whom.

A certificate is one line of canonical JSON and a newline::

    {"checkpoint":"…","format":1,"leaves":[{"body":"…","proof":["…"],"sequence":17}],"origin":"…","signature":"…",
     "statement":{"hour":"2026-11-21T20:00:00Z","key_ids":["…"],"kind":"erasure","policy":"…","purposes":["support"],
                  "reference":"…"}}

``checkpoint`` is a C2SP signed note; each leaf is given whole (base64) with its RFC 6962 inclusion proof (base64
hashes) under that checkpoint. The statement says again, for people, what the leaves say; digests are hex, and
``reference`` is SHA-256(salt ‖ the operator's reference) or null. ``signature`` is base64 of the Ed25519 signature by
the log's key over ``consentprofile certificate v1``, a newline, and the canonical JSON of all the rest.

:func:`open_certificate` needs nothing but the log's public key: no store, no network. It proves that the log, as its
signer has signed it, holds these destructions. It does not prove that no copy of a destroyed key existed elsewhere.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import msgspec

from consentprofile import canonical
from consentprofile.errors import CorruptRecord, ProofRefused
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.checkpoint import Checkpoint, open_checkpoint
from consentprofile.tlog.leaf import Leaf, Operation
from consentprofile.tlog.merkle import leaf_hash
from consentprofile.tlog.note import SignBytes, VerifierKey, from_base64, to_base64, verify_ed25519
from consentprofile.tlog.proof import verify_inclusion

FORMAT: Final = 1
CONTEXT: Final = b"consentprofile certificate v1\n"
"""What the signature begins with, so that it can never be one over a checkpoint, whose text begins with its origin."""

KEY_ID: Final = "key-id"
REFERENCE: Final = "reference"
MAX_BYTES: Final = 256 * 1024 * 1024

Kind: TypeAlias = Literal["erasure", "withdrawal"]

DESTRUCTIONS: Final[dict[Kind, frozenset[str]]] = {
    "erasure": frozenset({Operation.ERASED}),
    "withdrawal": frozenset({Operation.CONSENT_WITHDRAWN, Operation.CONSENT_INVALIDATED}),
}
"""The operations whose leaves a certificate of each kind is made of."""


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a certificate says. ``hour`` is aware UTC, ``key_ids``, ``policy`` and ``reference`` are hex."""

    kind: Kind
    hour: str
    policy: str
    purposes: tuple[str, ...]
    key_ids: tuple[str, ...]
    reference: str | None


class ProvenLeaf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A leaf, whole, with its inclusion proof; base64."""

    sequence: int
    body: str
    proof: tuple[str, ...]


class _Unsigned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: int
    origin: str
    statement: Statement
    leaves: tuple[ProvenLeaf, ...]
    checkpoint: str

    def message(self) -> bytes:
        return CONTEXT + canonical.json_bytes(
            {name: getattr(self, name) for name in ("checkpoint", "format", "leaves", "origin", "statement")}
        )


class Certificate(_Unsigned, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate. One that was parsed is worth nothing before :func:`open_certificate` has returned it."""

    signature: str

    def encode(self) -> bytes:
        """The bytes of the file."""
        return canonical.json_bytes(self) + b"\n"


def state(kind: Kind, destructions: Sequence[Leaf]) -> Statement:
    """The statement that these leaves bear out. Raises :class:`ProofRefused` for leaves that do not belong together."""
    facts = [dict(leaf.facts) for leaf in destructions]
    key_ids = [fact.get(KEY_ID) for fact in facts]
    references = {fact.get(REFERENCE) for fact in facts}
    hours = {leaf.hour for leaf in destructions}
    policies = {leaf.policy for leaf in destructions}
    operations = {leaf.operation for leaf in destructions}
    if not (len(hours) == len(policies) == len(references) == 1) or not operations <= DESTRUCTIONS[kind]:
        raise ProofRefused("the leaves of the certificate are not those of one destruction")
    (reference,) = references
    if not all(isinstance(key_id, bytes) for key_id in key_ids) or isinstance(reference, int):
        raise ProofRefused("a leaf of the certificate does not name a destroyed key")
    return Statement(
        kind=kind,
        hour=datetime.fromtimestamp(hours.pop() * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        policy=policies.pop().hex(),
        purposes=tuple(sorted({leaf.purpose for leaf in destructions} - {""})),
        key_ids=tuple(key_id.hex() for key_id in key_ids if isinstance(key_id, bytes)),
        reference=reference.hex() if reference is not None else None,
    )


def certify(
    kind: Kind,
    proven: Sequence[tuple[Leaf, Sequence[bytes]]],
    checkpoint: bytes,
    key: VerifierKey,
    sign: SignBytes,
) -> Certificate:
    """The certificate over leaves with their inclusion proofs under ``checkpoint``, a signed note.

    It is verified before it is returned. Raises :class:`ProofRefused` where anything does not hold.
    """
    unsigned = _Unsigned(
        format=FORMAT,
        origin=key.name,
        statement=state(kind, [leaf for leaf, _ in proven]),
        leaves=tuple(
            ProvenLeaf(
                sequence=leaf.sequence,
                body=to_base64(leaf.encode()),
                proof=tuple(to_base64(item) for item in proof),
            )
            for leaf, proof in proven
        ),
        checkpoint=checkpoint.decode(),
    )
    signature = to_base64(sign(unsigned.message()))
    fields = {name: getattr(unsigned, name) for name in unsigned.__struct_fields__}
    certificate = Certificate(**fields, signature=signature)
    open_certificate(certificate.encode(), key)
    return certificate


def open_certificate(data: bytes, key: VerifierKey) -> Certificate:
    """The certificate in ``data``, once everything in it has been verified with the log's public key alone.

    Raises :class:`ProofRefused` for what is not canonical, not signed by ``key``, not in the log that the checkpoint is
    the head of, or not what the leaves say. Cost: two signatures and a logarithm of hashes for each leaf.
    """
    certificate = _parse(data)
    if certificate.format != FORMAT or certificate.origin != key.name:
        raise ProofRefused("the certificate is of another format or of another log than this key's")
    verify_ed25519(key.public, certificate.message(), _signature(certificate))
    head = open_checkpoint(certificate.checkpoint.encode(), key)
    found = [_prove(proven, head) for proven in certificate.leaves]
    if not found or [leaf.sequence for leaf in found] != sorted({leaf.sequence for leaf in found}):
        raise ProofRefused("the certificate has no leaves, or not in the order of the log")
    if state(certificate.statement.kind, found) != certificate.statement:
        raise ProofRefused("the certificate states something else than its leaves")
    return certificate


def _parse(data: bytes) -> Certificate:
    if len(data) > MAX_BYTES:
        raise ProofRefused("the certificate is too long to be one")
    try:
        certificate = msgspec.json.decode(data, type=Certificate)
        if certificate.encode() == data:
            return certificate
    except (msgspec.MsgspecError, UnicodeError):
        pass
    raise ProofRefused("this is not a certificate in its canonical form")


def _signature(certificate: Certificate) -> bytes:
    try:
        return from_base64(certificate.signature)
    except (ProofRefused, binascii.Error):
        raise ProofRefused("the signature of the certificate is malformed") from None


def _prove(proven: ProvenLeaf, head: Checkpoint) -> Leaf:
    body = from_base64(proven.body)
    proof = [from_base64(item) for item in proven.proof]
    verify_inclusion(leaf_hash(body), proven.sequence, head.size, proof, head.root)
    try:
        leaf = leaves.decode(body)
    except CorruptRecord:
        raise ProofRefused("a leaf of the certificate cannot be read") from None
    if leaf.sequence != proven.sequence:
        raise ProofRefused("a leaf of the certificate stands at another place of the log than it says")
    return leaf


def reference_matches(certificate: Certificate, reference: str, salt: bytes) -> None:
    """Show that a certificate answers the request with this reference. Raises :class:`ProofRefused` if it does not."""
    expected = sha256(salt + reference.encode()).hexdigest()
    if certificate.statement.reference != expected:
        raise ProofRefused("the certificate does not answer the request with this reference and salt")
