"""Files that are their owner's alone (mode 0600): new, whole or not there, and never over another.

A process that is killed may leave one empty or cut off; whoever reads such files refuses what is not whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from consentprofile.errors import InputError, StoreFault


@contextmanager
def new_file(target: Path, what: str) -> Iterator[None]:
    """A new, empty file for the block to fill, which is gone again if the block fails.

    Raises :class:`InputError` where there is one already, :class:`StoreFault` where none can be made.
    """
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise InputError("there is a file at the target already; it is never overwritten") from None
    except OSError as error:
        raise StoreFault(f"the {what} cannot be written: {error.strerror}") from None
    try:
        yield
    except BaseException:
        for left in (target, target.with_name(target.name + "-journal")):
            with suppress(OSError):  # what went wrong at first is what is told
                left.unlink(missing_ok=True)
        raise


def fill(target: Path, text: str) -> None:
    """Write the text of a new file, and let it last. Raises :class:`StoreFault`."""
    try:
        with open(target, "r+", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(target.absolute().parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreFault(f"the file cannot be written: {error.strerror}") from None
