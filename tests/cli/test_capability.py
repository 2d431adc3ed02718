"""``keys capability`` and ``--capability``: a service's command line does what its file opens, and nothing else."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consentprofile.cli.main import main
from tests.cli.conftest import ACCOUNT, Shop


@pytest.fixture
def capability(shop: Shop) -> Path:
    """A capability for "support"."""
    shop.done("keys", "capability", "--purpose", "support", "--role", "support-agent", "--out", "support.cap")
    return shop.folder / "support.cap"


def service(*arguments: str, stdin: str | None = None) -> Result:
    """The command line of a service that has the capability and no key."""
    common = ("--store", "store", "--capability", "support.cap", "--as-of", "2024-07-01")
    return CliRunner().invoke(main, [*common, *arguments], input=stdin)


READ = ("profile", ACCOUNT, "--purpose", "support", "--actor", "support-agent:17")


def test_a_capability_is_issued_and_said_to_be_a_key(shop: Shop) -> None:
    issue = ("keys", "capability", "--purpose", "support", "--purpose", "marketing", "--role", "app")
    told = shop.run(*issue, "--out", "service.cap")
    assert told.exit_code == 0
    assert told.stdout == "The capability is in service.cap: it opens support, marketing for the role app.\n"
    assert "until the keys are rotated" in told.stderr
    assert stat.S_IMODE((shop.folder / "service.cap").stat().st_mode) == 0o600
    answer = shop.answer(*issue, "--out", "another.cap")
    found = answer["capability"]
    assert isinstance(found, dict)
    assert (answer["file"], found["purposes"], found["role"]) == ("another.cap", ["support", "marketing"], "app")
    assert shop.run(*issue, "--out", "another.cap").exit_code == 3


@pytest.mark.usefixtures("capability")
def test_a_service_reads_what_the_key_reads(shop: Shop) -> None:
    told = service(*READ)
    assert told.exit_code == 0, told.output
    assert told.stdout == shop.done(*READ)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("profile", ACCOUNT, "--purpose", "marketing", "--actor", "marketer:1"), 7),
        (("profile", ACCOUNT, "--purpose", "support", "--actor", "marketer:1"), 7),
        (("consent", "show", ACCOUNT), 7),
        (("erase", ACCOUNT, "--yes"), 7),
        (("import", "events.csv", "--mapping", "mapping.toml"), 7),
        (("audit", "verify"), 7),
        (("keys", "capability", "--purpose", "support", "--role", "support-agent", "--out", "more.cap"), 7),
        (("statistics",), 0),
        (("audit", "log"), 0),
        (("compact",), 0),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
@pytest.mark.usefixtures("capability")
def test_a_service_does_what_its_file_opens(shop: Shop, command: tuple[str, ...], code: int) -> None:
    before = shop.names()
    told = service(*command)
    assert told.exit_code == code, told.output
    assert ACCOUNT not in told.stderr
    assert shop.names() == before


def test_the_file_may_be_named_in_the_environment(
    shop: Shop, capability: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_STORE", "store")
    monkeypatch.setenv("CONSENTPROFILE_CAPABILITY", str(capability))
    assert CliRunner().invoke(main, ["--as-of", "2024-07-01", *READ]).exit_code == 0
    monkeypatch.setenv("CONSENTPROFILE_KEY_FILE", "shop.key")
    both = CliRunner().invoke(main, list(READ))
    assert both.exit_code == 2
    assert "name one key" in both.stderr
    nearer = CliRunner().invoke(main, ["--key-file", "shop.key", "--as-of", "2024-07-01", "audit", "verify"])
    assert nearer.exit_code == 0, "an option wins over the environment"
    assert shop.run("--capability", str(capability), "statistics").exit_code == 2


def test_a_capability_makes_no_store(shop: Shop, capability: Path) -> None:
    made = CliRunner().invoke(
        main, ["--store", "new", "--capability", str(capability), "init", "--policy", "policy.toml"]
    )
    assert made.exit_code == 5
    assert "new" not in shop.names()


@pytest.mark.usefixtures("capability")
def test_the_log_tells_of_it(shop: Shop) -> None:
    entries = [json.loads(line) for line in shop.done("audit", "log", "--json").splitlines()]
    assert [(one["operation"], one["purpose"], one["role"]) for one in entries][-1] == (
        "capability-issued",
        "support",
        "support-agent",
    )
