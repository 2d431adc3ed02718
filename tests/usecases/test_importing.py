"""Importing: rows become events or decisions, bad ones are left out alone, and repeating it adds nothing."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

import consentprofile as cp
from tests.usecases.scene import ACCOUNT, NEW, Scene

MAPPING = """\
format = 1
account = "user"
kind = "event"
at = { column = "time", format = "unix-seconds" }
id = "content+occurrence"
ignore = ["session"]

[fields]
channel = { value = "web" }
platform = { column = "platform" }
"""
HEADER = "user,event,time,platform,session"
START = 1710505845
"""15 March 2024, 12:30:45 UTC: the scene's now."""


def file(scene: Scene, *rows: str, name: str = "events.csv") -> Path:
    """An input file, and its mapping beside it."""
    (scene.folder / "mapping.toml").write_text(MAPPING)
    path = scene.folder / name
    path.write_text("".join(line + "\n" for line in (HEADER, *rows)))
    return path


def take(scene: Scene, path: Path, rejects: Path | None = None) -> cp.Imported:
    return scene.store.import_events(path, mapping=scene.folder / "mapping.toml", rejects=rejects)


GOOD = [f"{ACCOUNT},login,{START + second},{platform},s" for second, platform in enumerate(["mobile", "desktop", ""])]


def test_rows_are_recorded_and_every_purpose_says_how_many_it_took(scene: Scene) -> None:
    scene.give()
    imported = take(scene, file(scene, *GOOD, f"nobody,login,{START},mobile,s"))
    assert (imported.rows, imported.rejected) == (4, 0)
    assert imported.outcomes["support"] == {cp.Outcome.RECORDED: 3, cp.Outcome.NO_CONSENT: 1}
    events = scene.events()
    assert events is not None
    assert [stored.fields for stored in events] == [
        {"channel": "web", "platform": "mobile"}, {"channel": "web", "platform": "desktop"}, {"channel": "web"},
    ]  # fmt: skip


def test_repeating_it_reversed_compressed_or_longer_adds_nothing_but_what_is_new(scene: Scene) -> None:
    scene.give()
    rows = [*GOOD, GOOD[0], GOOD[0]]  # the same thing three times over is three events
    take(scene, file(scene, *rows))
    before = scene.profile()
    assert before is not None
    assert before.events == 5
    take(scene, file(scene, *rows))
    take(scene, file(scene, *reversed(rows)))
    packed = scene.folder / "events.csv.gz"
    packed.write_bytes(gzip.compress(file(scene, *rows).read_bytes()))
    take(scene, packed)
    assert scene.profile() == before
    take(scene, file(scene, *rows, f"{ACCOUNT},login,{START + 60},tablet,s"))
    after = scene.profile()
    assert after is not None
    assert after.events == 6


