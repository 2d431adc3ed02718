"""What a restore changes in a keyring beside its keys: the name of the log, and where the next keys will live."""

from __future__ import annotations

import sqlite3

from consentprofile.crypto import slots
from consentprofile.crypto.slots import Slot
from consentprofile.errors import CorruptRecord
from consentprofile.store.keyring import Keyring


class Resumption:
    """The keyring of a store that goes on after a restore. Each call is inside a keyring transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def rename_log(self, origin: str) -> None:
        """Let the log be called so from here on; no head under this name is anchored yet."""
        self._db.execute("UPDATE keyring SET origin = ?", (origin,))
        self._db.execute("DELETE FROM anchor")

    def call_log(self, origin: str) -> None:
        """Let the keyring call the log what it is called already."""
        self._db.execute("UPDATE keyring SET origin = ?", (origin,))

    def advance(self, number: int, generation: int) -> None:
        """Let no key come to live in slot ``number`` under a generation below this one; the slot holds none.

        A slot that is not there yet comes into being, with all before it, and is free.
        """
        keyring = Keyring(self._db)
        count = keyring.count()
        if number > count:
            record = slots.unused().encode() + slots.NO_KEY
            fresh = [(missing,) for missing in range(count + 1, number + 1)]
            self._db.executemany("INSERT INTO slot (number, record) VALUES (?, ?)", [(*one, record) for one in fresh])
            self._db.executemany("INSERT INTO free_slot (number) VALUES (?)", fresh)
        slot = keyring.slot(number)
        if slot is None or slot.key_held:
            raise CorruptRecord("a slot that was to be passed over holds a key; run `consentprofile check`")
        if slot.header.generation < generation:
            keyring.overwrite(Slot(number, slot.header._replace(generation=generation), slot.wrapped))
