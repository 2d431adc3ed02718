"""Refused rows are written with line and reason, for the owner alone, and only if there are any."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path

import pytest

from consentprofile.errors import InputError
from consentprofile.usecases.rejects import Rejects

REASON = "column 'total': expected \"an amount\", in minor units"


def test_without_a_refused_row_there_is_no_file(tmp_path: Path) -> None:
    with Rejects(tmp_path / "rejects.csv") as rejects:
        assert rejects.count == 0
    assert list(tmp_path.iterdir()) == []


def test_csv_holds_line_and_reason(tmp_path: Path) -> None:
    with Rejects(tmp_path / "rejects.csv") as rejects:
        rejects.write(7, REASON)
        rejects.write(9, "expected more")
    with (tmp_path / "rejects.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["line", "reason"], ["7", REASON], ["9", "expected more"]]
    assert rejects.count == 2


@pytest.mark.parametrize("name", ["rejects.ndjson", "rejects.jsonl"])
def test_ndjson_holds_line_and_reason(tmp_path: Path, name: str) -> None:
    with Rejects(tmp_path / name) as rejects:
        rejects.write(7, REASON)
    assert [json.loads(line) for line in (tmp_path / name).read_text().splitlines()] == [{"line": 7, "reason": REASON}]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Rejects(tmp_path / "rejects.csv") as rejects:
            rejects.write(1, REASON)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "rejects.csv").stat().st_mode) == 0o600


def test_without_a_path_refusals_are_counted(tmp_path: Path) -> None:
    with Rejects(None) as rejects:
        rejects.write(1, REASON)
    assert rejects.count == 1


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    rejects = Rejects(path)
    path.write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        Rejects(path)
    with pytest.raises(InputError, match="cannot be written"):
        rejects.write(1, REASON)
    assert path.read_text() == "mine"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path, target = tmp_path / "rejects.csv", tmp_path / "target"
    rejects = Rejects(path)
    path.symlink_to(target)
    with pytest.raises(InputError):
        Rejects(path)
    with pytest.raises(InputError):
        rejects.write(1, REASON)
    assert not target.exists()


def test_a_missing_folder_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder is missing"):
        Rejects(tmp_path / "nowhere" / "rejects.csv")
