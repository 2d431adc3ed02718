"""The Merkle tree of the audit log: hashes and the frontier (RFC 6962, section 2.1, https://www.rfc-editor.org/rfc/rfc6962).

    MTH({})     = SHA-256()
    MTH({d})    = SHA-256(00 || d)
    MTH(D[n])   = SHA-256(01 || MTH(D[0:k]) || MTH(D[k:n])),   k the largest power of two smaller than n

The two prefixes keep a leaf from ever being taken for a node. Every hash is 32 bytes of SHA-256. A *perfect subtree*
is named (level, index): level 0 are the leaf hashes, node (l, i) covers the leaves from i * 2**l to (i + 1) * 2**l - 1.
Once complete, such a node never changes, however long the log grows.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from consentprofile.errors import CorruptRecord

HASH_SIZE: Final = 32
"""Bytes of every hash of the tree."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a log without leaves."""

MAX_SIZE: Final = 2**63 - 1
"""The largest number of leaves: what a signed 64-bit integer holds, as in SQLite and in Go's ``tlog``."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry of the log: SHA-256(00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees: SHA-256(01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The perfect subtrees that a log of ``size`` leaves is made of: all that appending and the root need.

    ``hashes`` holds one hash for each 1 in the binary form of ``size``, the largest subtree (the oldest leaves) first.
    It is mutable and belongs to one writer; :meth:`copy` gives another one. A frontier says nothing of whether its
    hashes are those of any entries: whoever decodes one compares its :meth:`root` with a signed checkpoint.
    """

    __slots__ = ("hashes", "size")

    size: int
    hashes: list[bytes]

    def __init__(self) -> None:
        self.size = 0
        self.hashes = []

    def append(self, leaf_hash: bytes) -> list[tuple[int, int, bytes]]:
        """Add the hash of the next leaf; the nodes completed by it, as (level, index, hash), the leaf itself first.

        Amortized there are two of them. A store that keeps them all can prove anything later
        (:mod:`consentprofile.tlog.proof`). ``leaf_hash`` must be 32 bytes; that is not checked here, for this is the
        innermost loop of recording.
        """
        index = self.size
        self.size = index + 1
        completed = [(0, index, leaf_hash)]
        hashes = self.hashes
        level = 0
        # Each trailing 1 of the old size is a perfect subtree as large as the one just completed: the two join.
        while index & 1:
            leaf_hash = sha256(b"\x01" + hashes.pop() + leaf_hash).digest()
            index >>= 1
            level += 1
            completed.append((level, index, leaf_hash))
        hashes.append(leaf_hash)
        return completed

    def root(self) -> bytes:
        """The root over all leaves so far, :data:`EMPTY_ROOT` without any."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> Frontier:
        """A frontier of its own with the same leaves behind it."""
        other = Frontier()
        other.size = self.size
        other.hashes = list(self.hashes)
        return other

    def encode(self) -> bytes:
        """The canonical bytes: the size as 8 bytes, big-endian, then the hashes in order."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)

    @classmethod
    def decode(cls, data: bytes) -> Frontier:
        """The frontier whose canonical bytes are ``data``. Raises :class:`CorruptRecord` for a wrong length."""
        size = int.from_bytes(data[:8], "big")
        if len(data) != 8 + HASH_SIZE * size.bit_count() or size > MAX_SIZE:
            raise CorruptRecord("a frontier of the audit log has the wrong length; run `consentprofile check`")
        frontier = cls()
        frontier.size = size
        frontier.hashes = [data[at : at + HASH_SIZE] for at in range(8, len(data), HASH_SIZE)]
        return frontier

    def __repr__(self) -> str:
        return f"<Frontier of {self.size} leaves>"
