"""``compact`` and ``retention``: what a store needs done from time to time."""

from __future__ import annotations

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, pass_context, store_options
from consentprofile.cli.output import DECLINED, Output, count


@click.command("compact", cls=Command)
@click.option(
    "--everything",
    is_flag=True,
    help="Bring all events together as densely as they can lie, whether or not anything is due.",
)
@store_options
@pass_context
def compact_command(context: Context, everything: bool) -> None:
    """Bring together what was recorded a little at a time, so that reading stays quick and the files small.

    No event is lost, and other programs go on meanwhile. It can be interrupted and called again at any time.
    """
    out = context.out
    with context.open() as store, out.progress("Compacting") as tell:
        done = store.upkeep.compact(everything=everything, progress=lambda moved: tell(moved, None))
    out.document(done)
    if not done.moved:
        out.line("Nothing was due.")
        return
    out.line(f"{count(done.moved, 'block')} moved; {done.merged:,} of them merged into {done.sealed:,}.")
    if done.dropped:
        out.line(f"{count(done.dropped, 'block')} of destroyed keys left out.")


@click.group("retention")
def retention_command() -> None:
    """Destroy what is over: events past their retention or not allowed any more, and keys of consents that are over."""


@retention_command.command("plan", cls=Command, short_help="Show what `retention run` would destroy now.")
@store_options
@pass_context
def plan_command(context: Context) -> None:
    """Show what `retention run` would destroy now, and whether it would stop itself. Nothing is changed."""
    with context.open() as store:
        expiry, events = store.upkeep.plan_expiry(), store.upkeep.plan_retention()
    context.out.document({"consents": expiry, "events": events})
    _show(context.out, expiry, events)


@retention_command.command("run", cls=Command, short_help="Destroy what is over, for good.")
@click.option("--yes", is_flag=True, help="Do not ask: destroy what is over.")
@click.option(
    "--attended",
    is_flag=True,
    help="Go on where it would stop itself: you have seen the plan, looked at the clock, and mean it.",
)
@store_options
@pass_context
def run_command(context: Context, yes: bool, attended: bool) -> None:
    """Destroy the keys of consents whose lifetime and grace are over, all events past their retention, and what a
    changed policy does not allow any more, for good.

    It says first what will be destroyed. What remains of a compartment gets a new key: no backup of the data from
    before opens afterwards, so make a new one. Call it once a day or once a month, and after a policy that narrows.

    It stops itself where more than 5 % of the compartments would lose their key or all their events, or where the
    clock has jumped.
    """
    out = context.out
    with context.open() as store:
        expiry, events = store.upkeep.plan_expiry(), store.upkeep.plan_retention()
        _show(out, expiry, events)
        if not (expiry.dying or events.due):
            out.document({"consents": expiry, "events": _nothing(events)})
            return
        if not out.confirm("Destroy this for good?", yes=yes):
            out.warn("Nothing was changed.")
            raise click.exceptions.Exit(DECLINED)
        expired = store.upkeep.expire_consents(attended=attended)
        with out.progress("Sealing what remains") as tell:
            done = store.upkeep.run_retention(attended=attended, progress=tell)
    out.document({"consents": expired, "events": done})
    out.line(
        f"Done. {count(expired.dying, 'key')} of expired consents destroyed, and {count(done.events, 'event')} in "
        f"{count(done.resealed, 'compartment')}{_narrowed(done.narrowed)}."
    )
    out.line("A backup of the data from before opens no more for these: make a new one.")


def _nothing(events: cp.RetentionPlan) -> cp.Retained:
    return cp.Retained(resealed=0, emptied=0, events=0, damaged=events.damaged, purposes={})


def _show(out: Output, expiry: cp.Expiry, events: cp.RetentionPlan) -> None:
    out.line(f"Consents that are over, grace included: {expiry.dying:,} of {expiry.living:,}{_by(expiry.purposes)}.")
    out.line(
        f"Compartments that hold more than they may: {events.due:,} of {events.living:,}{_by(events.purposes)}. "
        f"{count(events.events, 'event')} to be destroyed{_narrowed(events.narrowed)}; "
        f"{events.emptied:,} of these compartments would be empty."
    )
    if events.damaged:
        out.line(f"{count(events.damaged, 'compartment')} cannot be opened and will be left: run `check`.")
    for stopped in dict.fromkeys(filter(None, (expiry.stopped, events.stopped))):
        out.line(f"It would stop itself: {stopped}.")


def _narrowed(events: int) -> str:
    return f"; {count(events, 'event')} narrowed to what the policy allows" if events else ""


def _by(purposes: dict[str, int]) -> str:
    return f" ({', '.join(f'{name} {number:,}' for name, number in sorted(purposes.items()))})" if purposes else ""
