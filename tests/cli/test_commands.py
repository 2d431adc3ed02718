"""Each command does what its help says, for people and for programs."""

from __future__ import annotations

import json
import stat
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

import consentprofile as cp
from consentprofile.cli.main import main
from tests.cli.conftest import ACCOUNT, SHOP, Shop

READ = ("--purpose", "support", "--actor", "support-agent:17")
NEXT_DAY = ("--as-of", "2024-07-02")


def test_init_makes_store_and_key_and_says_what_must_not_be_lost(tmp_path: Path) -> None:
    store, key = tmp_path / "store", tmp_path / "k"
    made = CliRunner().invoke(
        main, ["init", "--policy", str(SHOP / "policy.toml"), "--store", str(store), "--key-file", str(key)]
    )
    assert made.exit_code == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "whoever loses it has lost everything" in made.stderr.replace("\n", " ")
    assert "Keep a copy of it offline" in made.stderr
    with cp.Store.open(store, key=cp.KeyFile(key)) as opened:
        assert list(opened.policy.purposes) == ["support", "analytics", "marketing"]


def test_a_key_of_keys_new_opens_a_store_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = CliRunner().invoke(main, ["keys", "new"])
    assert key.stdout.startswith("consentprofile-key-1:")
    assert "without it nobody can" in key.stderr
    monkeypatch.setenv("SHOP_KEY", key.stdout.strip())
    common = ["--store", str(tmp_path / "store"), "--key-env", "SHOP_KEY"]
    made = CliRunner().invoke(main, [*common, "init", "--policy", str(SHOP / "policy.toml")])
    assert made.exit_code == 0, made.output
    assert CliRunner().invoke(main, [*common, "audit", "verify"]).exit_code == 0
    assert key.stdout.strip() not in made.output


