"""Makes tests/vectors/format-0.json with nothing of the package: ``python -m tests.format.make_vectors``.

The answers follow from docs/format.md alone, through the same few lines as the independent decoder.
"""

from __future__ import annotations

import json
import struct
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from tests.format import decoder

FILE: Final = Path(__file__).resolve().parents[1] / "vectors" / "format-0.json"

STORE: Final = bytes(range(16))
SECRET: Final = bytes(range(32))
NONCE: Final = bytes(range(100, 112))
TAG: Final = b"\x11" * 32
KEY_ID: Final = b"\x22" * 16
TERMS: Final = [1, "support", "2024-01", b"\x33" * 32, b"\x44" * 32, b"\x55" * 32]
COMPARTMENT: Final = bytes(range(64))
EVENT: Final = [b"\x66" * 16, 100, 1, 0, 2, 2, b"\x77" * 16]
LEAF: Final = [0, 2, 100, "consent-given", "support", "app", b"\x88" * 32, [["key-id", KEY_ID]]]


def seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """The sealed record, with the nonce of these vectors."""
    return NONCE + AESGCMSIV(key).encrypt(NONCE, plain, bound_to)


def vectors() -> dict[str, object]:
    """Inputs and answers, byte strings as hex."""
    root = decoder.derive_root(SECRET, STORE, 1)
    header = struct.pack(">BBBQHIqq32s16s", 0, 1, 2, 3, 1, 1, 1000, 2000, TAG, KEY_ID)
    terms = sha256(decoder.pack(TERMS)).digest()
    purpose_key = b"\x99" * 32
    wrapping = decoder.associated(STORE, decoder.COMPARTMENT_KEY, "support", 9, 3, header + terms)
    wrapped = seal(purpose_key, COMPARTMENT, wrapping)
    block = b"\x93\x01\xcd" + struct.pack(">H", 24_290) + decoder.pack([EVENT])
    block_bound = decoder.associated(STORE, decoder.BLOCK, "support", 9, 3)
    leaf = decoder.pack(LEAF)
    leaves = [decoder.leaf_hash(bytes([number])) for number in range(6)]
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
        "block_sealed": seal(COMPARTMENT[:32], block, block_bound),
        "leaf": leaf,
        "leaf_hash": decoder.leaf_hash(leaf),
        "frontier": struct.pack(">Q", 6) + decoder.merkle_root(leaves[:4]) + decoder.merkle_root(leaves[4:]),
        "tree_root": decoder.merkle_root(leaves),
        "account_tag": decoder.mac(SECRET, b"\x01acct-17"),
        "suppression_seal": decoder.mac(SECRET, b"\x02" + TAG + b"deceased"),
        "event_id": decoder.mac(COMPARTMENT[32:], b"\x03e-1")[:16],
        "token": decoder.mac(COMPARTMENT[32:], b"\x04\x06deviced-1")[:16],
        "member": decoder.mac(COMPARTMENT[32:], b"\x05")[:16],
    }
    return {
        "about": "Known answers for format 0 (docs/format.md). Byte strings are hex.",
        "key_text": "consentprofile-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "given": {name: value.hex() for name, value in given.items() if isinstance(value, bytes)},
        "answers": {name: value.hex() for name, value in answers.items()},
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
