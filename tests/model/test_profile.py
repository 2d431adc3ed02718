"""What a profile promises: same facts, same profile, and nothing in it is guessed or revealed by accident."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from consentprofile.model.calendar import Calendar
from consentprofile.model.event import Recorded
from consentprofile.model.policy import Policy, Precision
from consentprofile.model.profile import Profile, Stated, dedupe, fold
from tests.model.profile_events import (
    BERLIN,
    DAY,
    NOON,
    POLICY,
    PRECISIONS,
    event,
    many_events,
    policies,
    precisions,
    purpose,
)

# ---- same facts, same profile -------------------------------------------------------------------


@given(given_events=many_events, data=st.data(), precision=precisions, keep=st.sampled_from([1, 3, 10_000]))
@settings(deadline=None)
def test_order_repetition_and_splitting_make_no_difference(
    given_events: list[Recorded], data: st.DataObject, precision: Precision, keep: int
) -> None:
    """Any permutation with any repetitions, and the repeats settled in any two parts first, folds to the same bytes."""
    declared = purpose(precision, keep)
    expected = fold(given_events, POLICY, declared)
    repeated = given_events + (data.draw(st.lists(st.sampled_from(given_events), max_size=10)) if given_events else [])
    shuffled = data.draw(st.permutations(repeated))
    cut = data.draw(st.integers(min_value=0, max_value=len(shuffled)))
    for variant in (shuffled, iter(shuffled), dedupe(shuffled[cut:]) + dedupe(shuffled[:cut])):
        profile = fold(variant, POLICY, declared)
        assert profile == expected
        assert msgspec.json.encode(profile) == msgspec.json.encode(expected)


@given(given_events=many_events)
def test_dedupe_gives_each_id_once_in_the_order_of_events(given_events: list[Recorded]) -> None:
    """Sorted by (time, kind, fields, id), and doing it again changes nothing."""
    kept = dedupe(given_events)
    assert {entry.id for entry in kept} == {entry.id for entry in given_events}
    assert len(kept) == len({entry.id for entry in kept})
    assert kept == sorted(kept)
    assert dedupe(kept) == kept


@pytest.mark.parametrize("turn", [1, -1])
def test_of_one_id_the_smallest_encoding_stays(turn: int) -> None:
    """Numbers encode by length first, so 5 stays beside 300; yes and 1 are equal to Python, but not in bytes."""
    pairs = [
        (event(1, NOON, total=5), event(1, NOON, total=300)),
        (event(1, NOON, visits=1), event(1, NOON, visits=True)),
        (event(1, NOON, topic="refund"), event(1, NOON, topic="delivery")),  # 6 letters before 8
        (event(1, NOON - 5, topic="refund"), event(1, NOON, topic="refund")),
    ]
    for smaller, larger in pairs:
        (kept,) = dedupe([smaller, larger][::turn])
        assert kept is smaller


@given(data=st.data())
def test_a_field_that_changed_its_type_does_not_disturb_the_order(data: st.DataObject) -> None:
    """Numbers come before texts, whichever of them arrived first, and every other field keeps its order."""
    mixed: list[Recorded] = [
        event(1, NOON, visits=7),
        event(2, NOON, visits=True),
        event(3, NOON, visits="often"),
        event(4, NOON, topic="refund", visits="often"),
        event(5, NOON, topic="refund", visits=3),
        event(6, NOON),
    ]
    arrived = data.draw(st.permutations(mixed))
    assert [int.from_bytes(entry.id) for entry in dedupe(arrived)] == [6, 5, 4, 2, 1, 3]


@given(given_events=many_events, policy=policies, precision=precisions)
@settings(deadline=None)
def test_json_gives_the_profile_again(given_events: list[Recorded], policy: Policy, precision: Precision) -> None:
    """What is written can be read, and is written the same way again."""
    profile = fold(given_events, policy, purpose(precision))
    text = msgspec.json.encode(profile)
    again = msgspec.json.decode(text, type=Profile)
    assert again == profile
    assert msgspec.json.encode(again) == text


# ---- nothing is guessed -------------------------------------------------------------------------


@given(given_events=many_events, policy=policies, precision=precisions)
@settings(deadline=None)
def test_a_profile_shows_only_what_its_precision_supports(
    given_events: list[Recorded], policy: Policy, precision: Precision
) -> None:
    """No sessions above the second, no days above the day, and no moment that is finer than the precision."""
    profile = fold(given_events, policy, purpose(precision))
    assert (profile.sessions is None) == (precision != "second")
    assert (profile.active_days is None) == (profile.interests is None) == (precision == "month")
    for stated in (*profile.preferences.values(), *profile.last.values()):
        assert (stated.on is None) == (precision == "month")
    calendar = Calendar(policy.time_zone)
    shown = [profile.first_seen, profile.last_seen]
    shown += [moment for device in profile.devices.values() for moment in (device.first_seen, device.last_seen)]
    for moment in shown:
        if moment is not None:
            at = int(moment.timestamp())
            assert calendar.floor(at, precision) == at


@given(given_events=many_events, policy=policies, precision=st.sampled_from(["hour", "day", "month"]))
@settings(deadline=None)
def test_finer_times_than_the_purpose_allows_show_nothing_more(
    given_events: list[Recorded], policy: Policy, precision: Precision
) -> None:
    """Events that were stored finer give the profile of the same events floored."""
    calendar = Calendar(policy.time_zone)
    settled = dedupe(given_events)
    floored = [msgspec.structs.replace(entry, at=calendar.floor(entry.at, precision)) for entry in settled]
    declared = purpose(precision)
    assert fold(settled, policy, declared) == fold(floored, policy, declared)


def test_what_came_last_within_a_day_is_not_known_to_a_day() -> None:
    """Two different values on the last day: no value, but the day. Two equal ones, or one of an earlier day: known."""
    said = [
        event(1, NOON, language="de", newsletter=True, total=5),
        event(2, NOON + 60, language="en", newsletter=True),
        event(3, NOON - DAY, language="de", newsletter=False, total=9, visits=3),
    ]
    by_day = fold(said, POLICY, purpose("day"))
    today = date(2024, 7, 15)
    assert by_day.preferences == {
        "language": Stated(value=None, on=today),
        "newsletter": Stated(value=True, on=today),
    }
    assert by_day.last == {"total": Stated(value=5, on=today), "visits": Stated(value=3, on=date(2024, 7, 14))}
    assert fold(said, POLICY, purpose("second")).preferences["language"] == Stated(value="en", on=today)


def test_what_was_said_in_one_second_is_ordered_by_content() -> None:
    """With precision second the last value is the last in the order of events, ties included."""
    said = [event(1, NOON, language="en"), event(2, NOON, language="de")]
    assert fold(said, POLICY, purpose()).preferences["language"] == Stated(value="en", on=date(2024, 7, 15))


def test_an_outlier_cannot_tip_an_interest() -> None:
    """A thousand clicks on one day weigh less than two days with one click each."""
    clicks = [event(number, NOON + number, "search", topic="refund") for number in range(1000)]
    steady = [event(2000 + number, NOON + number * DAY, "search", topic="delivery") for number in range(2)]
    profile = fold(clicks + steady, POLICY, purpose())
    assert profile.interests == {"topic": {"delivery": 2, "refund": 1}}
    assert profile.events == 1002


@given(clicks=st.integers(min_value=1, max_value=1000), precision=st.sampled_from(["second", "hour", "day"]))
@settings(max_examples=20, deadline=None)
def test_any_number_of_clicks_on_one_day_is_one_day(clicks: int, precision: Precision) -> None:
    """In the policy's time zone, not in UTC: the evening of the 14th in UTC is the 15th in Berlin."""
    start = NOON - 14 * 3600  # 2024-07-15 00:00 in Berlin, 2024-07-14 22:00 in UTC
    told = [event(number, start + number * 86, "search", topic="refund") for number in range(clicks)]
    profile = fold(told, BERLIN, purpose(precision))
    assert profile.interests == {"topic": {"refund": 1}}
    assert profile.active_days == 1