def test_shared_options_after_the_command_win_over_those_before_it_and_these_over_the_environment(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_STORE", "nowhere")
    monkeypatch.setenv("CONSENTPROFILE_KEY_FILE", "nowhere.key")
    assert shop.run("statistics").exit_code == 0
    assert shop.run("statistics", "--store", "elsewhere").exit_code == 8
    monkeypatch.setenv("CONSENTPROFILE_STORE", "store")
    monkeypatch.setenv("CONSENTPROFILE_KEY_FILE", "shop.key")
    assert CliRunner().invoke(main, ["statistics"]).exit_code == 0


def test_the_policy_is_shown_in_plain_words_from_a_file_or_from_the_store(shop: Shop) -> None:
    words = shop.done("policy", "show")
    assert words == shop.done("policy", "show", "policy.toml")
    assert "Help you when you contact us" in words
    assert shop.answer("policy", "show")["time_zone"] == "UTC"


def test_policy_check_names_every_fault_and_leaves_with_4(shop: Shop) -> None:
    assert shop.done("policy", "check", "policy.toml").startswith("The policy is sound: 3 purposes")
    Path("faulty.toml").write_text('format = 1\ntime_zone = "Nowhere"\n')
    found = shop.run("policy", "check", "faulty.toml")
    assert found.exit_code == 4
    assert "faulty.toml: time_zone" in found.stderr
    assert "faulty.toml: purposes" in found.stderr
    assert found.stdout == ""
    answer = shop.run("policy", "check", "faulty.toml", "--json")
    assert answer.exit_code == 4
    assert json.loads(answer.stdout)["valid"] is False
    assert len(json.loads(answer.stdout)["faults"]) == found.stderr.count("faulty.toml:")


def test_consent_is_given_renewed_withdrawn_and_shown_with_its_evidence(shop: Shop) -> None:
    noted = ("--notice", "2024-01", "--method", "phone call")
    assert "given" in shop.done("consent", "give", "acct-3", "--purpose", "support", "--purpose", "marketing", *noted)
    renewed = shop.answer("consent", "renew", "acct-3", "--purpose", "support", "--notice", "2024-01", *NEXT_DAY)
    assert msgspec.convert(renewed, dict[str, dict[str, object]])["support"]["state"] == "renewed"
    assert "withdrawn" in shop.done("consent", "withdraw", "acct-3", "--purpose", "support", "--yes", *NEXT_DAY)
    no = shop.done("consent", "refuse", "acct-3", "--purpose", "marketing", "--notice", "2024-01", "--yes", *NEXT_DAY)
    assert "withdrawn" in no
    shown = shop.done("consent", "show", "acct-3")
    assert [word for word in ("give", "renew", "withdraw", "refuse") if word not in shown] == []
    assert "phone call" in shown


def test_importing_again_adds_nothing(shop: Shop) -> None:
    before = shop.answer("profile", ACCOUNT, *READ)
    assert shop.answer("import", "events.csv", "--mapping", "mapping.toml")["rows"] == 3
    assert shop.answer("consent", "import", "consents.csv")["changed"] == {}
    assert shop.answer("profile", ACCOUNT, *READ) == before


def test_bad_rows_go_to_the_rejects_file_and_the_rest_is_recorded(shop: Shop) -> None:
    rows = Path("events.csv").read_text().splitlines()
    bad = rows[1].replace("home", "sneeze")
    Path("mixed.csv").write_text("\n".join([rows[0], bad, rows[1].replace("10:00:00", "10:00:01")]) + "\n")
    done = shop.run("import", "mixed.csv", "--mapping", "mapping.toml", "--rejects", "rejects.csv")
    assert done.exit_code == 1
    assert "1 row was refused" in done.stderr
    assert "2 events read" in done.stdout
    assert Path("rejects.csv").read_text().splitlines()[1].startswith("2,")
    assert ACCOUNT not in done.output + Path("rejects.csv").read_text()
    again = shop.run("import", "mixed.csv", "--mapping", "mapping.toml", "--rejects", "rejects.csv")
    assert again.exit_code == 3, "a file of rejects is never overwritten"


def test_events_come_from_standard_input_too(shop: Shop) -> None:
    rows = Path("events.csv").read_bytes().replace(b"10:00:00", b"10:30:00")
    assert "3 events read" in shop.done("import", "-", "--mapping", "mapping.toml", stdin=rows)


def test_a_profile_is_read_with_its_events_and_the_reading_is_logged(shop: Shop) -> None:
    before = shop.leaves()
    shown = shop.done("profile", ACCOUNT, *READ, "--reason", "ticket 1", "--events")
    assert "desktop 1, mobile 1" in shown
    assert "web desktop → web mobile" in shown
    assert "2024-03-03 10:05:00   purchase" in shown
    assert shop.leaves() == before + 2


def test_an_account_may_come_from_standard_input(shop: Shop) -> None:
    assert shop.done("profile", "-", *READ, stdin=ACCOUNT + "\n") == shop.done("profile", ACCOUNT, *READ)


@pytest.mark.parametrize("account", ["nobody", "acct-2"], ids=["unknown", "without consent"])
def test_nothing_to_see_looks_the_same_whatever_the_reason(shop: Shop, account: str) -> None:
    read = ("--purpose", "marketing", "--actor", "marketer:5")
    assert shop.done("profile", account, *read) == "There is nothing to see for this purpose.\n"
    assert shop.answer("profile", account, *read, "--events") == {"profile": None, "events": None}


def test_access_writes_everything_for_its_owner_alone(shop: Shop) -> None:
    said = shop.done("access", ACCOUNT, "--out", "answer", "--reason", "request 7")
    written = Path("answer/access.json")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.parent.stat().st_mode) == 0o700
    assert [path.name for path in written.parent.iterdir()] == ["access.json"]
    held = json.loads(written.read_text())
    assert held["account"] == ACCOUNT
    assert {name: len(one["events"]) for name, one in held["compartments"].items()} == {"support": 2, "marketing": 1}
    assert "3 events for 2 purposes" in said
    assert ACCOUNT not in said


