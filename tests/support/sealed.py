"""Every sealed row of a kind, for tests that look at all of them."""

from __future__ import annotations

from typing import Final

from consentprofile.store.rows import Rows, SealedRow

LOWEST: Final = -(1 << 63)
HIGHEST: Final = (1 << 63) - 1


def every_row(rows: Rows) -> list[SealedRow]:
    """All of them, by slot and generation."""
    found = rows.between(LOWEST, HIGHEST)
    return [SealedRow(*place, sealed) for place in sorted(found) for sealed in found[place]]
