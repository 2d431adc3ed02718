"""``doctor``: it needs no key, says what to do, and its exit code tells whether anything was found."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from consentprofile.cli.main import main
from tests.cli.conftest import Shop


def test_it_finds_what_is_wrong_and_says_what_to_do(shop: Shop) -> None:
    shop.done("backup", "--out", "data.backup")
    Path("store/keys.db").chmod(0o644)
    found = shop.run("doctor")
    assert found.exit_code == 1
    assert "keys.db: others may use it: its mode is 0644." in found.stdout
    assert "Run `chmod 600` on it".replace("`", "") in found.stdout
    assert "keyring backup: was never made" in found.stdout
    assert "2 symptoms." in found.stdout


def test_a_sound_store_is_well_without_a_key(shop: Shop) -> None:
    shop.done("backup", "--out", "data.backup")
    shop.done("keys", "backup", "keys.backup")
    shop.done("consent", "show", "nobody", "--as-of", "2024-07-02")
    found = CliRunner().invoke(main, ["--store", "store", "--as-of", "2024-07-02", "doctor"])
    assert (found.exit_code, "All is well." in found.stdout) == (0, True)
    answer = shop.answer("doctor", "--as-of", "2024-07-02")
    assert answer["well"] is True
