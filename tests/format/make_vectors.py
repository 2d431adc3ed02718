"""Makes tests/vectors/format-1.json with nothing of the package: ``python -m tests.format.make_vectors``.

The answers follow from docs/format.md alone, through the same few lines as the independent decoder.
"""

from __future__ import annotations

import base64
import json
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from tests.format import decoder, outsider
from tests.format.outsider import LogKey

FILE: Final = Path(__file__).resolve().parents[1] / "vectors" / "format-1.json"

STORE: Final = bytes(range(16))
SECRET: Final = bytes(range(32))
NONCE: Final = bytes(range(100, 112))
TAG: Final = b"\x11" * 32
KEY_ID: Final = b"\x22" * 16
TERMS: Final = [1, "support", "2024-01", b"\x33" * 32, b"\x44" * 32, b"\x55" * 32]
COMPARTMENT: Final = bytes(range(64))
EVENT: Final = [b"\x66" * 16, 100, 1, 0, 2, 2, b"\x77" * 16]
ANOTHER: Final[list[int | bytes]] = [b"\x67" * 16, 101, 0, 2, b"\x78" * 16]
ORIGIN: Final = "shop.example/consent-log"
SEED: Final = bytes(range(32, 64))
REFERENCE_SALT: Final = b"\xaa" * 16
LEAF: Final = [1, 2, 100, "consent-given", "support", "app", b"\x88" * 32, [["key-id", KEY_ID]]]


NAMES: Final = [bytes([number]) * 16 for number in (1, 2, 3)]
"""Pseudonyms of three accounts."""


def ledger_cells() -> list[list[Any]]:
    """The cells of ledger entries in the formats 1, 2 and 3; of the last two the first is the same one."""
    first, second, third = NAMES
    return [
        [[["web"], first + third, 10, True], [["app"], second, None, True]],
        [[["web"], first + third, 40, False, 20, [1, -2], 10], [["app"], second, None, True, 20, [], None]],
        [
            first + second + third,
            [
                [["web"], 40, False, 20, 10, b"\x00\x01", b"\x02\x03"],
                [["app"], None, True, 20, None, b"\x01", b""],
            ],
        ],
    ]


def seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """The sealed record, with the nonce of these vectors."""
    return NONCE + AESGCMSIV(key).encrypt(NONCE, plain, bound_to)


def log() -> list[bytes]:
    """The bodies of six leaves: of a store that was made, of a consent, of its erasure, and of one thing after it."""
    reference = sha256(REFERENCE_SALT + b"request 8").digest()
    facts = [["key-id", KEY_ID], ["reference", reference]]
    others = [["key-id", b"\xbb" * 16], ["reference", reference]]
    policy = LEAF[6]
    return [
        decoder.pack(leaf)
        for leaf in (
            [1, 0, 99, "store-created", "", "", policy, []],
            [1, 1, 99, "policy-accepted", "", "", policy, []],
            LEAF,
            [1, 3, 101, "erased", "support", "officer", policy, facts],
            [1, 4, 101, "erased", "", "officer", policy, others],
            [1, 5, 101, "consent-read", "", "officer", policy, []],
        )
    ]


def checkpoint(hashed: list[bytes]) -> bytes:
    """The signed head over these leaves."""
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    root = base64.b64encode(decoder.merkle_root(hashed)).decode()
    text = f"{ORIGIN}\n{len(hashed)}\n{root}\n"
    key_id = LogKey(ORIGIN, private.public_key().public_bytes_raw()).key_id
    line = base64.b64encode(key_id + private.sign(text.encode())).decode()
    return f"{text}\n\u2014 {ORIGIN} {line}\n".encode()


def certificate(bodies: list[bytes], sequences: tuple[int, ...]) -> bytes:
    """The certificate over an erasure."""
    hashed = [decoder.leaf_hash(body) for body in bodies]
    unsigned = {
        "checkpoint": checkpoint(hashed).decode(),
        "format": 1,
        "leaves": [
            {
                "body": base64.b64encode(bodies[sequence]).decode(),
                "proof": [base64.b64encode(step).decode() for step in outsider.inclusion_path(sequence, hashed)],
                "sequence": sequence,
            }
            for sequence in sequences
        ],
        "origin": ORIGIN,
        "statement": outsider.statement("erasure", [decoder.unpack(bodies[sequence]) for sequence in sequences]),
    }
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    signature = private.sign(outsider.CONTEXT + decoder.canonical_json(unsigned))
    signed = {**unsigned, "signature": base64.b64encode(signature).decode()}
    return decoder.canonical_json(signed) + b"\n"


