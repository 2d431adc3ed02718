r"""Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2; verified as RFC 9162, 2.1.3.2 and 2.1.4.2).

The RFC's own example, seven leaves d0 to d6 whose leaf hashes are a to f and j:

              hash
             /    \
            k      l          the inclusion proof of d0:  [b, h, l]
           / \    / \         the inclusion proof of d3:  [c, g, l]
          g   h  i   j        the inclusion proof of d4:  [f, j, k]
         /\  /\  /\           the inclusion proof of d6:  [i, k]
         ab  cd  ef           from 3 to 7 leaves: [c, d, g, l], from 4: [l], from 6: [i, j, k]

Proofs are built from the stored hashes of perfect subtrees alone, with at most about 2 * log2(size) reads, and are
verified with nothing but themselves.

Verifying returns None or raises :class:`ProofRefused`. A proof says that a leaf is in the tree with that root, or that
one root extends another; it does not say who vouches for the root. That is a checkpoint's part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from consentprofile.errors import ProofRefused
from consentprofile.tlog.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE, node_hash

NodeReader: TypeAlias = Callable[[int, int], bytes]
"""Gives the stored hash of the perfect subtree (level, index); only ever asked for complete ones."""


# ---- building -----------------------------------------------------------------------------------


def tree_root(size: int, read: NodeReader) -> bytes:
    """The root over the first ``size`` leaves; one read for each 1 in the binary form of ``size``."""
    _check_sizes(size)
    return _subtree_root(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """The proof that leaf ``index`` (from 0) is in the tree of the first ``size`` leaves, from the leaf's sibling up.

    Raises :class:`ProofRefused` when there is no such leaf in that tree.
    """
    _check_sizes(size)
    if not 0 <= index < size:
        raise ProofRefused("there is no leaf of this sequence in a log of this size; ask for an earlier one")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(_subtree_root(middle, end, read))
            end = middle
        else:
            proof.append(_subtree_root(begin, middle, read))
            begin = middle
    proof.reverse()
    return proof


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> list[bytes]:
    """The proof that the first ``old_size`` leaves are unchanged among the first ``new_size``; empty for equal sizes.

    Raises :class:`ProofRefused` when the sizes are not 1 <= old <= new: nothing can be proved about an empty log, which
    any log extends.
    """
    _check_sizes(old_size, new_size)
    if not 1 <= old_size <= new_size:
        raise ProofRefused("consistency is proved from a log of at least one leaf to one that is at least as long")
    proof: list[bytes] = []
    begin, end = 0, new_size
    while end != old_size:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            proof.append(_subtree_root(middle, end, read))
            end = middle
        else:
            proof.append(_subtree_root(begin, middle, read))
            begin = middle
    # The old tree itself (begin still 0) is known to the verifier; a right part of it is not.
    if begin:
        proof.append(_subtree_root(begin, end, read))
    proof.reverse()
    return proof


# ---- verifying ----------------------------------------------------------------------------------


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf_hash`` is the hash of leaf ``index`` (from 0) of the tree of ``size`` leaves with this root.

    Raises :class:`ProofRefused` otherwise, for a proof of the wrong length too. Hand in the leaf hash that you have
    computed from the entry yourself, never one that came along with the proof.
    """
    _check_sizes(size)
    _check_hashes((leaf_hash, root, *proof))
    if not 0 <= index < size:
        raise ProofRefused("the proof is for a leaf that a log of this size does not have")
    node = leaf_hash
    for sibling, on_left in _climb(index, size - 1, proof):
        node = node_hash(sibling, node) if on_left else node_hash(node, sibling)
    if node != root:
        raise ProofRefused("the inclusion proof does not lead to the root of the log: the leaf is not in it as shown")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the log of ``new_size`` leaves begins with exactly the ``old_size`` leaves behind ``old_root``.

    Raises :class:`ProofRefused` otherwise. Equal sizes take an empty proof and equal roots. An old size of 0 is
    refused: such a proof would say nothing; whoever starts from an empty log has nothing to compare.
    """
    _check_sizes(old_size, new_size)
    if not 1 <= old_size <= new_size:
        raise ProofRefused("consistency is proved from a log of at least one leaf to one that is at least as long")
    if old_size == new_size:
        if proof:
            raise ProofRefused("a consistency proof between equal sizes must be empty")
        if old_root != new_root:
            raise ProofRefused("two heads of the same size have different roots: the log was forked or rewritten")
        return
    _check_hashes((old_root, new_root, *proof))
    if not proof:
        raise ProofRefused("the consistency proof is empty")
    # A perfect old tree is itself the first node; its proof leaves it out.
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = path[0]
    for node, on_left in _climb(position, last, path[1:]):
        if on_left:
            old = node_hash(node, old)
        new = node_hash(node, new) if on_left else node_hash(new, node)
    if old != old_root:
        raise ProofRefused("the consistency proof does not lead to the earlier root: the log was forked or rewritten")
    if new != new_root:
        raise ProofRefused("the consistency proof does not lead to the later root")


# ---- parts --------------------------------------------------------------------------------------


def _climb(position: int, last: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each node of ``path`` on the way up to the root, with whether it stands left of what is hashed so far.

    ``position`` and ``last`` are the places of the node to start from and of the last node in their level. Raises
    :class:`ProofRefused` unless the path ends exactly at the root.
    """
    for node in path:
        if last == 0:
            raise ProofRefused("the proof is longer than these sizes allow")
        on_left = bool(position & 1) or position == last
        if on_left:
            # On the ragged right edge a node without a sibling rises unchanged to where it has one.
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        position >>= 1
        last >>= 1
        yield node, on_left
    if last != 0:
        raise ProofRefused("the proof is shorter than these sizes ask for")


def _split(width: int) -> int:
    """The largest power of two smaller than ``width`` (at least 2)."""
    return 1 << ((width - 1).bit_length() - 1)


def _subtree_root(begin: int, end: int, read: NodeReader) -> bytes:
    """The root over the leaves ``begin`` to ``end``, where ``begin`` is where some RFC 6962 split falls."""
    nodes: list[bytes] = []
    at = begin
    while at < end:
        level = (end - at).bit_length() - 1
        nodes.append(read(level, at >> level))
        at += 1 << level
    root = nodes.pop()
    while nodes:
        root = node_hash(nodes.pop(), root)
    return root


def _check_sizes(*sizes: int) -> None:
    if not all(0 <= size <= MAX_SIZE for size in sizes):
        raise ProofRefused("a size is not the number of leaves of any log")


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if not all(len(item) == HASH_SIZE for item in hashes):
        raise ProofRefused("a hash of the proof does not have 32 bytes")
