"""Certificates on the command line: written for whoever asks, verified by anybody, read in plain words."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from consentprofile.cli.main import main
from tests.cli.conftest import ACCOUNT, Shop


def alone(*arguments: str) -> Result:
    """The command line without any store or key."""
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def key(shop: Shop) -> str:
    """The log's public key, which lies in log.pub too."""
    text = shop.done("audit", "public-key").strip()
    shop.done("audit", "public-key", "--out", "log.pub")
    return text


def erased(shop: Shop, *accounts: str, more: tuple[str, ...] = ()) -> list[dict[str, object]]:
    """What the answer says of each account, its certificate in the folder ``proofs``."""
    answer = shop.answer("erase", *accounts, "--yes", "--certificates", "proofs", *more)
    return msgspec.convert(answer["erasures"], list[dict[str, object]])


def test_each_account_erased_has_its_own_certificate_which_names_nobody(shop: Shop, key: str) -> None:
    told = erased(shop, ACCOUNT, "nobody", "acct-2")
    assert [one["found"] for one in told] == [1, 0, 1]
    files = [one["file"] for one in told]
    assert files[1] is None
    assert sorted(path.name for path in Path("proofs").iterdir()) == sorted(
        f"certificate-{one['leaves'][0]}.json" for one in told if isinstance(one["leaves"], list) and one["leaves"]
    )
    assert stat.S_IMODE(Path("proofs").stat().st_mode) == 0o700
    for path in Path("proofs").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert ACCOUNT not in path.read_text()
        assert alone("certificate", "verify", str(path), "--public-key", key).exit_code == 0


def test_the_answer_lists_certificates_in_the_order_of_the_accounts_without_naming_them(shop: Shop) -> None:
    said = shop.done("erase", ACCOUNT, "nobody", "acct-2", "--yes", "--certificates", "proofs")
    assert re.search(r"Certificate 1 of 3: proofs/certificate-\d+\.json\n", said)
    assert "Certificate 2 of 3: none, for the store does not know the account\n" in said
    assert re.search(r"Certificate 3 of 3: proofs/certificate-\d+\.json\n", said)
    assert ACCOUNT not in said


def test_it_verifies_offline_long_after_the_store_is_gone(shop: Shop, key: str) -> None:
    (told,) = erased(shop, ACCOUNT)
    for path in [*Path("store").iterdir(), Path("shop.key")]:
        path.unlink()
    for given in (key, "@log.pub"):
        verified = alone("certificate", "verify", str(told["file"]), "--public-key", given)
        assert verified.exit_code == 0, verified.output
        assert "The certificate holds" in verified.stdout
        assert "3 keys destroyed (“marketing” and “support”)" in verified.stdout


def test_a_certificate_that_was_changed_or_is_of_another_log_is_refused_with_6(shop: Shop, key: str) -> None:
    (told,) = erased(shop, ACCOUNT)
    good = Path(str(told["file"])).read_bytes()
    other = shop.done("audit", "public-key", "--out", "ignored") and key.replace(
        key[-6], "B" if key[-6] != "B" else "C"
    )
    cases = {
        "another purpose": good.replace(b'"marketing"', b'"analytics"'),
        "another key": good.replace(str(told["key_ids"]).encode()[2:10], b"00000000"),
        "an hour later": good.replace(b"T00:00:00Z", b"T01:00:00Z"),
        "spaces": good.replace(b",", b", ", 1),
        "cut": good[:-20],
        "nothing": b"",
        "no certificate": b"{}\n",
    }
    for name, data in cases.items():
        assert data != good, name
        Path("changed.json").write_bytes(data)
        refused = alone("certificate", "verify", "changed.json", "--public-key", key)
        assert (refused.exit_code, refused.stdout) == (6, ""), name
        assert alone("certificate", "verify", "changed.json", "--public-key", key, "--json").stdout == ""
    assert alone("certificate", "verify", str(told["file"]), "--public-key", other).exit_code == 6
    assert alone("certificate", "verify", str(told["file"]), "--public-key", "@nowhere").exit_code == 2


