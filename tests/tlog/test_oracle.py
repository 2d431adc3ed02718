"""A second implementation agrees: pymerkle, for roots and inclusion paths (its consistency paths are not RFC 6962's).

It is a test dependency only (GPL-3.0-or-later), and never part of what is shipped.
"""

from __future__ import annotations

import pymerkle  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.tlog.merkle import Frontier, leaf_hash
from consentprofile.tlog.proof import inclusion_proof


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=40), st.data())
def test_pymerkle_computes_the_same_roots_and_inclusion_paths(entries: list[bytes], data: st.DataObject) -> None:
    frontier, nodes = Frontier(), {}
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries:
        nodes.update({(level, index): node for level, index, node in frontier.append(leaf_hash(entry))})
        tree.append_entry(entry)
    assert tree.get_root() == frontier.root()
    index = data.draw(st.integers(0, len(entries) - 1))
    theirs = tree.prove_inclusion(index + 1, len(entries)).serialize()["path"]
    ours = inclusion_proof(index, len(entries), lambda level, at: nodes[level, at])
    # pymerkle writes the leaf and its siblings from left to right as they are met, so the same hashes are compared as
    # a collection; their order is held by the definition in test_proof.py.
    assert sorted(theirs) == sorted(item.hex() for item in [leaf_hash(entries[index]), *ours])
