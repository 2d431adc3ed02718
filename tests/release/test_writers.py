"""A release is written as a whole or not at all, and its bytes depend on nothing but what was released."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from pathlib import Path

import pytest

from consentprofile.errors import ReleaseRefused
from consentprofile.release.manifest import manifest
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.threshold import PublishedCell
from consentprofile.release.writers import render, write_folder
from tests.release.shop_policy import POLICY, spec

FILES = {"data.csv": b"a\n", "manifest.json": b"{}"}


def rendered(asked: ReleaseSpec, *values: int | None) -> dict[str, bytes]:
    published = [PublishedCell(key, value) for key, value in zip(asked.keys, values, strict=True)]
    return render(asked, published, manifest(asked, POLICY, salt=bytes(32), root=bytes(32)))


def test_data_is_the_same_in_csv_and_json() -> None:
    files = rendered(spec(by='["platform"]'), 15, None, 20)
    assert files["data.csv"] == b"platform,accounts\nmobile,15\ndesktop,\ntablet,20\n"
    assert json.loads(files["data.json"]) == {
        "format": 1,
        "columns": ["platform", "accounts"],
        "cells": [
            {"key": {"platform": "mobile"}, "accounts": 15},
            {"key": {"platform": "desktop"}, "accounts": None},
            {"key": {"platform": "tablet"}, "accounts": 20},
        ],
    }


@pytest.mark.parametrize(("value", "cell"), [(15, "15"), (None, "")])
def test_a_total_is_one_row(value: int | None, cell: str) -> None:
    files = rendered(spec(), value)
    assert list(csv.reader(io.StringIO(files["data.csv"].decode()))) == [["accounts"], [cell]]
    assert json.loads(files["data.json"])["cells"] == [{"key": {}, "accounts": value}]


def test_the_manifest_holds_the_digests_of_the_data() -> None:
    files = rendered(spec(), 15)
    assert sorted(json.loads(files["manifest.json"])["files"]) == ["data.csv", "data.json"]
    assert rendered(spec(), 20)["manifest.json"] != files["manifest.json"]


def test_the_same_release_has_the_same_bytes() -> None:
    assert rendered(spec(by="['kind', 'channel']"), *[5] * 9) == rendered(
        spec(by="['channel', 'kind']", name="'other'"), *[5] * 9
    )


# ---- the folder ---------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_holds_just_the_files(tmp_path: Path) -> None:
    write_folder(FILES, tmp_path / "new" / "deep" / "h1")
    assert contents(tmp_path / "new" / "deep" / "h1") == FILES
    assert [path.name for path in (tmp_path / "new" / "deep").iterdir()] == ["h1"]


def test_others_may_read_it_where_the_mask_lets_them(tmp_path: Path) -> None:
    write_folder(FILES, tmp_path / "h1")
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE((tmp_path / "h1").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_folder(FILES, tmp_path)
    assert contents(tmp_path) == FILES


def test_the_same_bytes_are_left_as_they_are(tmp_path: Path) -> None:
    write_folder(FILES, tmp_path / "h1")
    before = (tmp_path / "h1").stat().st_ino
    write_folder(FILES, tmp_path / "h1")
    assert (tmp_path / "h1").stat().st_ino == before


@pytest.mark.parametrize(
    "there",
    [{"data.csv": b"b\n", "manifest.json": b"{}"}, {"data.csv": b"a\n"}, {**FILES, "notes.txt": b""}],
    ids=["other bytes", "a file less", "a file more"],
)
def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path, there: dict[str, bytes]) -> None:
    out = tmp_path / "h1"
    out.mkdir()
    for name, data in there.items():
        (out / name).write_bytes(data)
    with pytest.raises(ReleaseRefused, match="something else"):
        write_folder(FILES, out)
    assert contents(out) == there
    assert [path.name for path in tmp_path.iterdir()] == ["h1"]


def test_what_is_no_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "h1").write_bytes(b"mine")
    with pytest.raises(ReleaseRefused, match="no folder"):
        write_folder(FILES, tmp_path / "h1")
    assert contents(tmp_path) == {"h1": b"mine"}


def test_a_link_to_an_empty_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_folder(FILES, tmp_path / "link")
    assert contents(tmp_path / "real") == FILES
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(ReleaseRefused, match="No space left"):
        write_folder(FILES, tmp_path / "new" / "h1")
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_folder(FILES, tmp_path / "new" / "h1")
    assert list(tmp_path.iterdir()) == []


def test_a_race_for_the_same_release_is_won_by_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def other_was_first(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        write_folder(FILES, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", other_was_first)
    write_folder(FILES, tmp_path / "h1")
    assert [path.name for path in tmp_path.iterdir()] == ["h1"]
    assert contents(tmp_path / "h1") == FILES


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plain name"):
        write_folder({"../data.csv": b""}, tmp_path / "h1")
    assert list(tmp_path.iterdir()) == []
