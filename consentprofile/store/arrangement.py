"""Whether runs and packs stand as the format says, so that every block is found where it is looked for."""

from __future__ import annotations

import sqlite3
from typing import Final

from consentprofile.errors import CorruptRecord
from consentprofile.store.packs import LAST_SLOT, SLOT_BITS, unpack

_PACKS: Final = (
    "SELECT id, body, (SELECT min(id) FROM pack AS later WHERE later.id > pack.id), "
    "EXISTS (SELECT 1 FROM run WHERE number = pack.id >> 40) FROM pack WHERE id > ? ORDER BY id LIMIT ?"
)
_TARGETS: Final = (
    "SELECT count(*) FROM run WHERE target IS NOT NULL AND "
    "(target = number OR target NOT IN (SELECT number FROM run) OR "
    "target IN (SELECT number FROM run WHERE target IS NOT NULL))"
)


def misplaced_packs(connection: sqlite3.Connection, after: int | None, limit: int) -> tuple[int, int | None]:
    """How many of the next ``limit`` packs above the id ``after`` (None: from the first) are not in their place.

    With the id of the last of them, None where there are no more. A pack is in its place if its run exists and all its
    slots are between the one in its id and the one in the id of the next pack of the run.
    """
    start = -(1 << 63) if after is None else after
    found = connection.execute(_PACKS, (start, limit)).fetchall()
    return sum(not _is_in_place(*row) for row in found), found[-1][0] if found else None


def _is_in_place(identity: int, body: bytes, later: int | None, has_run: int) -> bool:
    try:
        slots = [slot for slot, _, _ in unpack(body)]
    except CorruptRecord:
        return False
    run, first = identity >> SLOT_BITS, identity & LAST_SLOT
    end = later & LAST_SLOT if later is not None and later >> SLOT_BITS == run else LAST_SLOT + 1
    return bool(has_run and slots) and first <= slots[0] and slots[-1] < end


def stray_runs(connection: sqlite3.Connection) -> int:
    """How many runs are being merged into none, into themselves, or into one that is itself being merged."""
    return int(connection.execute(_TARGETS).fetchone()[0])