# ---- the parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
def test_consent_without_events_gives_an_empty_profile(precision: Precision) -> None:
    """Zeros where there was nothing to count, None where it could not be counted."""
    profile = fold([], POLICY, purpose(precision))
    assert profile.events == 0
    assert profile.first_seen is None
    assert profile.last_seen is None
    assert profile.active_days == (None if precision == "month" else 0)
    assert (profile.sessions.count if profile.sessions else None) == (0 if precision == "second" else None)
    assert profile.path == ()
    assert [profile.kinds, profile.devices, profile.preferences, profile.last] == [{}, {}, {}, {}]


def test_only_the_newest_events_count() -> None:
    """With keep = 2 the oldest of three leaves no mark."""
    told = [
        event(1, NOON, "signup", channel="call-centre", topic="refund", total=7),
        event(2, NOON + 1, "login", channel="web"),
        event(3, NOON + 2, "login", channel="web"),
    ]
    assert fold(told, POLICY, purpose(keep=2)) == fold(told[1:], POLICY, purpose(keep=2))
    assert fold(told, POLICY, purpose(keep=2)).kinds == {"login": 2}


def test_devices_know_their_platforms_and_their_times() -> None:
    """In the order in which they were first seen."""
    told = [
        event(1, NOON, device="ff" * 16, platform="mobile"),
        event(2, NOON + 5, device="00" * 16),
        event(3, NOON + 9, device="ff" * 16, platform="desktop"),
    ]
    devices = fold(told, POLICY, purpose()).devices
    moment = datetime(2024, 7, 15, 12, tzinfo=UTC)
    assert list(devices) == ["ff" * 16, "00" * 16]
    assert devices["ff" * 16].platforms == ("desktop", "mobile")
    assert devices["ff" * 16].first_seen == moment
    assert devices["ff" * 16].last_seen == moment + timedelta(seconds=9)
    assert devices["00" * 16].platforms == ()


