"""Sealed rows: appended, read by slot and generation in the order of arrival, purged below a generation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentprofile.store import migrations
from consentprofile.store.files import DATA, connect
from consentprofile.store.rows import TABLES, RowTable, SealedRow


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    migrations.create_files(tmp_path)
    opened = connect(tmp_path / DATA)
    yield opened
    opened.close()


@pytest.mark.parametrize("table", TABLES)
def test_rows_are_read_by_slot_and_generation_in_the_order_of_arrival(
    connection: sqlite3.Connection, table: str
) -> None:
    rows = RowTable(connection, table)
    rows.append([SealedRow(2, 0, b"c"), SealedRow(1, 0, b"a"), SealedRow(1, 1, b"d")])
    rows.append([SealedRow(1, 0, b"b")])
    assert rows.of(1, 0) == [b"a", b"b"]
    assert rows.of(1, 1) == [b"d"]
    assert rows.of(1, 2) == rows.of(3, 0) == []


def test_purging_drops_lower_generations_of_one_slot_and_nothing_else(connection: sqlite3.Connection) -> None:
    rows = RowTable(connection, "block")
    kept = [SealedRow(1, 2, b"alive"), SealedRow(1, 3, b"to come"), SealedRow(2, 0, b"another slot")]
    rows.append([SealedRow(1, 0, b"oldest"), kept[0], SealedRow(1, 1, b"older"), *kept[1:]])
    rows.purge(1, 2)
    assert [row for _, row in rows.page(0)] == kept


def test_every_row_is_read_once_in_pages(connection: sqlite3.Connection) -> None:
    rows = RowTable(connection, "trail")
    rows.append(SealedRow(number % 3, 0, bytes([number])) for number in range(25))
    found: list[SealedRow] = []
    after = 0
    while page := rows.page(after, 10):
        assert len(page) <= 10
        found += [row for _, row in page]
        after = page[-1][0]
    assert [row.sealed for row in found] == [bytes([number]) for number in range(25)]


def test_a_table_of_no_sealed_rows_is_a_programming_error(connection: sqlite3.Connection) -> None:
    with pytest.raises(AssertionError):
        RowTable(connection, "leaf")
