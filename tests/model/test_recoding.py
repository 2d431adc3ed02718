"""What a later policy leaves of stored events: exactly what it would have let in, at the places that it knows."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import assume, given
from hypothesis import strategies as st

from consentprofile.errors import InvalidEvent
from consentprofile.model import block
from consentprofile.model.block import Codebook, Packed
from consentprofile.model.declaration import Declaration
from consentprofile.model.event import Event, Value
from consentprofile.model.policy import Policy
from consentprofile.model.policy_history import PolicyHistory
from consentprofile.model.projection import Projector
from tests.model.policy_variants import KINDS, PURPOSE, TOPICS, policies

NOW = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp())

values = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.sampled_from(["web", "app"]),
        "topic": st.sampled_from(TOPICS),
        "device": st.just("d-1"),
        "total": st.sampled_from([5, 500]),
        "rating": st.sampled_from([-1, 3]),
    },
)
events = st.builds(
    lambda kind, ago, fields: Event(
        account="a", kind=kind, at=datetime.fromtimestamp(NOW - ago, UTC), id="e", fields=fields
    ),
    st.sampled_from(KINDS),
    st.integers(0, 50 * 86_400),
    values,
)
TOKEN = b"t" * 16


def recorded(history: PolicyHistory, given_under: int, event: Event) -> Packed | None:
    """The event as recording keeps it, for consents given under a policy, while the last one of a history is in force.

    None where it is not kept, and where that policy does not declare it.
    """
    projector = Projector(history.policy)
    holds = history.holds(PURPOSE, given_under)
    try:
        checked = projector.check(event, NOW)
    except InvalidEvent:
        return None
    kept = projector.project_narrowed(projector.narrowed(holds), checked)
    if kept is None:
        return None
    packed: Packed = [b"i" * 16, history.calendar.floor(checked.at, holds.precision), checked.kind]
    for number, value in kept:
        packed += [number, TOKEN if number in projector.tokens else value]  # type: ignore[list-item]
    return packed


def told(policy: Policy, packed: Packed) -> tuple[int, str, dict[str, Value]]:
    read = Codebook(policy).read(packed)
    return read.at, read.kind, dict(read.fields)


@given(policies(1), policies(2), policies(3), events, st.sampled_from([1, 2]))
def test_what_is_left_is_allowed_and_is_all_that_is_allowed(
    one: Policy, two: Policy, three: Policy, event: Event, given_under: int
) -> None:
    """Recorded while policy 2 was in force, under a consent to policy 1 or 2, and read under policy 3."""
    history = PolicyHistory({1: one, 2: two, 3: three})
    packed = recorded(PolicyHistory({1: one, 2: two}), given_under, event)
    assume(packed is not None)
    assert packed is not None
    recoding = history.recoding(PURPOSE, given_under, 2)
    left = packed if recoding is None else recoding.event(packed)
    holds = history.holds(PURPOSE, given_under)
    if recoding is None:
        assert_allowed(holds, told(two, packed))
        return
    if left is None:
        words = {(name, str(value)) for name, value in told(two, packed)[2].items()}
        assert event.kind not in holds.fields or words & holds.withheld
        return
    assert_allowed(holds, told(three, left))
    assert told(three, left)[1] == event.kind
    before = told(two, packed)[2]
    after = told(three, left)[2]
    assert after.items() <= before.items()
    lost = {name for name in before.keys() - after.keys() if name in holds.fields[event.kind]}
    # Of what is still kept, only a value that the policy in force does not know is left out.
    for name in lost:
        assert name in ("topic", "total", "rating")
    assert block.decode(block.encode(3, [left])).events == [left]


def assert_allowed(holds: Declaration, said: tuple[int, str, dict[str, Value]]) -> None:
    at, kind, fields = said
    assert kind in holds.fields
    assert fields.keys() <= holds.fields[kind]
    assert not {(name, str(value)) for name, value in fields.items()} & holds.withheld
    step = {"second": 1, "hour": 3600, "day": 86_400, "month": 86_400}[holds.precision]
    assert at % step == 0


@given(policies(1), policies(2), events)
def test_where_every_value_is_known_it_is_what_would_have_been_recorded(one: Policy, two: Policy, event: Event) -> None:
    """The same event, recorded under policy 1 and narrowed, or recorded under policy 2 at once."""
    history = PolicyHistory({1: one, 2: two})
    before = recorded(PolicyHistory({1: one}), 1, event)
    assume(before is not None)
    assert before is not None
    try:
        Projector(two).check(event, NOW)
    except InvalidEvent:
        assume(False)
    at_once = recorded(history, 1, event)
    recoding = history.recoding(PURPOSE, 1, 1)
    left = before if recoding is None else recoding.event(before)
    if at_once is None:
        # A field that was never kept cannot tell that its value is one with which the event should not exist.
        hidden = {(name, str(value)) for name, value in event.fields.items() if name not in told(one, before)[2]}
        assert left is None or hidden & history.holds(PURPOSE, 1).withheld
    elif recoding is None:
        assert told(two, at_once) == told(one, before)
    else:
        assert left == at_once
