"""The keyring for somebody who only reads it, and has nothing else of the store open."""

from __future__ import annotations

from pathlib import Path

from consentprofile.store.files import KEYS, connect
from consentprofile.store.keyring import Keyring


def open_keyring(directory: Path) -> Keyring:
    """The keyring of the store in ``directory``, through a connection of its own that writes nothing.

    Whoever this is opened for holds the store open and its writer lock. Raises :class:`CorruptRecord`,
    :class:`UnsupportedEnvironment`.
    """
    connection = connect(directory / KEYS)
    connection.execute("PRAGMA query_only = ON")
    return Keyring(connection)
