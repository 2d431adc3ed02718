"""Every example runs as it stands, from a folder of its own, and says what it promises to show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]

SAYS: Final = {
    "quickstart.py": (
        "'support': 'recorded', 'analytics': 'recorded', 'marketing': 'no_consent'",
        "support sees 2 events on desktop, mobile",
        "'support': 'given', 'analytics': 'withdrawn', 'marketing': 'none'",
        "erased: 2 keys destroyed",
        "support sees None",
        "is whole",
    ),
    "web_login.py": (
        "who consented: True",
        "who did not: False",
        "{'support': True, 'analytics': False, 'marketing': False}",
        "the agent sees: ['mobile']",
    ),
    "officer.py": (
        "access: ",
        "erasure: done",
        "expiry: 0",
        "check: clean",
        "certificate: ",
        "it names nobody",
        "leaves of yesterday",
        "is kept elsewhere",
    ),
    "analyst.py": ("platform,accounts\n", "asked again: the same bytes", "nobody's business"),
}


@pytest.mark.parametrize("name", SAYS)
def test_the_example_runs_and_says_what_it_promises(name: str, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0
    for words in SAYS[name]:
        assert words in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_example_is_tested() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(SAYS)
