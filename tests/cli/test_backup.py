"""``backup``, ``keys backup``, ``keys journal``: new files for their owner alone, with advice on how long to keep."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.cli.conftest import ACCOUNT, Shop


def test_a_data_backup_is_a_new_file_with_advice(shop: Shop) -> None:
    made = shop.run("backup", "--out", "data.backup")
    assert made.exit_code == 0, made.output
    assert stat.S_IMODE(Path("data.backup").stat().st_mode) == 0o600
    assert "Keep it as long as you like" in made.stderr
    assert shop.answer("backup", "--out", "again") == {"file": "again", "bytes": Path("again").stat().st_size}
    before = Path("data.backup").read_bytes()
    refused = shop.run("backup", "--out", "data.backup")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert Path("data.backup").read_bytes() == before


def test_a_keyring_backup_says_that_it_is_for_days(shop: Shop) -> None:
    made = shop.run("keys", "backup", "keys.backup")
    assert made.exit_code == 0, made.output
    assert "for days, not months" in made.stderr.replace("\n", " ")


def test_the_journal_has_a_line_for_each_key_and_nobody_in_it(shop: Shop) -> None:
    shop.done("erase", ACCOUNT, "--yes")
    died = shop.done("audit", "log", "--operation", "erased", "--json")
    lines = [json.loads(line) for line in shop.done("keys", "journal", "--out", "-").splitlines()]
    leaves = [json.loads(leaf) for leaf in died.splitlines()]
    assert [line["key_id"] for line in lines] == [leaf["facts"]["key-id"] for leaf in leaves]
    assert len(lines) > 1
    assert shop.answer("keys", "journal", "--out", "shipped") == {"file": "shipped", "lines": len(lines)}
    assert stat.S_IMODE(Path("shipped").stat().st_mode) == 0o600
    assert ACCOUNT not in Path("shipped").read_text()
    assert shop.done("keys", "journal", "--out", "-", "--since", "2024-07-02") == ""
    assert shop.run("keys", "journal", "--out", "shipped").exit_code == 3
    assert shop.run("keys", "journal", "--out", "-", "--json").exit_code == 2
