"""The recovery copy of the key: what was lost is had again, and the log says that there is one more copy."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.crypto import recovery
from tests.usecases.scene import ACCOUNT, POLICY, Scene, event

WORDS = "correct horse battery staple"


def cheap(words: str = WORDS) -> cp.Passphrase:
    return cp.Passphrase(words, memory_kib=19 * 1024, iterations=2, lanes=1)


def test_a_lost_key_file_is_made_again(scene: Scene, tmp_path: Path) -> None:
    scene.give()
    scene.store.record(event())
    scene.store.write_recovery_copy(tmp_path / "recovery", key=scene.key, passphrase=cheap())
    assert stat.S_IMODE((tmp_path / "recovery").stat().st_mode) == 0o600
    assert scene.leaves()[-1].operation == "recovery-copied"
    line = (tmp_path / "key").read_text()
    (tmp_path / "key").unlink()
    found = cp.recover_key(tmp_path / "recovery", tmp_path / "key", passphrase=cheap())
    assert found.epoch == 1
    assert (tmp_path / "key").read_text() == line
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    scene.reopen()
    assert scene.profile() is not None


def test_the_key_of_a_variable_is_recovered_as_its_line(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", cp.new_key_text())
    key = cp.EnvKey("SHOP_KEY")
    with cp.Store.create(tmp_path / "other", policy=scene.store.policy, key=key, clock=scene.clock) as store:
        store.write_recovery_copy(tmp_path / "recovery", key=key, passphrase=cheap())
    cp.recover_key(tmp_path / "recovery", tmp_path / "line", passphrase=cheap())
    monkeypatch.setenv("SHOP_KEY", (tmp_path / "line").read_text().strip())
    cp.Store.open(tmp_path / "other", key=key, clock=scene.clock).close()


def test_it_counts_for_the_shred_horizon(scene: Scene, tmp_path: Path) -> None:
    scene.store.write_recovery_copy(tmp_path / "recovery", key=scene.key, passphrase=cheap())
    (copy,) = scene.store.key_status().copies
    assert copy.what == "recovery-copy"
    assert "one more copy of the key" in copy.horizon


def test_after_a_rotation_it_opens_nothing_any_more(scene: Scene, tmp_path: Path) -> None:
    scene.store.write_recovery_copy(tmp_path / "recovery", key=scene.key, passphrase=cheap())
    scene.store.rotate_keys(cp.KeyFile(tmp_path / "new-key"))
    scene.store.close()
    cp.recover_key(tmp_path / "recovery", tmp_path / "recovered", passphrase=cheap())
    with pytest.raises(cp.WrongKey):
        cp.Store.open(tmp_path / "store", key=cp.KeyFile(tmp_path / "recovered"), clock=scene.clock)


def test_a_wrong_key_a_short_passphrase_or_a_file_in_the_way_makes_nothing(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text(cp.new_key_text() + "\n")
    (tmp_path / "wrong").chmod(0o600)
    (tmp_path / "precious").write_text("mine")
    before = scene.leaves()
    wrong = cp.KeyFile(tmp_path / "wrong")
    for target, key, passphrase, error in (
        ("new", wrong, cheap(), cp.WrongKey),
        ("new", scene.key, cheap("x" * 19), cp.KeyUnavailable),
        ("precious", scene.key, cheap(), cp.InputError),
        ("missing/new", scene.key, cheap(), cp.StoreFault),
    ):
        with pytest.raises(error):
            scene.store.write_recovery_copy(tmp_path / target, key=key, passphrase=passphrase)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "precious").read_text() == "mine"
    assert scene.leaves() == before


def test_a_store_under_a_passphrase_has_nothing_else_to_recover(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    store = cp.Store.create(tmp_path / "store", policy=tmp_path / "policy.toml", key=cheap())
    with store, pytest.raises(cp.InputError, match="write that down"):
        store.write_recovery_copy(tmp_path / "recovery", key=cheap(), passphrase=cheap())


def test_a_copy_that_others_may_read_or_a_wrong_passphrase_recovers_nothing(scene: Scene, tmp_path: Path) -> None:
    scene.store.write_recovery_copy(tmp_path / "recovery", key=scene.key, passphrase=cheap())
    with pytest.raises(cp.WrongKey):
        cp.recover_key(tmp_path / "recovery", tmp_path / "new", passphrase=cheap(WORDS.upper()))
    with pytest.raises(cp.InputError):
        cp.recover_key(tmp_path / "recovery", tmp_path / "key", passphrase=cheap())
    (tmp_path / "recovery").chmod(0o644)
    with pytest.raises(cp.KeyUnavailable, match="read by others"):
        cp.recover_key(tmp_path / "recovery", tmp_path / "new", passphrase=cheap())
    assert not (tmp_path / "new").exists()
    assert ACCOUNT not in (tmp_path / "recovery").read_text()


def test_a_key_that_was_rotated_while_it_was_sealed_is_not_kept_as_the_one_in_force(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread rotates: a copy of the former key would be found useless on the day when it is needed."""
    seal = recovery.write

    def rotate_and_seal(store: bytes, epoch: int, secret: bytes, passphrase: cp.Passphrase) -> str:
        scene.store.rotate_keys(cp.KeyFile(tmp_path / "new-key"))
        return seal(store, epoch, secret, passphrase)

    monkeypatch.setattr(recovery, "write", rotate_and_seal)
    with pytest.raises(cp.KeysRotated):
        scene.store.write_recovery_copy(tmp_path / "recovery", key=scene.key, passphrase=cheap())
    assert not (tmp_path / "recovery").exists()
    assert "recovery-copied" not in [leaf.operation for leaf in scene.leaves()]
