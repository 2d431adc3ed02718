"""Backups and the journal of destroyed keys: whole, for the owner alone, never over anything, and noted."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.store import ground
from consentprofile.store.copying import copy_rows
from tests.usecases.scene import ACCOUNT, NOW, Scene, event


def test_a_backup_is_noted_and_readable_by_its_owner_alone(scene: Scene, tmp_path: Path) -> None:
    scene.give()
    target = tmp_path / "keys.backup"
    scene.store.back_up_keyring(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    leaf = scene.leaves()[-1]
    assert (leaf.operation, leaf.purpose, leaf.role, leaf.facts) == ("keyring-backed-up", "", "officer", {})


def test_with_the_backup_a_lost_keyring_is_had_again(scene: Scene, tmp_path: Path) -> None:
    scene.give()
    scene.store.record(event(platform="mobile"))
    before = scene.profile()
    scene.store.back_up_keyring(tmp_path / "keys.backup")
    scene.store.close()
    os.replace(tmp_path / "keys.backup", tmp_path / "store" / "keys.db")
    scene.reopen()
    assert scene.profile() == before
    assert scene.store.check().is_clean


WRAPPED = 60
"""The bytes at the end of a slot's record that hold its wrapped key; zero where there is none."""


def wrapped_keys(keyring: Path) -> set[bytes]:
    """The wrapped keys of every slot that holds one."""
    with closing(sqlite3.connect(keyring)) as keys:
        found = {bytes(record)[-WRAPPED:] for (record,) in keys.execute("SELECT record FROM slot")}
    return {key for key in found if any(key)}


def test_a_backup_holds_no_key_that_was_destroyed_before_it(scene: Scene, tmp_path: Path) -> None:
    """Not one of the erased account's wrapped keys, in no byte of the file."""
    scene.give()
    before = wrapped_keys(tmp_path / "store" / "keys.db")
    scene.store.erase(ACCOUNT)
    destroyed = before - wrapped_keys(tmp_path / "store" / "keys.db")
    assert len(destroyed) >= 2
    scene.store.back_up_keyring(tmp_path / "keys.backup")
    written = (tmp_path / "keys.backup").read_bytes()
    assert [key for key in destroyed if key[:16] in written or key[-16:] in written] == []


