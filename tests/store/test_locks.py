"""Locks between processes: exclusive and shared, in one order, waited for only so long, ended with their process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consentprofile.errors import StoreBusy
from consentprofile.store import migrations
from consentprofile.store.files import Files
from consentprofile.store.locks import ALIVE, GATE, TURN, WRITER, FileLock

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until the block ends."""
    path.touch(mode=0o600)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "writer.lock"


COMPATIBLE = {
    "shared beside shared": ("shared", True, True),
    "shared beside exclusive": ("exclusive", True, False),
    "exclusive beside shared": ("shared", False, False),
    "exclusive beside exclusive": ("exclusive", False, False),
}


@pytest.mark.parametrize(("theirs", "shared", "granted"), COMPATIBLE.values(), ids=COMPATIBLE)
def test_only_shared_locks_stand_beside_each_other(path: Path, theirs: str, shared: bool, granted: bool) -> None:
    lock = FileLock(path, wait=0.01)
    with held_elsewhere(path, theirs):
        if granted:
            with lock.held(shared=shared):
                pass
        else:
            with pytest.raises(StoreBusy, match="writer lock"):
                lock.acquire(shared=shared)
    lock.close()


def test_a_lock_ends_with_its_process_whatever_ends_it(path: Path) -> None:
    lock = FileLock(path, wait=5.0)
    with held_elsewhere(path, "exclusive") as process:
        process.kill()
        lock.acquire()
        lock.release()
    lock.close()


def test_a_lock_is_released_when_its_block_raises(path: Path) -> None:
    def fail() -> None:
        with first.held():
            raise KeyError

    first, second = FileLock(path, wait=0.01), FileLock(path, wait=0.01)
    with pytest.raises(KeyError):
        fail()
    with second.held():
        pass
    first.close()
    second.close()


def test_the_lock_file_is_its_owners_alone_and_stays_empty(path: Path) -> None:
    lock = FileLock(path, wait=0.01)
    with lock.held():
        assert (path.stat().st_mode & 0o777, path.stat().st_size) == (0o600, 0)
    lock.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    migrations.create_files(tmp_path)
    return tmp_path


def test_opening_takes_alive_first_then_writer_and_keeps_alive_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[str, bool]] = []
    acquire = FileLock.acquire

    def noting(self: FileLock, *, shared: bool = False) -> None:
        taken.append((self._name, shared))
        acquire(self, shared=shared)

    monkeypatch.setattr(FileLock, "acquire", noting)
    files = Files(folder, wait=0.1, durability="full")
    assert taken == [("alive", True), ("writer", False), ("turn", False)]
    taken.clear()
    with files.writing():
        with files.writing():
            files.pass_the_gate()
        with files.reading():
            pass
    alone, shared = [("gate", False), ("gate-turn", False)], [("gate", True), ("gate-turn", True)]
    assert taken == [("writer", False), ("turn", False), *alone, *shared]
    files.close()


def _act(files: Files, act: str) -> None:
    if act == "destroy":
        files.pass_the_gate()
        return
    with files.writing() if act == "write" else files.reading():
        raise AssertionError("let in beside another process")


BUSY = {
    "a restore is under way": (ALIVE, "exclusive", "open"),
    "somebody writes while it is opened": (WRITER, "exclusive", "open"),
    "somebody writes": (WRITER, "exclusive", "write"),
    "a destroyer is at the gate": (GATE, "exclusive", "read"),
    "a reader does not let go": (GATE, "shared", "destroy"),
}


@pytest.mark.parametrize(("name", "mode", "act"), BUSY.values(), ids=BUSY)
def test_a_lock_held_elsewhere_is_waited_for_only_so_long(folder: Path, name: str, mode: str, act: str) -> None:
    if act == "open":
        with held_elsewhere(folder / name, mode), pytest.raises(StoreBusy):
            Files(folder, wait=0.05, durability="full")
        return
    files = Files(folder, wait=0.05, durability="full")
    with held_elsewhere(folder / name, mode), pytest.raises(StoreBusy):
        _act(files, act)
    with files.writing(), files.reading():
        pass  # what was refused once works again
    files.close()


def test_readers_stand_beside_readers(folder: Path) -> None:
    files = Files(folder, wait=0.05, durability="full")
    with held_elsewhere(folder / GATE, "shared"), files.reading():
        pass
    files.close()


def test_whoever_has_the_store_open_keeps_a_restore_out(folder: Path) -> None:
    files = Files(folder, wait=0.05, durability="full")
    lock = FileLock(folder / ALIVE, wait=0.01)
    with pytest.raises(StoreBusy, match="alive"):
        lock.acquire()
    files.close()
    with lock.held():
        pass
    lock.close()


GREEDY = """
import sys, time
from pathlib import Path
from consentprofile.store.locks import FileLock
folder = Path(sys.argv[1])
lock = FileLock(folder / "writer.lock", wait=10, turn=folder / "turn.lock")
print("at it", flush=True)
for _ in range(2_000):
    with lock.held():
        end = time.monotonic() + 0.002
        while time.monotonic() < end:
            pass
"""


def test_who_works_in_slices_lets_others_in_between(tmp_path: Path) -> None:
    """Another process takes the lock again as soon as it has let go, for seconds; nobody waits for its end."""
    lock = FileLock(tmp_path / WRITER, wait=10, turn=tmp_path / TURN)
    with subprocess.Popen([sys.executable, "-c", GREEDY, str(tmp_path)], stdout=subprocess.PIPE, text=True) as greedy:
        assert greedy.stdout is not None
        assert greedy.stdout.readline() == "at it\n"
        for _ in range(50):
            with lock.held():
                assert greedy.poll() is None, "it has come to its end before we had fifty turns"
        greedy.kill()
    lock.close()
