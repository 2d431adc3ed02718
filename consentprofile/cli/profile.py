"""``profile``: read the profile of one account for one purpose. Every reading is logged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby

import click

import consentprofile as cp
from consentprofile.cli.context import Account, Command, Context, pass_context, store_options
from consentprofile.cli.output import Output, count


@click.command("profile", cls=Command)
@click.argument("account", type=Account())
@click.option("--purpose", required=True, help="The purpose to read for.")
@click.option("--actor", required=True, metavar="ROLE:NAME", help="Who reads, such as support-agent:17.")
@click.option("--reason", metavar="TEXT", help="Why, such as a ticket's number; it is kept, sealed.")
@click.option("--events", is_flag=True, help="Show the events behind the profile too.")
@store_options
@pass_context
def profile_command(context: Context, account: str, purpose: str, actor: str, reason: str | None, events: bool) -> None:
    """Read the profile of ACCOUNT as one purpose sees it (- reads the account from standard input).

    The reading is in the audit log before anything is opened. Where consent is not in force there is nothing to see,
    and no telling why: unknown, refused, withdrawn, expired, erased and suppressed accounts look the same.
    """
    out = context.out
    with context.open() as store, store.view(purpose, actor=actor, reason=reason) as view:
        profile = view.profile(account)
        behind = view.events(account) if events else None
    out.document({"profile": profile, "events": behind} if events else {"profile": profile})
    if profile is None:
        out.line("There is nothing to see for this purpose.")
        return
    show_profile(out, profile)
    if behind is not None:
        out.line()
        out.table(
            ("time (UTC)", "kind", "fields"),
            [
                (time(e.at, "second"), e.kind, "  ".join(f"{name}={_short(v)}" for name, v in e.fields.items()))
                for e in behind
            ],
        )


def show_profile(out: Output, profile: cp.Profile, *, indent: int = 0) -> None:
    """The parts of a profile, one a line; what the stored precision cannot tell is left out."""
    out.pairs(profile_lines(profile), indent=indent)


def profile_lines(profile: cp.Profile) -> list[tuple[str, str]]:
    """The parts of a profile in words."""
    lines = [("purpose", f"{profile.purpose}, times to the {profile.precision} in {profile.time_zone}")]
    lines.append(("events", f"{profile.events:,}"))
    if profile.first_seen is not None and profile.last_seen is not None:
        precision = profile.precision
        lines.append(("seen", f"{time(profile.first_seen, precision)} to {time(profile.last_seen, precision)}"))
    if profile.active_days is not None:
        lines.append(("active on", count(profile.active_days, "day")))
    if profile.sessions is not None:
        longest = count(round(profile.sessions.longest_seconds / 60), "minute")
        lines.append(("sessions", f"{profile.sessions.count:,}, the longest of {longest}"))
    for name, counts in (("platforms", profile.platforms), ("channels", profile.channels), ("kinds", profile.kinds)):
        if counts:
            lines.append((name, counted(counts)))
    for number, device in enumerate(profile.devices.values(), 1):
        lines.append((f"device {number}", f"seen on {', '.join(device.platforms) or 'no known platform'}"))
    if len(profile.path) > 1:
        cut = f"({count(profile.path_cut, 'older step')}) → " if profile.path_cut else ""
        lines.append(("path", cut + path(profile)))
    for name, days in (profile.interests or {}).items():
        lines.append((f"{name}", ", ".join(f"{value} on {count(number, 'day')}" for value, number in ranked(days))))
    lines.extend((f"prefers {name}", _stated(stated.value)) for name, stated in profile.preferences.items())
    lines.extend((f"last {name}", _stated(stated.value)) for name, stated in profile.last.items())
    return lines


def path(profile: cp.Profile) -> str:
    """The touchpoints in their order; what shares a moment stands together, repeats are counted."""
    steps = [
        " + ".join(" ".join(part for part in (touch.channel, touch.platform) if part) for touch in step)
        for step in profile.path
    ]
    runs = [(name, len(list(run))) for name, run in groupby(steps)]
    return " → ".join(name if number == 1 else f"{name} ({number} times)" for name, number in runs)


def counted(counts: Mapping[str, int]) -> str:
    """Names with their counts, the most frequent first."""
    return ", ".join(f"{name} {number:,}" for name, number in ranked(counts))


def ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """By count, then by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def time(at: datetime, precision: str) -> str:
    """A time as finely as it was kept."""
    return at.strftime(
        {"month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%d %Hh"}.get(precision, "%Y-%m-%d %H:%M:%S")
    )


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:8]}…" if len(text) == 32 else text


def _stated(value: object) -> str:
    return "not known which came last" if value is None else str(value)
