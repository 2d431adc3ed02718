"""``policy``: check a policy file, and read a policy as a privacy notice in plain words."""

from __future__ import annotations

import click
import msgspec

import consentprofile as cp
from consentprofile.cli.context import Command, Context, InputFile, json_option, pass_context, store_options
from consentprofile.cli.output import count
from consentprofile.model.policy_words import in_words


@click.group("policy")
def policy_command() -> None:
    """Check a policy; read it as a notice in plain words."""


@policy_command.command("check", cls=Command)
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


@policy_command.command("show", cls=Command)
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
