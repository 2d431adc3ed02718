"""When unattended destruction stops itself: what cannot be undone must not follow from a clock that jumped.

Pure rules; whoever means it says so (``attended``) and is not asked.
"""

from __future__ import annotations

from typing import Final

SHARE_PERCENT: Final = 5
"""More of the living compartments than this do not run out at once in a store that is looked after regularly."""

FEW: Final = 20
"""In a store this small a single consent is more than the share; up to one compartment may go unattended."""

JUMP_DAYS: Final = 62
"""Longer than this nobody has used the store, or the clock is wrong. Both deserve a look."""


def why_to_stop(*, dying: int, living: int, idle_seconds: int) -> str | None:
    """Why an unattended destruction of the keys of ``dying`` of ``living`` compartments is implausible, or None.

    ``idle_seconds`` lie between the newest leaf of the audit log and the clock.
    """
    if dying == 0:
        return None
    return _jumped(idle_seconds) or _too_many(dying, living, "lose their key")


def why_not_to_reseal(*, due: int, emptied: int, living: int, idle_seconds: int) -> str | None:
    """Why letting go of a month of events is implausible, or None.

    ``due`` compartments hold events past their retention, and ``emptied`` of these hold nothing else: a month of events
    is past its retention in many compartments every month, but few of them lose everything with it.
    """
    if due == 0:
        return None
    return _jumped(idle_seconds) or _too_many(emptied, living, "lose all their events")


def _jumped(idle_seconds: int) -> str | None:
    if idle_seconds > JUMP_DAYS * 86_400:
        return f"the clock is more than {JUMP_DAYS} days ahead of the newest entry of the audit log"
    return None


def _too_many(dying: int, living: int, fate: str) -> str | None:
    allowed = max(living * SHARE_PERCENT // 100, 1 if living <= FEW else 0)
    return f"more than {SHARE_PERCENT} % of the compartments would {fate} at once" if dying > allowed else None
