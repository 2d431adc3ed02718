"""The doctor: a sound store is well, each fault is named with what to do, and nothing is opened or changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.store.names import PART
from consentprofile.usecases import places, rotation
from tests.faults.test_restore_killed import Yesterday
from tests.support.people import edit
from tests.support.stores import SetClock, StoreFactory, scratch
from tests.usecases.changes import FEWER, apply, edited
from tests.usecases.scene import ACCOUNT, Scene, event


class Patient(Scene):
    """A store that is well: closed, with copies of today elsewhere."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "store"
        self.give()
        self.store.record(event())
        self.store.withdraw_consent(ACCOUNT, ["support"])
        self.store.back_up(folder / "data.backup")
        self.store.back_up_keyring(folder / "keys.backup")
        self.store.close()

    def examine(self) -> list[tuple[str, str]]:
        """Where something is, and what."""
        found = cp.examine(self.path, key_file=self.folder / "key", clock=self.clock)
        assert all(symptom.advice for symptom in found.symptoms)
        assert found.is_well == (not found.symptoms)
        return [(symptom.where, symptom.what) for symptom in found.symptoms]


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


def test_a_sound_store_is_well_with_and_without_its_key(patient: Patient) -> None:
    assert patient.examine() == []
    with cp.Store.open(patient.path, key=patient.key, clock=patient.clock) as store:
        found = store.doctor(key_file=patient.folder / "key")
        assert found.is_well
        assert found.sqlite
        assert any("restore --dry-run" in text for text in found.cannot_know)
    assert cp.examine(patient.path, clock=patient.clock).is_well


def test_nothing_is_changed_and_the_key_is_not_read(patient: Patient) -> None:
    before = {path.name: path.read_bytes() for path in patient.path.iterdir()}
    (patient.folder / "key").write_text("no key at all")
    assert patient.examine() == []
    assert {path.name: path.read_bytes() for path in patient.path.iterdir()} == before


def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(cp.StoreNotFound):
        cp.examine(tmp_path / "nowhere")


