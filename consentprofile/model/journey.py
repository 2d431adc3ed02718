"""Journeys: the sessions that times fall into, and the path of touchpoints that events leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    lengths: list[int] = []
    start = last = times[0]
    for at in times:
        if at - last > SESSION_GAP:
            lengths.append(last - start)
            start = at
        last = at
    lengths.append(last - start)
    return Sessions(count=len(lengths), total_seconds=sum(lengths), longest_seconds=max(lengths))


Meeting: TypeAlias = tuple[int, str | None, str | None]
"""Time (seconds), channel and platform of one event."""


_Place: TypeAlias = tuple[str | None, str | None]
_Places: TypeAlias = _Place | set[_Place]
"""The places of one step: mostly a single one, otherwise a set of at least two."""


def path(meetings: Iterable[Meeting]) -> tuple[tuple[Step, ...], int]:
    """The newest :data:`PATH_LIMIT` steps of ``meetings`` (times rising), oldest first, and how many older were cut.

    Meetings of one time are one step; steps that follow an equal one are left out, and so are meetings that name
    neither channel nor platform. The order of meetings with the same time makes no difference.
    """
    steps: list[_Places] = []
    current: _Places | None = None
    current_time = 0
    for at, channel, platform in meetings:
        if channel is None and platform is None:
            continue
        place = channel, platform
        if current is None:
            current = place
        elif at != current_time:
            if not steps or current != steps[-1]:
                steps.append(current)
            current = place
        elif isinstance(current, set):
            current.add(place)
        elif current != place:
            current = {current, place}
        current_time = at
    if current is not None and (not steps or current != steps[-1]):
        steps.append(current)
    single: dict[_Place, Step] = {}
    shown: list[Step] = []
    for step in steps[-PATH_LIMIT:]:
        if isinstance(step, set):
            shown.append(tuple(Touchpoint(*place) for place in sorted(step, key=_place_order)))
        else:
            if step not in single:
                single[step] = (Touchpoint(*step),)
            shown.append(single[step])
    return tuple(shown), len(steps) - len(shown)


def _place_order(place: _Place) -> tuple[bool, str, bool, str]:
    """Places by name, unknown parts first."""
    channel, platform = place
    return channel is not None, channel or "", platform is not None, platform or ""
