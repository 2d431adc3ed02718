"""What goes wrong ends in one line, an exit code, and nothing left behind; and nothing personal is said."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import consentprofile as cp
from consentprofile.cli.main import main
from tests.cli.conftest import ACCOUNT, SHOP, Shop

READ = ("--purpose", "support", "--actor", "support-agent:17")

WRONG: list[tuple[str, tuple[str, ...], int, str]] = [
    ("no such command", (ACCOUNT,), 2, "there is no such command"),
    ("no such command in a group", ("consent", ACCOUNT), 2, "there is no such command"),
    ("a group alone", ("consent",), 2, ""),
    ("no such option", ("profile", ACCOUNT, "--purpos", "x"), 2, "did you mean --purpose"),
    ("an option nobody knows", ("profile", "--" + ACCOUNT), 2, "no such option"),
    ("an option is missing", ("profile", ACCOUNT, "--actor", "a:b"), 2, "--purpose is missing"),
    ("an argument is missing", ("profile", *READ), 2, "ACCOUNT is missing"),
    ("an argument too many", ("profile", "x", ACCOUNT, *READ), 2, "more arguments than this command takes"),
    ("no value", ("profile", ACCOUNT, "--purpose"), 2, "--purpose is not given as it must be"),
    ("not a choice", ("import", "events.csv", "--mapping", "mapping.toml", "--format", ACCOUNT), 2, "csv, ndjson"),
    (
        "too many workers",
        ("release", "spec.toml", "--out", "out", "--workers", "65"),
        2,
        "--workers takes a whole number, 0 to 64",
    ),
    ("not a number", ("audit", "log", "--from", ACCOUNT), 2, "--from takes a whole number"),
    ("not a time", ("audit", "log", "--since", ACCOUNT), 2, "--since takes a day or a time"),
    ("not a file", ("import", ACCOUNT, "--mapping", "mapping.toml"), 2, "FILE cannot be read: No such file"),
    ("not a text", ("release", "shop.bin", "--out", "out"), 2, "SPEC is not UTF-8 text"),
    ("nobody to erase", ("erase",), 2, "name at least one account"),
    ("two keys", ("check", "--key-env", "X"), 2, "name one key"),
    ("no control characters", ("profile", f"{ACCOUNT}\n", *READ), 3, "control characters"),
    ("no actor", ("profile", ACCOUNT, "--purpose", "support", "--actor", ACCOUNT), 3, "role:name"),
    ("wrong role", ("profile", ACCOUNT, "--purpose", "analytics", "--actor", "marketer:5"), 7, "not among the readers"),
    ("no such purpose", ("profile", ACCOUNT, "--purpose", ACCOUNT, "--actor", "marketer:5"), 7, "no such purpose"),
    (
        "no such notice",
        ("consent", "give", ACCOUNT, "--purpose", "support", "--notice", ACCOUNT, "--method", "m"),
        3,
        "",
    ),
    ("no such reason", ("suppress", ACCOUNT, "--reason", ACCOUNT), 3, "declares no such reason"),
    ("no store", ("check", "--store", ACCOUNT), 8, "there is no store"),
    ("no key", ("check", "--key-file", ACCOUNT), 5, "the key file cannot be read"),
    ("a mapping that is none", ("import", "events.csv", "--mapping", "policy.toml"), 3, "the mapping has"),
    ("a specification that is none", ("release", "policy.toml", "--out", "out"), 9, "the release specification has"),
    ("a period still open", ("--as-of", "2024-03-01", "release", "open.toml", "--out", "out"), 9, "still open"),
    ("erasing unasked", ("erase", ACCOUNT), 2, "needs --yes"),
    ("withdrawing unasked", ("consent", "withdraw", ACCOUNT, "--purpose", "support"), 2, "needs --yes"),
    ("a passphrase from a pipe", ("check", "--ask-passphrase"), 2, ""),
    ("no account for a trail", ("audit", "log", "--account", f"{ACCOUNT}\n"), 3, "control characters"),
    ("no actor for the book", ("audit", "log", "--actor", ACCOUNT), 3, "role:name"),
    ("an account and an actor", ("audit", "log", "--account", ACCOUNT, "--actor", "a:b"), 2, "not for both"),
    ("no leaf", ("audit", "prove", ACCOUNT), 2, "takes a whole number"),
    ("a leaf that is not there", ("audit", "prove", "99999"), 3, "there is no such leaf"),
    ("leaves of something else", ("audit", "certificate", "0", "3"), 3, "name the leaves of one erasure"),
    ("a checkpoint that is none", ("audit", "verify", "--checkpoint", "policy.toml"), 6, "the note"),
    ("no certificate", ("certificate", "show", "policy.toml"), 6, "not a certificate"),
    ("no file with a certificate", ("certificate", "show", ACCOUNT), 2, "FILE cannot be read"),
    ("no key", ("certificate", "verify", "policy.toml", "--public-key", ACCOUNT), 6, "base64"),
    (
        "no file with a key",
        ("certificate", "verify", "policy.toml", "--public-key", f"@{ACCOUNT}"),
        2,
        "cannot be read",
    ),
    ("an export elsewhere", ("audit", "export", "--out", "policy.toml"), 8, "earlier export"),
    ("a reference too long", ("erase", ACCOUNT, "--yes", "--reference", ACCOUNT * 20), 3, "a reference is"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_an_error_is_one_line_with_its_code_and_nothing_personal(
    shop: Shop, arguments: tuple[str, ...], code: int, message: str
) -> None:
    Path("shop.bin").write_bytes(b"\xff\xfe")
    Path("open.toml").write_text(Path("reach.toml").read_text().replace("2024-07-01 ", "2024-08-01 "))
    before = shop.names()
    result = shop.run(*arguments)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert ACCOUNT not in result.stderr
    assert "Traceback" not in result.output
    assert shop.names() == before, "something was left behind"
    if arguments != ("consent",):
        first, *faults = result.stderr.splitlines()
        assert first.startswith("consentprofile: ")
        assert all(line.startswith("  ") for line in faults)
    assert shop.run("check").exit_code == 0


def test_nothing_is_named_without_a_store_or_a_key(tmp_path: Path) -> None:
    without = CliRunner().invoke(main, ["check"])
    assert (without.exit_code, "--store" in without.stderr, "CONSENTPROFILE_STORE" in without.stderr) == (2, True, True)
    keyless = CliRunner().invoke(main, ["check", "--store", str(tmp_path)])
    assert (keyless.exit_code, "--key-file" in keyless.stderr, "--key-env" in keyless.stderr) == (2, True, True)


def test_a_key_file_inside_the_store_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    store = tmp_path / "store"
    arguments = ["init", "--policy", str(SHOP / "policy.toml"), "--store", str(store), "--key-file", str(store / "k")]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2
    assert "must not lie in the store's directory" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_faulty_policy_makes_neither_store_nor_key(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("format = 1\n")
    common = ["--store", str(tmp_path / "store"), "--key-file", str(tmp_path / "k")]
    refused = CliRunner().invoke(main, [*common, "init", "--policy", str(tmp_path / "p.toml")])
    assert refused.exit_code == 4
    assert [path.name for path in tmp_path.iterdir()] == ["p.toml"]


def test_a_store_is_never_made_over_another(shop: Shop) -> None:
    before = shop.leaves()
    refused = shop.run("init", "--policy", "policy.toml", "--key-file", "other.key")
    assert refused.exit_code == 8
    assert not Path("other.key").exists()
    assert shop.leaves() == before


def test_a_wrong_key_is_not_taken_for_damage(shop: Shop) -> None:
    key = shop.done("keys", "new")
    Path("wrong.key").write_text(key)
    Path("wrong.key").chmod(0o600)
    assert shop.run("check", "--key-file", "wrong.key").exit_code == 5
    Path("shop.key").chmod(0o644)
    loose = shop.run("check")
    assert (loose.exit_code, "may be read by others" in loose.stderr) == (5, True)


def test_an_answer_that_cannot_be_written_leaves_no_part_of_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device", ACCOUNT)

    monkeypatch.setattr(os, "link", full)
    refused = shop.run("access", ACCOUNT, "--out", "answer")
    assert (refused.exit_code, refused.stderr) == (
        3,
        "consentprofile: access.json cannot be written: No space left on device\n",
    )
    assert not Path("answer").exists()


def test_a_certificate_that_cannot_be_written_says_how_to_make_it_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys are destroyed by then: that must not be hidden, nor the proof of it lost."""

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device", ACCOUNT)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        refused = shop.run("erase", ACCOUNT, "--yes", "--certificates", "proofs")
    assert refused.exit_code == 3
    assert ACCOUNT not in refused.stderr
    assert list(Path("proofs").iterdir()) == []
    assert "the keys are destroyed" in refused.stderr
    (again,) = re.findall(r"`consentprofile (audit certificate [\d ]+)`", refused.stderr)
    shop.done(*again.split(), "--out", "again.json")
    key = shop.done("audit", "public-key").strip()
    assert "an erasure" in shop.done("certificate", "verify", "again.json", "--public-key", key)


def test_the_unexpected_says_its_type_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(store: cp.Store) -> None:
        raise RuntimeError(ACCOUNT)

    monkeypatch.setattr(cp.Store, "statistics", broken)
    result = shop.run("statistics")
    assert (result.exit_code, result.stdout) == (70, "")
    assert result.stderr.startswith("consentprofile: unexpected RuntimeError.")
    assert "CONSENTPROFILE_DEBUG=1" in result.stderr
    assert ACCOUNT not in result.stderr
    monkeypatch.setenv("CONSENTPROFILE_DEBUG", "1")
    assert "Traceback" in shop.run("statistics").stderr


def test_a_log_that_was_tampered_with_is_found(shop: Shop) -> None:
    with cp.Store.open("store", key=cp.KeyFile("shop.key")) as store:
        assert store.audit.verify().size > 0
    data = Path("store/data.db").read_bytes()
    assert b"consent-given" in data
    Path("store/data.db").write_bytes(data.replace(b"consent-given", b"consent-taken", 1))
    verified = shop.run("audit", "verify")
    assert verified.exit_code == 6
    assert "leaf" in verified.stderr
    assert shop.run("check").exit_code == 1