def test_access_never_overwrites_and_then_reads_nothing_either(shop: Shop) -> None:
    Path("answer").mkdir()
    Path("answer/access.json").write_text("mine")
    before = shop.leaves()
    refused = shop.run("access", ACCOUNT, "--out", "answer")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert Path("answer/access.json").read_text() == "mine"
    assert shop.leaves() == before


def test_a_dry_run_says_what_would_be_destroyed_and_changes_nothing(shop: Shop) -> None:
    before, profile = shop.leaves(), shop.answer("profile", ACCOUNT, *READ)
    said = shop.done("erase", ACCOUNT, "nobody", "--dry-run")
    assert said.splitlines() == [
        "2 accounts named, 1 of them known: 3 keys to destroy (marketing, support).",
        "Nothing was changed: this was a dry run.",
    ]
    assert shop.leaves() == before + 1, "the reading of the profile, and nothing else"
    assert shop.answer("profile", ACCOUNT, *READ) == profile


def test_erase_takes_accounts_from_the_command_line_a_file_and_standard_input(shop: Shop) -> None:
    Path("accounts.txt").write_text(f"{ACCOUNT}\r\n\nnobody\n")
    erased = shop.answer("erase", "acct-2", "--from-file", "accounts.txt", "--yes", "--reference", "request 7")
    found = msgspec.convert(erased, dict[str, object])
    assert found["dry_run"] is False
    (done,) = msgspec.convert(erased["erasures"], list[dict[str, object]])
    assert done["found"] == 2
    assert done["file"] is None
    assert isinstance(done["key_ids"], list)
    assert len(done["key_ids"]) == 5
    assert done["reference_salt"]
    assert shop.answer("profile", ACCOUNT, *READ) == {"profile": None}
    assert "1 account named, 0 of them known: 0 keys" in shop.done("erase", "--from-file", "-", "--yes", stdin=ACCOUNT)


def test_a_suppression_switches_off_and_is_lifted(shop: Shop) -> None:
    assert shop.done("suppress", ACCOUNT, "--reason", "do-not-contact") == "Switched off: marketing.\n"
    assert "it was so already" in shop.done("suppress", ACCOUNT, "--reason", "do-not-contact")
    read = ("profile", ACCOUNT, "--purpose", "marketing", "--actor", "marketer:5")
    assert shop.answer(*read) == {"profile": None}
    assert shop.done("suppress", ACCOUNT, "--reason", "do-not-contact", "--lift") == "Lifted: marketing.\n"
    assert shop.answer(*read) != {"profile": None}


def test_release_and_its_plan_are_both_one_word_away(shop: Shop) -> None:
    plan = shop.answer("release", "plan", "reach.toml")
    assert plan["min_accounts"] == 10
    assert not Path("out").exists()
    assert "Release 1 is in out" in shop.done("release", "reach.toml", "--out", "out")
    published, beside = {"data.csv", "data.json", "manifest.json"}, {"data.parquet", "derived.json"}
    assert {path.name for path in Path("out").iterdir()} == published | beside | {"picture.png", "picture.svg"}
    shop.done("release", "reach.toml", "--plain", "--out", "plain")
    assert {path.name for path in Path("plain").iterdir()} == published
    assert "same bytes" in shop.done("release", "--out", "again", "reach.toml")
    assert Path("again/data.csv").read_bytes() == Path("out/data.csv").read_bytes()
    assert "release plan" in shop.done("release", "--help")


