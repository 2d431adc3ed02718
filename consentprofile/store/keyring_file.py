"""The keyring for a process that reads it slice by slice under the gate, and has nothing else of the store open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from consentprofile.errors import CorruptRecord
from consentprofile.store.connection import APPLICATION_ID, connect, require_format
from consentprofile.store.copying import reading_connection
from consentprofile.store.files import KEYS
from consentprofile.store.keyring import Keyring
from consentprofile.store.locks import GATE, GATE_TURN, FileLock

WAIT: Final = 5.0
"""Seconds that a slice waits for a destroyer to let go of the gate."""


class KeyringFile:
    """The keyring of the store in a directory, through a connection of its own that writes nothing.

    Whoever it is opened for has the store open. Raises :class:`CorruptRecord`, :class:`UnsupportedEnvironment`.
    """

    def __init__(self, directory: Path) -> None:
        connection = connect(directory / KEYS)
        connection.execute("PRAGMA query_only = ON")
        self._keyring = Keyring(connection)
        self._gate = FileLock(directory / GATE, wait=WAIT, turn=directory / GATE_TURN)

    @contextmanager
    def reading(self) -> Iterator[Keyring]:
        """Hold the gate, shared, for one slice that sees one state of the keyring. Raises :class:`StoreBusy`."""
        with self._gate.held(shared=True), self._keyring.snapshot():
            yield self._keyring


def state_of_keyring(path: Path) -> tuple[bytes, int] | None:
    """The store id in a keyring file, and how many transactions have changed it; None for one that is not whole.

    Whether the keys in it open is not asked. Raises :class:`StoreFault` where the file cannot be read now.
    """
    if not path.is_file():
        return None
    try:
        with reading_connection(path) as connection:
            if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                return None  # it was emptied, or is something else
            require_format(connection, KEYS)
            if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                return None
            keyring = Keyring(connection)
            return keyring.identity()[0], keyring.changes()
    except CorruptRecord:
        return None
