"""The log on the command line: who did what, what is proved to others, and what a witness refuses."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

import consentprofile as cp
from consentprofile.cli.main import main
from consentprofile.tlog.checkpoint import open_checkpoint
from consentprofile.tlog.cosignature import verify_cosignature
from consentprofile.tlog.note import parse_key, parse_note
from consentprofile.tlog.tlog_proof import parse_tlog_proof, verify_tlog_proof
from tests.cli.conftest import ACCOUNT, SHOP, Shop

READ = ("--purpose", "support", "--actor", "support-agent:17")


def alone(*arguments: str) -> Result:
    """The command line without any store or key."""
    return CliRunner().invoke(main, list(arguments))


def lines(text: str) -> list[dict[str, object]]:
    return [msgspec.convert(json.loads(line), dict[str, object]) for line in text.splitlines()]


# ---- who did what -------------------------------------------------------------------------------


def test_the_trail_of_an_account_says_who_read_it_when_for_what_purpose_and_why(shop: Shop) -> None:
    shop.done("profile", ACCOUNT, *READ, "--reason", "ticket 1")
    shop.done("profile", "acct-2", *READ, "--reason", "ticket 2")
    shop.done("profile", ACCOUNT, "--purpose", "marketing", "--actor", "marketer:5")
    shown = lines(shop.done("audit", "log", "--account", ACCOUNT, "--json"))
    assert [(one["actor"], one["operation"], one["purpose"], one["reason"]) for one in shown] == [
        ("support-agent:17", "read", "support", "ticket 1"),
        ("marketer:5", "read", "marketing", ""),
        ("officer:unnamed", "audit-read", "", ""),
    ]
    narrowed = shop.done("audit", "log", "--account", "-", "--role", "marketer", "--json", stdin=ACCOUNT + "\n")
    assert [one["actor"] for one in lines(narrowed)] == ["marketer:5"]
    words = shop.done("audit", "log", "--account", ACCOUNT, "--operation", "read", "--purpose", "support")
    assert "2024-07-01 00:00:00  support-agent:17" in words
    assert "ticket 1" in words
    assert "ticket 2" not in words
    assert ACCOUNT not in words


def test_who_asks_for_a_trail_is_in_it_with_the_reason(shop: Shop) -> None:
    shop.done("audit", "log", "--account", ACCOUNT, "--by", "officer:ada", "--reason", "request 7")
    last = lines(shop.done("audit", "log", "--account", ACCOUNT, "--json"))[-2]
    assert (last["actor"], last["operation"], last["reason"]) == ("officer:ada", "audit-read", "request 7")


def test_after_an_erasure_there_is_no_trail(shop: Shop) -> None:
    shop.done("profile", ACCOUNT, *READ)
    shop.done("erase", ACCOUNT, "--yes")
    assert shop.done("audit", "log", "--account", ACCOUNT) == ""


def test_the_actor_book_says_what_somebody_did_and_names_no_account(shop: Shop) -> None:
    shop.done("profile", ACCOUNT, *READ, "--reason", "ticket 1")
    shop.done("profile", "acct-2", "--purpose", "marketing", "--actor", "marketer:5")
    shown = lines(shop.done("audit", "log", "--actor", "support-agent:17", "--json"))
    assert [(one["operation"], one["purpose"], one["reason"]) for one in shown] == [("read", "support", "ticket 1")]
    assert shop.done("audit", "log", "--actor", "support-agent:17", "--until", "2024-06-30") == ""
    assert shop.done("audit", "log", "--actor", "support-agent:17", "--from", "999999") == ""
    assert ACCOUNT not in shop.done("audit", "log", "--actor", "support-agent:17")
    asked = lines(shop.done("audit", "log", "--operation", "audit-read", "--json"))
    assert len(asked) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("--account", "a", "--actor", "officer:ada"),
        ("--by", "officer:ada"),
        ("--reason", "r"),
        ("--actor", "officer:ada", "--reason", "r"),
    ],
    ids=lambda arguments: " ".join(arguments[::2]),
)
def test_what_cannot_be_asked_together_is_wrong_usage_and_nothing_is_logged(
    shop: Shop, arguments: tuple[str, ...]
) -> None:
    before = shop.leaves()
    assert shop.run("audit", "log", *arguments).exit_code == 2
    assert shop.leaves() == before


# ---- verifying ----------------------------------------------------------------------------------


def test_verify_says_in_words_what_was_verified(shop: Shop) -> None:
    said = shop.done("audit", "verify")
    for word in ("leaves", "tree", "signed heads", "anchor", "keys", "Root "):
        assert word in said
    assert "only a checkpoint kept elsewhere helps" in said


def test_a_checkpoint_kept_elsewhere_is_extended_by_the_log_of_today(shop: Shop) -> None:
    shop.done("audit", "checkpoint", "--out", "kept")
    size = shop.leaves()
    shop.done("profile", ACCOUNT, *READ)
    assert shop.answer("audit", "verify", "--checkpoint", "kept")["extends"] == size
    assert f"extends the {size} leaves that it vouched for" in shop.done("audit", "verify", "--checkpoint", "kept")
    assert shop.run("audit", "checkpoint", "--out", "kept").exit_code == 3, "what was kept is never overwritten"


def test_a_checkpoint_that_the_log_does_not_extend_is_refused_with_6(shop: Shop, tmp_path: Path) -> None:
    """An old copy of the store is put back: whole in itself, it has not seen what the checkpoint vouches for."""
    shutil.copytree("store", tmp_path / "old")
    shop.done("profile", ACCOUNT, *READ)
    shop.done("audit", "checkpoint", "--out", "kept")
    refused = shop.run("--store", str(tmp_path / "old"), "audit", "verify", "--checkpoint", "kept")
    assert (refused.exit_code, refused.stdout) == (6, "")
    assert "fewer than" in refused.stderr


# ---- for outsiders ------------------------------------------------------------------------------


def test_origin_is_set_at_init_and_names_checkpoints_and_key(tmp_path: Path) -> None:
    common = ["--store", str(tmp_path / "store"), "--key-file", str(tmp_path / "k")]
    init = [*common, "init", "--policy", str(SHOP / "policy.toml"), "--origin"]
    refused = alone(*init, "two words")
    assert (refused.exit_code, list(tmp_path.iterdir())) == (3, [])
    made = alone(*init, "shop.example/log", "--json")
    public_key = json.loads(made.stdout)["public_key"]
    assert public_key.startswith("shop.example/log+")
    assert alone(*common, "audit", "public-key").stdout == public_key + "\n"
    assert alone(*common, "audit", "checkpoint").stdout.startswith("shop.example/log\n2\n")
    assert "public key of the audit log" in alone(*common, "init", "--help").stdout + made.stderr


def test_checkpoint_and_proof_verify_with_the_public_key_alone(shop: Shop) -> None:
    key = parse_key(shop.done("audit", "public-key").strip())
    head = open_checkpoint(shop.done("audit", "checkpoint").encode(), key)
    assert head.size == shop.leaves()
    assert "Written to 3.tlog-proof" in shop.done("audit", "prove", "3", "--out", "3.tlog-proof")
    proof = parse_tlog_proof(Path("3.tlog-proof").read_bytes())
    with cp.Store.open("store", key=cp.KeyFile("shop.key")) as store:
        (stored,) = store._session.ground.log.page(3, 1)
    assert verify_tlog_proof(proof, stored.body, key).size >= 4
    assert shop.run("audit", "prove", "999").exit_code == 3


def test_an_export_is_extended_and_names_nobody(shop: Shop) -> None:
    first = shop.answer("audit", "export", "--out", "log")
    assert first["size"] == shop.leaves()
    shop.done("profile", ACCOUNT, *READ)
    again = shop.answer("audit", "export", "--out", "log")
    assert again["size"] == shop.leaves()
    content = b"".join(path.read_bytes() for path in Path("log").rglob("*") if path.is_file())
    assert ACCOUNT.encode() not in content
    assert stat.S_ISREG((Path("log") / "checkpoint").stat().st_mode)


# ---- the witness --------------------------------------------------------------------------------


class Watched:
    """A shop whose log is exported, and a witness of it."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        shop.done("audit", "export", "--out", "log")
        shop.done("audit", "public-key", "--out", "log.pub")

    def witness(self, *more: str, folder: str = "log", at: str = "2024-07-02") -> Result:
        keys = ("--public-key", "@log.pub", "--witness-key", "w.key", "--state", "seen")
        return alone("--as-of", at, "audit", "witness", folder, *keys, *more)

    def grow(self) -> None:
        self.shop.done("profile", ACCOUNT, *READ)
        self.shop.done("audit", "export", "--out", "log")


