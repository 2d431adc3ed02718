"""The WAL of ``data.db``: moved when it is long, by one process at a time; what was committed does not wait for it."""

from __future__ import annotations

from errno import EIO
from pathlib import Path

import pytest

from consentprofile.store import wal as module
from consentprofile.store.connection import PRAGMAS, connect
from consentprofile.store.files import DATA, Files
from consentprofile.store.locks import CHECKPOINT, FileLock
from tests.store.test_files import commit


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A WAL that is long soon, and no transaction that writes much, or so little that its size is not asked for."""
    monkeypatch.setattr(module, "WAL_LIMIT", 500_000)
    monkeypatch.setattr(module, "BULK", 60.0)
    monkeypatch.setattr(module, "SHORT", 0.0)


def wal(files: Files) -> int:
    return (files.path / "data.db-wal").stat().st_size


def test_a_long_wal_is_moved_into_the_database_and_written_again_from_its_beginning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRAGMAS, DATA, (*PRAGMAS[DATA], ("journal_size_limit", 500_000)))
    files = Files(folder, wait=0.2, durability="full")
    commit(files, 1, 100_000)
    assert 100_000 < wal(files) < 500_000
    assert (folder / DATA).stat().st_size < 1_000_000
    commit(files, 2, 1_000_000)
    assert wal(files) > 1_000_000
    assert (folder / DATA).stat().st_size > 1_000_000
    commit(files, 3, 1)
    assert wal(files) == 500_000
    for slot in range(4, 40):
        commit(files, slot, 50_000)
        assert wal(files) < 1_100_000
    files.close()


def test_a_reader_in_the_way_of_a_checkpoint_loses_nothing_and_the_wal_is_moved_later(folder: Path) -> None:
    files, other = Files(folder, wait=0.2, durability="full"), connect(folder / DATA)
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM block").fetchone() == (0,)
    for slot in range(20):
        commit(files, slot, 100_000)
    assert other.execute("SELECT count(*) FROM block").fetchone() == (0,)
    assert wal(files) > 2_000_000
    assert (folder / DATA).stat().st_size < 1_000_000
    other.execute("COMMIT")
    other.close()
    for slot in range(20, 30):
        commit(files, slot, 100_000)
    assert (folder / DATA).stat().st_size > 2_000_000
    files.close()
    assert not (folder / "data.db-wal").exists()


def test_while_much_is_written_the_wal_may_grow_longer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BULK_WAL_LIMIT", 2_500_000)
    monkeypatch.setattr(module, "BULK", 0.0)  # every transaction is one of those
    files = Files(folder, wait=0.2, durability="full")
    commit(files, 1, 1_000_000)
    commit(files, 2, 1_000_000)
    assert (folder / DATA).stat().st_size < 1_000_000
    commit(files, 3, 1_000_000)
    assert (folder / DATA).stat().st_size > 3_000_000
    files.close()


def test_the_checkpoint_after_a_commit_waits_for_nobody_and_is_made_up_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed is never answered with an error of the checkpoint that follows it."""
    files, other = Files(folder, wait=0.0, durability="full"), Files(folder, wait=0.2, durability="full")
    release = files._writer.release

    def barge() -> None:
        release()
        if not other._writers:
            monkeypatch.setattr(files._writer, "release", release)
            other._writer.acquire()

    monkeypatch.setattr(files._writer, "release", barge)
    commit(files, 1, 1_000_000)
    assert (folder / DATA).stat().st_size < 1_000_000
    other._writer.release()
    commit(files, 2, 1)
    assert (folder / DATA).stat().st_size > 1_000_000
    other.close()
    files.close()


def test_nobody_waits_to_do_what_another_process_is_about_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other has died instead, it is done after the next commit."""
    files, taken = Files(folder, wait=30.0, durability="full"), 0
    acquire = files._writer.acquire

    def counted(*, shared: bool = False) -> None:
        nonlocal taken
        taken += 1
        acquire(shared=shared)

    monkeypatch.setattr(files._writer, "acquire", counted)
    other = FileLock(folder / CHECKPOINT, wait=0.0)
    with other.held():
        commit(files, 1, 1_000_000)
    assert taken == 1
    assert (folder / DATA).stat().st_size < 1_000_000
    commit(files, 2, 600_000)
    assert taken == 3
    assert (folder / DATA).stat().st_size > 1_000_000
    other.close()
    files.close()


def test_a_process_that_was_stopped_on_its_way_does_not_let_the_wal_grow_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have moved it, and has the lock that says so."""
    monkeypatch.setattr(module, "BULK_WAL_LIMIT", 2_000_000)
    files, stopped = Files(folder, wait=30.0, durability="full"), FileLock(folder / CHECKPOINT, wait=0.0)
    with stopped.held():
        for slot in range(10):
            commit(files, slot, 600_000)
            assert wal(files) < 3_000_000
        assert (folder / DATA).stat().st_size > 2_000_000
        assert not FileLock(folder / CHECKPOINT, wait=0.0).acquire_at_once()
    stopped.close()
    files.close()


def test_what_it_holds_is_on_the_disk_before_anybody_has_to_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails there fails nobody; what it does under the lock is what counts."""
    files, done = Files(folder, wait=5.0, durability="relaxed"), list[str]()
    acquire, move = files._writer.acquire, files.wal.move

    def acquiring(*, shared: bool = False) -> None:
        done.append("lock")
        acquire(shared=shared)

    def moving(mode: str) -> bool:
        done.append(mode)
        return move(mode)

    def failing(path: Path) -> None:
        done.append(path.name)
        raise OSError(EIO, "Input/output error")

    monkeypatch.setattr(files._writer, "acquire", acquiring)
    monkeypatch.setattr(files.wal, "move", moving)
    monkeypatch.setattr(module, "sync", failing)
    commit(files, 1, 1_000_000)
    assert done == ["lock", "data.db-wal", "lock", "PASSIVE"]
    assert (folder / DATA).stat().st_size > 1_000_000
    files.close()


def test_after_some_slices_of_compaction_it_is_moved_although_it_is_short(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, moves, written = Files(folder, wait=5.0, durability="full"), list[int](), 0
    move = files.wal.move

    def moving(mode: str) -> bool:
        moves.append(written)
        return move(mode)

    monkeypatch.setattr(files.wal, "move", moving)
    for slot in range(2 * module.SLICES + 1):
        with files.writing():
            commit(files, slot, 10_000)
            files.wal.slice_written()
            written += 1
    assert moves == [module.SLICES, 2 * module.SLICES]
    files.close()


def test_what_is_moved_while_another_writes_is_lost_to_nobody(folder: Path) -> None:
    """Two open stores take turns; each moves what both have written."""
    both = [Files(folder, wait=5.0, durability="full") for _ in range(2)]
    for slot in range(40):
        commit(both[slot % 2], slot, 100_000)
        assert wal(both[0]) < 1_100_000
    assert [files.data.execute("SELECT count(*) FROM block").fetchone() for files in both] == [(40,), (40,)]
    for files in both:
        files.close()
    again = connect(folder / DATA)
    assert again.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert again.execute("SELECT count(*) FROM block").fetchone() == (40,)
    again.close()
