"""Sealed rows but blocks: appended, read by slot and generation in the order of arrival, purged below a generation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentprofile.store import migrations
from consentprofile.store.connection import connect
from consentprofile.store.files import DATA
from consentprofile.store.rows import BLOCK, TABLES, RowTable, SealedRow
from tests.support.sealed import every_row


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    migrations.create_files(tmp_path)
    opened = connect(tmp_path / DATA)
    yield opened
    opened.close()


@pytest.mark.parametrize("table", sorted({*TABLES} - {BLOCK}))
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
    rows = RowTable(connection, "trail")
    kept = [SealedRow(1, 2, b"alive"), SealedRow(1, 3, b"to come"), SealedRow(2, 0, b"another slot")]
    rows.append([SealedRow(1, 0, b"oldest"), kept[0], SealedRow(1, 1, b"older"), *kept[1:]])
    rows.purge(1, 2)
    assert every_row(rows) == kept


def test_a_range_of_slots_has_its_rows_and_no_others(connection: sqlite3.Connection) -> None:
    rows = RowTable(connection, "trail")
    rows.append(SealedRow(number % 5, number % 2, bytes([number])) for number in range(25))
    found = rows.between(1, 3)
    assert {slot for slot, _ in found} == {1, 2, 3}
    assert found[1, 0] == [bytes([number]) for number in range(25) if number % 5 == 1 and number % 2 == 0]
    assert len(every_row(rows)) == 25


@pytest.mark.parametrize("table", ["leaf", BLOCK])
def test_a_table_of_other_rows_is_a_programming_error(connection: sqlite3.Connection, table: str) -> None:
    with pytest.raises(AssertionError):
        RowTable(connection, table)
