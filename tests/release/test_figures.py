"""Figures are read of published files alone, are refused where these do not agree, and travel without being copied."""

from __future__ import annotations

import csv
import importlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.errors import UnreadableInput, UnsupportedEnvironment
from consentprofile.release import arrow
from consentprofile.release.figures import Figures, figures_of, read_figures
from consentprofile.release.manifest import manifest
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.threshold import PublishedCell
from consentprofile.release.writers import render, write_folder
from tests.release.shop_policy import POLICY, spec

BY_TWO = spec(by='["platform", "kind"]', where='{ kind = ["purchase", "login"] }', protection='{ kind = "threshold" }')


def released(asked: ReleaseSpec, *values: int | None) -> dict[str, bytes]:
    published = [PublishedCell(key, value) for key, value in zip(asked.keys, values, strict=True)]
    return render(asked, published, manifest(asked, POLICY, salt=bytes(32), root=bytes(32)))


FILES = released(BY_TWO, 15, None, 20, 25, None, 1000)
FIGURES = figures_of(FILES)


def test_figures_say_what_was_asked_and_how_it_is_protected() -> None:
    assert (FIGURES.measure, FIGURES.purpose, FIGURES.by, FIGURES.values) == (
        "reach",
        "analytics",
        ("kind", "platform"),
        ("accounts",),
    )
    assert (FIGURES.since, FIGURES.until) == ("2024-01-01T00:00:00Z", "2024-07-01T00:00:00Z")
    assert (FIGURES.min_accounts, FIGURES.policy_min_accounts) == (10, 10)
    assert (FIGURES.round_to, FIGURES.largest_error) == ({"accounts": 5}, {"accounts": 11})
    assert FIGURES.where == {"kind": ("login", "purchase")}
    assert FIGURES.guarantee == "heuristic"


def test_what_a_measure_asked_of_its_own_is_told() -> None:
    assert FIGURES.terms == {}
    files = renamed(spec=json.loads(FILES["manifest.json"])["spec"] | {"limit": 5, "cells_per_account": 9, "cuts": {}})
    assert figures_of(files).terms == {"limit": 5, "cells_per_account": 9}


def test_rows_are_those_of_the_data_in_its_order() -> None:
    assert FIGURES.columns == ("kind", "platform", "accounts")
    assert FIGURES.rows[:2] == (("login", "mobile", 15), ("login", "desktop", None))
    assert list(FIGURES.cells())[-1] == (("purchase", "tablet"), (1000,))
    assert len(FIGURES) == 6


@given(st.lists(st.none() | st.integers(10, 10**12), min_size=6, max_size=6))
def test_table_json_and_frame_say_the_same(values: list[int | None]) -> None:
    files = released(BY_TWO, *values)
    found = figures_of(files)
    assert [row[-1] for row in found.rows] == values
    rows = list(csv.reader(io.StringIO(files["data.csv"].decode())))
    assert rows[1:] == [["" if part is None else str(part) for part in row] for row in found.rows]
    assert list(map(tuple, zip(*found.table().to_pydict().values(), strict=True))) == list(found.rows)


@pytest.mark.parametrize("value", [15, None])
def test_a_total_is_one_row_without_a_key(value: int | None) -> None:
    total = figures_of(released(spec(), value))
    assert (total.by, total.rows) == ((), ((value,),))


def test_amounts_have_their_own_steps_and_errors() -> None:
    files = renamed(parameters={"amounts": [{"name": "sum", "limit": 9, "step": 500, "largest_error": 4000}]})
    assert (figures_of(files).round_to, figures_of(files).largest_error) == ({"sum": 500}, {"sum": 4000})


def test_a_representation_shows_no_figure() -> None:
    assert repr(FIGURES) == "<Figures, reach by kind, platform, 6 rows>"


def remade(**changes: Any) -> dict[str, bytes]:  # noqa: ANN401
    """The release with other data, which its manifest names: well made, but not by us."""
    data = canonical.json_bytes(json.loads(FILES["data.json"]) | changes)
    written = json.loads(FILES["manifest.json"])
    written["files"]["data.json"] = canonical.digest(data).hex()
    return FILES | {"data.json": data, "manifest.json": canonical.json_bytes(written)}


def renamed(**changes: Any) -> dict[str, bytes]:  # noqa: ANN401
    return FILES | {"manifest.json": canonical.json_bytes(json.loads(FILES["manifest.json"]) | changes)}


