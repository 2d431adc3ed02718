"""The faults are real: calls are seen and fail as they are told to, and a store that is careless is found out."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.crypto.slots import Slot
from consentprofile.store import connection, files, pending
from consentprofile.store.keyring import Keyring
from tests.faults.children import Counters, child
from tests.faults.interposed import Call, Interposed
from tests.faults.operations import BY_NAME
from tests.faults.power import Disk, everything, nothing, some
from tests.faults.test_kill_points import Killing
from tests.faults.test_power_loss import survive
from tests.support.stores import StoreFactory

# ---- calls are seen ------------------------------------------------------------------------------------


def test_every_kind_of_call_comes_by_and_may_fail(tmp_path: Path) -> None:
    """SQLite's and Python's: each is told before it is made, and fails with the errno that is answered."""

    def work(watched: Interposed, counters: Counters) -> None:
        seen: list[tuple[str, str]] = []
        failing = ""

        def watch(call: Call) -> int:
            seen.append((call.kind, Path(call.path).name))
            return errno.EIO if call.kind == failing else 0

        watched.watcher = watch
        connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("CREATE TABLE t (x)")
        assert {("create", "a.db"), ("write", "a.db"), ("sync", "a.db"), ("unlink", "a.db-journal")} <= set(seen)
        assert ("sync directory", tmp_path.name) in seen
        for failing in ("create", "write", "sync", "unlink", "sync directory"):  # noqa: B007 - watch looks at it
            with pytest.raises(sqlite3.OperationalError):
                connection.execute("INSERT INTO t VALUES (1)")
        failing = ""
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO t VALUES (2)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert {("map", "a.db-shm"), ("truncate", "a.db-wal")} <= set(seen)
        connection.close()
        _python(tmp_path, seen)
        failing = "rename"
        with pytest.raises(OSError, match="Input/output"):
            (tmp_path / "b").rename(tmp_path / "c")
        watched.watcher = None

    assert not child(work).killed


def _python(place: Path, seen: list[tuple[str, str]]) -> None:
    del seen[:]
    (place / "d").mkdir()
    descriptor = os.open(place / "b", os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, b"1")
    os.fsync(descriptor)
    os.close(descriptor)
    os.link(place / "b", place / "e")
    (place / "e").rename(place / "f")
    (place / "f").unlink()
    (place / "d").rmdir()
    told = [("mkdir", "d"), ("create", "b"), ("write", "b"), ("sync", "b"), ("link", "b"), ("rename", "e")]
    assert seen == [*told, ("unlink", "f"), ("rmdir", "d")]


# ---- a disk that loses its power ------------------------------------------------------------------------


def test_a_disk_keeps_what_is_synced_and_any_of_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "old").write_bytes(b"a" * 1024)
    disk = Disk(root)
    for call in (
        Call("write", f"{root}/old", 512, b"b" * 512),
        Call("create", f"{root}/new"),
        Call("write", f"{root}/new", 0, b"c" * 2048),
        Call("sync", f"{root}/new"),
        Call("truncate", f"{root}/new", 1024),
    ):
        disk.follow(call)

    def images(name: str) -> set[tuple[tuple[str, bytes], ...]]:
        found = set()
        place = Path(mkdtemp(dir=tmp_path))
        for seed in range(64):
            random = Random(seed)
            keep = {"nothing": nothing, "everything": everything, "some": some(random)}[name]
            image = place / str(seed)
            disk.image(image, keep, random)
            found.add(tuple((file.name, file.read_bytes()) for file in sorted(image.iterdir())))
        return found

    before, after = b"a" * 1024, b"a" * 512 + b"b" * 512
    assert images("nothing") == {(("old", before),)}
    assert images("everything") == {(("new", b"c" * 1024), ("old", after))}
    disk.follow(Call("sync directory", str(root)))
    assert images("nothing") == {(("new", b"c" * 2048), ("old", before))}
    new = (b"c" * 1024, b"c" * 2048)
    assert images("some") == {(("new", one), ("old", other)) for one in new for other in (before, after)}
    disk.follow(Call("write", f"{root}/new", 0, b"d" * 1024))
    torn = {dict(image)["new"][:1024:512] for image in images("some")}
    assert torn == {b"cc", b"cd", b"dc", b"dd"}


def test_names_change_for_good_when_their_directory_is_synced_and_each_in_its_order(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_bytes(b"1")
    disk = Disk(root)
    for call in (
        Call("rename", f"{root}/a", target=f"{root}/b"),
        Call("mkdir", f"{root}/d"),
        Call("unlink", f"{root}/b"),
        Call("create", f"{root}/a"),
    ):
        disk.follow(call)
    found = set()
    for seed in range(64):
        image, random = tmp_path / f"image-{seed}", Random(seed)
        disk.image(image, some(random), random)
        found.add(tuple(sorted(file.name for file in image.iterdir() if file.is_file())))
    assert found == {("a",), ("b",), ("a", "b"), ()}  # never both names of the one file, which is never lost with it


def test_a_file_that_is_moved_to_another_directory_keeps_a_name(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "d" / "a").write_bytes(b"1")

    def found(disk: Disk) -> set[tuple[str, ...]]:
        place = Path(mkdtemp(dir=tmp_path))
        for seed in range(64):
            disk.image(place / str(seed), some(Random(seed)), Random(seed))
        return {
            tuple(sorted(str(file.relative_to(image)) for file in image.rglob("*") if file.is_file()))
            for image in place.iterdir()
        }

    disk = Disk(root)
    disk.follow(Call("rename", f"{root}/d/a", target=f"{root}/a"))
    assert found(disk) == {("a",), ("d/a",), ("a", "d/a")}
    disk.follow(Call("sync directory", f"{root}/d"))
    assert found(disk) == {("a",)}


# ---- careless stores --------------------------------------------------------------------------------------


def _keyring_with(patch: pytest.MonkeyPatch, changed: str, value: object) -> None:
    pragmas = tuple((name, value if name == changed else usual) for name, usual in connection.PRAGMAS[files.KEYS])
    patch.setitem(connection.PRAGMAS, files.KEYS, pragmas)


def _unsynced_keyring(patch: pytest.MonkeyPatch) -> None:
    _keyring_with(patch, "synchronous", 0)


def _relaxed_data(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(files.Files, "_set_synchronous", lambda self, wanted: self.data.execute("PRAGMA synchronous=NORMAL"))


def _no_sync_before_the_note(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pending, "settle_data", lambda store: None)


CARELESS: Final[dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]]] = {
    "a keyring that is not synced": (_unsynced_keyring, "withdraw consent"),
    "data that is not synced before the note is cleared": (_relaxed_data, "an ordinary day, relaxed"),
    "recording that is not synced before a note follows it": (_no_sync_before_the_note, "an ordinary day, relaxed"),
}


@pytest.mark.parametrize("store", CARELESS)
def test_a_store_that_does_not_sync_is_found_out(
    stores: StoreFactory, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    careless, operation = CARELESS[store]
    careless(monkeypatch)
    with pytest.raises((AssertionError, cp.ConsentProfileError)):
        survive(BY_NAME[operation], stores, seed=1)


def _no_note(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pending, "_insert", lambda keys, operation, work: None)


def _kept_keys(patch: pytest.MonkeyPatch) -> None:
    overwrite = Keyring.overwrite

    def keep(self: Keyring, slot: Slot) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS old (record)")
        self._db.execute("INSERT INTO old SELECT record FROM slot WHERE number = ?", (slot.number,))
        overwrite(self, slot)

    patch.setattr(Keyring, "overwrite", keep)


@pytest.mark.parametrize(("careless", "found"), [(_no_note, "none of the states"), (_kept_keys, "keys.db")])
def test_a_store_that_loses_its_work_or_keeps_its_keys_is_found_out(
    stores: StoreFactory, monkeypatch: pytest.MonkeyPatch, careless: Callable[[pytest.MonkeyPatch], None], found: str
) -> None:
    killing = Killing(BY_NAME["withdraw consent"], stores)
    careless(monkeypatch)
    with pytest.raises(AssertionError, match=found):
        [killing.kill(number) for number in (28, 36, 44, 1_000)]
