"""A disk that loses its power: what it had confirmed is there, and of the rest anything, in any order, by the sector.

The calls of a process are recorded in order. :class:`Disk` is told of them up to a moment, and then makes the images
that may be found after a cut there: a file has what was synced; of the writes and truncations since, any may be lost,
whatever came after them, and a write may have reached the disk in some of its sectors only. A name is made, changed or
removed for good when its directory is synced, and not before; until then any of these may be lost, but for each name
only the latest ones, and a file that is moved keeps a name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TypeAlias

import msgspec

from tests.faults.attempts import attempt
from tests.faults.children import Counters
from tests.faults.interposed import Call, Watcher
from tests.faults.scenes import Scene

SECTOR: Final = 512

SYNCS: Final = ("sync", "sync directory")


class Recording(NamedTuple):
    """The calls of an operation, the store's opening and closing included, and how many were made before each
    acknowledgement."""

    calls: list[Call]
    acknowledged: list[int]


def recorded(scene: Scene, path: Path) -> Recording:
    """Do the operation to the store at ``path``, undisturbed, and record its calls."""
    told = path.parent.with_name(path.parent.name + ".calls")

    def recorder(counters: Counters) -> Watcher:
        calls: list[Call] = []
        marks: list[int] = []

        def watch(call: Call) -> int:
            marks.extend([len(calls)] * (counters.acknowledged - len(marks)))
            calls.append(call)
            return 0

        def keep() -> None:
            marks.extend([len(calls)] * (counters.acknowledged - len(marks)))
            told.write_bytes(msgspec.msgpack.encode(Recording(calls, marks)))

        counters.at_end = keep
        return watch

    attempt(scene, path, recorder, opening=True)
    return msgspec.msgpack.decode(told.read_bytes(), type=Recording)


# ---- what lies on the disk ---------------------------------------------------------------------------


@dataclass
class File:
    """A file: what is synced, and what was done since."""

    synced: bytes = b""
    since: list[Call] = field(default_factory=list)


@dataclass(eq=False)
class Change:
    """Names that come to mean something else, all at once."""

    names: dict[str, File | Directory | None]
    taken: tuple[Directory, Change] | None = None
    """Where a file that loses a name by this got its new one, in another directory: it has one of them at least."""


@dataclass
class Directory:
    """A directory: its names as they are synced, as they are now, and what was done between."""

    synced: dict[str, File | Directory] = field(default_factory=dict)
    now: dict[str, File | Directory] = field(default_factory=dict)
    since: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> Change:
        """Change names."""
        self.since.append(change)
        _apply(self.now, change)
        return change

    def sync(self) -> None:
        """Every name is on the disk as it is now."""
        for change in self.since:
            if change.taken is not None and change.taken[1] in change.taken[0].since:
                target, taken = change.taken
                target.since.remove(taken)
                _apply(target.synced, taken)
        self.synced, self.since = dict(self.now), []


Keep: TypeAlias = Callable[[bool], bool | None]
"""Whether a change that was not synced has reached the disk; None for some of its sectors, where it may be torn."""


def nothing(tearable: bool) -> bool | None:
    """Nothing that was not synced has."""
    return False


def everything(tearable: bool) -> bool | None:
    """Everything has, as after a kill."""
    return True


def some(random: Random) -> Keep:
    """Some of it has; more or less of it each time."""
    share = random.choice((0.15, 0.5, 0.85))

    def keep(tearable: bool) -> bool | None:
        return None if tearable and random.random() < 0.15 else random.random() < share

    return keep


class Disk:
    """What is below one directory."""

    def __init__(self, root: Path) -> None:
        self._place = str(root.absolute())
        self.root = _loaded(root)

    def follow(self, call: Call) -> None:
        """Take note of a call."""
        if not call.path.startswith(self._place):
            return
        if call.kind == "sync directory":
            directory = self._find(call.path)
            if isinstance(directory, Directory):
                directory.sync()
            return
        parent, name = self._parent(call.path)
        known = parent.now.get(name)
        if call.kind in ("create", "mkdir"):
            if known is None:
                parent.change(Change({name: File() if call.kind == "create" else Directory()}))
        elif call.kind in ("unlink", "rmdir"):
            parent.change(Change({name: None}))
        elif call.kind in ("rename", "link"):
            self._rename(call, parent, name)
        elif isinstance(known, File):
            if call.kind == "sync":
                known.synced, known.since = _written(known, everything, Random(0)), []
            elif call.kind in ("write", "truncate"):
                known.since.append(call)

    def _rename(self, call: Call, parent: Directory, name: str) -> None:
        target, new = self._parent(call.target)
        moved: dict[str, File | Directory | None] = {new: parent.now[name]}
        gone: dict[str, File | Directory | None] = {name: None} if call.kind == "rename" else {}
        if target is parent:
            parent.change(Change({**gone, **moved}))
        else:
            parent.change(Change(gone, taken=(target, target.change(Change(moved)))))

    def _find(self, path: str) -> File | Directory | None:
        found: File | Directory | None = self.root
        for name in path.removeprefix(self._place).split("/"):
            if name:
                found = found.now.get(name) if isinstance(found, Directory) else None
        return found

    def _parent(self, path: str) -> tuple[Directory, str]:
        place, _, name = path.rpartition("/")
        parent = self._find(place)
        assert isinstance(parent, Directory), path
        return parent, name

    def image(self, target: Path, keep: Keep, random: Random) -> None:
        """Write what may be found after a cut at this moment into the directory ``target``, which is made."""
        _Image(keep, random).lay(self.root, target)


class _Image:
    """What one cut leaves; each thing is decided once."""

    def __init__(self, keep: Keep, random: Random) -> None:
        self._keep = keep
        self._random = random
        self._written: dict[int, bytes] = {}
        self._named: dict[int, tuple[dict[str, File | Directory], list[Change]]] = {}

    def lay(self, directory: Directory, target: Path) -> None:
        """Write a directory and all that is in it."""
        target.mkdir(mode=0o700)
        for name, node in self._names(directory)[0].items():
            if isinstance(node, Directory):
                self.lay(node, target / name)
                continue
            if id(node) not in self._written:  # one file may have two names
                self._written[id(node)] = _written(node, self._keep, self._random)
            (target / name).touch(mode=0o600)
            (target / name).write_bytes(self._written[id(node)])

    def _names(self, directory: Directory) -> tuple[dict[str, File | Directory], list[Change]]:
        """The names of a directory, and the changes that have reached the disk."""
        if id(directory) not in self._named:
            names, kept, lost = dict(directory.synced), list[Change](), set[str]()
            for change in directory.since:
                if lost.isdisjoint(change.names) and self._is_whole(change) and self._keep(False):
                    _apply(names, change)
                    kept.append(change)
                else:
                    lost.update(change.names)
            self._named[id(directory)] = names, kept
        return self._named[id(directory)]

    def _is_whole(self, change: Change) -> bool:
        if change.taken is None:
            return True
        target, taken = change.taken
        return taken not in target.since or taken in self._names(target)[1]


def _loaded(place: Path) -> Directory:
    found: dict[str, File | Directory] = {
        entry.name: _loaded(entry) if entry.is_dir() else File(entry.read_bytes()) for entry in place.iterdir()
    }
    return Directory(dict(found), dict(found))


def _apply(names: dict[str, File | Directory], change: Change) -> None:
    for name, node in change.names.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _written(file: File, keep: Keep, random: Random) -> bytes:
    content = bytearray(file.synced)
    for call in file.since:
        kept = keep(call.kind == "write")
        if kept is False:
            continue
        if call.kind == "truncate":
            del content[call.offset :]
            content.extend(bytes(call.offset - len(content)))
            continue
        for start, piece in _sectors(call):
            if kept is None and random.random() < 0.5:
                continue
            content.extend(bytes(max(0, start + len(piece) - len(content))))
            content[start : start + len(piece)] = piece
    return bytes(content)


def _sectors(call: Call) -> Sequence[tuple[int, bytes]]:
    """What a write puts into each sector. (Bytes beside it in a sector stay: SQLite relies on that.)"""
    pieces, at, end = [], call.offset, call.offset + len(call.data)
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        pieces.append((at, call.data[at - call.offset : until - call.offset]))
        at = until
    return pieces
