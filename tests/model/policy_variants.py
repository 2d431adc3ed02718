"""Policies that differ in everything that a policy can differ in, and still could follow one another in one store."""

from __future__ import annotations

from typing import Final

import msgspec
from hypothesis import strategies as st

from consentprofile.model.policy import (
    ANY,
    AmountField,
    Collected,
    Controller,
    EnumField,
    Field,
    IntegerField,
    Kind,
    Notice,
    Policy,
    Purpose,
    ReleaseRules,
    Sensitive,
    Suppression,
    TokenField,
)

KINDS: Final = ("login", "purchase", "chat")
FIELDS: Final = ("channel", "topic", "device", "total", "rating")
TOPICS: Final = ("delivery", "refund", "bereavement")
ROLES: Final = ("agent", "marketer")
PURPOSE: Final = "support"
CONTROLLER: Final = Controller(name="Shop", contact="privacy@shop.example", jurisdiction="DE")

names = st.frozensets(st.sampled_from(FIELDS))


def notice(version: str) -> Notice:
    """A notice whose digest follows from its version."""
    return Notice(version=version, language="en", address="https://shop.example", sha256=version[-1] * 64)


release_rules = st.builds(
    ReleaseRules,
    min_accounts=st.sampled_from([3, 10]),
    round_to=st.sampled_from([1, 5]),
    cadence_days=st.sampled_from([7, 30]),
    epsilon_per_year=st.sampled_from([None, 1.0, 2.0]),
    rho_per_year=st.sampled_from([msgspec.UNSET, 0.5]),
    delta_per_year=st.sampled_from([msgspec.UNSET, 1e-7, 1e-6]),
    approval=st.sampled_from([True, msgspec.UNSET]),
)


@st.composite
def purposes(draw: st.DrawFn, number: int, sensitive: tuple[str, ...]) -> Purpose:
    """The purpose as policy ``number`` might declare it."""
    collected = draw(st.dictionaries(st.sampled_from([*KINDS, ANY]), names, min_size=1))
    return Purpose(
        name=PURPOSE,
        title="Help you",
        dpv="dpv:CustomerCare",
        notice=f"n{number}",
        lifetime_days=draw(st.sampled_from([100, 200])),
        retention_months=draw(st.sampled_from([1, 3])),
        evidence_months=12,
        readers=tuple(draw(st.frozensets(st.sampled_from(ROLES)))),
        precision=draw(st.sampled_from(["second", "hour", "day", "month"])),
        keep=draw(st.sampled_from([1, 2, 1000])),
        collect=tuple(Collected(kind=kind, fields=tuple(sorted(fields))) for kind, fields in collected.items()),
        sensitive=tuple(Sensitive(field="topic", value=value) for value in sensitive if draw(st.booleans())),
        release=draw(st.none() | release_rules),
        gpc_objects=draw(st.booleans()),
        grace_days=draw(st.sampled_from([0, 7])),
    )


@st.composite
def policies(draw: st.DrawFn, number: int = 1, *, vocabulary: bool = True) -> Policy:
    """The policy that a store might accept as its ``number``-th; each asks under a notice of its own.

    Without ``vocabulary``, all know the same values.
    """
    topics = draw(st.permutations(TOPICS)) if vocabulary else TOPICS
    known = tuple(topics[: draw(st.integers(1, 3))]) if vocabulary else TOPICS
    sensitive = tuple(value for value in known if draw(st.booleans()))
    fields: list[Field] = [
        EnumField(name="channel", values=("web", "app")),
        EnumField(name="topic", values=known, sensitive=sensitive),
        TokenField(name="device"),
        AmountField(name="total", currency="EUR", maximum=draw(st.sampled_from([10, 1000])) if vocabulary else 1000),
        IntegerField(name="rating", minimum=draw(st.sampled_from([-2, 0])) if vocabulary else -2, maximum=5),
    ]
    return Policy(
        format=1,
        time_zone="UTC",
        roles=ROLES,
        controller=CONTROLLER,
        notice_list=tuple(notice(f"n{one}") for one in range(1, number + 1)),
        field_list=tuple(draw(st.permutations(fields))),
        kind_list=tuple(Kind(name=name, fields=FIELDS) for name in draw(st.permutations(KINDS))),
        purpose_list=(draw(purposes(number, sensitive)),),
        suppression_list=tuple(
            Suppression(reason=reason, purposes=(PURPOSE,)) for reason in ("deceased", "quiet") if draw(st.booleans())
        ),
    )
