"""The demo tells the truth: its numbers equal those of a plain reading of the shop's files."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from consentprofile.cli.main import main
from tests.cli.conftest import ROOT

Told = dict[str, Any]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Path]:
    folder = tmp_path_factory.mktemp("demo") / "kept"
    done = CliRunner().invoke(main, ["demo", "--json", "--keep", str(folder)])
    assert done.exit_code == 0, done.output
    told: Told = json.loads(done.stdout)
    return told, folder


def naive() -> tuple[Counter[tuple[str, str]], dict[str, dict[str, str]], dict[str, list[dict[str, str]]]]:
    """Decisions by act and purpose, each customer's consents in force with their beginning, and their events."""
    acts: Counter[tuple[str, str]] = Counter()
    given: dict[str, dict[str, str]] = defaultdict(dict)
    with (ROOT / "examples/shop/consents.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for purpose in row["purposes"].split():
                acts[row["act"], purpose] += 1
                if row["act"] == "give":
                    given[row["account"]][purpose] = row["at"].replace("T", " ").rstrip("Z")
                else:
                    given[row["account"]].pop(purpose, None)
    events: dict[str, list[dict[str, str]]] = defaultdict(list)
    with gzip.open(ROOT / "examples/data/ecom.csv.gz", "rt", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            events[row["user_id"]].append(row)
    return acts, given, events


def test_decisions_and_events_are_counted_right(kept: tuple[Told, Path]) -> None:
    told, _ = kept
    acts, given, events = naive()
    assert told["decisions"]["keys_made"] == sum(n for (act, _), n in acts.items() if act == "give")
    assert told["decisions"]["keys_destroyed"] == sum(n for (act, _), n in acts.items() if act == "withdraw")
    assert told["decisions"]["customers"] == len(events) == 600
    recorded = sum(
        row["timestamp"] >= given[name]["support"]
        for name, rows in events.items()
        for row in rows
        if "support" in given[name]
    )
    assert told["events"]["outcomes"]["support"] == {
        "recorded": recorded,
        "no_consent": sum(len(rows) for name, rows in events.items() if "support" not in given[name]),
        "before_consent": sum(len(rows) for name, rows in events.items() if "support" in given[name]) - recorded,
    }


def test_the_followed_customer_really_moves_and_is_seen_with_different_eyes(kept: tuple[Told, Path]) -> None:
    told, _ = kept
    _, given, events = naive()
    name = str(told["followed"]["account"])
    seen = sorted(
        (row["timestamp"], row["platform"]) for row in events[name] if row["timestamp"] >= given[name]["support"]
    )
    platforms = [platform for _, platform in seen]
    assert set(platforms) == {"desktop", "mobile", "tablet"}
    assert told["followed"]["moves"] == sum(one != two for one, two in pairwise(platforms))
    assert told["eyes"]["support"]["platforms"] == Counter(platforms)
    assert told["eyes"]["marketing"]["platforms"] == {}
    assert told["eyes"]["marketing"]["precision"] == "day"
    assert told["refused_readings"] == 2


def test_withdrawal_and_erasure_leave_nothing_to_read(kept: tuple[Told, Path]) -> None:
    told, _ = kept
    withdrawn = told["withdrawn"]
    assert withdrawn["events_before"]
    assert withdrawn["profile_after"] is None
    assert withdrawn["profile_from_backup"] is None
    assert withdrawn["events_of_the_other_purpose"] == told["eyes"]["support"]["events"]
    assert withdrawn["backup_found_out"] is True
    assert told["erased"]["keys"] == len(told["erased"]["certificate"]["key_ids"]) == 4
    assert told["log"]["checkpoint"].split("\n")[1] == str(told["log"]["head"]["size"])
    assert told["erased"]["events_left"] == 0
    assert told["log"]["ids_in_log"] == told["log"]["ids_in_files"] == 0


def test_the_release_counts_those_who_consent(kept: tuple[Told, Path]) -> None:
    told, folder = kept
    _, given, events = naive()
    people: dict[str, set[str]] = defaultdict(set)
    for name, rows in events.items():
        for row in rows:
            if (
                row["event"] in ("purchase", "add_to_cart")
                and row["timestamp"] >= given[name].get("analytics", "9")
                and row["timestamp"] >= "2024-01-01"
            ):
                people[row["platform"]].add(name)
    cells = told["release"]["cells"]
    assert isinstance(cells, list)
    assert [cell["key"]["platform"] for cell in cells] == sorted(people)
    for cell in cells:
        # The one customer who was erased may be missing; rounding moves a figure by at most 2.
        assert abs(cell["accounts"] - len(people[cell["key"]["platform"]])) <= 3
    assert {path.name for path in (folder / "reach").iterdir()} == {"data.csv", "data.json", "manifest.json"}


def test_what_is_kept_can_be_looked_at_further(kept: tuple[Told, Path]) -> None:
    _, folder = kept
    assert sorted(path.name for path in folder.iterdir()) == ["reach", "shop.key", "store"]
    common = ["--store", str(folder / "store"), "--key-file", str(folder / "shop.key"), "--as-of", "2024-07-01"]
    assert CliRunner().invoke(main, [*common, "audit", "verify"]).exit_code == 0
    again = CliRunner().invoke(main, ["demo", "--keep", str(folder)])
    assert again.exit_code == 3
