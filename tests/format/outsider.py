"""A reader of signed heads and certificates that was written from docs/format.md alone: all it has is a public key.

Like :mod:`tests.format.decoder` it shares no code with the package.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.format.decoder import canonical_json, leaf_hash, merkle_root, node, unpack

CONTEXT = b"consentprofile certificate v1\n"
KINDS = {"erasure": {"erased"}, "withdrawal": {"consent-withdrawn", "consent-invalidated"}}


class LogKey(NamedTuple):
    """The name of a log and its public key."""

    origin: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.origin.encode() + b"\x0a\x01" + self.public).digest()[:4]

    def text(self) -> str:
        return "+".join([self.origin, self.key_id.hex(), base64.b64encode(b"\x01" + self.public).decode()])

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raises where this key did not sign this message."""
        assert len(signature) == 64
        Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)


def read_key(text: str) -> LogKey:
    """The key behind ``origin+hash+base64``."""
    origin, key_id, encoded = text.split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    assert raw[0] == 1
    key = LogKey(origin, raw[1:])
    assert key.key_id.hex() == key_id
    return key


def read_checkpoint(note: bytes, key: LogKey) -> tuple[int, bytes]:
    """The size and the root that a signed note vouches for."""
    text, blank, line = note.decode().rpartition("\n\n")
    assert blank
    dash, name, encoded = line.removesuffix("\n").split(" ")
    assert (dash, name, line[-1]) == ("\u2014", key.origin, "\n")
    blob = base64.b64decode(encoded, validate=True)
    assert blob[:4] == key.key_id
    key.verify(blob[4:], (text + "\n").encode())
    origin, size, root = text.split("\n")
    assert origin == key.origin
    assert str(int(size)) == size
    return int(size), base64.b64decode(root, validate=True)


def inclusion_path(index: int, hashed: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1, read aloud."""
    if len(hashed) == 1:
        return []
    half = 1
    while half * 2 < len(hashed):
        half *= 2
    if index < half:
        return [*inclusion_path(index, hashed[:half]), merkle_root(hashed[half:])]
    return [*inclusion_path(index - half, hashed[half:]), merkle_root(hashed[:half])]


def included_root(hashed: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that a path leads to: RFC 9162, section 2.1.3.2."""
    assert 0 <= index < size
    last = size - 1
    for sibling in path:
        assert last > 0, "longer than the tree is high"
        if index & 1 or index == last:
            hashed = node(sibling, hashed)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            hashed = node(hashed, sibling)
        index, last = index >> 1, last >> 1
    assert last == 0, "shorter than the tree is high"
    return hashed


def statement(kind: str, leaves: list[list[Any]]) -> dict[str, Any]:
    """What a certificate over these leaves has to state."""
    assert {leaf[3] for leaf in leaves} <= KINDS[kind]
    ((hour, policy),) = {(leaf[2], leaf[6]) for leaf in leaves}
    facts = [dict(leaf[7]) for leaf in leaves]
    (reference,) = {fact.get("reference") for fact in facts}
    return {
        "hour": datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "key_ids": [fact["key-id"].hex() for fact in facts],
        "kind": kind,
        "policy": policy.hex(),
        "purposes": sorted({leaf[4] for leaf in leaves} - {""}),
        "reference": None if reference is None else reference.hex(),
    }


def read_certificate(data: bytes, key: LogKey) -> dict[str, Any]:
    """The statement of a certificate, once everything in it has been verified."""
    whole = json.loads(data)
    assert canonical_json(whole) + b"\n" == data
    signature = base64.b64decode(whole.pop("signature"), validate=True)
    assert whole.keys() == {"checkpoint", "format", "leaves", "origin", "statement"}
    assert (whole["format"], whole["origin"]) == (1, key.origin)
    key.verify(signature, CONTEXT + canonical_json(whole))
    size, root = read_checkpoint(whole["checkpoint"].encode(), key)
    leaves = []
    for proven in whole["leaves"]:
        assert proven.keys() == {"body", "proof", "sequence"}
        body = base64.b64decode(proven["body"], validate=True)
        path = [base64.b64decode(hashed, validate=True) for hashed in proven["proof"]]
        assert included_root(leaf_hash(body), proven["sequence"], size, path) == root
        leaves.append(unpack(body))
        assert leaves[-1][1] == proven["sequence"]
    sequences = [leaf[1] for leaf in leaves]
    assert sequences == sorted(set(sequences)) != []
    assert whole["statement"] == statement(whole["statement"]["kind"], leaves)
    return dict(whole["statement"])
