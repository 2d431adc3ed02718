"""On a terminal it asks, shows progress and sets colours; elsewhere it does none of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from consentprofile.cli import output
from consentprofile.cli.main import main
from tests.cli.conftest import ACCOUNT, SHOP, Shop


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody is looking."""
    monkeypatch.setattr(output, "is_terminal", lambda stream: True)
    return iter(())


@pytest.mark.usefixtures("terminal")
def test_erase_asks_and_a_no_changes_nothing(shop: Shop) -> None:
    before = shop.leaves()
    declined = shop.run("erase", ACCOUNT, stdin="n\n")
    assert declined.exit_code == 1
    assert "Destroy 3 keys" in declined.stderr
    assert "Nothing was changed." in declined.stderr
    assert shop.leaves() == before
    assert shop.run("erase", ACCOUNT, stdin="y\n").exit_code == 0
    assert shop.leaves() > before


@pytest.mark.usefixtures("terminal")
def test_withdrawal_asks_and_a_no_changes_nothing(shop: Shop) -> None:
    command = ("consent", "withdraw", ACCOUNT, "--purpose", "support")
    assert shop.run(*command, stdin="n\n").exit_code == 1
    assert "given" in shop.done("consent", "show", ACCOUNT)
    assert shop.run(*command, stdin="y\n").exit_code == 0
    assert "withdrawn" in shop.done("consent", "show", ACCOUNT)


@pytest.mark.usefixtures("terminal")
def test_input_that_ends_at_a_question_is_an_interruption(shop: Shop) -> None:
    ended = shop.run("erase", ACCOUNT, stdin="")
    assert ended.exit_code == 130
    assert "interrupted" in ended.stderr


@pytest.mark.usefixtures("terminal")
def test_a_store_can_be_kept_under_a_passphrase(tmp_path: Path) -> None:
    secret = "correct horse battery staple"
    common = ["--store", str(tmp_path / "store"), "--ask-passphrase"]
    init = [*common, "init", "--policy", str(SHOP / "policy.toml")]
    made = CliRunner().invoke(main, init, input=f"{secret}\n{secret}\n")
    assert made.exit_code == 0, made.output
    assert secret not in made.output
    assert CliRunner().invoke(main, [*common, "audit", "verify"], input=f"{secret}\n").exit_code == 0
    assert CliRunner().invoke(main, [*common, "audit", "verify"], input="something else\n").exit_code == 5


@pytest.mark.usefixtures("terminal")
def test_a_capability_sealed_by_a_passphrase_asks_for_it(shop: Shop) -> None:
    secret = "correct horse battery staple"
    issue = ("keys", "capability", "--purpose", "support", "--role", "support-agent", "--out", "support.cap")
    told = shop.run(*issue, "--passphrase", stdin=f"{secret}\n{secret}\n")
    assert told.exit_code == 0, told.output
    assert secret not in told.output
    service = ["--store", "store", "--capability", "support.cap", "statistics"]
    assert CliRunner().invoke(main, service, input=f"{secret}\n").exit_code == 0
    assert CliRunner().invoke(main, service, input="something else\n").exit_code == 5


@pytest.mark.usefixtures("terminal")
def test_a_short_passphrase_makes_nothing(tmp_path: Path) -> None:
    init = ["--store", str(tmp_path / "store"), "--ask-passphrase", "init", "--policy", str(SHOP / "policy.toml")]
    assert CliRunner().invoke(main, init, input="short\nshort\n").exit_code == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("terminal")
def test_progress_is_on_standard_error_and_json_stays_alone(shop: Shop) -> None:
    result = shop.run("import", "events.csv", "--mapping", "mapping.toml", "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1


def test_a_pipe_gets_neither_colour_nor_progress(shop: Shop) -> None:
    result = shop.run("import", "events.csv", "--mapping", "mapping.toml")
    assert result.stderr == ""
    assert "\x1b" not in result.stdout + shop.run("policy", "show").stdout


@pytest.mark.usefixtures("terminal")
def test_what_others_wrote_sets_no_colours_and_is_no_markup(shop: Shop) -> None:
    said = shop.done(
        "consent", "give", "a", "--purpose", "support", "--notice", "2024-01", "--method", "[red]`m`[/red]"
    )
    assert "given" in said
    assert "[red]`m`[/red]" in shop.done("consent", "show", "a")


@pytest.mark.usefixtures("terminal")
def test_a_recovery_copy_makes_the_key_file_again(shop: Shop) -> None:
    secret = "correct horse battery staple"
    line = Path("shop.key").read_text()
    told = shop.run("keys", "recovery", "--out", "shop.recovery", stdin=f"{secret}\n{secret}\n")
    assert told.exit_code == 0, told.output
    assert "one more copy of the key" in told.stderr.replace("\n", " ")
    assert secret not in told.output
    Path("shop.key").unlink()
    recover = ["keys", "recover", "shop.recovery", "--key-file", "shop.key"]
    assert CliRunner().invoke(main, recover, input="something else\n").exit_code == 5
    assert not Path("shop.key").exists()
    assert CliRunner().invoke(main, recover, input=f"{secret}\n").exit_code == 0
    assert Path("shop.key").read_text() == line
    assert CliRunner().invoke(main, recover, input=f"{secret}\n").exit_code == 3


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("keys", "recovery", "--out", "more"), 7),
        (("keys", "capability", "--purpose", "support", "--role", "app", "--out", "more", "--passphrase"), 7),
        (("keys", "rotate", "--new-passphrase"), 7),
        (("keys", "recover", "support.cap", "--key-file", "more"), 5),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
@pytest.mark.usefixtures("terminal")
def test_what_is_refused_is_refused_before_a_new_passphrase_is_asked_for(
    shop: Shop, command: tuple[str, ...], code: int
) -> None:
    shop.done("keys", "capability", "--purpose", "support", "--role", "support-agent", "--out", "support.cap")
    common = () if command[1] == "recover" else ("--store", "store", "--capability", "support.cap")
    told = CliRunner().invoke(main, [*common, *command], input="")
    assert told.exit_code == code, told.output
    assert "assphrase:" not in told.output
    assert "more" not in shop.names()


@pytest.mark.usefixtures("terminal")
def test_restore_shows_what_it_would_do_and_a_no_changes_nothing(shop: Shop) -> None:
    shop.done("backup", "--out", "data.backup")
    before = shop.leaves()
    declined = shop.run("restore", "--data", "data.backup", stdin="n\n")
    assert (declined.exit_code, "Nothing was changed." in declined.stderr) == (1, True)
    assert "of dead keys, purged" in declined.stdout
    assert shop.leaves() == before
    assert shop.run("restore", "--data", "data.backup", stdin="y\n").exit_code == 0
    assert shop.leaves() == before + 1
