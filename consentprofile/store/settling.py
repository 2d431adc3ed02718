"""The last step of a restore: files that were made whole beside the old ones take their place.

A restore works in the directory ``restoring.part``. When all is whole and durable there, one rename makes it
``restoring``: before it the store is the old one, from it on the new one. What is left to do then is done by whoever
comes next, the restore itself or whoever opens the store after a crash, under the alive lock alone::

    1. lines of the destruction journal are added to the store's own
    2. data.db-wal, -shm, -journal are removed; data.db takes its place
    3. keys.db-journal is removed; the old keys.db is overwritten with zeroes; keys.db takes its place
    4. the directory is removed

Each step may be repeated. A leftover ``restoring.part`` is cleared away, its keyring overwritten first: a copy of the
keyring that nobody knows of would outlive what is erased from now on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from consentprofile.errors import StoreFault
from consentprofile.store.journal import JOURNAL, Journal, read
from consentprofile.store.locks import FileLock
from consentprofile.store.names import DATA, KEYS, PART, WHOLE
from consentprofile.store.syncing import sync

_CHUNK: Final = 1 << 20
_AT_ONCE: Final = 10_000

Observe = Callable[[str], None]


def nobody_watches(step: str) -> None:
    """Whoever watches is told after each step; for tests, which end the process there."""


def enter(directory: Path, alive: FileLock) -> None:
    """Share the alive lock, once what an interrupted restore has left is settled. Raises :class:`StoreBusy`."""
    alive.acquire(shared=True)
    while is_unsettled(directory):  # whoever restores holds the lock alone: so nobody does any more
        alive.release()
        # Of several who come at once, one settles it, and has the store open then for as long as it likes.
        if alive.acquire_unless(lambda: not is_unsettled(directory)):
            try:
                settle(directory)
            finally:
                alive.release()
        alive.acquire(shared=True)


def is_unsettled(directory: Path) -> bool:
    """Whether a restore is at work, or was interrupted."""
    return os.path.lexists(directory / WHOLE) or os.path.lexists(directory / PART)


def settle(directory: Path, observe: Observe = nobody_watches) -> None:
    """Go on with what was whole, and clear away what was not. The caller holds the alive lock alone.

    Raises :class:`StoreFault` where the file system does not allow it; then it is tried again by whoever comes next.
    """
    with _typed("a restore that was interrupted cannot be settled"):
        if (directory / WHOLE).is_dir():
            _take_place(directory, observe)
        if (directory / PART).is_dir():
            _clear(directory / PART)


def commit(directory: Path, observe: Observe = nobody_watches) -> None:
    """From here on the files in ``restoring.part`` are the store's. They are closed and durable."""
    with _typed("the restored files cannot be put in place"):
        sync(directory / PART)
        os.rename(directory / PART, directory / WHOLE)
        sync(directory)
        observe("committed")
        _take_place(directory, observe)


def _take_place(directory: Path, observe: Observe) -> None:
    whole = directory / WHOLE
    _add_to_journal(directory, whole / JOURNAL)
    observe("journal in place")
    if _is_to_come(whole / DATA, directory / DATA):
        for ending in ("-wal", "-shm", "-journal"):
            (directory / (DATA + ending)).unlink(missing_ok=True)
        os.replace(whole / DATA, directory / DATA)
        sync(directory)
        sync(whole)
    observe("data in place")
    if _is_to_come(whole / KEYS, directory / KEYS):
        (directory / (KEYS + "-journal")).unlink(missing_ok=True)
        overwrite(directory / KEYS)
        observe("old keyring overwritten")
        os.replace(whole / KEYS, directory / KEYS)
        sync(directory)
        sync(whole)
    observe("keyring in place")
    shutil.rmtree(whole)
    sync(directory)
    observe("settled")


def _is_to_come(made: Path, place: Path) -> bool:
    """Whether a file has not taken its place yet.

    A power cut may leave both names of a file that was on its way: overwriting the old one would overwrite the new.
    """
    return made.exists() and not (place.exists() and made.samefile(place))


def _add_to_journal(directory: Path, lines: Path) -> None:
    found = list(read(lines))
    for start in range(0, len(found), _AT_ONCE):
        Journal(directory).note(found[start : start + _AT_ONCE])


def _clear(part: Path) -> None:
    for name in (KEYS, KEYS + "-journal"):
        overwrite(part / name)
    shutil.rmtree(part)
    sync(part.parent)


def overwrite(path: Path) -> None:
    """Overwrite a file that is about to go, in place. (What disks remember is in the threat model.)"""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        left = os.fstat(descriptor).st_size
        while left > 0:
            left -= os.write(descriptor, bytes(min(left, _CHUNK)))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _typed(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreFault(f"{what}: {error.strerror}; put that right, and open or restore the store again") from None
