"""``release approve``, ``disapprove`` and ``list``: an officer's yes, on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consentprofile.cli import output
from consentprofile.cli.main import main
from tests.cli.conftest import SHOP, Shop

ADA = ("--actor", "officer:ada")
BEN = ("--actor", "marketer:ben", "--out", "out", "--plain")


@pytest.fixture
def asking(shop: Shop) -> Shop:
    """A store of the example shop that has come to ask for approval."""
    text = (SHOP / "policy.toml").read_text().replace('cadence = "7 days" }', 'cadence = "7 days", approval = true }')
    Path("asking.toml").write_text(text)
    said = shop.done("policy", "apply", "asking.toml", "--yes")
    assert "need the approval of an officer" in said
    return shop


def on_a_terminal(shop: Shop, answer: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "is_terminal", lambda stream: stream is sys.stdin)
        return shop.run("release", "approve", "reach.toml", *ADA, stdin=answer)


def test_without_an_approval_a_release_is_refused_and_says_what_to_do(asking: Shop) -> None:
    result = asking.run("release", "reach.toml", *BEN)
    assert (result.exit_code, result.stdout) == (9, "")
    assert "release approve SPEC --actor officer:NAME" in result.stderr
    assert not Path("out").exists()
    assert "needed: an officer gives it" in asking.done("release", "plan", "reach.toml")
    assert asking.answer("release", "plan", "reach.toml")["approved"] is False


def test_an_officer_approves_what_is_shown_and_somebody_else_releases_it(asking: Shop) -> None:
    said = asking.done("release", "approve", "reach.toml", *ADA, "--reason", "board meeting", "--yes")
    digest = asking.answer("release", "plan", "reach.toml")["digest"]
    for word in (
        "reach for analytics, by platform",
        "kind add_to_cart or purchase",
        "at least 10 accounts",
        str(digest),
    ):
        assert word in said
    assert "no figure" not in said
    assert "given by an officer" in asking.done("release", "plan", "reach.toml")
    own = asking.run("release", "reach.toml", *ADA, "--out", "out")
    assert (own.exit_code, Path("out").exists()) == (9, False)
    nameless = asking.run("release", "reach.toml", "--out", "out")
    assert nameless.exit_code == 9
    assert "say who asks (--actor ROLE:NAME)" in nameless.stderr
    assert "Release 1 is in out" in asking.done("release", "reach.toml", *BEN)
    log = [json.loads(line) for line in asking.done("audit", "log", "--role", "marketer", "--json").splitlines()]
    assert [leaf["operation"] for leaf in log] == ["released"]
    book = asking.done("audit", "log", "--actor", "officer:ada", "--json")
    acts = [(act["operation"], act["reason"]) for act in map(json.loads, book.splitlines())]
    assert acts == [("release-planned", ""), ("release-approved", "board meeting")]


def test_approvals_that_wait_are_listed_until_they_are_used_or_taken_back(asking: Shop) -> None:
    given = asking.answer("release", "approve", "reach.toml", *ADA, "--yes")["approval"]
    assert isinstance(given, dict)
    said = asking.done("release", "list")
    assert "Nothing has been released." in said
    assert "approved 2024-07-01 00:00 by officer:ada" in said.split("Approved, and not released yet:")[1]
    assert asking.answer("release", "list") == {"releases": [], "approvals": [given]}
    taken = asking.answer("release", "disapprove", str(given["number"]), "--actor", "officer:bob", "--reason", "a slip")
    assert taken == {"disapproved": given}
    assert asking.answer("release", "list") == {"releases": [], "approvals": []}
    assert asking.run("release", "reach.toml", *BEN).exit_code == 9
    again = asking.run("release", "disapprove", str(given["number"]), *ADA)
    assert (again.exit_code, again.stdout) == (3, "")
    assert "release list" in again.stderr
    asking.done("release", "approve", "reach.toml", *ADA, "--yes")
    asking.done("release", "reach.toml", *BEN)
    listed = asking.done("release", "list")
    assert "threshold, at least 10; released 2024-07-01 00:00, role marketer" in listed
    assert "Approved" not in listed


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_asks(asking: Shop, answer: str, code: int) -> None:
    result = on_a_terminal(asking, answer)
    assert result.exit_code == code
    assert ("Nothing was changed." in result.stderr) is (code == 1)
    assert asking.answer("release", "plan", "reach.toml")["approved"] is (code == 0)


REFUSED = (
    ("nobody can be asked", ("approve", "reach.toml", *ADA), 2, "this approves what it shows"),
    ("no officer is named", ("approve", "reach.toml", "--yes"), 2, "--actor"),
    ("another role", ("approve", "reach.toml", "--actor", "marketer:ben", "--yes"), 7, "only an officer"),
    ("nobody by name", ("approve", "reach.toml", "--actor", "officer:unnamed", "--yes"), 3, "which officer"),
    ("a file that is no specification", ("approve", "asking.toml", *ADA, "--yes"), 9, "the release specification has"),
    ("a word for a number", ("disapprove", "first", *ADA), 2, "whole number"),
    ("no such number", ("disapprove", "9999999", *ADA), 3, "no approval stands"),
)


@pytest.mark.parametrize(("words", "code", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_refused_approves_nothing(asking: Shop, words: tuple[str, ...], code: int, said: str) -> None:
    result = asking.run("release", *words)
    assert result.exit_code == code
    assert said in result.stderr
    assert asking.answer("release", "plan", "reach.toml")["approved"] is False


def test_where_the_policy_does_not_ask_nothing_is_approved(shop: Shop) -> None:
    result = shop.run("release", "approve", "reach.toml", *ADA)
    assert result.exit_code == 9
    assert "asks for no approval" in result.stderr
    assert "not needed" in shop.done("release", "plan", "reach.toml")


def test_a_capability_approves_nothing(asking: Shop) -> None:
    asking.done("keys", "capability", "--purpose", "analytics", "--role", "app", "--out", "cap")
    common = ("--store", "store", "--capability", "cap", "--as-of", "2024-07-01")
    for words in (("approve", "reach.toml", *ADA, "--yes"), ("disapprove", "1", *ADA), ("list",)):
        result = CliRunner().invoke(main, [*common, "release", *words])
        assert result.exit_code == 7, words
