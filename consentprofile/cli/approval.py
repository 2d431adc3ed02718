"""``release approve`` and ``release disapprove``: what an officer does where the policy asks for an approval."""

from __future__ import annotations

from typing import Final

import click

import consentprofile as cp
from consentprofile.cli.asking import list_asked, plain, planned
from consentprofile.cli.context import Command, Context, InputFile, pass_context, store_options
from consentprofile.cli.output import DECLINED, Output

_actor = click.option(
    "--actor", required=True, metavar="officer:NAME", help="Which officer does this; it is kept, sealed."
)
_reason = click.option("--reason", metavar="TEXT", help="Why; it is kept, sealed.")

UNCHANGED: Final = "Nothing was changed."
SHOWN_FIRST: Final = "this approves what it shows"


@click.command("approve", cls=Command, short_help="Approve, as an officer, what SPEC asks for.")
@click.argument("spec", type=InputFile(text=True))
@_actor
@_reason
@click.option("--yes", is_flag=True, help="Do not ask: approve it.")
@store_options
@pass_context
def approve_command(context: Context, spec: str, actor: str, reason: str | None, yes: bool) -> None:
    """Approve, as an officer, that what SPEC asks for is released once.

    It shows what would be released, without any figure, and asks. The approval is for exactly this question, period and
    protection, under the policy in force; somebody else then asks for the release. A changed SPEC needs another one.
    """
    out = context.out
    with context.open() as store:
        with out.progress("Counting") as tell:
            plan = store.plan_release(spec, actor=actor, progress=tell)
        out.pairs([(plain(name), plain(text)) for name, text in planned(plan)])
        out.line()
        needed = plan.approved is not None  # where it is not, the store says why
        if needed and not out.confirm("Approve that exactly this is released?", yes=yes, why=SHOWN_FIRST):
            out.warn(UNCHANGED)
            raise click.exceptions.Exit(DECLINED)
        given = store.approve_release(spec, actor=actor, reason=reason, digest=plan.digest)
    out.document({"approval": given, "plan": plan})
    out.line(f"Approved, under the number {given.number}. Somebody else may ask for it now, once.")


@click.command("disapprove", cls=Command, short_help="Take an approval back.")
@click.argument("number", type=click.IntRange(min=0))
@_actor
@_reason
@store_options
@pass_context
def disapprove_command(context: Context, number: int, actor: str, reason: str | None) -> None:
    """Take an approval back: of what was approved under this NUMBER, whoever approved it.

    `release list` shows the numbers. What has been released already stays released.
    """
    with context.open() as store:
        taken = store.disapprove_release(number, actor=actor, reason=reason)
    context.out.document({"disapproved": taken})
    context.out.line(f"Taken back: {taken.measure} for {taken.purpose} must not be released without a new approval.")


APPROVAL_COMMANDS: Final = (approve_command, disapprove_command)


def list_approvals(out: Output, approvals: tuple[cp.ReleaseApproval, ...]) -> None:
    """What was approved and not released yet."""
    for one in approvals:
        list_asked(
            out, one, f"approved {one.at:%Y-%m-%d %H:%M} by {plain(one.actor)}" + f": {one.reason}" * bool(one.reason)
        )