@pytest.fixture
def watched(shop: Shop) -> Watched:
    return Watched(shop)


def test_a_witness_begins_once_and_then_cosigns_what_extends_what_it_saw(watched: Watched) -> None:
    begun = watched.witness("--init", "--name", "auditor.example/w1", "--json")
    assert begun.exit_code == 0, begun.output
    told = json.loads(begun.stdout)
    own = parse_key(told["witness_public_key"])
    assert stat.S_IMODE(Path("w.key").stat().st_mode) == 0o600
    assert told["witness_public_key"] in begun.stderr
    watched.grow()
    cosigned = watched.witness("--out", "cosigned")
    assert cosigned.exit_code == 0, cosigned.output
    assert f"extends the {told['size']} leaves seen" in cosigned.stdout
    note = parse_note(Path("cosigned").read_bytes())
    assert verify_cosignature(note, own) == 1719878400
    log_key = parse_key(Path("log.pub").read_text().strip())
    assert open_checkpoint(Path("cosigned").read_bytes(), log_key).size > told["size"]
    assert Path("seen").read_bytes() == Path("cosigned").read_bytes()
    assert watched.shop.run("audit", "verify", "--checkpoint", "cosigned").exit_code == 0
    again = watched.witness("--out", "cosigned", at="2024-07-03")
    assert again.exit_code == 0, "the same head may be cosigned again"
    assert watched.witness("--init").exit_code == 3, "but a witness begins only once"