def test_what_was_released_is_listed_without_figures_and_shown_with_them(shop: Shop) -> None:
    assert shop.done("release", "list") == "Nothing has been released.\n"
    shop.done("release", "reach.toml", "--out", "out")
    shown = {"number": 1, "purpose": "analytics", "measure": "reach", "by": ["platform"], "min_accounts": 10}
    shown |= {"terms": {}, "protection": "threshold", "hour": "2024-07-01T00:00:00Z", "role": "officer"}
    shown |= {"since": "2024-01-01T00:00:00Z", "until": "2024-07-01T00:00:00Z"}
    shown |= {"where": {"kind": ["add_to_cart", "purchase"]}}
    assert shop.answer("release", "list") == {"releases": [shown], "approvals": []}
    said = shop.done("release", "list")
    assert "reach for analytics, by platform; only kind add_to_cart or purchase" in said
    assert "2024-01-01 to 2024-07-01; threshold, at least 10; released 2024-07-01 00:00, role officer" in said
    assert "already, by release 1" in shop.done("release", "plan", "reach.toml")
    by_number, by_folder = shop.answer("release", "show", "1"), shop.answer("release", "show", "out")
    assert by_number == by_folder
    assert by_number["rows"] == [["desktop", None], ["mobile", None], ["tablet", None]]


def test_two_questions_of_one_measure_are_told_apart_in_the_list(shop: Shop) -> None:
    for name, steps in (("one", '"add_to_cart", "purchase"'), ("two", '"purchase", "add_to_cart"')):
        text = Path("reach.toml").read_text().replace('"reach"', f'"funnel"\nsteps = [{steps}]')
        Path(f"{name}.toml").write_text(text.replace('by = ["platform"]\n', ""))
        shop.done("release", f"{name}.toml", "--plain", "--out", name)
    first, second = (line for line in shop.done("release", "list").splitlines() if "funnel for analytics" in line)
    assert "steps add_to_cart, purchase" in first
    assert "steps purchase, add_to_cart" in second


def test_a_long_list_is_cut_in_words_and_whole_in_json(shop: Shop) -> None:
    text = Path("reach.toml").read_text().replace('"reach"', '"retention"\nevery = "month"')
    Path("back.toml").write_text(
        text.replace('by = ["platform"]\n', "").split("where")[0] + '[protection]\nkind = "threshold"\n'
    )
    said = " ".join(shop.done("release", "plan", "back.toml").split())
    assert "filter_results and 13 more" in said
    terms = shop.answer("release", "plan", "back.toml")["terms"]
    assert isinstance(terms, dict)
    assert len(terms["start"]) == 21


@pytest.mark.parametrize("words", [(), ("nowhere.toml", "--out", "out"), ("reach.toml",), ("--out", "out")])
def test_wrong_usage_points_to_the_help_that_there_is(shop: Shop, words: tuple[str, ...]) -> None:
    result = shop.run("release", *words)
    assert result.exit_code == 2
    assert result.stderr.endswith("see `consentprofile release --help`\n")
    assert "no such command" not in result.stderr


