"""Backups of the keyring: whole, for the owner alone, never over anything, and noted."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

import consentprofile as cp
from tests.usecases.scene import ACCOUNT, Scene, event


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
