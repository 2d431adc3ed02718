"""Parquet and pictures stand beside a release, are made from its published bytes alone, and never change these."""

from __future__ import annotations

import importlib
import io
import json
import os
from pathlib import Path
from typing import get_args

import pytest

from consentprofile import canonical
from consentprofile.errors import ReleaseRefused, UnsupportedEnvironment
from consentprofile.release import arrow, derived
from consentprofile.release.derived import NAMES, Also, derive, wanted
from consentprofile.release.pictures import canvas
from consentprofile.release.writers import write_folder
from tests.release.test_figures import FILES, FRAME
from tests.release.test_manifest import errors
from tests.release.test_writers import contents

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "release-derived.schema.json").read_text(encoding="utf-8"))
BOTH: tuple[Also, ...] = get_args(Also)


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    """All that can be derived. Made once, and not before it is asked for: it loads what draws and writes tables."""
    return derive(FILES, BOTH)


def test_both_are_derived_and_named_with_their_digests(made: dict[str, bytes]) -> None:
    assert set(made) == NAMES
    told = json.loads(made["derived.json"])
    assert told["manifest"] == canonical.digest(FILES["manifest.json"]).hex()
    assert told["files"] == {
        name: canonical.digest(data).hex() for name, data in made.items() if name != "derived.json"
    }
    assert list(errors(told, SCHEMA)) == []


@pytest.mark.parametrize("also", [("parquet",), ("pictures",)])
def test_each_comes_alone(also: tuple[Also, ...]) -> None:
    made = derive(FILES, also)
    assert set(made) == {"derived.json"} | ({"data.parquet"} if "parquet" in also else {"picture.svg", "picture.png"})
    assert list(errors(json.loads(made["derived.json"]), SCHEMA)) == []


def test_nothing_comes_of_nothing() -> None:
    assert derive(FILES, ()) == {}


def test_the_same_release_has_the_same_derived_bytes(made: dict[str, bytes]) -> None:
    assert derive(dict(reversed(FILES.items())), tuple(reversed(BOTH))) == made


def test_parquet_holds_the_published_table(made: dict[str, bytes]) -> None:
    table = importlib.import_module("pyarrow.parquet").read_table(io.BytesIO(made["data.parquet"]))
    assert table.to_pydict() == FRAME


def test_the_schema_refuses_what_is_no_such_file(made: dict[str, bytes]) -> None:
    told = json.loads(made["derived.json"])
    changes: tuple[dict[str, object], ...] = (
        {"files": {}},
        {"files": {"notes.txt": "00" * 32}},
        {"manifest": "00"},
        {"format": 2},
        {"at": "now"},
    )
    for change in changes:
        assert list(errors(told | change, SCHEMA)), change


def test_what_is_installed_is_what_nobody_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wanted(None) == BOTH
    monkeypatch.setattr(arrow, "has_arrow", lambda: False)
    assert wanted(None) == ("pictures",)
    monkeypatch.setattr(canvas, "has_pictures", lambda: False)
    assert wanted(None) == ()


def test_what_is_asked_for_and_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "has_arrow", lambda: False)
    monkeypatch.setattr(canvas, "has_pictures", lambda: False)
    assert wanted(()) == ()
    with pytest.raises(UnsupportedEnvironment, match="arrow"):
        wanted(("parquet",))
    with pytest.raises(UnsupportedEnvironment, match="pictures"):
        wanted(("pictures",))


# ---- the folder ---------------------------------------------------------------------------------------------------


def test_a_folder_holds_the_release_and_what_was_derived(tmp_path: Path, made: dict[str, bytes]) -> None:
    write_folder(FILES, tmp_path / "h1", made)
    assert contents(tmp_path / "h1") == FILES | made


def test_what_was_derived_is_added_to_a_folder_of_the_same_release(tmp_path: Path, made: dict[str, bytes]) -> None:
    write_folder(FILES, tmp_path / "h1")
    write_folder(FILES, tmp_path / "h1", made)
    assert contents(tmp_path / "h1") == FILES | made
    assert [path.name for path in tmp_path.iterdir()] == ["h1"]


def test_what_was_derived_under_another_version_is_made_anew(tmp_path: Path, made: dict[str, bytes]) -> None:
    write_folder(FILES, tmp_path / "h1", made | {"picture.svg": b"<svg/>", "derived.json": b"{}"})
    write_folder(FILES, tmp_path / "h1", made)
    assert contents(tmp_path / "h1") == FILES | made


def test_what_was_derived_before_stays_where_nobody_asks_for_it(tmp_path: Path, made: dict[str, bytes]) -> None:
    write_folder(FILES, tmp_path / "h1", made)
    write_folder(FILES, tmp_path / "h1")
    assert contents(tmp_path / "h1") == FILES | made


def test_the_same_derived_bytes_are_left_as_they_are(tmp_path: Path, made: dict[str, bytes]) -> None:
    write_folder(FILES, tmp_path / "h1", made)
    before = {path.name: path.stat().st_ino for path in (tmp_path / "h1").iterdir()}
    write_folder(FILES, tmp_path / "h1", made)
    assert {path.name: path.stat().st_ino for path in (tmp_path / "h1").iterdir()} == before


@pytest.mark.parametrize(
    "published",
    [{}, FILES | {"data.csv": b""}, FILES | {"notes.txt": b""}],
    ids=["no release", "another release", "a file of somebody else's"],
)
def test_derived_files_excuse_no_other_file(
    tmp_path: Path, made: dict[str, bytes], published: dict[str, bytes]
) -> None:
    out, there = tmp_path / "h1", published | made
    out.mkdir()
    for name, data in there.items():
        (out / name).write_bytes(data)
    with pytest.raises(ReleaseRefused, match="something else"):
        write_folder(FILES, out, made)
    assert contents(out) == there


def test_a_failure_to_renew_leaves_the_release_and_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: dict[str, bytes]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_folder(FILES, tmp_path / "h1")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ReleaseRefused, match="No space left"):
        write_folder(FILES, tmp_path / "h1", made)
    assert contents(tmp_path / "h1") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["h1"]


def test_the_names_are_those_of_the_documents() -> None:
    page = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
    assert [name for name in sorted(NAMES) if f"`{name}`" not in page] == []
    assert SCHEMA["properties"]["format"]["const"] == derived.FORMAT
