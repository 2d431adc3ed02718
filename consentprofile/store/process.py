"""What a process has to do for the stores that it has open: notice a fork, and close them before it ends."""

from __future__ import annotations

import atexit
import os
import sqlite3
import weakref
from contextlib import suppress
from typing import Final, Protocol

from consentprofile.errors import StoreFault

FORKS: Final[list[None]] = []
"""One entry for each fork between this process and the one that imported this module: asking for the process's id at
every lock costs more than a microsecond."""

os.register_at_fork(after_in_child=lambda: FORKS.append(None))


class Closable(Protocol):
    """The files of an open store."""

    def close(self) -> None:
        """Close them; a second call does nothing."""
        ...


open_stores: Final[weakref.WeakSet[Closable]] = weakref.WeakSet()
"""What is open in this process."""


def _close_all() -> None:
    # A connection that the interpreter closed on its way out would checkpoint without the writer lock.
    for files in list(open_stores):
        with suppress(StoreFault, sqlite3.Error):
            files.close()


atexit.register(_close_all)
