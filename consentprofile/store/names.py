"""What the files of a store are called, in its directory."""

from __future__ import annotations

from typing import Final

from consentprofile.store.journal import JOURNAL
from consentprofile.store.locks import ALIVE, CHECKPOINT, GATE, GATE_TURN, TURN, WRITER

KEYS: Final = "keys.db"
"""The keyring."""

DATA: Final = "data.db"
"""Everything else."""

WHOLE: Final = "restoring"
"""A directory: files that a restore has made whole, and that are about to take the place of the old ones."""

PART: Final = "restoring.part"
"""A directory: files that a restore is still at work on."""

FILES: Final = (
    KEYS,
    KEYS + "-journal",
    DATA,
    DATA + "-wal",
    DATA + "-shm",
    JOURNAL,
    ALIVE,
    WRITER,
    GATE,
    TURN,
    GATE_TURN,
    CHECKPOINT,
)
"""Every file that may lie in a store's directory."""