def test_fields_that_the_policy_does_not_declare_are_passed_over() -> None:
    """They neither show nor fail."""
    profile = fold([event(1, NOON, horoscope="leo", topic="refund")], POLICY, purpose())
    assert b"horoscope" not in msgspec.json.encode(profile)
    assert profile.interests == {"topic": {"refund": 1}}


def test_json_holds_times_in_utc_with_z_and_devices_in_hex() -> None:
    """The form that exports and other programs see."""
    profile = fold([event(1, NOON, device="ab" * 16, newsletter=True)], POLICY, purpose())
    text = msgspec.json.encode(profile).decode()
    assert '"first_seen":"2024-07-15T12:00:00Z"' in text
    assert f'"devices":{{"{"ab" * 16}":{{"platforms":[]' in text
    assert '"newsletter":{"value":true,"on":"2024-07-15"}' in text


def test_no_representation_reveals_anything() -> None:
    """Neither repr, str, format nor rich shows a value, of the profile or of any part of it."""
    told = [event(1, NOON, "purchase", channel="web", platform="desktop", device="ab" * 16, language="en", total=17)]
    profile = fold(told, POLICY, purpose())
    parts: list[object] = [
        profile,
        profile.sessions,
        profile.path[0][0],
        profile.devices["ab" * 16],
        profile.preferences["language"],
        profile.last["total"],
    ]
    for part in parts:
        out = StringIO()
        Console(file=out, width=500).print(part)
        for text in (repr(part), str(part), f"{part}", f"{[part]}", out.getvalue()):
            assert type(part).__name__ in text
            for secret in ("web", "desktop", "abab", "en'", "17", "2024", "purchase", "support"):
                assert secret not in text


def test_the_example_in_the_documentation_is_what_the_fold_gives() -> None:
    """docs/profile.md shows this profile, and says what a month would leave of it."""
    morning = NOON - DAY - 3 * 3600
    web = {"channel": "web", "platform": "desktop", "topic": "delivery"}
    told = [
        event(1, morning, "login", **web),
        event(2, morning + 300, "search", **web),
        event(
            3,
            NOON + 8 * 3600,
            "purchase",
            channel="app",
            platform="mobile",
            topic="delivery",
            language="en",
            total=4900,
        ),
    ]
    text = (Path(__file__).parents[2] / "docs" / "profile.md").read_text(encoding="utf-8")
    shown = text.split("```json\n")[1].split("```")[0]
    assert json.loads(msgspec.json.encode(fold(told, POLICY, purpose()))) == json.loads(shown)
    month = fold(told, POLICY, purpose("month"))
    assert month.first_seen == datetime(2024, 7, 1, tzinfo=UTC)
    assert [len(step) for step in month.path] == [2]