CELL = json.loads(FILES["data.json"])["cells"][0]
BROKEN = {
    "no manifest": {name: data for name, data in FILES.items() if name != "manifest.json"},
    "no data": {name: data for name, data in FILES.items() if name != "data.json"},
    "a file of the manifest is gone": {name: data for name, data in FILES.items() if name != "data.csv"},
    "a byte of the data is another": FILES | {"data.json": FILES["data.json"].replace(b"15", b"25")},
    "a byte of the table is another": FILES | {"data.csv": FILES["data.csv"].replace(b"15", b"25")},
    "the manifest is no JSON": FILES | {"manifest.json": b"{"},
    "the manifest is no text": FILES | {"manifest.json": b"\xff"},
    "the manifest is another format": renamed(format=2),
    "the manifest names no data": renamed(files={"data.csv": json.loads(FILES["manifest.json"])["files"]["data.csv"]}),
    "the manifest has no protection": renamed(protection={}),
    "the data is another format": remade(format=2),
    "a cell without a key": remade(cells=[{"accounts": 5}]),
    "a cell without a figure": remade(cells=[{"key": CELL["key"]}]),
    "a cell with more figures than columns": remade(cells=[CELL | {"more": 1}]),
    "cells of different dimensions": remade(cells=[CELL, {"key": {"kind": "login"}, "accounts": 5}]),
    "a figure that is a text": remade(cells=[CELL | {"accounts": "5"}]),
    "a key that is a number": remade(cells=[{"key": {"kind": 1, "platform": "x"}, "accounts": 5}]),
}


@pytest.mark.parametrize("files", BROKEN.values(), ids=BROKEN)
def test_what_does_not_agree_with_its_manifest_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(UnreadableInput):
        figures_of(files)


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_folder(FILES, tmp_path / "h1")
    assert read_figures(tmp_path / "h1") == FIGURES


@pytest.mark.parametrize("there", ["nothing", "a file", "an empty folder"])
def test_what_is_no_folder_of_a_release_is_refused(tmp_path: Path, there: str) -> None:
    path = tmp_path / "acct-17"
    if there == "a file":
        path.write_bytes(b"")
    if there == "an empty folder":
        path.mkdir()
    with pytest.raises(UnreadableInput) as caught:
        read_figures(path)
    assert "acct-17" not in str(caught.value)


# ---- data frames ----------------------------------------------------------------------------------------------------

FRAME = {
    "kind": ["login"] * 3 + ["purchase"] * 3,
    "platform": ["mobile", "desktop", "tablet"] * 2,
    "accounts": [15, None, 20, 25, None, 1000],
}


def test_pyarrow_takes_figures() -> None:
    pyarrow = importlib.import_module("pyarrow")
    table = pyarrow.table(FIGURES)
    assert table.to_pydict() == FRAME
    assert [str(field.type) for field in table.schema] == ["string", "string", "int64"]
    assert [field.nullable for field in table.schema] == [False, False, True]


def test_polars_takes_figures() -> None:
    polars = importlib.import_module("polars")
    frame = polars.DataFrame(FIGURES)
    assert frame.to_dict(as_series=False) == FRAME
    assert frame.schema["accounts"] == polars.Int64


def test_pandas_takes_figures() -> None:
    pandas = importlib.import_module("pandas")
    frame = pandas.DataFrame.from_arrow(FIGURES)
    assert list(frame.columns) == list(FRAME)
    assert [None if pandas.isna(value) else value for value in frame["accounts"]] == FRAME["accounts"]
    assert list(frame["platform"]) == FRAME["platform"]


@pytest.mark.parametrize(("values", "kind"), [((5, None), "int64"), ((None, None), "int64"), ((5, 2.5), "double")])
def test_whole_numbers_stay_whole_where_all_are(values: tuple[int | float | None, ...], kind: str) -> None:
    table = arrow.table(("key", "figure"), 1, (("a", "b"), values))
    assert str(table.schema.field("figure").type) == kind
    assert table.column("figure").to_pylist() == list(values)


def test_without_the_extra_it_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "has_arrow", lambda: False)
    with pytest.raises(UnsupportedEnvironment, match=r"consentprofile\[arrow\]"):
        FIGURES.__arrow_c_stream__()


# ---- Parquet --------------------------------------------------------------------------------------------------------


def parquet(figures: Figures) -> bytes:
    return arrow.parquet(importlib.import_module("pyarrow").table(figures))


def test_parquet_holds_the_table_and_the_same_figures_make_the_same_bytes() -> None:
    data = parquet(FIGURES)
    assert importlib.import_module("pyarrow.parquet").read_table(io.BytesIO(data)).to_pydict() == FRAME
    assert parquet(figures_of(FILES)) == data


def test_parquet_holds_nothing_beside_the_table() -> None:
    found = importlib.import_module("pyarrow.parquet").read_metadata(io.BytesIO(parquet(FIGURES)))
    assert found.metadata is None
    assert found.created_by.startswith("parquet-cpp-arrow version ")
