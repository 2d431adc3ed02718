"""The policy, the events and the strategies that tests of profiles share."""

from __future__ import annotations

from typing import Final

import msgspec
from hypothesis import strategies as st

from consentprofile.model.event import Recorded, Value
from consentprofile.model.journey import SESSION_GAP
from consentprofile.model.policy import (
    AmountField,
    BooleanField,
    Controller,
    EnumField,
    IntegerField,
    Policy,
    Precision,
    Purpose,
    TokenField,
)

NOON: Final = 1_721_044_800  # 2024-07-15T12:00:00Z
DAY: Final = 86400
PRECISIONS: Final[tuple[Precision, ...]] = ("second", "hour", "day", "month")

POLICY: Final = Policy(
    format=1,
    time_zone="UTC",
    roles=("support-agent",),
    controller=Controller(name="Example Shop GmbH", contact="privacy@shop.example", jurisdiction="DE"),
    notice_list=(),
    field_list=(
        EnumField(name="channel", values=("web", "app", "call-centre")),
        EnumField(name="platform", values=("desktop", "mobile")),
        TokenField(name="device"),
        EnumField(name="topic", values=("delivery", "refund")),
        EnumField(name="language", values=("de", "en"), preference=True),
        BooleanField(name="newsletter", preference=True),
        IntegerField(name="visits", minimum=0, maximum=100),
        AmountField(name="total", currency="EUR", maximum=1_000_000),
    ),
    kind_list=(),
    purpose_list=(),
)
BERLIN: Final = msgspec.structs.replace(POLICY, time_zone="Europe/Berlin")


def purpose(precision: Precision = "second", keep: int = 10_000) -> Purpose:
    return Purpose(
        name="support",
        title="Help you when you contact us",
        dpv="dpv:CustomerCare",
        notice="2024-01",
        lifetime_days=730,
        retention_months=12,
        evidence_months=36,
        readers=("support-agent",),
        precision=precision,
        keep=keep,
        collect=(),
    )


def event(number: int, at: int, kind: str = "login", /, **fields: Value) -> Recorded:
    return Recorded(at=at, kind=kind, fields=tuple(sorted(fields.items())), id=number.to_bytes(16))


values: Final[dict[str, st.SearchStrategy[Value]]] = {
    "channel": st.sampled_from(["web", "app", "call-centre"]),
    "platform": st.sampled_from(["desktop", "mobile"]),
    "device": st.sampled_from(["ab" * 16, "cd" * 16]),
    "topic": st.sampled_from(["delivery", "refund"]),
    "language": st.sampled_from(["de", "en"]),
    "newsletter": st.booleans(),
    "visits": st.integers(min_value=0, max_value=100),
    "total": st.integers(min_value=0, max_value=3),
}
some_fields = st.fixed_dictionaries({}, optional=values).map(lambda fields: tuple(sorted(fields.items())))
# Few moments and few ids, so that ties and repeats are common; around a clock change in Berlin and the turn of a month.
moments = st.builds(
    lambda base, away: base + away,
    st.sampled_from([NOON, NOON + 60, NOON + DAY, 1_711_846_800, 1_711_922_400]),
    st.sampled_from([0, 0, 1, 600, SESSION_GAP, SESSION_GAP + 1, 7200, 10 * 3600]),
)
events = st.builds(
    Recorded,
    at=moments,
    kind=st.sampled_from(["login", "purchase"]),
    fields=some_fields,
    id=st.integers(min_value=0, max_value=12).map(lambda number: number.to_bytes(16)),
)
many_events = st.lists(events, max_size=25)
precisions = st.sampled_from(PRECISIONS)
policies = st.sampled_from([POLICY, BERLIN])
