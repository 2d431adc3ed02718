"""Proofs: what holds verifies, what was touched anywhere is refused, and building reads few nodes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import ProofRefused
from consentprofile.tlog.merkle import EMPTY_ROOT, MAX_SIZE, Frontier, leaf_hash
from consentprofile.tlog.proof import (
    consistency_proof,
    inclusion_proof,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from tests.tlog import naive

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "vectors" / "merkle_proofs.jsonl").read_text(encoding="utf-8").splitlines()
]


class Log(NamedTuple):
    """A log with its stored nodes, and the places that were read from it."""

    entries: list[bytes]
    nodes: dict[tuple[int, int], bytes]
    reads: list[tuple[int, int]]

    @classmethod
    def of(cls, size: int) -> Log:
        entries = [b"entry %d" % number for number in range(size)]
        frontier, nodes = Frontier(), {}
        for entry in entries:
            nodes.update({(level, index): node for level, index, node in frontier.append(leaf_hash(entry))})
        return cls(entries, nodes, [])

    def read(self, level: int, index: int) -> bytes:
        self.reads.append((level, index))
        return self.nodes[level, index]


LOG = Log.of(300)
SIZES = st.integers(1, 300)


@st.composite
def two_sizes(draw: st.DrawFn) -> tuple[int, int]:
    new = draw(SIZES)
    return draw(st.integers(1, new)), new


def flipped(data: bytes, bit: int) -> bytes:
    position = bit % (8 * len(data))
    changed = bytearray(data)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)


# ---- given vectors ------------------------------------------------------------------------------


def _hashes(row: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(item) for item in row["proof"] or []]


def _verify(row: dict[str, Any]) -> None:
    if "leafIdx" in row:
        leaf, root = base64.b64decode(row["leafHash"]), base64.b64decode(row["root"])
        verify_inclusion(leaf, row["leafIdx"], row["treeSize"], _hashes(row), root)
    else:
        old, new = base64.b64decode(row["root1"]), base64.b64decode(row["root2"])
        verify_consistency(row["size1"], old, row["size2"], new, _hashes(row))


@pytest.mark.parametrize("row", VECTORS, ids=[row["name"] for row in VECTORS])
def test_the_vectors_of_transparency_dev_are_judged_as_they_say(row: dict[str, Any]) -> None:
    if row["wantErr"]:
        with pytest.raises(ProofRefused):
            _verify(row)
    else:
        _verify(row)


def test_all_vectors_are_there() -> None:
    assert (len(VECTORS), sum(row["wantErr"] for row in VECTORS)) == (196, 184)


def test_the_example_of_the_rfc_is_reproduced() -> None:
    """RFC 6962, section 2.1.3: the tree of seven leaves, its nodes by their letters."""
    _a, b, c, d, _e, f, j = (leaf_hash(entry) for entry in LOG.entries[:7])
    g, h, i, k = LOG.nodes[1, 0], LOG.nodes[1, 1], LOG.nodes[1, 2], LOG.nodes[2, 0]
    l_node = naive.root(LOG.entries[4:7])
    assert inclusion_proof(0, 7, LOG.read) == [b, h, l_node]
    assert inclusion_proof(3, 7, LOG.read) == [c, g, l_node]
    assert inclusion_proof(4, 7, LOG.read) == [f, j, k]
    assert inclusion_proof(6, 7, LOG.read) == [i, k]
    assert consistency_proof(3, 7, LOG.read) == [c, d, g, l_node]
    assert consistency_proof(4, 7, LOG.read) == [l_node]
    assert consistency_proof(6, 7, LOG.read) == [i, j, k]


# ---- properties ---------------------------------------------------------------------------------


@given(st.integers(0, 300))
def test_the_root_from_stored_nodes_is_that_of_the_definition(size: int) -> None:
    assert tree_root(size, LOG.read) == naive.root(LOG.entries[:size])


@given(SIZES, st.data())
def test_every_inclusion_proof_is_that_of_the_definition_and_verifies(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, LOG.read)
    assert proof == naive.path(index, LOG.entries[:size])
    verify_inclusion(leaf_hash(LOG.entries[index]), index, size, proof, tree_root(size, LOG.read))


@given(two_sizes())
def test_every_consistency_proof_is_that_of_the_definition_and_verifies(sizes: tuple[int, int]) -> None:
    old, new = sizes
    proof = consistency_proof(old, new, LOG.read)
    assert proof == naive.consistency(old, LOG.entries[:new])
    verify_consistency(old, tree_root(old, LOG.read), new, tree_root(new, LOG.read), proof)


@given(SIZES, st.data())
def test_any_flipped_bit_of_an_inclusion_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    parts = [
        leaf_hash(LOG.entries[index]),
        tree_root(size, LOG.read),
        *inclusion_proof(index, size, LOG.read),
    ]
    which = data.draw(st.integers(0, len(parts) - 1))
    parts[which] = flipped(parts[which], data.draw(st.integers(0, 255)))
    leaf, root, *proof = parts
    with pytest.raises(ProofRefused):
        verify_inclusion(leaf, index, size, proof, root)


@given(two_sizes(), st.data())
def test_any_flipped_bit_of_a_consistency_proof_is_refused(sizes: tuple[int, int], data: st.DataObject) -> None:
    old, new = sizes
    parts = [tree_root(old, LOG.read), tree_root(new, LOG.read), *consistency_proof(old, new, LOG.read)]
    which = data.draw(st.integers(0, len(parts) - 1))
    parts[which] = flipped(parts[which], data.draw(st.integers(0, 255)))
    old_root, new_root, *proof = parts
    with pytest.raises(ProofRefused):
        verify_consistency(old, old_root, new, new_root, proof)


@given(SIZES, st.data())
def test_an_inclusion_proof_serves_no_other_place(size: int, data: st.DataObject) -> None:
    """Attack: a true proof shown for another sequence."""
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 310))
    proof = inclusion_proof(index, size, LOG.read)
    if other != index:
        with pytest.raises(ProofRefused):
            verify_inclusion(leaf_hash(LOG.entries[index]), other, size, proof, tree_root(size, LOG.read))


@given(SIZES, st.data(), st.binary(min_size=32, max_size=32))
def test_a_longer_or_shorter_proof_is_refused(size: int, data: st.DataObject, more: bytes) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(index, size, LOG.read), tree_root(size, LOG.read)
    wrong = [[*proof, more], [more, *proof]] + ([proof[:-1], proof[1:]] if proof else [])
    for other in wrong:
        with pytest.raises(ProofRefused):
            verify_inclusion(leaf_hash(LOG.entries[index]), index, size, other, root)


@given(two_sizes(), st.data())
def test_a_rewritten_history_cannot_be_shown_to_extend_the_old_head(
    sizes: tuple[int, int], data: st.DataObject
) -> None:
    """Attack: an early entry is edited and everything above it hashed anew."""
    old, new = sizes
    entries = LOG.entries[:new]
    place = data.draw(st.integers(0, old - 1))
    entries[place] += b" edited"
    with pytest.raises(ProofRefused):
        verify_consistency(old, tree_root(old, LOG.read), new, naive.root(entries), naive.consistency(old, entries))


# ---- bounds -------------------------------------------------------------------------------------


@given(st.integers(1, MAX_SIZE), st.data())
def test_proofs_read_logarithmically_many_nodes(size: int, data: st.DataObject) -> None:
    """Of a log as long as can be, a proof reads a few dozen nodes, and asks for complete ones only."""
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    reads: list[tuple[int, int]] = []

    def read(level: int, at: int) -> bytes:
        reads.append((level, at))
        return leaf_hash(b"%d %d" % (level, at))

    assert len(inclusion_proof(index, size, read)) <= 63
    assert len(reads) <= 2 * 63
    assert len(consistency_proof(old, size, read)) <= 65
    assert len(reads) <= 5 * 63
    assert all(at >= 0 and (at + 1) << level <= size for level, at in reads)


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (0, -1), (0, MAX_SIZE + 1), (MAX_SIZE, MAX_SIZE)])
def test_no_inclusion_is_proved_or_verified_outside_the_log(index: int, size: int) -> None:
    with pytest.raises(ProofRefused):
        inclusion_proof(index, size, LOG.read)
    with pytest.raises(ProofRefused):
        verify_inclusion(EMPTY_ROOT, index, size, [], EMPTY_ROOT)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (6, 5), (-1, 5), (1, MAX_SIZE + 1)])
def test_no_consistency_is_proved_or_verified_between_such_sizes(old: int, new: int) -> None:
    with pytest.raises(ProofRefused):
        consistency_proof(old, new, LOG.read)
    with pytest.raises(ProofRefused):
        verify_consistency(old, EMPTY_ROOT, new, EMPTY_ROOT, [])


def test_hashes_of_another_length_are_refused() -> None:
    """Attack: bytes moved across the border between two hashes leave what is hashed together the same."""
    root, proof = tree_root(2, LOG.read), inclusion_proof(0, 2, LOG.read)
    leaf = leaf_hash(LOG.entries[0])
    verify_inclusion(leaf, 0, 2, proof, root)
    with pytest.raises(ProofRefused):
        verify_inclusion(leaf + proof[0][:1], 0, 2, [proof[0][1:]], root)


def test_the_same_size_with_another_root_is_a_fork() -> None:
    with pytest.raises(ProofRefused, match="forked"):
        verify_consistency(2, tree_root(2, LOG.read), 2, tree_root(3, LOG.read), [])
