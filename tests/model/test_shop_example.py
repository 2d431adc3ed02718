"""The example shop: its files agree with each other, with the data, and with what its README says."""

from __future__ import annotations

import csv
import gzip
import hashlib
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from consentprofile.model.policy import EnumField, Policy
from consentprofile.model.policy_file import read_policy

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
PRESENT = datetime(2024, 7, 1, tzinfo=UTC)


@cache
def policy() -> Policy:
    return read_policy((SHOP / "policy.toml").read_text("utf-8"), "policy.toml")


@cache
def events() -> list[dict[str, str]]:
    with gzip.open(ROOT / "examples/data/ecom.csv.gz", "rt", encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


@cache
def decisions() -> list[dict[str, str]]:
    with (SHOP / "consents.csv").open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def event_time(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["timestamp"]).replace(tzinfo=UTC)


def test_the_notice_is_the_text_whose_digest_is_in_the_policy() -> None:
    (notice,) = policy().notice_list
    text = (SHOP / f"notice-{notice.version}.md").read_bytes()
    assert hashlib.sha256(text).hexdigest() == notice.sha256
    assert policy().controller.contact in text.decode()
    for purpose in policy().purpose_list:
        assert f"## {purpose.title}\n" in text.decode()
        assert f"{purpose.retention_months} months" in text.decode()
        assert f"{purpose.lifetime_days} days" in text.decode()


def test_the_data_is_what_its_readme_says_and_the_policy_declares_all_of_it() -> None:
    accounts = {event["user_id"] for event in events()}
    assert len(events()) == 31_106
    assert len(accounts) == 600
    assert len({event["session_id"] for event in events()}) == 3_605
    assert {event["event"] for event in events()} < set(policy().kinds)
    mapping = tomllib.loads((SHOP / "mapping.toml").read_text("utf-8"))
    for name, source in mapping["fields"].items():
        field = policy().fields[name]
        assert isinstance(field, EnumField)
        found = {source["value"]} if "value" in source else {event[source["column"]] for event in events()}
        assert found <= set(field.values)
        assert all(name in policy().kinds[event["event"]].fields for event in events())
    used = {"user_id", "event", "timestamp", "platform", "acquisition_channel"}
    assert used | set(mapping["ignore"]) == set(events()[0])


def test_the_data_names_its_source_licence_and_authors() -> None:
    said = (ROOT / "examples/data/README.md").read_text("utf-8")
    for words in ("retentioneering", "5.2.4", "Apache-2.0", "Maxim Godzi, Vladimir Kukushkin, Anatoly Zaytsev"):
        assert words in said


def test_the_decisions_follow_from_the_rule_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "data").mkdir()
    script = tmp_path / "shop" / "make_consents.py"
    script.write_bytes((SHOP / "make_consents.py").read_bytes())
    (tmp_path / "data" / "ecom.csv.gz").write_bytes((ROOT / "examples/data/ecom.csv.gz").read_bytes())
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)
    assert (tmp_path / "shop" / "consents.csv").read_bytes() == (SHOP / "consents.csv").read_bytes()


def test_every_decision_is_well_formed_and_names_declared_purposes_and_notices() -> None:
    assert list(decisions()[0]) == ["at", "account", "act", "purposes", "notice", "method"]
    assert [row["at"] for row in decisions()] == sorted(row["at"] for row in decisions())
    for row in decisions():
        at = datetime.strptime(row["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert datetime(2023, 12, 15, tzinfo=UTC) <= at < PRESENT
        assert set(row["purposes"].split(" ")) <= set(policy().purposes)
        assert row["act"] in {"give", "refuse", "withdraw"}
        assert (row["notice"] in policy().notices) == (row["act"] != "withdraw")
        assert row["method"]


def test_nobody_decides_twice_or_withdraws_what_was_not_given() -> None:
    acts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in decisions():
        for purpose in row["purposes"].split():
            acts[row["account"], purpose].append(row["act"])
    assert {tuple(made) for made in acts.values()} == {("give",), ("refuse",), ("give", "withdraw")}


def test_the_shares_are_about_those_of_the_readme() -> None:
    counts = Counter((row["act"], purpose) for row in decisions() for purpose in row["purposes"].split())
    assert 0.85 <= counts["give", "support"] / 600 <= 0.95
    assert 0.65 <= counts["give", "analytics"] / 600 <= 0.75
    assert 0.35 <= counts["give", "marketing"] / 600 <= 0.45
    assert all(counts["refuse", purpose] and counts["withdraw", purpose] for purpose in policy().purposes)


def test_the_readme_counts_the_decisions_right() -> None:
    first, last = decisions()[0]["at"], decisions()[-1]["at"]
    said = f"{len(decisions())} rows, {len({row['account'] for row in decisions()})} customers"
    assert (first[:10], last[:10]) == ("2023-12-25", "2024-06-28")
    assert f"{said}, 25 December 2023 to 28 June 2024" in (SHOP / "README.md").read_text("utf-8")


def test_on_the_first_of_july_2024_no_consent_has_run_out_and_all_data_is_within_retention() -> None:
    for row in decisions():
        for purpose in row["purposes"].split():
            lifetime = timedelta(days=policy().purposes[purpose].lifetime_days)
            assert datetime.fromisoformat(row["at"]) + lifetime > PRESENT
    oldest = min(event_time(event) for event in events())
    assert all(oldest >= datetime(2024, 7 - 6, 1, tzinfo=UTC) for p in policy().purpose_list if p.retention_months >= 6)
    assert min(purpose.retention_months for purpose in policy().purpose_list) == 6


def test_some_events_come_before_the_consent_and_most_come_after_it() -> None:
    since = {
        row["account"]: datetime.fromisoformat(row["at"])
        for row in decisions()
        if row["act"] == "give" and "support" in row["purposes"].split()
    }
    told = Counter(event_time(event) < since[event["user_id"]] for event in events() if event["user_id"] in since)
    assert 0 < told[True] < 0.05 * told[False]


def test_the_release_is_within_the_policy_and_has_no_small_cell() -> None:
    spec = tomllib.loads((SHOP / "reach.toml").read_text("utf-8"))
    purpose = policy().purposes[spec["purpose"]]
    assert purpose.release is not None
    assert spec["protection"]["min_accounts"] >= purpose.release.min_accounts
    assert (spec["from"], spec["until"]) == (date(2024, 1, 1), date(2024, 7, 1))
    assert set(spec["where"]["kind"]) < set(policy().kinds)
    assert all(field in (purpose.collected(kind) or ()) for kind in spec["where"]["kind"] for field in spec["by"])

    since: dict[str, datetime] = {}
    for row in decisions():
        if purpose.name in row["purposes"].split():
            if row["act"] == "give":
                since[row["account"]] = datetime.fromisoformat(row["at"])
            else:
                since.pop(row["account"], None)
    cells: dict[str, set[str]] = defaultdict(set)
    for event in events():
        account = event["user_id"]
        if event["event"] in spec["where"]["kind"] and account in since and event_time(event) >= since[account]:
            cells[event["platform"]].add(account)
    assert set(cells) == {"desktop", "mobile", "tablet"}
    assert min(map(len, cells.values())) > 2 * spec["protection"]["min_accounts"]


@pytest.mark.parametrize("name", ["policy.toml", "mapping.toml", "reach.toml"])
def test_every_declared_file_of_the_shop_states_its_format(name: str) -> None:
    assert tomllib.loads((SHOP / name).read_text("utf-8"))["format"] == 1