def test_a_folder_of_figures_is_shown_without_store_and_key(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.done("release", "reach.toml", "--out", "out")
    monkeypatch.setattr("consentprofile.Store.open", None)
    Path("out").rename("7")
    said = shop.done("release", "show", "./7")
    assert "no figure" in said.split("tablet")[1]
    assert shop.run("release", "show", "7").exit_code != 0, "a number is one of the store"


def test_what_others_wrote_into_a_folder_does_not_steer_the_terminal(shop: Shop) -> None:
    shop.done("release", "reach.toml", "--out", "out")
    data = Path("out/data.json").read_bytes().replace(b"tablet", b"\\u001b[2Jtablet")
    manifest = json.loads(Path("out/manifest.json").read_bytes())
    manifest["files"]["data.json"] = sha256(data).hexdigest()
    manifest["spec"] |= {"where": {"kind\x1b[1m": ["\x1b[5mlogin"]}, "segments": [{"name": "\x07many", "all": []}]}
    Path("out/data.json").write_bytes(data)
    Path("out/manifest.json").write_text(json.dumps(manifest))
    said = shop.done("release", "show", "out")
    assert "?[2Jtablet" in said
    assert "segments    ?many" in said
    assert "\x1b" not in said + shop.run("release", "show", "out").stderr
    assert "\x07" not in said


@pytest.mark.parametrize("named", ["2", "0", "99999999999999999999", "nowhere"])
def test_what_is_no_release_is_not_shown(shop: Shop, named: str) -> None:
    shop.done("release", "reach.toml", "--out", "out")
    result = shop.run("release", "show", named)
    assert (result.exit_code, result.stdout) == (3, "")
    assert named not in result.stderr


def test_a_release_whose_bytes_were_changed_is_not_shown(shop: Shop) -> None:
    shop.done("release", "reach.toml", "--out", "out")
    Path("out/data.csv").write_bytes(b"platform,accounts\nmobile,1000\n")
    result = shop.run("release", "show", "out")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "manifest" in result.stderr


def test_the_log_is_a_stream_that_can_be_narrowed(shop: Shop) -> None:
    everything = [json.loads(line) for line in shop.done("audit", "log", "--json").splitlines()]
    assert [leaf["sequence"] for leaf in everything] == list(range(len(everything)))
    given = [leaf for leaf in everything if leaf["operation"] == "consent-given" and leaf["purpose"] == "support"]
    narrowed = shop.done(
        "audit", "log", "--operation", "consent-given", "--purpose", "support", "--role", "app", "--json"
    )
    assert [json.loads(line) for line in narrowed.splitlines()] == given
    assert len(shop.done("audit", "log", "--from", "2").splitlines()) == len(everything) - 2
    assert shop.done("audit", "log", "--until", "2024-06-30") == ""
    assert len(shop.done("audit", "log", "--since", "2024-07-01T00:59:59Z").splitlines()) == len(everything)
    assert ACCOUNT not in shop.done("audit", "log") + narrowed


def test_check_and_statistics_say_what_there_is(shop: Shop) -> None:
    said = shop.done("check")
    assert "All is as it was written." in said
    assert "What no check can know:" in said
    assert shop.answer("check", "--repair")["clean"] is True
    assert shop.answer("statistics")["support"] == {"recorded": 3}


def test_a_keyring_backup_is_for_its_owner_alone_and_never_overwrites(shop: Shop) -> None:
    said = shop.run("keys", "backup", "keys-backup.db")
    assert said.exit_code == 0
    assert "for days, not months" in said.stderr.replace("\n", " ")
    assert stat.S_IMODE(Path("keys-backup.db").stat().st_mode) == 0o600
    assert shop.run("keys", "backup", "keys-backup.db").exit_code == 3


@pytest.mark.parametrize(
    "command",
    [
        ("policy", "check", "policy.toml"),
        ("policy", "show"),
        ("consent", "give", "a", "--purpose", "support", "--notice", "2024-01", "--method", "m"),
        ("consent", "refuse", "a", "--purpose", "support", "--notice", "2024-01", "--yes"),
        ("consent", "renew", "a", "--purpose", "support", "--notice", "2024-01"),
        ("consent", "withdraw", "a", "--purpose", "support", "--yes"),
        ("consent", "show", ACCOUNT),
        ("consent", "import", "consents.csv"),
        ("import", "events.csv", "--mapping", "mapping.toml"),
        ("profile", ACCOUNT, *READ),
        ("access", ACCOUNT, "--out", "answer"),
        ("erase", ACCOUNT, "--yes"),
        ("suppress", ACCOUNT, "--reason", "deceased"),
        ("release", "reach.toml", "--out", "out"),
        ("release", "plan", "reach.toml"),
        ("release", "list"),
        ("audit", "verify"),
        ("audit", "checkpoint"),
        ("audit", "prove", "3"),
        ("audit", "export", "--out", "log"),
        ("audit", "public-key"),
        ("statistics",),
        ("check",),
        ("keys", "new"),
        ("keys", "backup", "b.db"),
    ],
    ids=lambda command: " ".join(word for word in command[:2] if "." not in word),
)
def test_with_json_there_is_one_document_and_nothing_else(shop: Shop, command: tuple[str, ...]) -> None:
    result = shop.run(*command, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    assert isinstance(json.loads(result.stdout), dict)
    assert shop.run("--json", *command).stdout.count("\n") <= 1, "the option may stand before the command too"
