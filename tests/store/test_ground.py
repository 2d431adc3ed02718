"""A store's directory is there whole or not at all, private, and of one piece."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from consentprofile.errors import CorruptRecord, StoreExists, StoreFault
from consentprofile.store.ground import Ground, create_directory
from consentprofile.store.keyring import Epoch
from consentprofile.store.rows import TABLES, SealedRow
from tests.support.sealed import every_row

STORE = bytes(range(16))


def establish(ground: Ground, *, data: bytes = STORE) -> None:
    with ground.files.writing():
        with ground.files.data_transaction(full=True):
            ground.data_file.establish(data)
            ground.log.establish()
        with ground.files.keyring_transaction():
            ground.keyring.establish(STORE, "shop.example/log", Epoch(1, b"", bytes(32), []), [])


def test_a_store_is_private_whatever_the_mask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_directory(tmp_path / "store", establish)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").iterdir()}
    locks = ("alive.lock", "writer.lock", "gate.lock", "turn.lock", "gate-turn.lock", "checkpoint.lock")
    assert modes == dict.fromkeys(["keys.db", "data.db", *locks], 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_the_files_that_sqlite_makes_while_it_is_open_are_private_too(tmp_path: Path) -> None:
    create_directory(tmp_path / "store", establish)
    ground = Ground(tmp_path / "store", wait=0.1, durability="full")
    with ground.files.writing(), ground.files.keyring_transaction(), ground.files.data_transaction(full=True):
        names = {path.name for path in ground.path.iterdir()}
        modes = {stat.S_IMODE(path.stat().st_mode) for path in ground.path.iterdir()}
    ground.files.close()
    assert names >= {"keys.db-journal", "data.db-wal", "data.db-shm"}
    assert modes == {0o600}


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_store_that_could_not_be_made_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(ground: Ground) -> None:
        establish(ground)
        raise error

    with pytest.raises(error):
        create_directory(tmp_path / "store", fail)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_seen_of_a_store_before_it_is_whole(tmp_path: Path) -> None:
    seen: list[bool] = []

    def look(ground: Ground) -> None:
        establish(ground)
        seen.append((tmp_path / "store").exists())

    create_directory(tmp_path / "store", look)
    assert seen == [False]
    assert (tmp_path / "store" / "keys.db").is_file()


def test_an_empty_directory_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    create_directory(tmp_path / "store", establish)
    assert (tmp_path / "store" / "keys.db").is_file()


def test_what_stands_at_the_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder" / "letter", tmp_path / "file"):
        path.write_text("mine")
    for path in (tmp_path / "folder", tmp_path / "file"):
        with pytest.raises(StoreExists):
            create_directory(path, establish)
    assert (tmp_path / "folder" / "letter").read_text() == (tmp_path / "file").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file"}


def test_a_place_where_nothing_can_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(StoreFault, match="No such file"):
        create_directory(tmp_path / "nowhere" / "store", establish)


def test_files_of_two_stores_are_not_opened_together(tmp_path: Path) -> None:
    create_directory(tmp_path / "store", lambda ground: establish(ground, data=bytes(16)))
    ground = Ground(tmp_path / "store", wait=0.1, durability="full")
    with pytest.raises(CorruptRecord, match="different stores"):
        ground.require_agreement()
    ground.files.close()


def test_purging_reaches_every_table_of_sealed_rows(tmp_path: Path) -> None:
    create_directory(tmp_path / "store", establish)
    ground = Ground(tmp_path / "store", wait=0.1, durability="full")
    with ground.files.writing(), ground.files.data_transaction(full=True):
        for table in TABLES:
            ground.rows(table).append([SealedRow(1, 0, b"dead"), SealedRow(1, 1, b"alive"), SealedRow(2, 0, b"other")])
        ground.purge_below(1, 1)
    kept = [[row.sealed for row in every_row(ground.rows(table))] for table in TABLES]
    ground.files.close()
    assert kept == [[b"alive", b"other"]] * 4


def test_a_copy_of_the_keyring_holds_no_remnant(tmp_path: Path) -> None:
    create_directory(tmp_path / "store", establish)
    ground = Ground(tmp_path / "store", wait=0.1, durability="full")
    target = tmp_path / "copy"
    target.touch(mode=0o600)
    with ground.files.writing():
        ground.copy_keyring(target)
    assert ground.damage() == []
    ground.files.close()
    assert target.read_bytes()[:16] == b"SQLite format 3\x00"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_few_pages_are_kept_for_as_long_as_whole_files_are_gone_through(tmp_path: Path) -> None:
    create_directory(tmp_path / "store", establish)
    ground = Ground(tmp_path / "store", wait=5.0, durability="full")

    def kept() -> list[int]:
        return [each.execute("PRAGMA cache_size").fetchone()[0] for each in (ground.files.keys, ground.files.data)]

    many = kept()
    with ground.scanning():
        assert all(few > most for few, most in zip(kept(), many, strict=True))  # KiB are told as negative numbers
    assert kept() == many
    with pytest.raises(InterruptedError), ground.scanning():
        raise InterruptedError
    assert kept() == many
    ground.files.close()
