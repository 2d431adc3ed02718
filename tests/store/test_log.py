"""The log's tables: leaves are appended in order with their tree, and hours never run backwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import BrokenLog
from consentprofile.store import migrations
from consentprofile.store.connection import connect
from consentprofile.store.files import DATA
from consentprofile.store.log import Log
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.tlog.merkle import Frontier, leaf_hash

POLICY = b"\x07" * 32
HOUR = 3600


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    migrations.create_files(tmp_path)
    opened = connect(tmp_path / DATA)
    yield opened
    opened.close()


@pytest.fixture
def log(connection: sqlite3.Connection) -> Log:
    log = Log(connection)
    log.establish()
    return log


def drafts(*seconds: int) -> list[Draft]:
    return [Draft(Operation.READ, second, "support", "app", (("n", number),)) for number, second in enumerate(seconds)]


def test_an_empty_log_is_at_the_beginning(log: Log) -> None:
    frontier, hour, _ = log.head()
    assert (frontier.size, frontier.root(), hour) == (0, Frontier().root(), 0)
    assert log.page(0) == []


def test_leaves_are_appended_in_order_with_their_hash_and_read_in_pages(log: Log) -> None:
    assert log.append(drafts(0, HOUR, HOUR), POLICY) == 0
    assert log.append(drafts(2 * HOUR), POLICY) == 3
    stored = log.page(0, 10)
    assert [leaf.sequence for leaf in stored] == [0, 1, 2, 3]
    assert [leaf.hash for leaf in stored] == [leaf_hash(leaf.body) for leaf in stored]
    assert [leaves.decode(leaf.body).hour for leaf in stored] == [0, 1, 1, 2]
    assert [leaf.sequence for leaf in log.page(1, 2)] == [1, 2]
    assert leaves.decode(stored[0].body).policy == POLICY


def test_the_head_is_that_of_the_leaves(log: Log) -> None:
    log.append(drafts(*range(7)), POLICY)
    log.append(drafts(5 * HOUR), POLICY)
    expected = Frontier()
    for leaf in log.page(0):
        expected.append(leaf.hash)
    frontier, hour, _ = log.head()
    assert (frontier.root(), frontier.size, hour) == (expected.root(), 8, 5)


def test_the_head_is_the_stored_one_whatever_was_undone_handed_out_or_appended_by_others(
    log: Log, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    log.append(drafts(*range(5)), POLICY)
    connection.execute("BEGIN")
    log.append(drafts(0), POLICY)
    connection.execute("ROLLBACK")
    assert log.head().frontier.size == 5
    log.append(drafts(0), POLICY)
    log.head().frontier.append(bytes(32))  # somebody uses up what was handed out, and appends no leaf
    assert log.append(drafts(0), POLICY, log.head()) == 6
    other = connect(tmp_path / DATA)
    assert Log(other).append(drafts(0), POLICY) == 7
    other.close()
    assert log.append(drafts(0), POLICY) == 8
    expected = Frontier()
    for leaf in log.page(0):
        expected.append(leaf.hash)
    assert (log.head().frontier.root(), expected.size) == (expected.root(), 9)


def test_hours_never_run_backwards(log: Log) -> None:
    log.append(drafts(10 * HOUR, 3 * HOUR, 11 * HOUR + 5, 0), POLICY)
    log.append(drafts(HOUR), POLICY)
    assert [leaves.decode(leaf.body).hour for leaf in log.page(0)] == [10, 10, 11, 11, 11]


@given(st.lists(st.integers(1, 5), max_size=6))
def test_batching_makes_no_difference_to_the_tree(sizes: list[int]) -> None:
    heads = []
    for batches in (sizes, [sum(sizes)] if sizes else []):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in migrations.statements("data.sql"):
            connection.execute(statement)
        log = Log(connection)
        log.establish()
        for size in batches:
            log.append([Draft(Operation.READ, 0)] * size, POLICY)
        heads.append(log.head()[0].encode())
        connection.close()
    assert heads[0] == heads[1]


BROKEN = {
    "the head is gone": ("DELETE FROM tree", BrokenLog),
    "an hour before all time": ("UPDATE tree SET hour = -1", BrokenLog),
    "an hour after all calendars": ("UPDATE tree SET hour = 9000000000", BrokenLog),
    "a frontier cut short": ("UPDATE tree SET frontier = substr(frontier, 1, 39)", BrokenLog),
    "a frontier of another size": (f"UPDATE tree SET frontier = x'{3:016x}{'00' * 32}'", BrokenLog),
    "no frontier": ("UPDATE tree SET frontier = x''", BrokenLog),
}


@pytest.mark.parametrize(("statement", "error"), BROKEN.values(), ids=BROKEN)
def test_nothing_is_appended_to_a_broken_tree(
    log: Log, connection: sqlite3.Connection, statement: str, error: type[Exception]
) -> None:
    log.append(drafts(HOUR), POLICY)
    connection.execute(statement)
    for attempt in (log.head, lambda: log.append(drafts(HOUR), POLICY)):
        with pytest.raises(error):
            attempt()
    assert len(log.page(0)) == 1


def test_the_actor_book_is_read_in_the_order_of_leaves(log: Log) -> None:
    log.note_actors([(5, b"five"), (2, b"two")])
    log.note_actors([(9, b"nine")])
    assert log.actors(0) == [(2, b"two"), (5, b"five"), (9, b"nine")]
    assert log.actors(3, 1) == [(5, b"five")]
