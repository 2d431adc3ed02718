"""Whatever policies follow one another: nobody sees, records or holds more of anybody than that consent has left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

import consentprofile as cp
from consentprofile.errors import InvalidEvent
from consentprofile.model.declaration import Declaration
from consentprofile.model.event import Value
from consentprofile.model.policy_history import PolicyHistory
from tests.model.policy_variants import KINDS, PURPOSE, ROLES, TOPICS, policies
from tests.support.stores import scratch
from tests.usecases.scene import Clock

BEGIN: Final = datetime(2024, 3, 15, 12, 30, 45, tzinfo=UTC)
DAYS: Final = 20
"""Between two policies."""

STEPS: Final = {"second": 1, "hour": 3600, "day": 86_400, "month": 86_400}

told = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 3600),
        st.fixed_dictionaries(
            {},
            optional={
                "channel": st.sampled_from(["web", "app"]),
                "topic": st.sampled_from(TOPICS),
                "device": st.sampled_from(["d-1", "d-2"]),
                "total": st.sampled_from([5, 500]),
                "rating": st.sampled_from([-1, 3]),
            },
        ),
    ),
    min_size=1,
    max_size=4,
)


def record(store: cp.Store, account: str, events: list[tuple[str, int, dict[str, Value]]], now: datetime) -> None:
    """Record what the policy in force declares; the same event each time has the same id."""
    for number, (kind, before, fields) in enumerate(events):
        at = now - timedelta(seconds=before)
        try:
            store.record(cp.Event(account=account, kind=kind, at=at, id=f"e-{number}-{at}", fields=fields))
        except InvalidEvent:
            continue


def within(events: list[cp.StoredEvent], holds: Declaration, oldest: int) -> None:
    """Require that there is nothing in the events that ``holds`` does not allow."""
    assert len(events) <= holds.keep
    for event in events:
        assert event.kind in holds.fields
        assert event.fields.keys() <= holds.fields[event.kind]
        assert not {(name, str(value)) for name, value in event.fields.items()} & holds.withheld
        assert event.at.timestamp() % STEPS[holds.precision] == 0
        assert event.at.timestamp() >= oldest


def look(store: cp.Store, history: PolicyHistory, given_under: dict[str, int], now: datetime) -> dict[str, object]:
    """What everybody who may read sees of everybody; each within what that consent has left."""
    seen: dict[str, object] = {}
    calendar = history.calendar
    for role in ROLES:
        if role not in history.policy.purposes[PURPOSE].readers:
            continue
        for account, number in given_under.items():
            holds = history.holds(PURPOSE, number)
            with store.view(PURPOSE, f"{role}:1") as view:
                events, profile = view.events(account), view.profile(account)
            shown = role in holds.readers
            assert (events is not None) == (profile is not None) == shown
            if events is not None and profile is not None:
                within(events, holds, calendar.kept_from(int(now.timestamp()), holds.retention_months))
                assert profile.events == len(events)
                assert STEPS[profile.precision] >= STEPS[holds.precision]
            seen[f"{role} {account}"] = events, profile
    return seen


@given(policies(1), policies(2), policies(3), told)
def test_nobody_is_treated_beyond_what_was_consented_to_and_what_is_left_of_it(
    one: cp.Policy, two: cp.Policy, three: cp.Policy, events: list[tuple[str, int, dict[str, Value]]]
) -> None:
    """Three policies of any kind, each asking anew; somebody consents under each, and one renews under the second."""
    unsuppressed = [msgspec.structs.replace(policy, suppression_list=()) for policy in (one, two, three)]
    clock = Clock(BEGIN)
    with scratch() as folder:
        key = cp.KeyFile(folder / "key")
        store = cp.Store.create(folder / "store", policy=unsuppressed[0], key=key, clock=clock, durability="relaxed")
        given_under: dict[str, int] = {}
        for number, policy in enumerate(unsuppressed, 1):
            if number > 1:
                store.apply_policy(policy, key=key)
            history = PolicyHistory(dict(enumerate(unsuppressed[:number], 1)))
            asked = [f"acct-{number}", *(["acct-renewing"] if number < 3 else [])]
            for account in asked:
                store.give_consent(account, [PURPOSE], notice=f"n{number}", method="form")
                given_under[account] = number
            clock.move(hours=2)
            look(store, history, given_under, clock.now)
            for account in given_under:
                record(store, account, events, clock.now)
            before = look(store, history, given_under, clock.now)
            store.upkeep.run_retention(attended=True)
            assert look(store, history, given_under, clock.now) == before
            for account, under in given_under.items():
                held = store.access(account).compartments[PURPOSE].events
                holds = history.holds(PURPOSE, under)
                within(held[-holds.keep :], holds, 0)
            assert store.upkeep.run_retention(attended=True).resealed == 0
            clock.move(days=DAYS)
        assert store.check().findings == ()
        store.close()