def _link(path: Path) -> None:
    shutil.move(path, path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def _grow(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(places.LARGE_WAL + 1)


FAULTS: dict[str, tuple[Callable[[Patient], object], str, str]] = {
    "a directory that others may enter": (lambda on: on.path.chmod(0o755), "directory", "its mode is 0755"),
    "a keyring that others may read": (lambda on: (on.path / "keys.db").chmod(0o644), "keys.db", "its mode is 0644"),
    "data that the group may write": (lambda on: (on.path / "data.db").chmod(0o620), "data.db", "its mode is 0620"),
    "a lock that others may take": (lambda on: (on.path / "gate.lock").chmod(0o666), "gate.lock", "its mode is 0666"),
    "a journal that others may read": (
        lambda on: (on.path / "destroyed.journal").chmod(0o604), "destroyed.journal", "its mode is 0604",
    ),
    "a key file that others may read": (lambda on: (on.folder / "key").chmod(0o640), "key file", "its mode is 0640"),
    "a link in the place of the keyring": (lambda on: _link(on.path / "keys.db"), "keys.db", "not a regular file"),
    "a link in the place of the store": (lambda on: _link(on.path), "directory", "is a symbolic link"),
    "another name for the keyring": (
        lambda on: os.link(on.path / "keys.db", on.folder / "copy"), "keys.db", "has another name",
    ),
    "a copy of the keyring beside it": (
        lambda on: shutil.copy(on.path / "keys.db", on.path / "keys.db.old"), "directory", "1 files lie in it",
    ),
    "a missing key file": (lambda on: (on.folder / "key").unlink(), "key file", "cannot be read"),
    "a write-ahead log that grew": (lambda on: _grow(on.path / "data.db-wal"), "data.db-wal", "has grown to"),
    "a restore that was interrupted": (lambda on: (on.path / PART).mkdir(), "directory", "a restore was interrupted"),
    "a clock that is behind": (lambda on: on.clock.move(hours=-3), "clock", "behind the newest entry"),
    "a clock that has jumped": (lambda on: on.clock.move(days=3_650), "clock", "more than 62 days ahead"),
    "an old data backup": (lambda on: on.clock.move(days=9), "data backup", "9 days old"),
    "an old keyring backup": (lambda on: on.clock.move(days=9), "keyring backup", "9 days old"),
    "a damaged journal": (
        lambda on: (on.path / "destroyed.journal").write_text("{}\n"), "store", "line 1 of the destruction journal",
    ),
    "a database that is none": (
        lambda on: (on.path / "data.db").write_bytes(b"nothing"), "store", "cannot be opened",
    ),
    "pending work": (
        lambda on: edit(on.path, "keys.db", "INSERT INTO pending VALUES (zeroblob(16), zeroblob(1))"),
        "pending work", "work is pending",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(patient: Patient, fault: str) -> None:
    spoil, where, what = FAULTS[fault]
    spoil(patient)
    assert [found for found in patient.examine() if found[0] == where and what in found[1]]


def test_a_key_that_lies_in_the_store_is_found(patient: Patient) -> None:
    shutil.move(patient.folder / "key", patient.path / "key")
    found = cp.examine(patient.path, key_file=patient.path / "key", clock=patient.clock)
    assert "lies in the store's directory" in " ".join(symptom.what for symptom in found.symptoms)


def test_a_store_of_another_user_is_found(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 12_345)
    assert ("keys.db", "belongs to another user than the one who asks") in patient.examine()


def test_little_room_is_found(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "LITTLE_ROOM", 1 << 60)
    assert [where for where, _ in patient.examine()] == ["disk"]


def test_a_machine_without_what_is_needed_is_found(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise cp.UnsupportedEnvironment("AES-256-GCM-SIV is missing")

    monkeypatch.setattr("consentprofile.crypto.aead.require_support", missing)
    assert ("OpenSSL", "AES-256-GCM-SIV is missing") in patient.examine()


def test_backups_that_were_never_made_are_found(scene: Scene) -> None:
    found = {symptom.where: symptom.what for symptom in scene.store.doctor().symptoms}
    assert set(found) == {"data backup", "keyring backup"}
    assert "never made" in found["data backup"]


@pytest.mark.parametrize("hours", [0, 2], ids=["the same hour", "two hours later"])
def test_backups_from_before_retention_and_rotation_are_found(scene: Scene, tmp_path: Path, hours: int) -> None:
    scene.give()
    scene.store.record(event())
    scene.store.back_up(tmp_path / "data.backup")
    scene.store.back_up_keyring(tmp_path / "keys.backup")
    scene.clock.move(hours=hours)
    scene.store.rotate_keys(cp.KeyFile(tmp_path / "new-key"))
    said = [(symptom.where, symptom.what) for symptom in scene.store.doctor().symptoms]
    assert [where for where, what in said if "before the keys were rotated" in what] == [
        "data backup",
        "keyring backup",
    ]
    scene.store.back_up(tmp_path / "data.second")
    scene.clock.move(days=200)
    scene.store.record(event("logout", at=scene.clock.now - timedelta(minutes=1)))
    assert scene.store.upkeep.run_retention(attended=True).resealed == 1
    said = [(symptom.where, symptom.what) for symptom in scene.store.doctor().symptoms]
    assert [where for where, what in said if "before the last retention run" in what] == ["data backup"]


def test_a_backup_from_before_a_policy_was_narrowed_is_found_and_one_from_amid_a_rotation_opens(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.give()
    scene.store.record(event(rating=1))
    scene.store.back_up(tmp_path / "data.backup")
    apply(scene, edited(FEWER))
    assert scene.store.upkeep.run_retention(attended=True).narrowed == 1
    said = [(symptom.where, symptom.what) for symptom in scene.store.doctor().symptoms]
    assert [where for where, what in said if "before the last retention run" in what] == ["data backup"]
    with monkeypatch.context() as patch:
        patch.setattr(rotation.Slices, "seal_entries", lambda _: scene.store.back_up_keyring(tmp_path / "keys.backup"))
        scene.store.rotate_keys(cp.KeyFile(tmp_path / "new-key"))
    assert "keyring backup" not in [symptom.where for symptom in scene.store.doctor().symptoms]


def test_an_interrupted_restore_is_told_and_not_settled() -> None:
    with scratch() as directory:
        yesterday = Yesterday(StoreFactory(directory))
        assert yesterday.killed_at("data in place")
        before = yesterday.left()
        found = cp.examine(yesterday.path, clock=SetClock())
        assert "a restore was interrupted" in [symptom.what for symptom in found.symptoms]
        assert yesterday.left() == before
        yesterday.stores.open(yesterday.path).close()
        assert "a restore was interrupted" not in [s.what for s in cp.examine(yesterday.path).symptoms]
