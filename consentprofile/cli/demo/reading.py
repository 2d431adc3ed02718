"""The middle of ``demo``: one customer across devices, and through the eyes of two purposes."""

from __future__ import annotations

from itertools import groupby
from typing import Final

import consentprofile as cp
from consentprofile.cli.demo.shop import READ
from consentprofile.cli.demo.stage import AGENT, INDENT, MARKETER, Stage, bar
from consentprofile.cli.output import count
from consentprofile.cli.profile import counted, path, time

FEW_KINDS: Final = 3
"""As many kinds are named one by one."""

NOTHING: Final = "-"


def follow(stage: Stage) -> None:
    """The stitched profile of a customer who moves across platforms, with the events behind it."""
    chosen = stage.chosen
    with stage.store.view(READ[0], actor=AGENT, reason="ticket 4711") as view:
        profile, events = view.profile(chosen.followed), view.events(chosen.followed)
    if profile is None or events is None or profile.sessions is None:
        raise cp.IntegrityFault("the example shop is not as it was shipped; reinstall the package")
    visits = [
        (day, platform, list(run))
        for (day, platform), run in groupby(
            events, key=lambda event: (f"{event.at.day} {event.at:%b}", str(event.fields["platform"]))
        )
    ]
    longest = max(len(run) for _, _, run in visits)
    stage.title(f"One customer on {count(len(profile.platforms), 'platform')}")
    stage.say(
        f"`{chosen.followed}` changed platform most often ({count(chosen.moves, 'time')}) among the "
        f"{chosen.candidates} who used all of them and consent to {' and '.join(READ)}. A support agent with a ticket "
        "reads the profile; the reading was in the log before anything was opened."
    )
    stage.gap()
    stage.out.table(
        ("day", "platform", "events", "", "from", "to"),
        [
            (day, platform, str(len(run)), bar(len(run), longest), run[0].kind, run[-1].kind)
            for day, platform, run in visits
        ],
        indent=INDENT,
        right=(2,),
    )
    stage.gap()
    stage.say(
        f"**{path(profile)}**: {count(profile.events, 'event')} in {count(profile.sessions.count, 'session')}, "
        "stitched by the login alone. No cookie, no guess, no bought data."
    )
    stage.facts["followed"] = {"account": chosen.followed, "moves": chosen.moves, "profile": profile}


def compare(stage: Stage) -> None:
    """The same customer as two purposes see it, and who may not look."""
    account = stage.chosen.followed
    seen = [
        profile
        for purpose, actor in zip(READ, (AGENT, MARKETER), strict=True)
        if (profile := stage.read(purpose, actor, account)) is not None
    ]
    refusals = []
    for purpose, actor in ((READ[0], MARKETER), ("analytics", AGENT)):
        try:
            stage.read(purpose, actor, account)
        except cp.RoleNotAllowed as refused:
            refusals.append((f"{actor} asks for {purpose}", f"refused: {refused}"))
    stage.title("The same customer, seen with different eyes")
    stage.say("A purpose sees what it declared, and only those read it whom it names.")
    stage.gap()
    columns = [_seen(profile) for profile in seen]
    stage.out.table(
        ("", *(profile.purpose for profile in seen)),
        [(name, *(column[name] for column in columns)) for name in columns[0]],
        indent=INDENT,
    )
    stage.gap()
    stage.out.pairs(refusals, indent=INDENT)
    stage.gap()
    stage.say("The refusals are in the log too, like every reading.")
    stage.facts["eyes"] = {profile.purpose: profile for profile in seen}
    stage.facts["refused_readings"] = len(refusals)


def _seen(profile: cp.Profile) -> dict[str, str]:
    """What one purpose sees of a customer, in rows that can stand beside those of another."""
    sources = (profile.interests or {}).get("acquisition", {})
    kinds = counted(profile.kinds)
    if len(profile.kinds) > FEW_KINDS:
        kinds = f"{', '.join(kinds.split(', ')[:2])} and {len(profile.kinds) - 2} more"
    first, last = (
        NOTHING if at is None else time(at, profile.precision) for at in (profile.first_seen, profile.last_seen)
    )
    return {
        "read by": AGENT if profile.purpose == READ[0] else MARKETER,
        "events": f"{profile.events:,}",
        "first seen": first,
        "last seen": last,
        "kinds": kinds,
        "platforms": counted(profile.platforms) or NOTHING,
        "sessions": NOTHING if profile.sessions is None else f"{profile.sessions.count:,}",
        "came from": ", ".join(f"{name} on {count(days, 'day')}" for name, days in sources.items()) or NOTHING,
    }
