"""Where files are in memory: tests wait for a disk more than for anything else, and what they show needs none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

_SHARED: Final = Path("/dev/shm")
_ROOM: Final = 1 << 30
"""Bytes that must be free there: some containers have a place of this name that holds next to nothing."""


def in_memory() -> Path | None:
    """A directory in memory with room in it, where the machine has one."""
    if not os.access(_SHARED, os.W_OK) or shutil.disk_usage(_SHARED).free < _ROOM:
        return None
    return _SHARED
