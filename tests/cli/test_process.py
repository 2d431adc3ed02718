"""The program as a process: its entry points, its exit, and its manners in a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ACCOUNT, ROOT, Shop

PROGRAM = (sys.executable, "-m", "consentprofile")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, env=environment(**more), timeout=60, check=False
    )


def test_the_help_names_the_commands_and_loads_none_of_them() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(word in shown.stdout for word in ("Consent is the key", "erase", "release", "--store", "--json"))
    code = (
        "import sys\n"
        "from consentprofile.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    modules = set(loaded.stdout.split())
    assert not {"rich", "numpy", "consentprofile.cli.demo", "consentprofile.cli.rights"} & modules


def test_the_exit_code_and_the_message_reach_the_shell(shop: Shop) -> None:
    common = {"CONSENTPROFILE_STORE": "store", "CONSENTPROFILE_KEY_FILE": "shop.key"}
    refused = run("profile", ACCOUNT, "--purpose", "analytics", "--actor", "marketer:5", **common)
    assert (refused.returncode, refused.stdout) == (7, "")
    assert refused.stderr.startswith("consentprofile: this role is not among the readers")
    assert run("audit", "verify", **common).returncode == 0
    assert run("--version").stdout.startswith("consentprofile ")


def test_a_reader_that_goes_away_is_no_error(shop: Shop) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [*PROGRAM, "--store", "store", "--key-file", "shop.key", "audit", "log"]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, env=environment(), timeout=60, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_interruption_is_told_in_a_line(shop: Shop) -> None:
    code = (
        "import consentprofile as cp\n"
        "from consentprofile.cli.main import main\n"
        "def interrupted(store): raise KeyboardInterrupt\n"
        "cp.Store.statistics = interrupted\n"
        "main(['--store', 'store', '--key-file', 'shop.key', 'statistics'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(), timeout=60, check=False)
    assert done.returncode == 130
    assert done.stderr.strip() == b"consentprofile: interrupted; what was finished before stays"


def test_json_is_utf_8_and_words_are_shown_as_well_as_can_be_on_a_poor_terminal(shop: Shop) -> None:
    poor = {"PYTHONIOENCODING": "ascii", "CONSENTPROFILE_STORE": "store", "CONSENTPROFILE_KEY_FILE": "shop.key"}
    arguments = ("profile", ACCOUNT, "--purpose", "support", "--actor", "support-agent:17", "--as-of", "2024-07-01")
    shown = run(*arguments, **poor)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "web desktop ? web mobile" in shown.stdout
    assert json.loads(run(*arguments, "--json", **poor).stdout)["profile"]["events"] == 2


@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["words", "json"])
def test_the_demo_runs_alone_and_leaves_nothing_behind(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run("demo", *arguments, TMPDIR=str(tmp_path), HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert "\x1b" not in done.stdout
    if arguments:
        assert json.loads(done.stdout)["events"]["rows"] == 31_106
