"""Tiles (C2SP tlog-tiles, https://c2sp.org/tlog-tiles): the log as a finite set of static files.

A log of 70,000 leaves, the specification's own example, is 273 full tiles and one of width 112 at level 0, one full
tile and one of width 17 at level 1, and one of width 1 at level 2; index 1234067 is written x001/x234/067:

    tile/0/000 ... tile/0/272   tile/0/273.p/112   tile/1/000   tile/1/001.p/17   tile/2/000.p/1
    tile/entries/000 ...        tile/entries/273.p/112          checkpoint

A tile of level l and index n holds up to 256 hashes of 32 bytes, the nodes (8 * l, 256 * n) and following of the tree.
An entry bundle holds the entries of the level 0 tile of the same index, each after its length as 2 bytes, big-endian.
Files are not authenticated by themselves: :func:`tile_reader` gives hashes whose root has to be compared with a
checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from consentprofile.errors import ProofRefused
from consentprofile.tlog.checkpoint import parse_decimal
from consentprofile.tlog.merkle import HASH_SIZE, MAX_SIZE, node_hash
from consentprofile.tlog.proof import NodeReader

WIDTH: Final = 256
"""Hashes in a full tile, entries in a full bundle."""

HEIGHT: Final = 8
"""Levels of the tree between a tile and the one above."""

CHECKPOINT_PATH: Final = "checkpoint"
"""Where the newest signed checkpoint lies, beside the directory ``tile``."""

MAX_ENTRY: Final = 65_535
"""Bytes of the longest entry that a bundle can hold."""

_INDEX: Final = re.compile(r"(?:x[0-9]{3}/){0,6}[0-9]{3}")


class Tile(msgspec.Struct, frozen=True):
    """One file: a tile of ``level`` 0 to 63, or the entry bundle beside level 0 (``level`` is None).

    ``width`` is 1 to 256 hashes or entries; less than 256 is a partial one, at the right edge of some log.
    """

    level: int | None
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= 63:
            raise ProofRefused("a tile has a level from 0 to 63")
        if not 0 <= self.index <= MAX_SIZE or not 1 <= self.width <= WIDTH:
            raise ProofRefused("a tile has an index from 0 and a width from 1 to 256")

    def path(self) -> str:
        """Where the file lies, with forward slashes: ``tile/0/x001/x234/067.p/8``."""
        digits = str(self.index)
        digits = digits.zfill(-len(digits) // 3 * -3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{name}{partial}"


def parse_path(path: str) -> Tile:
    """The tile or bundle whose path is ``path``. Raises :class:`ProofRefused` for any that would not be written so."""
    kind, level, rest = [*path.split("/", 2), "", ""][:3]
    name, partial, width = rest.partition(".p/")
    if kind != "tile" or _INDEX.fullmatch(name) is None:
        raise ProofRefused("the path is not that of a tile")
    tile = Tile(
        None if level == "entries" else parse_decimal(level),
        int(name.replace("/", "").replace("x", "")),
        parse_decimal(width) if partial else WIDTH,
    )
    if tile.path() != path:
        raise ProofRefused("the path is not written as that of a tile")
    return tile


def tiles_between(old_size: int, new_size: int) -> Iterator[Tile]:
    """Every file, entry bundles first, that a log of ``new_size`` leaves has and one of ``old_size`` had not.

    From 0 that is the whole export. Partial tiles that have been outgrown may be deleted; nothing here names them.
    """
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise ProofRefused("a log does not shrink")
    yield from _row(None, old_size, new_size)
    level = 0
    while new_size >> (HEIGHT * level):
        yield from _row(level, old_size >> (HEIGHT * level), new_size >> (HEIGHT * level))
        level += 1


def _row(level: int | None, old: int, new: int) -> Iterator[Tile]:
    """The files of one level that ``old`` hashes or entries did not have."""
    for index in range(old // WIDTH, new // WIDTH):
        yield Tile(level, index)
    if new % WIDTH and new != old:
        yield Tile(level, new // WIDTH, new % WIDTH)


# ---- contents -----------------------------------------------------------------------------------


def encode_tile(tile: Tile, read: NodeReader) -> bytes:
    """The content of a tile of hashes, from the stored nodes: 32 * width bytes."""
    if tile.level is None:
        raise ProofRefused("an entry bundle is not made of hashes")
    level, first = HEIGHT * tile.level, WIDTH * tile.index
    return b"".join(read(level, first + at) for at in range(tile.width))


def parse_tile(data: bytes, width: int = WIDTH) -> list[bytes]:
    """The hashes in the content of a tile of ``width``. Raises :class:`ProofRefused` for any other length."""
    if len(data) != HASH_SIZE * width:
        raise ProofRefused("a tile does not have the length that its path says")
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The content of an entry bundle: 1 to 256 entries of at most 65,535 bytes each."""
    if not 1 <= len(entries) <= WIDTH or any(len(entry) > MAX_ENTRY for entry in entries):
        raise ProofRefused("an entry bundle holds 1 to 256 entries of at most 65,535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(data: bytes, width: int = WIDTH) -> list[bytes]:
    """The entries in the content of a bundle of ``width``. Raises :class:`ProofRefused` for fewer, more or cut ones."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data) or at + 2 > len(data) or len(entries) == width:
            raise ProofRefused("an entry bundle is cut off, or holds more entries than its path says")
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) != width:
        raise ProofRefused("an entry bundle holds fewer entries than its path says")
    return entries


def tile_reader(fetch: Callable[[Tile], bytes], size: int) -> NodeReader:
    """The nodes of a log of ``size`` leaves, read from its tiles: what ``proof.py`` builds proofs and roots from.

    ``fetch`` gives a file's content. Nodes between two tiles are hashed anew at each call. Nothing is authenticated
    before a root or proof built this way has been compared with a checkpoint.
    """

    def read(level: int, index: int) -> bytes:
        step = level % HEIGHT
        first = index << step
        tile = _tile_at(level // HEIGHT, first // WIDTH, size)
        hashes = parse_tile(fetch(tile), tile.width)
        start = first % WIDTH
        nodes = hashes[start : start + (1 << step)]
        if len(nodes) != 1 << step:
            raise ProofRefused("a node was asked for that a log of this size has not completed")
        while len(nodes) > 1:
            nodes = [node_hash(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
        return nodes[0]

    return read


def _tile_at(level: int, index: int, size: int) -> Tile:
    """The tile of a log of ``size`` leaves at this place, as wide as it is then."""
    width = min((size >> (HEIGHT * level)) - WIDTH * index, WIDTH)
    if width < 1:
        raise ProofRefused("a node was asked for that a log of this size has not completed")
    return Tile(level, index, width)
