"""An outsider's verifier, written from the texts of RFC 6962, RFC 9162 and C2SP without a line of the package."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pymerkle  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class OutsidersHead(NamedTuple):
    """A head whose signature has been verified."""

    origin: str
    size: int
    root: bytes


def outsider_opens(note: bytes, verifier_key: str) -> OutsidersHead:
    """Verify a signed checkpoint (signed-note, tlog-checkpoint)."""
    name, key_hash, encoded = verifier_key.split("+", 2)
    material = base64.b64decode(encoded)
    assert material[:1] == b"\x01"
    assert sha256(name.encode() + b"\n" + material).hexdigest()[:8] == key_hash
    text, _, signatures = note.decode().partition("\n\n")
    text += "\n"
    (line,) = [line for line in signatures.splitlines() if line.startswith(f"— {name} ")]
    blob = base64.b64decode(line.split(" ")[2])
    assert blob[:4].hex() == key_hash
    Ed25519PublicKey.from_public_bytes(material[1:]).verify(blob[4:], text.encode())
    origin, size, root = text.splitlines()
    assert origin == name
    return OutsidersHead(origin, int(size), base64.b64decode(root))


def outsider_includes(entry: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    fn, sn, r = index, size - 1, sha256(b"\x00" + entry).digest()
    for p in path:
        assert sn != 0
        if fn & 1 or fn == sn:
            r = sha256(b"\x01" + p + r).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(b"\x01" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


def outsider_proves(proof: bytes, entry: bytes, verifier_key: str) -> OutsidersHead:
    """Verify a .tlog-proof file (tlog-proof) for an entry."""
    head, _, note = proof.partition(b"\n\n")
    title, index, *hashes = head.decode().splitlines()
    assert title == "c2sp.org/tlog-proof@v1"
    opened = outsider_opens(note, verifier_key)
    path = [base64.b64decode(line) for line in hashes]
    assert outsider_includes(entry, int(index.removeprefix("index ")), opened.size, path) == opened.root
    return opened


def outsider_reads(folder: Path, size: int) -> list[bytes]:
    """The entries of an exported log (tlog-tiles), from its bundles."""
    entries: list[bytes] = []
    while len(entries) < size:
        width = min(256, size - len(entries))
        number = f"{len(entries) // 256:03d}" + ("" if width == 256 else f".p/{width}")
        data = (folder / "tile" / "entries" / number).read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            entries.append(data[2 : 2 + length])
            data = data[2 + length :]
    assert len(entries) == size
    return entries


def pymerkle_root(entries: list[bytes]) -> bytes:
    """The root as another implementation computes it."""
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry)
    root: bytes = tree.get_root()
    return root
