"""The tables of signed heads: a head is durable before it is signed, and nodes are those of the tree."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentprofile.errors import BrokenLog
from consentprofile.store.connection import connect
from consentprofile.store.files import DATA
from consentprofile.store.heads import Heads, Nodes, StoredHead
from consentprofile.store.log import Log
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.tlog.merkle import node_hash

ROOT = b"\x01" * 32


@pytest.fixture
def connection(folder: Path) -> Iterator[sqlite3.Connection]:
    opened = connect(folder / DATA)
    yield opened
    opened.close()


@pytest.fixture
def heads(connection: sqlite3.Connection) -> Heads:
    return Heads(connection)


@pytest.fixture
def nodes(connection: sqlite3.Connection) -> Nodes:
    """Those of a log of eleven leaves."""
    log = Log(connection)
    log.establish()
    for count in (1, 4, 6):
        log.append([Draft(Operation.READ, 0)] * count, bytes(32))
    return Nodes(connection)


def test_a_head_is_shown_only_when_it_is_signed(heads: Heads) -> None:
    heads.begin(5, ROOT)
    assert heads.newest() is None
    assert heads.after(-1) == []
    heads.finish(5, b"note")
    assert heads.newest() == StoredHead(5, ROOT, b"note")
    assert heads.after(-1) == [StoredHead(5, ROOT, b"note")]


def test_a_head_that_a_crash_left_unsigned_is_forgotten(heads: Heads, connection: sqlite3.Connection) -> None:
    heads.begin(5, ROOT)
    heads.begin(7, ROOT)
    heads.finish(7, b"note")
    assert connection.execute("SELECT size FROM checkpoint").fetchall() == [(7,)]
    with pytest.raises(BrokenLog):
        heads.finish(5, b"note")


def test_a_signed_head_is_never_signed_again(heads: Heads) -> None:
    heads.begin(5, ROOT)
    heads.finish(5, b"note")
    with pytest.raises(BrokenLog):
        heads.finish(5, b"another")
    assert heads.newest() == StoredHead(5, ROOT, b"note")


def test_heads_are_read_in_pages_in_the_order_of_their_size(heads: Heads) -> None:
    for size in (9, 2, 30):
        heads.begin(size, ROOT)
        heads.finish(size, b"note")
    assert [head.size for head in heads.after(-1)] == [2, 9, 30]
    assert [head.size for head in heads.after(2, 1)] == [9]
    newest = heads.newest()
    assert newest is not None
    assert newest.size == 30


def test_every_perfect_subtree_is_kept_and_is_the_hash_of_the_two_below_it(nodes: Nodes) -> None:
    assert [len(nodes.between(level, 0, 99)) for level in range(5)] == [11, 5, 2, 1, 0]
    for level in (1, 2, 3):
        for position in range(11 >> level):
            left, right = nodes.read(level - 1, 2 * position), nodes.read(level - 1, 2 * position + 1)
            assert nodes.read(level, position) == node_hash(left, right)
    assert nodes.between(1, 2, 4) == [nodes.read(1, 2), nodes.read(1, 3)]


@pytest.mark.parametrize(("level", "position"), [(0, 11), (1, 5), (3, 1), (4, 0)])
def test_a_node_that_is_not_there_is_a_broken_log(nodes: Nodes, level: int, position: int) -> None:
    with pytest.raises(BrokenLog) as caught:
        nodes.read(level, position)
    assert caught.value.sequence == position << level
