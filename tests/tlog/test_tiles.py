"""Tiles: the log as static files, named and filled as the specification says, from which everything can be rebuilt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import ProofRefused
from consentprofile.tlog.merkle import MAX_SIZE, Frontier, leaf_hash
from consentprofile.tlog.proof import consistency_proof, inclusion_proof, tree_root
from consentprofile.tlog.tiles import (
    CHECKPOINT_PATH,
    Tile,
    encode_bundle,
    encode_tile,
    parse_bundle,
    parse_path,
    parse_tile,
    tile_reader,
    tiles_between,
)


class Exported:
    """A log of 70,000 leaves, the size of the specification's example, and the files of any of its sizes."""

    def __init__(self, size: int) -> None:
        self.entries = [number.to_bytes(3, "big") for number in range(size)]
        self.nodes: dict[tuple[int, int], bytes] = {}
        frontier = Frontier()
        for entry in self.entries:
            self.nodes.update({(level, index): node for level, index, node in frontier.append(leaf_hash(entry))})

    def read(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]

    def content(self, tile: Tile) -> bytes:
        if tile.level is None:
            return encode_bundle(self.entries[256 * tile.index : 256 * tile.index + tile.width])
        return encode_tile(tile, self.read)


@pytest.fixture(scope="module")
def log() -> Exported:
    return Exported(70_000)


# ---- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 0, 1), "tile/0/000.p/1"),
        (Tile(0, 273, 112), "tile/0/273.p/112"),
        (Tile(1, 1, 17), "tile/1/001.p/17"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(None, 1234067, 255), "tile/entries/x001/x234/067.p/255"),
        (Tile(63, 999), "tile/63/999"),
        (Tile(3, 1000), "tile/3/x001/000"),
        (Tile(0, MAX_SIZE), "tile/0/x009/x223/x372/x036/x854/x775/807"),
    ],
)
def test_files_lie_where_the_specification_says(tile: Tile, path: str) -> None:
    assert tile.path() == path
    assert parse_path(path) == tile


@given(st.none() | st.integers(0, 63), st.integers(0, MAX_SIZE), st.integers(1, 256))
def test_any_path_is_parsed_back_to_its_tile(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert parse_path(tile.path()) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        CHECKPOINT_PATH,
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile//000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/x/000",
        "tile/Entries/000",
        "tile/8/0/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x001",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/X001/000",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/../0/000",
        "tile/0/000\n",
        "tile/0/000\x00",
        "tile/0/" + "x001/" * 7 + "000",
        "tile/0/" + "x001/" * 5000 + "000",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
    ],
)
def test_what_is_no_path_of_a_tile_is_refused(path: str) -> None:
    with pytest.raises(ProofRefused):
        parse_path(path)


@pytest.mark.parametrize(("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_there_is_no_such_tile(level: int, index: int, width: int) -> None:
    with pytest.raises(ProofRefused):
        Tile(level, index, width)


# ---- which files --------------------------------------------------------------------------------


def test_a_log_of_70000_leaves_has_the_files_that_the_specification_counts() -> None:
    tiles = list(tiles_between(0, 70_000))
    bundles = [tile for tile in tiles if tile.level is None]
    assert [tile for tile in tiles if tile.level == 0] == [Tile(0, index) for index in range(273)] + [Tile(0, 273, 112)]
    assert [tile for tile in tiles if tile.level == 1] == [Tile(1, 0), Tile(1, 1, 17)]
    assert [tile for tile in tiles if tile.level == 2] == [Tile(2, 0, 1)]
    assert [(tile.index, tile.width) for tile in bundles] == [(index, 256) for index in range(273)] + [(273, 112)]
    assert len(tiles) == 274 + 274 + 2 + 1


def test_a_log_of_256_leaves_has_a_full_tile_and_one_above_it() -> None:
    assert list(tiles_between(0, 256)) == [Tile(None, 0), Tile(0, 0), Tile(1, 0, 1)]


@given(st.integers(0, 200_000), st.integers(0, 2_000))
def test_growing_writes_exactly_the_files_that_were_not_there(old: int, more: int) -> None:
    before, after = set(tiles_between(0, old)), set(tiles_between(0, old + more))
    assert set(tiles_between(old, old + more)) == after - before


def test_a_log_does_not_shrink() -> None:
    with pytest.raises(ProofRefused):
        list(tiles_between(5, 4))


# ---- contents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000])
def test_roots_and_proofs_are_rebuilt_from_the_files_alone(log: Exported, size: int) -> None:
    files = {tile.path(): log.content(tile) for tile in tiles_between(0, size)}
    read = tile_reader(lambda tile: files[tile.path()], size)
    assert tree_root(size, read) == tree_root(size, log.read)
    for index in {0, size // 2, size - 1}:
        assert inclusion_proof(index, size, read) == inclusion_proof(index, size, log.read)
    for old in {1, size // 3 + 1, size}:
        assert consistency_proof(old, size, read) == consistency_proof(old, size, log.read)


def test_every_entry_of_a_bundle_hashes_to_its_place_in_the_tile(log: Exported) -> None:
    for tile in tiles_between(0, 700):
        if tile.level is None:
            entries = parse_bundle(log.content(tile), tile.width)
            hashes = parse_tile(log.content(Tile(0, tile.index, tile.width)), tile.width)
            assert [leaf_hash(entry) for entry in entries] == hashes


def test_a_changed_tile_changes_the_root(log: Exported) -> None:
    """Attack: a hash in an exported tile is replaced."""

    def fetch(tile: Tile) -> bytes:
        return bytes(32) + log.content(tile)[32:]

    assert tree_root(300, tile_reader(fetch, 300)) != tree_root(300, log.read)


@pytest.mark.parametrize(("level", "index"), [(0, 300), (8, 1), (3, 37), (9, 0), (16, 0)])
def test_a_node_that_is_not_complete_is_refused(log: Exported, level: int, index: int) -> None:
    with pytest.raises(ProofRefused):
        tile_reader(log.content, 300)(level, index)


@pytest.mark.parametrize("length", [0, 31, 33, 63, 65, 96])
def test_a_tile_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ProofRefused):
        parse_tile(bytes(length), 2)


def test_an_entry_bundle_is_not_made_of_hashes(log: Exported) -> None:
    with pytest.raises(ProofRefused):
        encode_tile(Tile(None, 0), log.read)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_any_bundle_is_parsed_back_to_its_entries(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries), len(entries)) == entries


def test_a_bundle_spells_each_length_before_its_entry() -> None:
    assert encode_bundle([b"abc", b"", b"d" * 256]) == b"\x00\x03abc\x00\x00\x01\x00" + b"d" * 256


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00", id="half a length"),
        pytest.param(b"\x00\x01a", id="too few"),
        pytest.param(b"\x00\x01a\x00\x01b\x00\x01c", id="too many"),
        pytest.param(b"\x00\x01a\x00\x02b", id="a cut entry"),
        pytest.param(b"\x00\x01a\x00\x01b\x00", id="a byte too many"),
        pytest.param(b"\x00\x01a\x00", id="a cut length"),
    ],
)
def test_what_is_no_bundle_of_two_is_refused(data: bytes) -> None:
    with pytest.raises(ProofRefused):
        parse_bundle(data, 2)


@pytest.mark.parametrize("entries", [[], [b""] * 257, [bytes(65_536)]], ids=["none", "too many", "too long"])
def test_no_such_bundle_is_written(entries: list[bytes]) -> None:
    with pytest.raises(ProofRefused):
        encode_bundle(entries)
