"""Blocks arranged so small that a handful of events is flushed, merged and sealed anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from consentprofile.store import blocks
from consentprofile.store.runs import Shape
from consentprofile.usecases import compaction, recording

SMALL: Final = Shape(tail=3, run=2, fan=2)


def arrange_small(change: Callable[[object, str, object], None] = setattr) -> None:
    """Arrange the blocks of every store of this process so; ``change`` may be one that takes itself back."""
    change(blocks, "SHAPE", SMALL)
    change(compaction, "FEW", 2)
    change(compaction, "TAIL_AT_ONCE", 2)
    change(compaction, "SLICE_SECONDS", 0.0)
    change(compaction, "KEEP_UP_SECONDS", 0.0)
    change(compaction, "UNIT", 1)
    change(recording, "KEEP_UP", 1)
