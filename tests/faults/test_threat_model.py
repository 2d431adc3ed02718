"""docs/threat-model.md names the test that shows each thing that it says, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
SHOWN: Final = "Which test shows it"
NAMED: Final = tuple(dict.fromkeys(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


def section(title: str) -> str:
    """A section of the page, without its heading."""
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@cache
def functions(file: str) -> frozenset[str]:
    """The test functions of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    assert (ROOT / file).is_file()
    assert not test or test in functions(file)


def test_everybody_who_attacks_and_everything_that_is_not_protected_has_its_test() -> None:
    """By the same words, in the same order; or it says why no test can show it."""
    attackers = re.findall(r"^\| (.+?) \|", section("Who attacks, and what happens"), flags=re.MULTILINE)[1:]
    limits = re.findall(r"^\*\*(.+?)\*\*", section("What is not protected"), flags=re.MULTILINE)
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", section(SHOWN), flags=re.MULTILINE)
    table = {what: shown for what, shown in rows if what not in ("what is said", "---")}
    assert attackers[0] == "a thief of backups"
    assert [what for what in table if what in (*attackers, *limits)] == [*attackers, *limits]
    assert all("`tests/" in shown or shown.startswith("none:") for shown in table.values())


def test_the_page_names_more_than_a_few() -> None:
    assert len([test for _, test in NAMED if test]) > 40
