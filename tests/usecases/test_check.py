"""Check: a sound store has no findings, a damaged one says what and where, and only what is safe is repaired."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.usecases.scene import ACCOUNT, PURPOSES, Scene, event


def lived_in(scene: Scene) -> None:
    scene.give(*PURPOSES)
    scene.store.record(event("purchase"))
    scene.profile()


def tamper(scene: Scene, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(scene.folder / "store" / "data.db")) as data, data:
        data.execute(statement, values)


def test_a_sound_store_is_clean_and_everything_was_opened(scene: Scene) -> None:
    lived_in(scene)
    told: list[str] = []
    report = scene.store.check(progress=told.append)
    assert (report.findings, report.is_clean) == ((), True)
    assert report.keys == 5  # three compartments, the account, its evidence
    assert report.rows == {"block": 2, "evidence": 3, "account": 1, "trail": 1, "actor_book": 1}
    assert (report.leaves, report.root) == (len(scene.leaves()), scene.store.audit.verify().root)
    assert {"databases", "log", "keys", "block", "actor book"} <= set(told)


def test_it_says_what_it_cannot_know(scene: Scene) -> None:
    assert any("copy of the key" in unknown for unknown in scene.store.check().cannot_know)


@pytest.mark.parametrize("table", ["block", "evidence", "account", "trail", "actor_book"])
def test_one_flipped_bit_in_a_sealed_row_is_found(scene: Scene, table: str) -> None:
    lived_in(scene)
    with closing(sqlite3.connect(scene.folder / "store" / "data.db")) as data, data:
        (row, sealed) = data.execute(f"SELECT rowid, sealed FROM {table}").fetchone()
        broken = bytearray(sealed)
        broken[-1] ^= 1
        data.execute(f"UPDATE {table} SET sealed = ? WHERE rowid = ?", (bytes(broken), row))
    report = scene.store.check(repair=True)
    (finding,) = report.findings
    assert not report.is_clean
    assert finding.where == table.replace("_", " ")
    assert "authenticate" in finding.what
    assert not finding.repaired


def test_rows_that_a_restored_copy_brought_back_are_purged_and_no_others(scene: Scene) -> None:
    """A dead row opens nowhere; dropping it is housekeeping, so repairing does it, with a leaf."""
    lived_in(scene)
    with closing(sqlite3.connect(scene.folder / "store" / "data.db")) as data:
        copies = data.execute("SELECT slot, generation, sealed FROM block").fetchall()
    scene.store.withdraw_consent(ACCOUNT, ["support", "marketing"])
    for copy in copies:
        tamper(scene, "INSERT INTO block (slot, generation, sealed) VALUES (?, ?, ?)", *copy)
    report = scene.store.check()
    assert [(finding.where, finding.repaired) for finding in report.findings] == [("block", False)]
    assert "destroyed" in report.findings[0].what
    repaired = scene.store.check(repair=True)
    assert repaired.findings[0].repaired
    assert repaired.is_clean
    assert scene.leaves()[-1].operation == "repaired"
    assert scene.store.check().findings == ()


def test_rows_from_elsewhere_are_told_apart_and_left_alone(scene: Scene) -> None:
    lived_in(scene)
    tamper(scene, "INSERT INTO block (slot, generation, sealed) SELECT slot, generation + 9, sealed FROM block LIMIT 1")
    tamper(scene, "INSERT INTO block (slot, generation, sealed) SELECT 999999, 0, sealed FROM block LIMIT 1")
    (finding,) = scene.store.check(repair=True).findings
    assert (finding.where, finding.repaired) == ("block", False)
    assert "elsewhere" in finding.what
    assert finding.what.startswith("2 ")


def test_a_row_under_another_accounts_slot_does_not_open(scene: Scene) -> None:
    lived_in(scene)
    scene.give(account="acct-18")
    tamper(scene, "UPDATE block SET slot = (SELECT max(slot) FROM account)")
    assert not scene.store.check().is_clean


def test_a_policy_that_was_edited_is_found(scene: Scene) -> None:
    tamper(scene, "UPDATE policy SET text = CAST(replace(CAST(text AS TEXT), '365', '366') AS BLOB)")
    assert not scene.store.check().is_clean
