"""``policy diff`` and ``policy apply``: what a change means is said before it is made, and it is made when told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import ACCOUNT, Shop

NARROWER = ('readers = ["marketer"]', "readers = []")
WIDER = ('readers = ["marketer"]', 'readers = ["marketer", "app"]')


@pytest.fixture
def file(shop: Shop) -> Path:
    return shop.folder / "changed.toml"


def write(shop: Shop, file: Path, *edits: tuple[str, str]) -> None:
    text = (shop.folder / "policy.toml").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)


def test_the_same_policy_changes_nothing(shop: Shop) -> None:
    assert shop.done("policy", "diff", "policy.toml") == "It is the policy that the store obeys: nothing changes.\n"
    leaves = shop.leaves()
    assert shop.done("policy", "apply", "policy.toml") == "It is the policy that the store obeys: nothing changes.\n"
    assert shop.answer("policy", "apply", "policy.toml")["changes"] == []
    assert shop.leaves() == leaves


def test_a_change_is_told_in_plain_words_with_rounded_numbers(shop: Shop, file: Path) -> None:
    write(shop, file, NARROWER, ('"privacy@', '"dpo@'))
    said = shop.done("policy", "diff", "changed.toml")
    assert said == (
        "Narrowing: at once, also for what is stored\n"
        "  purposes.marketing.readers: “marketer” may not read profiles any more (fewer than 10 accounts of\n"
        "  marketing).\n"
        "Neutral: nobody's data is treated otherwise\n"
        "  controller.contact: people write to dpo@shop.example instead of privacy@shop.example.\n"
    )
    told = shop.answer("policy", "diff", "changed.toml")
    assert list(told) == ["digest", "changes", "faults"]
    assert told["faults"] == []


def test_a_change_asks_and_is_made_when_told_to(shop: Shop, file: Path) -> None:
    write(shop, file, NARROWER)
    asked = shop.run("policy", "apply", "changed.toml")
    assert asked.exit_code == 2
    assert "--yes" in asked.stderr
    assert "nothing changes" not in shop.done("policy", "diff", "changed.toml")
    said = shop.done("policy", "apply", "changed.toml", "--yes")
    assert "The store obeys the policy with the digest" in said
    assert "`retention run` destroys it" in said
    read = shop.run("profile", ACCOUNT, "--purpose", "marketing", "--actor", "marketer:1")
    assert read.exit_code == 7
    assert shop.done("policy", "diff", "changed.toml") == "It is the policy that the store obeys: nothing changes.\n"
    assert shop.answer("check")["clean"] is True


def test_what_would_be_refused_is_told_and_refused(shop: Shop, file: Path) -> None:
    write(shop, file, WIDER)
    told = shop.run("policy", "diff", "changed.toml")
    assert told.exit_code == 1
    assert "The store would refuse it" in told.stdout
    leaves = shop.leaves()
    refused = shop.run("policy", "apply", "changed.toml", "--yes")
    assert refused.exit_code == 4
    assert "the change of the policy has 1 fault" in refused.stderr
    assert "needs a new version at" in refused.stderr
    assert shop.leaves() == leaves


def test_a_purpose_ends_when_it_is_named(shop: Shop, file: Path) -> None:
    text = (shop.folder / "policy.toml").read_text()
    head, rest = text.split("[purposes.marketing]")
    file.write_text(head + rest[rest.index("[suppression]") :].replace('["marketing"]', '["support"]'))
    refused = shop.run("policy", "apply", "changed.toml", "--yes")
    assert refused.exit_code == 4
    assert "name it (--end-purpose" in refused.stderr
    shop.done("policy", "apply", "changed.toml", "--yes", "--end-purpose", "marketing")
    assert "1 key of expired consents destroyed" in shop.done("retention", "run", "--yes", "--attended")
    assert shop.answer("check")["clean"] is True


def test_a_faulty_policy_is_refused_before_anything(shop: Shop, file: Path) -> None:
    write(shop, file, ("format = 1", "format = 2"))
    for command in ("diff", "apply"):
        assert shop.run("policy", command, "changed.toml").exit_code == 4


def test_a_reason_that_is_gone_can_still_be_lifted(shop: Shop, file: Path) -> None:
    shop.done("suppress", ACCOUNT, "--reason", "do-not-contact")
    notice = '[[notices]]\nversion = "2025-01"\nlanguage = "en"\naddress = "https://a"\nsha256 = "{}"\n\n[fields]'
    write(shop, file, ('do-not-contact = ["marketing"]', ""), ("[fields]", notice.format("5" * 64)),
          ('notice = "2024-01"\nlifetime = "395 days"\nretention = "6 months"',
           'notice = "2025-01"\nlifetime = "395 days"\nretention = "6 months"'))  # fmt: skip
    shop.done("policy", "apply", "changed.toml", "--yes")
    assert shop.run("suppress", "acct-2", "--reason", "do-not-contact").exit_code == 3
    assert shop.done("suppress", ACCOUNT, "--reason", "do-not-contact", "--lift") == "Lifted: do-not-contact.\n"
