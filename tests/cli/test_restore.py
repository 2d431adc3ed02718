"""``restore``: it shows what it would do, asks, and does that; a refusal changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import ACCOUNT, Shop


@pytest.fixture
def copied(shop: Shop) -> Shop:
    """The shop, with copies of before an erasure, and the journal of after it."""
    shop.done("backup", "--out", "data.backup")
    shop.done("keys", "backup", "keys.backup")
    shop.done("erase", ACCOUNT, "--yes")
    shop.done("keys", "journal", "--out", "shipped")
    return shop


def test_a_dry_run_says_what_a_restore_would_do(copied: Shop) -> None:
    before = Path("store/data.db").read_bytes()
    said = copied.done("restore", "--data", "data.backup", "--dry-run")
    assert "Nothing was changed: this was a dry run." in said
    assert "of dead keys, purged" in said
    assert copied.answer("restore", "--data", "data.backup", "--dry-run")["dry_run"] is True
    assert Path("store/data.db").read_bytes() == before


def test_what_was_erased_stays_erased(copied: Shop) -> None:
    said = copied.done("restore", "--data", "data.backup", "--yes")
    assert "The audit log is the store's own" in said
    assert said.endswith("Done.\n")
    read = ("profile", ACCOUNT, "--purpose", "support", "--actor", "support-agent:17")
    assert copied.done(*read) == "There is nothing to see for this purpose.\n"
    assert copied.answer("check")["clean"] is True


def test_it_asks_and_without_a_terminal_needs_yes(copied: Shop) -> None:
    asked = copied.run("restore", "--data", "data.backup")
    assert asked.exit_code == 2
    assert "needs --yes" in asked.stderr


def test_an_older_keyring_takes_the_journal_or_an_explicit_choice(copied: Shop) -> None:
    for name in ("keys.db", "data.db", "destroyed.journal"):
        (Path("store") / name).unlink()
    sources = ("restore", "--data", "data.backup", "--keyring", "keys.backup")
    refused = copied.run(*sources, "--yes")
    assert refused.exit_code == 8
    assert "any of them may have been destroyed since" in refused.stderr.replace("\n", " ")
    planned = copied.run(*sources, "--dry-run")
    assert "repeat the withdrawals and erasures of that time" in planned.stderr.replace("\n", " ")
    done = copied.answer(*sources, "--journal", "shipped", "--yes")
    assert (done["destroyed_again"], done["unknown"]) == (3, False)
    assert ACCOUNT not in json.dumps(done)
    assert copied.answer("check")["clean"] is True


def test_a_lost_log_is_said_to_go_on_under_another_name(copied: Shop) -> None:
    Path("store/data.db").unlink()
    said = copied.done("restore", "--data", "data.backup", "--yes")
    assert "It goes on under the name" in said
    assert "/lineage-2" in copied.done("audit", "public-key")


def test_nothing_to_restore_from_is_an_error(copied: Shop) -> None:
    assert copied.run("restore", "--yes").exit_code == 3
