"""How the keyring stands, and an account in it: what is asked before anything is recorded, read or changed.

Whatever changes the keyring counts its change in the same transaction. So what the keyring says of no account is true
for as long as it counts the same, and is not asked for again with every event. Whoever enters the gate, or takes the
writer lock for anything else, asks for all of it: so a keyring that somebody has altered by hand is soon noticed.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from consentprofile.crypto.block_sealing import CompartmentSlot
from consentprofile.errors import CorruptRecord
from consentprofile.store.connection import kept_cursor
from consentprofile.store.keyring import FIRST_PURPOSE_PLACE, own_compartment

_OUTLOOK: Final = (
    "SELECT EXISTS (SELECT 1 FROM pending), EXISTS (SELECT 1 FROM suppression), changes, epoch, "
    "(SELECT ifnull(max(number), 0) FROM accepted_policy) FROM keyring"
)
_STANDING: Final = (
    "SELECT changes, place, slot, record FROM keyring "
    f"LEFT JOIN directory ON tag = ? AND place >= {FIRST_PURPOSE_PLACE} LEFT JOIN slot ON number = slot"
)
_LOST: Final = "the keyring does not say which store it belongs to; restore keys.db"


class Outlook(NamedTuple):
    """What whoever takes a lock has to know of the keyring.

    Whether work is pending, whether anybody at all is suppressed, how many transactions have changed the keyring, its
    epoch, and the number of the policy in force.
    """

    pending: bool
    suppressions: bool
    changes: int
    epoch: int
    policy: int


class Standing(NamedTuple):
    """How one account stands: the slots of its compartments, and the outlook at the same moment."""

    outlook: Outlook
    compartments: list[CompartmentSlot]


class Standings:
    """What one connection sees. The caller holds the writer lock or the gate. Raises :class:`CorruptRecord`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._kept = kept_cursor(connection)
        self._known = Outlook(pending=True, suppressions=True, changes=-1, epoch=0, policy=0)

    def outlook(self) -> Outlook:
        """How the keyring stands, in one statement."""
        row = self._kept.execute(_OUTLOOK).fetchone()
        if row is None:
            raise CorruptRecord(_LOST)
        outlook = Outlook(bool(row[0]), bool(row[1]), *row[2:])
        if not self._db.in_transaction:  # one that is undone would give its count to another
            self._known = outlook
        return outlook

    def of(self, tag: bytes) -> Standing:
        """How an account stands, mostly in one statement: it sees one state, and takes the file's lock once."""
        while True:
            rows = self._kept.execute(_STANDING, (tag,)).fetchall()
            if not rows:
                raise CorruptRecord(_LOST)
            changes, first, _, _ = rows[0]
            known = self._known if changes == self._known.changes else self.outlook()
            if known.changes == changes:  # else it has changed between two statements
                slots = [] if first is None else [own_compartment(tag, *row[1:]) for row in rows]
                return Standing(known, slots)
