"""The fold against an independent computation: the definitions of docs/profile.md, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from consentprofile.model.event import Recorded
from consentprofile.model.policy import Policy, Precision, Purpose
from consentprofile.model.profile import fold
from tests.model.profile_events import many_events, policies, precisions, purpose


def naive_floor(at: int, precision: Precision, zone: ZoneInfo) -> int:
    wall = datetime.fromtimestamp(at, zone)
    if precision == "second":
        return at
    if precision == "hour":
        return at - at % 3600  # both zones of these tests are whole hours from UTC
    day = wall.replace(hour=0, minute=0, second=0, fold=0)
    return int((day if precision == "day" else day.replace(day=1)).timestamp())


def naive_profile(given_events: Iterable[Recorded], policy: Policy, declared: Purpose) -> dict[str, object]:
    """The definitions of docs/profile.md, one after the other and without any thrift."""
    zone = ZoneInfo(policy.time_zone)
    coarse = declared.precision
    winners: dict[bytes, Recorded] = {}
    for entry in sorted(given_events, key=lambda e: msgspec.msgpack.encode((e.at, e.kind, e.fields))):
        winners.setdefault(entry.id, entry)
    ordered = sorted(winners.values(), key=lambda e: (e.at, e.kind, e.fields, e.id))[-declared.keep :]
    rows = [(naive_floor(e.at, coarse, zone), e.kind, dict(e.fields)) for e in ordered]

    def iso(at: int) -> str:
        return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")

    def day(at: int) -> date:
        return datetime.fromtimestamp(at, zone).date()

    def counts(names: Iterable[object]) -> dict[object, int]:
        found = list(names)
        return {name: found.count(name) for name in found}

    sessions: list[list[int]] = []
    for at, _, _ in rows:
        if sessions and at - sessions[-1][-1] <= 1800:
            sessions[-1].append(at)
        else:
            sessions.append([at])
    lengths = [session[-1] - session[0] for session in sessions]

    steps: list[list[dict[str, object]]] = []
    for moment in sorted({at for at, _, _ in rows}):
        here = {(f.get("channel"), f.get("platform")) for at, _, f in rows if at == moment} - {(None, None)}
        step: list[dict[str, object]] = [
            {"channel": channel, "platform": platform}
            for channel, platform in sorted(here, key=lambda place: (place[0] or "", place[1] or ""))
        ]
        if step and (not steps or steps[-1] != step):
            steps.append(step)

    devices: dict[object, object] = {}
    for digest in {f["device"] for _, _, f in rows if "device" in f}:
        uses = [(at, f.get("platform")) for at, _, f in rows if f.get("device") == digest]
        devices[digest] = {
            "platforms": sorted({str(platform) for _, platform in uses if platform}),
            "first_seen": iso(min(at for at, _ in uses)),
            "last_seen": iso(max(at for at, _ in uses)),
        }

    stated: dict[str, dict[str, object]] = {}
    for name in ("topic", "language", "newsletter", "visits", "total"):
        said = [(at, f[name]) for at, _, f in rows if name in f]
        if said:
            last_at, value = said[-1]
            disputed = coarse != "second" and len({v for at, v in said if at == last_at}) > 1
            stated[name] = {
                "value": None if disputed else value,
                "on": None if coarse == "month" else day(last_at).isoformat(),
            }
    interests = {
        name: {
            v: len({day(at) for at, _, f in rows if f.get(name) == v})
            for v in {f[name] for _, _, f in rows if name in f}
        }
        for name in ("topic", "language")
        if any(name in f for _, _, f in rows)
    }
    return {
        "purpose": "support",
        "precision": coarse,
        "time_zone": policy.time_zone,
        "events": len(rows),
        "first_seen": iso(rows[0][0]) if rows else None,
        "last_seen": iso(rows[-1][0]) if rows else None,
        "active_days": None if coarse == "month" else len({day(at) for at, _, _ in rows}),
        "kinds": counts(kind for _, kind, _ in rows),
        "channels": counts(f["channel"] for _, _, f in rows if "channel" in f),
        "platforms": counts(f["platform"] for _, _, f in rows if "platform" in f),
        "devices": devices,
        "sessions": {
            "count": len(sessions),
            "total_seconds": sum(lengths),
            "longest_seconds": max(lengths, default=0),
        }
        if coarse == "second"
        else None,
        "path": steps[-100:],
        "path_cut": max(0, len(steps) - 100),
        "interests": None if coarse == "month" else interests,
        "preferences": {name: said for name, said in stated.items() if name in ("language", "newsletter")},
        "last": {name: said for name, said in stated.items() if name not in ("language", "newsletter")},
    }


@given(given_events=many_events, policy=policies, precision=precisions, keep=st.sampled_from([2, 10_000]))
@settings(max_examples=100, deadline=None)
def test_the_fold_agrees_with_a_naive_computation(
    given_events: list[Recorded], policy: Policy, precision: Precision, keep: int
) -> None:
    """Every part of the profile, computed again from its definition."""
    declared = purpose(precision, keep)
    told = msgspec.json.decode(msgspec.json.encode(fold(given_events, policy, declared)))
    assert told == naive_profile(given_events, policy, declared)
