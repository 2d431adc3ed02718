"""``keys rotate`` and ``keys status``: what they answer, what they refuse, and what opens the store afterwards."""

from __future__ import annotations

import json
from typing import Final

import pytest
from click.testing import CliRunner, Result

import consentprofile as cp
from consentprofile.cli.main import main
from tests.cli.conftest import ACCOUNT, Shop
from tests.support.people import edit


def run(*arguments: str, key: str = "new.key") -> Result:
    """The command line with another key."""
    common = ("--store", "store", "--key-file", key, "--as-of", "2024-07-01")
    return CliRunner().invoke(main, [*common, *arguments])


def test_after_a_rotation_the_new_key_opens_the_store_and_the_old_one_does_not(shop: Shop) -> None:
    result = shop.run("keys", "rotate", "--new-key-file", "new.key")
    assert result.exit_code == 0
    assert "epoch 2 is in force" in result.stdout
    assert "destroy" in result.stderr
    assert run("profile", ACCOUNT, "--purpose", "marketing", "--actor", "marketer:5").exit_code == 0
    assert run("check").exit_code == 0
    old = shop.run("check")
    assert (old.exit_code, old.stdout) == (5, "")
    assert "not the key of this store" in old.stderr


def test_the_new_key_may_be_a_variable(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", cp.new_key_text())
    answer = shop.answer("keys", "rotate", "--new-key-env", "SHOP_KEY")
    assert answer["rotation"] == {"epoch": 2, "keys": 7, "entries": 0, "damaged": 0, "under_former_tags": 0}
    result = CliRunner().invoke(main, ["--store", "store", "--key-env", "SHOP_KEY", "keys", "status", "--json"])
    assert json.loads(result.stdout)["provider"] == "environment"


def test_nothing_is_to_be_resumed(shop: Shop) -> None:
    assert shop.done("keys", "rotate", "--resume") == "No rotation is unfinished.\n"
    assert shop.answer("keys", "rotate", "--resume") == {"rotation": None}


def test_accounts_get_new_tags_and_are_found(shop: Shop) -> None:
    answer = shop.answer("keys", "rotate", "--retag", "--new-key-file", "new.key")
    assert answer["rotation"] == {"epoch": 2, "keys": 7, "entries": 0, "damaged": 0, "under_former_tags": 0}
    assert run("profile", ACCOUNT, "--purpose", "marketing", "--actor", "marketer:5").exit_code == 0
    assert run("check").exit_code == 0
    assert run("keys", "rotate", "--retag", "--resume").stdout == "No rotation is unfinished.\n"


def test_who_gets_no_new_tag_is_counted_and_it_is_said_what_to_do(shop: Shop) -> None:
    assert edit(shop.folder / "store", "data.db", "DELETE FROM account WHERE id = 1") == 1
    found = shop.run("check")
    assert found.exit_code == 1
    assert "FOUND: account: 1 accounts whose id is lost" in found.stdout
    told = shop.run("keys", "rotate", "--retag", "--new-key-file", "new.key")
    assert told.exit_code == 0
    assert "1 account got no new tag" in told.stderr.replace("\n", " ")
    assert ACCOUNT not in told.output
    assert run("check").exit_code == 1
    assert run("access", ACCOUNT, "--out", "access").exit_code == 0
    assert run("check").exit_code == 0


WRONG: Final = {
    "no key": (),
    "a key to resume with": ("--resume", "--new-key-file", "new.key"),
    "two keys": ("--new-key-file", "new.key", "--new-key-env", "SHOP_KEY"),
    "a passphrase without a terminal": ("--new-passphrase",),
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_usage_changes_nothing(shop: Shop, arguments: tuple[str, ...]) -> None:
    before, leaves = shop.names(), shop.leaves()
    result = shop.run("keys", "rotate", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert (shop.names(), shop.leaves()) == (before, leaves)


def test_the_key_in_force_is_refused_and_nothing_is_changed(shop: Shop) -> None:
    leaves = shop.leaves()
    result = shop.run("keys", "rotate", "--new-key-file", "shop.key")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "has already" in result.stderr
    assert shop.leaves() == leaves


def test_the_status_says_what_old_copies_can_do(shop: Shop) -> None:
    shop.done("keys", "backup", "keys.backup")
    told = shop.done("keys", "status")
    assert told.startswith("Epoch 1, since ")
    assert "keyring-backup" in told
    assert "cannot prove that no copy of it exists" in " ".join(told.split())
    shop.done("keys", "rotate", "--new-key-file", "new.key")
    later = run("keys", "status")
    words = " ".join(later.stdout.split())
    assert "Epoch 2, since 2024-07-01 00:00 UTC" in words
    assert "The log knows of no copy of this epoch." in words
    assert "open only with the former key" in words
    answer = json.loads(run("keys", "status", "--json").stdout)
    assert (answer["epoch"], answer["rotating"], answer["copies"]) == (2, False, [])
