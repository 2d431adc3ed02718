"""A small store of the example shop, made once and copied for each test, and a way to run commands on it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from consentprofile.cli.main import main

ROOT: Final = Path(__file__).resolve().parents[2]
SHOP: Final = ROOT / "examples" / "shop"

ACCOUNT: Final = "maria.canary@example.com"
"""An account id that must never appear in an error."""

DECISIONS: Final = f"""\
at,account,act,purposes,notice,method
2024-03-01T09:00:00Z,{ACCOUNT},give,support marketing,2024-01,signup form
2024-03-02T09:00:00Z,acct-2,give,support,2024-01,signup form
"""
EVENTS: Final = f"""\
user_id,session_id,event,timestamp,platform,acquisition_channel,user_cohort,user_lifecycle
{ACCOUNT},s1,home,2024-03-03 10:00:00,desktop,email,2024-01,new
{ACCOUNT},s1,purchase,2024-03-03 10:05:00,mobile,email,2024-01,new
acct-2,s2,home,2024-03-04 11:00:00,tablet,social,2024-01,new
"""


class Shop:
    """A folder with a store, its key and the shop's files, and the command line on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        """The command line with store, key and time set."""
        common = ("--store", "store", "--key-file", "shop.key", "--as-of", "2024-07-01")
        return CliRunner().invoke(main, [*common, *arguments], input=stdin)

    def done(self, *arguments: str, stdin: str | bytes | None = None) -> str:
        """What a command answers that must succeed."""
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def answer(self, *arguments: str) -> dict[str, object]:
        """The one JSON document that a command answers."""
        found = json.loads(self.done(*arguments, "--json"))
        assert isinstance(found, dict)
        return found

    def leaves(self) -> int:
        """How many leaves the log has."""
        size = self.answer("audit", "verify")["size"]
        assert isinstance(size, int)
        return size

    def names(self) -> set[str]:
        """What lies in the folder."""
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "consents.csv").write_text(DECISIONS)
        (folder / "events.csv").write_text(EVENTS)
        for name in ("policy.toml", "mapping.toml", "reach.toml"):
            shutil.copy(SHOP / name, folder)
        shop = Shop(folder)
        shop.done("init", "--policy", "policy.toml")
        shop.done("consent", "import", "consents.csv")
        shop.done("import", "events.csv", "--mapping", "mapping.toml")
    return folder


@pytest.fixture
def shop(_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A store of two accounts with three events, in a folder of its own, which is the current one."""
    folder = tmp_path / "here"
    shutil.copytree(_template, folder)
    monkeypatch.chdir(folder)
    return Shop(folder)