def test_only_reference_and_salt_together_show_which_request_it_answers(shop: Shop, key: str) -> None:
    (told,) = erased(shop, ACCOUNT, more=("--reference", "request 7"))
    salt, verify = str(told["reference_salt"]), ("certificate", "verify", str(told["file"]), "--public-key", key)
    assert salt not in Path(str(told["file"])).read_text()
    shown = alone(*verify, "--reference", "request 7", "--salt", salt)
    assert "it answers the request with this number" in shown.stdout
    assert json.loads(alone(*verify, "--reference", "request 7", "--salt", salt, "--json").stdout)["reference_matches"]
    assert alone(*verify, "--reference", "request 8", "--salt", salt).exit_code == 6
    assert alone(*verify, "--reference", "request 7", "--salt", "00" * 16).exit_code == 6
    assert alone(*verify, "--reference", "request 7").exit_code == 2
    assert alone(*verify, "--reference", "request 7", "--salt", "salt").exit_code == 2


def test_it_is_shown_in_plain_words_and_says_whether_anybody_has_verified_it(shop: Shop, key: str) -> None:
    (told,) = erased(shop, ACCOUNT, more=("--reference", "request 7"))
    shown = alone("certificate", "show", str(told["file"])).stdout
    words = " ".join(shown.split())
    assert "On 1 July 2024, between 00:00 and 01:00 UTC, 3 keys were destroyed" in words
    assert "all that had been recorded for “marketing” and “support”" in words
    assert "What it cannot show" in shown
    assert "Nothing of this has been verified yet" in shown
    assert "key-id" not in shown
    assert "it holds" in alone("certificate", "show", str(told["file"]), "--public-key", "@log.pub").stdout
    assert json.loads(alone("certificate", "show", str(told["file"]), "--json").stdout)["verified"] is False
    Path("no.json").write_text("{}")
    assert alone("certificate", "show", "no.json").exit_code == 6


def test_a_withdrawal_is_certified_too(shop: Shop, key: str) -> None:
    command = ("consent", "withdraw", ACCOUNT, "--purpose", "marketing", "--yes", "--certificate", "w.json")
    assert "The certificate is in w.json." in shop.done(*command)
    assert stat.S_IMODE(Path("w.json").stat().st_mode) == 0o600
    verified = alone("certificate", "verify", "w.json", "--public-key", key)
    assert "1 key destroyed (“marketing”)" in verified.stdout
    shown = " ".join(alone("certificate", "show", "w.json").stdout.split())
    assert "1 key was destroyed: what had been recorded for “marketing” was locked with it" in shown
    assert "Other purposes go on" in shown


def test_a_certificate_is_never_written_over_another_and_then_nothing_is_destroyed(shop: Shop) -> None:
    Path("w.json").write_text("mine")
    refused = shop.run("consent", "withdraw", ACCOUNT, "--purpose", "marketing", "--yes", "--certificate", "w.json")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert "given" in shop.done("consent", "show", ACCOUNT)
    Path("proofs").write_text("no folder")
    assert shop.run("erase", ACCOUNT, "--yes", "--certificates", "proofs").exit_code == 3
    assert "withdrawn" not in shop.done("consent", "show", ACCOUNT)


def test_without_consent_in_force_there_is_nothing_to_certify(shop: Shop) -> None:
    command = ("consent", "withdraw", "acct-2", "--purpose", "marketing", "--yes", "--certificate", "w.json")
    done = shop.run(*command)
    assert done.exit_code == 0
    assert "there is no certificate" in done.stderr.replace("\n", " ")
    assert not Path("w.json").exists()


def test_a_certificate_that_was_lost_is_made_once_more_from_its_leaves(shop: Shop, key: str) -> None:
    (told,) = erased(shop, ACCOUNT)
    leaves = told["leaves"]
    assert isinstance(leaves, list)
    again = shop.done("audit", "certificate", str(leaves[0]), str(leaves[-1]), "--out", "again.json")
    assert "again.json" in again
    assert stat.S_IMODE(Path("again.json").stat().st_mode) == 0o600
    for name in (str(told["file"]), "again.json"):
        assert alone("certificate", "verify", name, "--public-key", key).exit_code == 0
    first, second = (json.loads(Path(name).read_text()) for name in (str(told["file"]), "again.json"))
    assert first["statement"] == second["statement"]
    assert shop.run("audit", "certificate", "0").exit_code == 3, "not a leaf of a destruction"
    assert shop.run("audit", "certificate", "5", "3").exit_code == 2
    assert shop.run("audit", "certificate", "0", "999999999").exit_code == 2