def test_nothing_is_ever_overwritten(scene: Scene, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    before = scene.leaves()
    with pytest.raises(cp.InputError):
        scene.store.back_up_keyring(target)
    assert target.read_text() == "mine"
    assert scene.leaves() == before


def test_where_it_cannot_be_written_nothing_is_left(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(cp.StoreFault):
        scene.store.back_up_keyring(tmp_path / "missing" / "keys.backup")
    assert not (tmp_path / "missing").exists()


def test_a_backup_that_fails_on_the_way_is_removed(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("consentprofile.store.ground.Ground.copy_keyring", fail)
    with pytest.raises(OSError, match="disk full"):
        scene.store.back_up_keyring(tmp_path / "keys.backup")
    assert not (tmp_path / "keys.backup").exists()


# ---- the data ----------------------------------------------------------------------------------------


def test_a_data_backup_is_noted_in_itself_and_readable_by_its_owner_alone(scene: Scene, tmp_path: Path) -> None:
    scene.give()
    scene.store.record(event(platform="mobile"))
    target = tmp_path / "data.backup"
    scene.store.back_up(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    leaf = scene.leaves()[-1]
    assert (leaf.operation, leaf.purpose, leaf.role, leaf.facts) == ("backed-up", "", "officer", {})
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT max(sequence) FROM leaf").fetchone() == (leaf.sequence,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        pragmas = [copy.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    assert pragmas == [0x434F4E53, 2]


def test_with_the_backup_lost_data_is_had_again(scene: Scene, tmp_path: Path) -> None:
    scene.give()
    scene.store.record(event(platform="mobile"))
    before = scene.profile()
    scene.store.audit.checkpoint()
    scene.store.back_up(tmp_path / "data.backup")
    scene.store._session.close()  # without a head over the leaf of the read: the copy is the newest there is
    os.replace(tmp_path / "data.backup", tmp_path / "store" / "data.db")
    scene.store = cp.Store.open(tmp_path / "store", key=scene.key, clock=scene.clock)
    assert scene.profile() == before


def test_others_write_and_checkpoint_while_the_data_is_copied(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is of the moment when it began; nobody waits for it, and the log of writes is cut when it is done."""
    scene.give()
    scene.store.record(event(id="before"))

    def copying(source: sqlite3.Connection, target: Path) -> None:
        source.execute("BEGIN")
        seen = source.execute("SELECT count(*) FROM leaf").fetchone()[0]
        scene.store.record(event(id="meanwhile"))
        with scene.store._session.ground.files.writing():
            scene.store._session.ground.files.wal.move("PASSIVE")
        assert source.execute("SELECT count(*) FROM leaf").fetchone()[0] == seen
        source.execute("COMMIT")
        copy_rows(source, target)

    monkeypatch.setattr(ground, "copy_rows", copying)
    scene.store.back_up(tmp_path / "data.backup")
    events = scene.events()
    assert events is not None
    assert len(events) == 2
    scene.reopen()
    assert not (tmp_path / "store" / "data.db-wal").exists() or not (tmp_path / "store" / "data.db-wal").stat().st_size


BACKUPS = {"data": cp.Store.back_up, "keyring": cp.Store.back_up_keyring}


@pytest.mark.parametrize("back_up", BACKUPS.values(), ids=BACKUPS)
def test_no_backup_goes_over_a_file_through_a_link_or_into_nowhere(
    scene: Scene, tmp_path: Path, back_up: Callable[[cp.Store, Path], None]
) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    before = scene.leaves()
    for target, error in (("precious", cp.InputError), ("link", cp.InputError), ("missing/x", cp.StoreFault)):
        with pytest.raises(error):
            back_up(scene.store, tmp_path / target)
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    assert scene.leaves() == before


def test_a_data_backup_that_fails_on_the_way_is_removed(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(ground, "copy_rows", fail)
    with pytest.raises(cp.StoreFault):
        scene.store.back_up(tmp_path / "data.backup")
    assert not (tmp_path / "data.backup").exists()


# ---- the journal -------------------------------------------------------------------------------------


def test_every_key_that_dies_has_its_line_whatever_it_died_of(scene: Scene) -> None:
    """Withdrawn, declared void, expired, succeeded, erased: the key ids of the log's leaves, and no others."""
    scene.give("support", "marketing", "planning")
    scene.store.record(event())
    scene.store.withdraw_consent(ACCOUNT, ["marketing"])
    scene.store.invalidate_consent(ACCOUNT, ["planning"])
    scene.give("planning", account="acct-18")
    scene.clock.move(days=200)
    scene.store.record(event(at=scene.clock.now))
    scene.store.upkeep.run_retention(attended=True)
    scene.clock.move(days=200)
    scene.store.upkeep.expire_consents(attended=True)
    scene.give("marketing")
    scene.store.erase(ACCOUNT)
    lines = [json.loads(line) for line in scene.store.journal().splitlines()]
    died = scene.key_ids("consent-withdrawn", "consent-invalidated", "retention-applied", "consent-expired", "erased")
    assert sorted(line["key_id"] for line in lines) == sorted(died)
    assert len(set(died)) == len(died) > 6
    assert {line["operation"] for line in lines} == {
        "consent-withdrawn", "consent-invalidated", "succeeded", "consent-expired", "erased",
    }  # fmt: skip
    assert len({(line["slot"], line["generation"]) for line in lines}) == len(lines)


def test_a_line_is_where_the_key_lived(scene: Scene) -> None:
    scene.give()
    session = scene.store._session
    with session.ground.files.reading():
        living = {slot.header.key_id.hex(): slot for slot in session.ground.keyring.every_slot() if slot.key_held}
    scene.store.erase(ACCOUNT)
    for line in map(json.loads, scene.store.journal().splitlines()):
        slot = living[line["key_id"]]
        assert (line["slot"], line["generation"]) == (slot.number, slot.header.generation)
        assert line["hour"] == "2024-03-15T12:00:00Z"


def test_the_journal_since_a_time_has_the_lines_from_its_hour_on(scene: Scene) -> None:
    scene.give("support", "planning")
    scene.store.withdraw_consent(ACCOUNT, ["support"])
    first = scene.store.journal()
    scene.clock.move(hours=2)
    scene.store.withdraw_consent(ACCOUNT, ["planning"])
    whole = scene.store.journal()
    assert whole.startswith(first)
    assert scene.store.journal(NOW + timedelta(hours=2, minutes=-40)) == whole.removeprefix(first)
    assert scene.store.journal(NOW) == whole
    with pytest.raises(cp.InputError):
        scene.store.journal(NOW.replace(tzinfo=None))


def test_a_store_without_a_destroyed_key_has_an_empty_journal(scene: Scene) -> None:
    scene.give()
    assert scene.store.journal() == b""
    assert not (scene.folder / "store" / "destroyed.journal").exists()
