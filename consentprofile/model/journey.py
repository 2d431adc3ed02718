"""Journeys: the sessions that times fall into, and the path of touchpoints that events leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from consentprofile.model.withheld import Withheld

SESSION_GAP: Final = 30 * 60
"""Seconds without an event after which the next event opens a new session."""

PATH_LIMIT: Final = 100
"""The most steps that a path shows; older ones are counted."""


class Touchpoint(Withheld, frozen=True):
    """Where the company and the account met: over what, on what. At least one of the two is known."""

    channel: str | None
    platform: str | None


Step: TypeAlias = tuple[Touchpoint, ...]
"""The distinct touchpoints of one second (hour, day, month: the stored precision), by channel and platform.

What came first within it is not known, so the step holds them side by side.
"""


class Sessions(Withheld, frozen=True, kw_only=True):
    """How many sessions there were, and their lengths from first to last event (0 for a single event), in seconds."""

    count: int
    total_seconds: int
    longest_seconds: int


def sessions(times: Sequence[int]) -> Sessions:
    """The sessions of rising ``times`` (seconds): a session ends when no event follows within :data:`SESSION_GAP`.

    An event exactly :data:`SESSION_GAP` after the one before still belongs to the session.
    """
    if not times:
        return Sessions(count=0, total_seconds=0, longest_seconds=0)
    ends = [pair for pair in pairwise(times) if pair[1] - pair[0] > SESSION_GAP]
    starts = [times[0], *[following for _, following in ends]]
    lasts = [*[last for last, _ in ends], times[-1]]
    lengths = [last - start for start, last in zip(starts, lasts, strict=True)]
    return Sessions(count=len(lengths), total_seconds=sum(lengths), longest_seconds=max(lengths))


Meeting: TypeAlias = tuple[int, str | None, str | None]
"""Time (seconds), channel and platform of one event."""


def path(meetings: Iterable[Meeting]) -> tuple[tuple[Step, ...], int]:
    """The newest :data:`PATH_LIMIT` steps of ``meetings`` (times rising), oldest first, and how many older were cut.

    Meetings of one time are one step; steps that follow an equal one are left out, and so are meetings that name
    neither channel nor platform. The order of meetings with the same time makes no difference.
    """
    steps: list[frozenset[tuple[str | None, str | None]]] = []
    current: set[tuple[str | None, str | None]] = set()
    current_time = 0
    previous: set[tuple[str | None, str | None]] = set()
    for at, channel, platform in meetings:
        if channel is None and platform is None:
            continue
        if at != current_time and current:
            if current != previous:
                steps.append(frozenset(current))
                previous = current
            current = set()
        current_time = at
        current.add((channel, platform))
    if current and current != previous:
        steps.append(frozenset(current))
    shown = tuple(tuple(Touchpoint(*place) for place in sorted(step, key=_place_order)) for step in steps[-PATH_LIMIT:])
    return shown, len(steps) - len(shown)


def _place_order(place: tuple[str | None, str | None]) -> tuple[bool, str, bool, str]:
    """Places by name, unknown parts first."""
    channel, platform = place
    return channel is not None, channel or "", platform is not None, platform or ""