def vectors() -> dict[str, object]:
    """Inputs and answers, byte strings as hex."""
    root = decoder.derive_root(SECRET, STORE, 1)
    header = struct.pack(">BBBQHIqq32s16s", 1, 1, 2, 3, 1, 1, 1000, 2000, TAG, KEY_ID)
    terms = sha256(decoder.pack(TERMS)).digest()
    purpose_key = b"\x99" * 32
    wrapping = decoder.associated(STORE, decoder.COMPARTMENT_KEY, "support", 9, 3, header + terms)
    wrapped = seal(purpose_key, COMPARTMENT, wrapping)
    block = decoder.pack([1, [], [EVENT]])
    tokens = decoder.pack([1, [EVENT[6]], [[*EVENT[:6], 0], ANOTHER, [*EVENT[:6], 0]]])
    sealed = seal(COMPARTMENT[:32], block, decoder.associated(STORE, decoder.BLOCK, "support", 9, 3))
    leaf = decoder.pack(LEAF)
    leaves = [decoder.leaf_hash(bytes([number])) for number in range(6)]
    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    bodies = log()
    given = {
        "store": STORE,
        "secret": SECRET,
        "nonce": NONCE,
        "tag": TAG,
        "key_id": KEY_ID,
        "purpose_key": purpose_key,
        "compartment_key_and_secret": COMPARTMENT,
        "notice_sha256": TERMS[3],
        "declaration": TERMS[4],
        "policy": TERMS[5],
        "leaf_policy": LEAF[6],
        "origin": ORIGIN.encode(),
        "signing_seed": SEED,
        "reference": b"request 8",
        "reference_salt": REFERENCE_SALT,
    }
    answers = {
        "root": root,
        "check_value": decoder.mac(root, b"consentprofile check"),
        "associated_epoch_key": decoder.associated(STORE, decoder.EPOCH_KEY, "index", 0, 1),
        "associated_compartment_key": wrapping,
        "terms": terms,
        "slot_header": header,
        "slot_record": header + wrapped,
        "block": block,
        "block_with_tokens": tokens,
        "block_sealed": sealed,
        "pack": decoder.pack([[9, 3, sealed], [9, 4, b"\xcc"], [11, 0, b""]]),
        **{f"ledger_cells_{form}": decoder.pack(cells) for form, cells in enumerate(ledger_cells(), 1)},
        "leaf": leaf,
        "leaf_hash": decoder.leaf_hash(leaf),
        "frontier": struct.pack(">Q", 6) + decoder.merkle_root(leaves[:4]) + decoder.merkle_root(leaves[4:]),
        "tree_root": decoder.merkle_root(leaves),
        "account_tag": decoder.mac(SECRET, b"\x01acct-17"),
        "suppression_seal": decoder.mac(SECRET, b"\x02" + TAG + b"deceased"),
        "policy_seal": decoder.mac(SECRET, b"\x06" + struct.pack(">Q", 1) + b"\x55" * 32),
        "public_key": public,
        "verifier_key": LogKey(ORIGIN, public).text().encode(),
        "log_root": decoder.merkle_root([decoder.leaf_hash(body) for body in bodies]),
        "checkpoint": checkpoint([decoder.leaf_hash(body) for body in bodies]),
        "certificate": certificate(bodies, (3, 4)),
        "event_id": decoder.mac(COMPARTMENT[32:], b"\x03e-1")[:16],
        "token": decoder.mac(COMPARTMENT[32:], b"\x04\x06deviced-1")[:16],
        "member": decoder.mac(COMPARTMENT[32:], b"\x05")[:16],
    }
    return {
        "about": "Known answers for format 1 (docs/format.md). Byte strings are hex, texts hex of their UTF-8.",
        "key_text": "consentprofile-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "given": {name: value.hex() for name, value in given.items() if isinstance(value, bytes)},
        "answers": {name: value.hex() for name, value in answers.items()},
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
