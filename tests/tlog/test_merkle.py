"""The tree: hashes as RFC 6962 defines them, and a frontier that is all that appending needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import CorruptRecord
from consentprofile.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash
from tests.tlog import naive

ENTRIES = st.lists(st.binary(max_size=12), max_size=70)

# transparency-dev and Certificate Transparency use these eight entries and roots in all their tests.
CT_ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def grown(entries: list[bytes]) -> Frontier:
    frontier = Frontier()
    for entry in entries:
        frontier.append(leaf_hash(entry))
    return frontier


def test_the_empty_log_has_the_root_that_the_rfc_gives_it() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Frontier().root() == EMPTY_ROOT


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert grown(CT_ENTRIES[:size]).root().hex() == CT_ROOTS[size - 1]


@given(ENTRIES)
def test_the_root_is_that_of_the_definition(entries: list[bytes]) -> None:
    assert grown(entries).root() == naive.root(entries)


@given(ENTRIES)
def test_appending_names_each_completed_node_once_and_rightly(entries: list[bytes]) -> None:
    """A store that keeps what append returns has every perfect subtree of the log, and nothing else."""
    frontier = Frontier()
    nodes: dict[tuple[int, int], bytes] = {}
    for entry in entries:
        completed = frontier.append(leaf_hash(entry))
        assert completed[0] == (0, frontier.size - 1, leaf_hash(entry))
        for level, index, node in completed:
            assert (level, index) not in nodes
            nodes[level, index] = node
    expected = {
        (level, index): naive.root(entries[index << level : (index + 1) << level])
        for level in range(8)
        for index in range(len(entries) >> level)
    }
    assert nodes == expected


@given(ENTRIES, ENTRIES)
def test_a_decoded_frontier_goes_on_where_the_encoded_one_stopped(before: list[bytes], after: list[bytes]) -> None:
    first = grown(before)
    again = Frontier.decode(first.encode())
    assert (again.size, again.hashes, again.encode()) == (first.size, first.hashes, first.encode())
    for entry in after:
        again.append(leaf_hash(entry))
    assert again.root() == naive.root(before + after)
    assert first.root() == naive.root(before)


@given(ENTRIES)
def test_a_copy_lives_a_life_of_its_own(entries: list[bytes]) -> None:
    frontier = grown(entries)
    other = frontier.copy()
    other.append(leaf_hash(b"more"))
    assert (frontier.size, frontier.root()) == (len(entries), naive.root(entries))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(7), id="a cut size"),
        pytest.param(bytes(9), id="an empty log and a byte"),
        pytest.param((1).to_bytes(8, "big"), id="a leaf without its hash"),
        pytest.param((1).to_bytes(8, "big") + bytes(31), id="a cut hash"),
        pytest.param((1).to_bytes(8, "big") + bytes(33), id="a byte too many"),
        pytest.param((2).to_bytes(8, "big") + bytes(64), id="a hash too many"),
        pytest.param((3).to_bytes(8, "big") + bytes(32), id="a hash too few"),
        pytest.param((2**63).to_bytes(8, "big") + bytes(32), id="more leaves than can be"),
    ],
)
def test_a_frontier_of_the_wrong_length_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        Frontier.decode(data)


def test_a_leaf_is_never_taken_for_a_node() -> None:
    """Second preimage: the entry that spells two hashes does not hash as their node."""
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_a_frontier_is_shown_by_its_size_alone() -> None:
    assert repr(grown(CT_ENTRIES)) == "<Frontier of 8 leaves>"