def test_a_witness_refuses_a_log_that_was_set_back(watched: Watched) -> None:
    shutil.copytree("log", "old")
    watched.witness("--init", "--name", "w")
    watched.grow()
    assert watched.witness().exit_code == 0
    seen = Path("seen").read_bytes()
    refused = watched.witness(folder="old")
    assert (refused.exit_code, refused.stdout, "set back" in refused.stderr) == (6, "", True)
    assert Path("seen").read_bytes() == seen


def test_a_witness_refuses_a_fork_that_the_log_itself_has_signed(watched: Watched) -> None:
    """The store is copied, and each copy lives on by itself: two logs, both whole, both signed by the same key."""
    shutil.copytree("store", "other")
    watched.witness("--init", "--name", "w")
    watched.grow()
    assert watched.witness().exit_code == 0
    for _ in range(3):
        watched.shop.done("--store", "other", "profile", "acct-2", *READ)
    watched.shop.done("--store", "other", "audit", "export", "--out", "fork")
    assert watched.shop.run("--store", "other", "audit", "verify").exit_code == 0
    refused = watched.witness(folder="fork")
    assert (refused.exit_code, refused.stdout) == (6, "")
    assert "forked or rewritten" in refused.stderr


def test_what_a_witness_cannot_begin_with_leaves_nothing_behind(watched: Watched) -> None:
    before = watched.shop.names()
    assert watched.witness().exit_code == 3, "no state yet"
    assert watched.witness("--init").exit_code == 2, "no name for the key"
    assert watched.witness("--name", "w").exit_code == 2, "a name without --init"
    assert watched.witness("--init", "--name", "two words").exit_code == 3
    assert watched.witness("--init", "--name", "w", folder="nowhere").exit_code == 3
    foreign = alone(
        "audit", "witness", "log", "--public-key", "x+00000000+AAAA", "--witness-key", "w.key", "--state", "seen",
        "--init", "--name", "w",
    )  # fmt: skip
    assert foreign.exit_code == 6
    assert watched.shop.names() == before
