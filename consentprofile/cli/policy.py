"""``policy``: check a policy file, read a policy as a notice in plain words, and change the policy of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click
import msgspec

import consentprofile as cp
from consentprofile.cli.context import Command, Context, InputFile, json_option, pass_context, store_options
from consentprofile.cli.output import DECLINED, Output, count
from consentprofile.model.policy_words import in_words

_HEADINGS: Final = {
    "narrowing": "Narrowing: at once, also for what is stored",
    "widening": "Widening: for those who consent under the new notice; for the others all stays as it is",
    "neutral": "Neutral: nobody's data is treated otherwise",
    "refused": "Refused",
}

ending_option = click.option(
    "--end-purpose",
    "ending",
    multiple=True,
    metavar="PURPOSE",
    help="A purpose that is left out and is meant to end, with every consent to it; may be repeated.",
)


@click.group("policy")
def policy_command() -> None:
    """Check a policy; read it as a notice in plain words; change the policy of a store."""


@policy_command.command("check", cls=Command, short_help="Check a policy file; name every fault at its place.")
@click.argument("file", type=InputFile())
@json_option
@pass_context
def check_command(context: Context, file: str) -> None:
    """Check the policy in FILE as a whole, and name every fault at its place.

    No store and no key are needed. The exit code is 4 when there is a fault.
    """
    out = context.out
    try:
        policy = cp.load_policy(file)
    except cp.InvalidPolicy as invalid:
        faults = [{"place": fault.place, "expected": fault.expected} for fault in invalid.faults]
        out.document({"valid": False, "faults": faults})
        raise
    out.document({"valid": True, "digest": policy.digest.hex(), "purposes": list(policy.purposes), "faults": []})
    parts = (
        count(len(policy.purpose_list), "purpose"),
        count(len(policy.kind_list), "kind"),
        count(len(policy.field_list), "field"),
        count(len(policy.notice_list), "notice"),
    )
    out.line(f"The policy is sound: {', '.join(parts)}.")
    out.line(f"Its digest is {policy.digest.hex()}.")


@policy_command.command("show", cls=Command, short_help="Read a policy as a notice in plain words.")
@click.argument("file", type=InputFile(), required=False)
@store_options
@pass_context
def show_command(context: Context, file: str | None) -> None:
    """Show a policy as a privacy notice in plain words: that in FILE, or the one that the store obeys."""
    if file is not None:
        policy = cp.load_policy(file)
    else:
        with context.open() as store:
            policy = store.policy
    context.out.document(msgspec.Raw(policy.text))
    context.out.markdown(in_words(policy))


@policy_command.command("diff", cls=Command, short_help="Show what a changed policy would mean.")
@click.argument("file", type=InputFile())
@ending_option
@store_options
@pass_context
def diff_command(context: Context, file: str, ending: Sequence[str]) -> None:
    """Show what it would mean if the store obeyed the policy in FILE, change by change. Nothing is changed.

    Numbers of accounts are rounded to 10. The exit code is 1 when the store would refuse it.
    """
    out = context.out
    with context.open() as store:
        plan = store.plan_policy(file, ending=ending)
    out.document(_told(plan))
    _show(out, plan)
    if plan.is_refused:
        raise click.exceptions.Exit(DECLINED)


@policy_command.command("apply", cls=Command)
@click.argument("file", type=InputFile())
@ending_option
@click.option("--yes", is_flag=True, help="Do not ask: let the store obey it.")
@store_options
@pass_context
def apply_command(context: Context, file: str, ending: Sequence[str], yes: bool) -> None:
    """Let the store obey the policy in FILE. It says first what changes.

    What narrows holds at once; what it leaves of the data is sealed anew, and the rest destroyed, by `retention run`.
    What widens waits for consent under the new notice. Programs that have the store open have to open it again.
    """
    out = context.out
    key = context.key()
    with context.open() as store:
        plan = store.plan_policy(file, ending=ending)
        _show(out, plan)
        if plan.changes and not plan.is_refused and not out.confirm("Let the store obey it?", yes=yes):
            out.warn("Nothing was changed.")
            raise click.exceptions.Exit(DECLINED)
        plan = store.apply_policy(file, key=key, ending=ending)
    out.document(_told(plan))
    if plan.changes:
        out.line(f"The store obeys the policy with the digest {plan.digest}.")
        if any(change.kind == "narrowing" for change in plan.changes):
            out.line("What is stored and not allowed any more is not read. `retention run` destroys it.")


def _told(plan: cp.PolicyPlan) -> dict[str, object]:
    faults = [{"place": fault.place, "expected": fault.expected} for fault in plan.faults]
    return {"digest": plan.digest, "changes": plan.changes, "faults": faults}


def _show(out: Output, plan: cp.PolicyPlan) -> None:
    if not plan.changes:
        out.line("It is the policy that the store obeys: nothing changes.")
    for kind, heading in _HEADINGS.items():
        changes = [change for change in plan.changes if change.kind == kind]
        if changes:
            out.heading(heading)
        for change in changes:
            out.prose(f"{change.where}: {change.words}{_touched(change)}.", indent=2)
    if plan.faults:
        out.heading("The store would refuse it")
    for fault in plan.faults:
        out.prose(str(fault), indent=2)


def _touched(change: cp.PlannedChange) -> str:
    if change.accounts is None:
        return ""
    number = count(change.accounts, "account") if change.accounts else "fewer than 10 accounts"
    return f" ({'about ' if change.accounts else ''}{number} of {change.purpose})"
