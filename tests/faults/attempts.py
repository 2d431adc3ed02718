"""An operation done by a child to a copy of its store, and what is left of the keys that it destroyed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.children import Counters, Ended, Stage, child, killer
from tests.faults.interposed import Interposed, Watcher
from tests.faults.scenes import Scene, stored_slots

Keys = frozenset[bytes]
"""Wrapped keys, as they lie in their slots."""


def attempt(scene: Scene, path: Path, watcher: Callable[[Counters], Watcher], *, opening: bool = False) -> Ended:
    """Open the store at ``path``, do the operation to it, every call watched, and close the store.

    The calls of opening it are watched where ``opening`` says so.
    """

    def work(watched: Interposed, counters: Counters) -> None:
        def acknowledge() -> None:
            counters.acknowledged += 1
            counters.keep()

        watched.watcher = watcher(counters)
        perform(scene, _stage(scene, path, acknowledge, watched=watched, opening=opening))
        watched.watcher = None

    return child(work)


def perform(scene: Scene, stage: Stage) -> None:
    """Do the operation, acknowledge it, and close the store."""
    scene.operation.do(stage)
    stage.acknowledge()
    stage.close()


def recovery(scene: Scene, path: Path, last: int) -> Ended:
    """Open the store and close it again, killed instead of call number ``last``."""

    def work(watched: Interposed, counters: Counters) -> None:
        watched.watcher = killer(counters, last)
        scene.open(path).close()
        watched.watcher = None

    return child(work)


def _stage(
    scene: Scene,
    path: Path,
    acknowledge: Callable[[], None],
    *,
    watched: Interposed | None = None,
    opening: bool = False,
) -> Stage:
    key, durability = scene.stores.key, scene.operation.durability
    return Stage(path, key, scene.second, durability, acknowledge=acknowledge, watched=watched, opening=opening)


# ---- what is left of dead keys -----------------------------------------------------------------------


def doomed_after(scene: Scene, path: Path) -> list[Keys]:
    """After how many steps which of the wrapped keys that were there at first are there no more.

    Found by doing the whole operation once to the store at ``path``, without any fault.
    """
    told = path.parent / "doomed"

    def work(watched: Interposed, counters: Counters) -> None:
        first = _wrapped(path)
        doomed: list[list[str]] = [[]]

        def acknowledge() -> None:
            doomed.append([key.hex() for key in first - _wrapped(path)])

        perform(scene, _stage(scene, path, acknowledge))
        told.write_text(json.dumps(doomed), encoding="ascii")

    child(work)
    return [frozenset(map(bytes.fromhex, keys)) for keys in json.loads(told.read_text(encoding="ascii"))]


def _wrapped(path: Path) -> Keys:
    return frozenset(slot.wrapped for slot in stored_slots(path) if slot.key_held)


def remnants(path: Path, keys: Keys) -> list[str]:
    """The files of the store in which one of the keys still stands, wrapped as it was."""
    files: Sequence[Path] = sorted(file for file in path.iterdir() if file.is_file())
    return [file.name for file in files if any(key in content for content in [file.read_bytes()] for key in keys)]


def copied(scene: Scene, name: str) -> Path:
    """A copy of the scene's store, in a directory of its own."""
    place = scene.stores.directory / f"{scene.path.name}-{name}"
    place.mkdir()
    shutil.copytree(scene.path, place / "store")
    return place / "store"