BAD = {
    "an account that cannot be one": f" edge,login,{START},mobile,s",
    "no account": f",login,{START},mobile,s",
    "an undeclared kind": f"{ACCOUNT},canary,{START},mobile,s",
    "a time that is none": f"{ACCOUNT},login,yesterday,mobile,s",
    "a time to come": f"{ACCOUNT},login,{START + 301},mobile,s",
    "a time before 1970": f"{ACCOUNT},login,-5,mobile,s",
    "a time beyond all calendars": f"{ACCOUNT},login,99999999999999999,mobile,s",
    "a value outside the vocabulary": f"{ACCOUNT},login,{START},canary,s",
    "a field that the kind does not carry": f"{ACCOUNT},logout,{START},mobile,s",
    "a cell too few": f"{ACCOUNT},login,{START},mobile",
    "a cell too many": f"{ACCOUNT},login,{START},mobile,s,canary",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_row_is_left_out_alone_with_its_line_and_nothing_of_what_it_said(scene: Scene, bad: str) -> None:
    scene.give()
    rejects = scene.folder / "rejects.csv"
    imported = take(scene, file(scene, GOOD[0], bad, GOOD[1]), rejects)
    assert (imported.rows, imported.rejected) == (3, 1)
    with rejects.open(newline="") as told:
        (row,) = csv.DictReader(told)
    assert row["line"] == "3"
    assert "canary" not in row["reason"]
    assert ACCOUNT not in row["reason"]
    assert len(scene.events() or []) == 2


def test_ndjson_is_read_like_csv(scene: Scene) -> None:
    scene.give()
    file(scene)
    path = scene.folder / "events.ndjson"
    lines = [
        {"user": ACCOUNT, "event": "login", "time": START + second, "platform": platform, "session": None}
        for second, platform in enumerate(["mobile", "desktop", None])
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    take(scene, path)
    before = scene.profile()
    take(scene, file(scene, *GOOD))
    assert scene.profile() == before


def test_a_column_that_nobody_decided_about_stops_the_import_before_its_first_row(scene: Scene) -> None:
    scene.give()
    path = file(scene, *GOOD)
    path.write_text(path.read_text().replace("session", "ip_address", 1))
    with pytest.raises(cp.ConsentProfileError) as refusal:
        take(scene, path)
    assert "ip_address" in str(refusal.value)
    assert scene.events() == []


def test_a_mapping_is_refused_with_every_fault_at_its_place(scene: Scene) -> None:
    path = file(scene, *GOOD)
    (scene.folder / "mapping.toml").write_text(MAPPING.replace('"web"', '"fax"').replace("unix-seconds", "whenever"))
    with pytest.raises(cp.InvalidMapping) as refusal:
        take(scene, path)
    assert [fault.place for fault in refusal.value.faults] == [
        "mapping.toml: at.format",
        "mapping.toml: fields.channel.value",
    ]


def test_progress_tells_rows_and_bytes(scene: Scene) -> None:
    scene.give()
    told: list[tuple[int, int, int | None]] = []
    path = file(scene, *GOOD)
    scene.store.import_events(
        path, mapping=scene.folder / "mapping.toml", progress=lambda *now: told.append(now), batch_size=2
    )
    assert [rows for rows, _, _ in told][-1] == 3
    assert {whole for _, _, whole in told} == {path.stat().st_size}


# ---- decisions ----------------------------------------------------------------------------------

DAY = "2024-03-01T08:00:00Z"
BAD_DECISIONS = {
    "an undeclared purpose": f"{DAY},{ACCOUNT},give,canary,{NEW},form",
    "an unknown notice": f"{DAY},{ACCOUNT},give,support,canary,form",
    "no notice": f"{DAY},{ACCOUNT},give,support,,form",
    "no method": f"{DAY},{ACCOUNT},give,support,{NEW},",
    "an unknown act": f"{DAY},{ACCOUNT},canary,support,{NEW},form",
    "a purpose twice": f"{DAY},{ACCOUNT},give,support support,{NEW},form",
    "no purpose": f"{DAY},{ACCOUNT},give,,{NEW},form",
    "no account": f"{DAY},,give,support,{NEW},form",
    "a time to come": f"2030-01-01T00:00:00Z,{ACCOUNT},give,support,{NEW},form",
    "a time without an offset": f"2024-01-01T00:00:00,{ACCOUNT},give,support,{NEW},form",
    "a time before 1970": f"1969-12-31T00:00:00Z,{ACCOUNT},give,support,{NEW},form",
}


@pytest.mark.parametrize("bad", BAD_DECISIONS.values(), ids=BAD_DECISIONS)
def test_a_bad_decision_is_left_out_alone(scene: Scene, bad: str) -> None:
    rejects = scene.folder / "rejects.csv"
    good = [f"{DAY},acct-{number},give,support planning,2023-01,form" for number in range(3)]
    imported = scene.store.import_consents(scene.decisions(*good[:2], bad, good[2]), rejects=rejects)
    assert (imported.rows, imported.rejected, imported.changed) == (4, 1, {"given": 6})
    with rejects.open(newline="") as told:
        (row,) = csv.DictReader(told)
    assert row["line"] == "4"
    assert "canary" not in row["reason"]
    assert {consent.state for consent in scene.store.consents(ACCOUNT).values()} == {"none"}


def test_a_file_that_is_not_one_of_decisions_is_refused(scene: Scene) -> None:
    path = scene.folder / "events.csv"
    path.write_text("user,event\na,b\n")
    with pytest.raises(cp.UnreadableInput):
        scene.store.import_consents(path)


def test_decisions_before_events_decide_what_is_recorded(scene: Scene) -> None:
    """The consent of a time decides about the events after it, also where both come from files."""
    scene.store.import_consents(scene.decisions(f"2024-03-15T12:30:45Z,{ACCOUNT},refuse,support,{NEW},form"))
    scene.clock.move(hours=1)
    scene.store.import_consents(scene.decisions(f"2024-03-15T12:30:46Z,{ACCOUNT},give,support,{NEW},form"))
    imported = take(scene, file(scene, *GOOD))
    assert imported.outcomes["support"] == {cp.Outcome.BEFORE_CONSENT: 1, cp.Outcome.RECORDED: 2}
