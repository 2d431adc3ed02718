"""Connections: how much of a file is kept in memory."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from consentprofile.store.connection import CACHE_KIB, PRAGMAS, cache_kib, connect
from consentprofile.store.names import DATA, KEYS

MIB = 1 << 20


@pytest.mark.parametrize(
    ("name", "size", "kept"),
    [
        (KEYS, MIB, CACHE_KIB),
        (KEYS, 70 * MIB, CACHE_KIB),
        (KEYS, 256 * MIB, CACHE_KIB),
        (KEYS, 257 * MIB, 8 * 1024),
        (KEYS, 704 * MIB, 11 * 1024),
        (KEYS, 7_040 * MIB, CACHE_KIB),
        (DATA, 704 * MIB, CACHE_KIB),
    ],
)
def test_of_a_keyring_much_larger_than_the_cache_only_what_leads_to_the_leaves_is_kept(
    tmp_path: Path, name: str, size: int, kept: int
) -> None:
    path = tmp_path / name
    path.touch()
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE something (number INTEGER)")
    os.truncate(path, size)  # a sparse file: nothing more is written
    assert cache_kib(path) == kept
    with closing(connect(path)) as connection:
        assert connection.execute("PRAGMA cache_size").fetchone() == (-kept,)


def test_what_a_transaction_changes_stays_in_memory_even_where_less_is_cached(tmp_path: Path) -> None:
    """What is written early would keep readers away until the transaction ends."""
    path = tmp_path / KEYS
    path.touch()
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE something (bytes BLOB)")
        connection.execute("PRAGMA cache_size = -64")
        before = path.stat().st_size
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO something VALUES (?)", [(bytes(4000),)] * 200)
        assert path.stat().st_size == before
        connection.execute("COMMIT")
        assert path.stat().st_size > before + 200 * 4000


@pytest.mark.parametrize("file", [KEYS, DATA])
def test_the_format_says_what_connections_set(file: str) -> None:
    """Each value stands in its row and column; what a file has not, has a dash."""
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    _, _, table = page.partition("| pragma | keys.db | data.db |\n|---|---|---|\n")
    rows = [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    column = (KEYS, DATA).index(file) + 1
    told = {row[0].split("`")[1]: row[column].strip("`").split()[0].replace(",", "") for row in rows}
    assert {name: value for name, value in told.items() if value != "\N{EN DASH}"} == {
        name: str(value) for name, value in PRAGMAS[file]
    }
