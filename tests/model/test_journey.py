"""What journeys promise: where sessions end, and which steps a path has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest

from consentprofile.model.journey import PATH_LIMIT, SESSION_GAP, Step, Touchpoint
from consentprofile.model.profile import fold
from tests.model.profile_events import NOON, POLICY, event, purpose

GAPS: Final[list[tuple[str, Sequence[int], tuple[int, int, int]]]] = [
    ("one event", [0], (1, 0, 0)),
    ("just within the gap", [0, SESSION_GAP], (1, 1800, 1800)),
    ("just beyond the gap", [0, SESSION_GAP + 1], (2, 0, 0)),
    ("the gap counts from the event before", [0, 1000, 2000, 3000], (1, 3000, 3000)),
    ("two sessions", [0, 100, 5000, 5700], (2, 800, 700)),
    ("in one second", [0, 0, 0], (1, 0, 0)),
]


@pytest.mark.parametrize(("offsets", "expected"), [case[1:] for case in GAPS], ids=[case[0] for case in GAPS])
def test_a_session_ends_after_half_an_hour_without_events(
    offsets: Sequence[int], expected: tuple[int, int, int]
) -> None:
    """Count, total length, greatest length."""
    told = [event(number, NOON + offset) for number, offset in enumerate(offsets)]
    sessions = fold(told, POLICY, purpose()).sessions
    assert sessions is not None
    assert (sessions.count, sessions.total_seconds, sessions.longest_seconds) == expected


def test_the_path_leaves_out_repeated_steps_and_holds_ties_side_by_side() -> None:
    """Events without channel and platform are no step; what happened in one second has no order."""
    web, app = Touchpoint("web", "desktop"), Touchpoint("app", "mobile")
    told = [
        event(1, NOON, channel="web", platform="desktop"),
        event(2, NOON + 1, channel="web", platform="desktop"),
        event(3, NOON + 2, "support_call"),
        event(4, NOON + 3, channel="web", platform="desktop"),
        event(5, NOON + 4, channel="web", platform="desktop"),
        event(6, NOON + 4, channel="app", platform="mobile"),
        event(7, NOON + 5, channel="app", platform="mobile"),
        event(8, NOON + 6, channel="call-centre"),
    ]
    expected: tuple[Step, ...] = ((web,), (app, web), (app,), (Touchpoint("call-centre", None),))
    profile = fold(told, POLICY, purpose())
    assert profile.path == expected
    assert profile.path_cut == 0
    assert fold(told, POLICY, purpose("day")).path == ((app, Touchpoint("call-centre", None), web),)


def test_a_long_path_keeps_its_newest_steps_and_says_how_many_it_cut() -> None:
    """The newest hundred, oldest of them first."""
    told = [event(n, NOON + n, channel="web" if n % 2 else "app") for n in range(PATH_LIMIT + 7)]
    profile = fold(told, POLICY, purpose())
    assert len(profile.path) == PATH_LIMIT
    assert profile.path_cut == 7
    assert profile.path[-1] == (Touchpoint("app", None),)
