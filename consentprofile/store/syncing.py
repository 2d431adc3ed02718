"""Letting files last: what has been written is on the disk when these return."""

from __future__ import annotations

import os
from pathlib import Path

from consentprofile.errors import StoreFault
from consentprofile.store.names import DATA


def sync(path: Path) -> None:
    """Let the content of a file, or the names in a directory, last. Raises :class:`OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def settle_data(store: Path) -> None:
    """Let everything that is committed to a store's ``data.db`` last, what any process recorded ``relaxed`` too.

    The caller holds the writer lock. Raises :class:`StoreFault`. Cost: one sync, of nothing where nothing is relaxed.
    """
    try:
        sync(store / f"{DATA}-wal")
    except FileNotFoundError:
        return  # all of it has been moved into the database
    except OSError as error:
        raise StoreFault(f"what was recorded cannot be made to last ({error.strerror}); nothing was changed") from None
