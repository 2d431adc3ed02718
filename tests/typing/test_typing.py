"""The types that users see: right uses pass the strictest checking, and wrong ones are found."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]


@pytest.mark.skipif(find_spec("mypy") is None, reason="needs mypy (the extra `dev`)")
def test_the_public_face_is_typed_as_its_users_use_it(tmp_path: Path) -> None:
    """Every ``type: ignore`` in user.py is a mistake that must be found: a superfluous one is an error itself."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(tmp_path)]
    checked = subprocess.run(
        [*command, "--python-version", "3.11", "--follow-imports", "silent", str(HERE / "user.py")],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert checked.stdout.splitlines()[-1:] == ["Success: no issues found in 1 source file"], checked.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "consentprofile" / "py.typed").is_file()
