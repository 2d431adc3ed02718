"""Check: a sound store has no findings, a damaged one says what and where, and only what is safe is repaired."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest

import consentprofile as cp
from tests.usecases.scene import ACCOUNT, PURPOSES, Scene, event

INSERT = "INSERT INTO block (slot, arrival, generation, sealed)"


def lived_in(scene: Scene) -> None:
    scene.give(*PURPOSES)
    scene.store.record(event("purchase"))
    scene.profile()


def tamper(scene: Scene, statement: str, *values: object, file: str = "data.db") -> None:
    with closing(sqlite3.connect(scene.folder / "store" / file)) as database, database:
        database.execute(statement, values)


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
        (sealed,) = data.execute(f"SELECT sealed FROM {table}").fetchone()
        broken = bytearray(sealed)
        broken[-1] ^= 1
        data.execute(f"UPDATE {table} SET sealed = ? WHERE sealed = ?", (bytes(broken), sealed))
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
        tamper(scene, f"{INSERT} VALUES (?, 77, ?, ?)", *copy)
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
    tamper(scene, f"{INSERT} SELECT slot, 77, generation + 9, sealed FROM block LIMIT 1")
    tamper(scene, f"{INSERT} SELECT 999999, 0, 0, sealed FROM block LIMIT 1")
    (finding,) = scene.store.check(repair=True).findings
    assert (finding.where, finding.repaired) == ("block", False)
    assert "elsewhere" in finding.what
    assert finding.what.startswith("2 ")


def test_a_row_under_another_accounts_slot_does_not_open(scene: Scene) -> None:
    lived_in(scene)
    scene.give(account="acct-18")
    tamper(scene, "UPDATE block SET arrival = 70 + slot, slot = (SELECT max(slot) FROM account)")
    assert not scene.store.check().is_clean


def test_a_policy_that_was_edited_is_found(scene: Scene) -> None:
    tamper(scene, "UPDATE policy SET text = CAST(replace(CAST(text AS TEXT), '365', '366') AS BLOB)")
    assert not scene.store.check().is_clean


def test_a_policy_that_was_put_in_the_place_of_the_accepted_one_is_found(scene: Scene) -> None:
    """Its digest is its own: only the keyring knows that it was never accepted."""
    with closing(sqlite3.connect(scene.folder / "store" / "data.db")) as data:
        ((text,),) = data.execute("SELECT text FROM policy").fetchall()
    swapped = text.replace(b'"marketer"', b'"plunderer"')
    assert swapped != text
    tamper(scene, "UPDATE policy SET text = ?, digest = ?", swapped, sha256(swapped).digest())
    assert ("policy 1", False) in [(finding.where, finding.repaired) for finding in scene.store.check().findings]


POLICIES = {
    "one more than was accepted": (
        "data.db",
        "INSERT INTO policy SELECT 2, zeroblob(32), text FROM policy",
        "policy 2",
    ),
    "none that was accepted": ("data.db", "DELETE FROM policy", "policy 1"),
    "another than was accepted": ("keys.db", "UPDATE accepted_policy SET digest = zeroblob(32)", "accepted policies"),
}


@pytest.mark.parametrize(("file", "statement", "where"), POLICIES.values(), ids=POLICIES)
def test_policies_and_what_was_accepted_are_compared(scene: Scene, file: str, statement: str, where: str) -> None:
    lived_in(scene)
    tamper(scene, statement, file=file)
    assert where in [finding.where for finding in scene.store.check().findings]


ACCEPTED = {
    "none accepted any more": "DELETE FROM accepted_policy",
    "one that nobody with a key accepted": "INSERT INTO accepted_policy SELECT 2, digest, seal FROM accepted_policy",
}


@pytest.mark.parametrize("statement", ACCEPTED.values(), ids=ACCEPTED)
def test_a_keyring_with_other_policies_in_force_is_worked_with_no_more_and_not_opened(
    scene: Scene, statement: str
) -> None:
    lived_in(scene)
    tamper(scene, statement, file="keys.db")
    with pytest.raises(cp.PolicyChanged):
        scene.store.check()
    with pytest.raises(cp.CorruptRecord):
        scene.reopen()


def test_two_entries_of_the_directory_for_one_slot_are_found(scene: Scene) -> None:
    lived_in(scene)
    assert scene.store.check().findings == ()
    statement = "INSERT INTO directory SELECT zeroblob(32), place, slot FROM directory WHERE place = 0"
    tamper(scene, statement, file="keys.db")
    found = {finding.what for finding in scene.store.check().findings}
    assert "is named by more than one entry" in found


def test_an_anchor_is_of_a_signed_head_and_lags_behind_it_by_no_more_than_a_crash(scene: Scene) -> None:
    assert scene.store.check().findings == ()
    lived_in(scene)
    scene.store.audit.checkpoint()
    scene.store.record(event("purchase"))
    scene.store.audit.checkpoint()
    assert scene.store.check().findings == ()
    older = "UPDATE anchor SET (size, root) = (SELECT size, root FROM checkpoint ORDER BY size DESC LIMIT 1 OFFSET ?)"
    for offset, findings in ((0, 0), (1, 0), (2, 1)):
        with closing(sqlite3.connect(scene.folder / "store" / "keys.db")) as keys, keys:
            keys.execute("ATTACH ? AS data", (str(scene.folder / "store" / "data.db"),))
            assert keys.execute(older, (offset,)).rowcount == 1
        assert [finding.where for finding in scene.store.check().findings] == ["anchor"] * findings


ANCHORS = {
    "no anchor over several heads": ("keys.db", "DELETE FROM anchor", "anchor"),
    "an anchor beyond the log": ("keys.db", "UPDATE anchor SET size = size + 1000", "audit log"),
    "an anchor of a size that is none": ("keys.db", "UPDATE anchor SET size = -9223372036854775808", "audit log"),
    "an anchor with another root": ("keys.db", "UPDATE anchor SET root = zeroblob(32)", "audit log"),
    "a signed head with another root": ("data.db", "UPDATE checkpoint SET root = zeroblob(32)", "audit log"),
    "a node that is another": ("data.db", "UPDATE node SET hash = zeroblob(32) WHERE level = 2", "audit log"),
}


@pytest.mark.parametrize(("file", "statement", "where"), ANCHORS.values(), ids=ANCHORS)
def test_anchor_heads_and_nodes_that_are_not_as_they_were_written_are_found(
    scene: Scene, file: str, statement: str, where: str
) -> None:
    for _ in range(2):
        scene.give(*PURPOSES)
        scene.store.audit.checkpoint()
        scene.store.record(event("purchase"))
    scene.store.audit.checkpoint()
    assert scene.store.check().findings == ()
    tamper(scene, statement, file=file)
    assert where in [finding.where for finding in scene.store.check().findings]
