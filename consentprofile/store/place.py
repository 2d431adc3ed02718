"""Where the files of an open store lie, and that they are still the ones that were opened.

A file that was moved away or replaced can still be written to: what is acknowledged then would be in a file that nobody
ever opens again. So whoever takes the writer lock asks first. The directory is looked at once, and its files only where
a name in it has changed since; a change within the same tick of the file system's clock is seen with the next one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from consentprofile.errors import StoreFault, StoreNotFound
from consentprofile.store.names import DATA, KEYS

_FILES: Final = (KEYS, DATA)


def require_files(directory: Path) -> None:
    """Raise :class:`StoreNotFound` where one of the two files is missing, :class:`StoreFault` where one is a link."""
    for name in _FILES:
        file = directory / name
        if file.is_symlink():
            raise StoreFault(f"{name} is a link to somewhere else; put the file itself into the store's directory")
        if not file.is_file():
            raise StoreNotFound(f"there is no store here, or its {name} is missing; `consentprofile init` makes one")


class Place:
    """The directory of an open store, as it was when its files were opened."""

    def __init__(self, directory: Path) -> None:
        self._directory = os.fspath(directory)
        self._files = tuple(os.fspath(directory / name) for name in _FILES)
        self._looked_at = (0, 0)
        self._opened = self._found()

    def _found(self) -> tuple[tuple[int, int], ...] | None:
        """Which files stand there now; None where one is missing."""
        try:
            return tuple((status.st_dev, status.st_ino) for status in map(os.stat, self._files))
        except OSError:
            return None

    @property
    def is_same(self) -> bool:
        """Whether the files that were opened still stand where they were. Cost: 2 microseconds."""
        try:
            status = os.stat(self._directory)
        except OSError:
            return False
        looked_at = (status.st_ino, status.st_mtime_ns)
        if looked_at != self._looked_at:
            if self._found() != self._opened:
                return False
            self._looked_at = looked_at
        return True

    def require_same(self, otherwise: Callable[[], None]) -> None:
        """Raise :class:`StoreFault` where they do not, ``otherwise`` called first."""
        if not self.is_same:
            otherwise()
            raise StoreFault(
                "a file of the store was moved or replaced while it was open; nothing was changed: close the store and "
                "open it again"
            )
