"""Care for a store: ``check``, ``statistics``, ``suppress`` and ``keys new``."""

from __future__ import annotations

import click

import consentprofile as cp
from consentprofile.cli.backup import journal_command, keys_backup_command
from consentprofile.cli.capability import capability_command
from consentprofile.cli.context import Account, Command, Context, json_option, pass_context, store_options
from consentprofile.cli.importing import outcome_table
from consentprofile.cli.output import DECLINED, count
from consentprofile.cli.recovery import recover_command, recovery_command
from consentprofile.cli.rotation import rotate_command, status_command


@click.command("check", cls=Command)
@click.option("--repair", is_flag=True, help="Purge rows whose key is dead, which is always safe, and nothing else.")
@store_options
@pass_context
def check_command(context: Context, repair: bool) -> None:
    """Open everything that can be opened, compare everything that must agree, and say what cannot be known.

    The exit code is 1 when something is left to be done.
    """
    out = context.out
    with context.open() as store, out.progress("Checking") as tell:
        steps = 0

        def step(what: str) -> None:
            nonlocal steps
            steps += 1
            tell(steps, None)

        report = store.check(repair=repair, progress=step)
    out.document({"clean": report.is_clean, "report": report})
    rows = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in report.rows.items())
    out.line(f"Opened: {count(report.keys, 'key')}; rows: {rows}; {count(report.leaves, 'leaf', 'leaves')} of the log.")
    for finding in report.findings:
        out.line(f"{'repaired' if finding.repaired else 'FOUND'}: {finding.where}: {finding.what}")
    out.line("All is as it was written." if not report.findings else f"{count(len(report.findings), 'finding')}.")
    out.line("What no check can know:")
    for text in report.cannot_know:
        out.line(f"- {text}")
    if not report.is_clean:
        raise click.exceptions.Exit(DECLINED)


@click.command("statistics", cls=Command)
@store_options
@pass_context
def statistics_command(context: Context) -> None:
    """Show how often each purpose took an event since the store was made, and why it did not. It names no account."""
    with context.open() as store:
        counts = store.statistics()
    context.out.document(counts)
    outcome_table(context.out, counts)


@click.command("suppress", cls=Command)
@click.argument("account", type=Account())
@click.option("--reason", required=True, metavar="REASON", help="A reason that the policy declares.")
@click.option("--lift", is_flag=True, help="Take the suppression back.")
@click.option(
    "--actor",
    default="officer:unnamed",
    show_default=True,
    metavar="ROLE:NAME",
    help="Who does this; it is kept, sealed.",
)
@store_options
@pass_context
def suppress_command(context: Context, account: str, reason: str, lift: bool, actor: str) -> None:
    """Switch off, for ACCOUNT, the purposes that the policy names under a reason, whatever the consent says.

    Nothing is recorded or read for them until it is lifted. Keys stay. A suppression outlives the account's erasure.
    """
    out = context.out
    with context.open() as store:
        act = store.lift_suppression if lift else store.suppress
        changed = act(account, reason, actor=actor)
        purposes = store.policy.suppressions.get(reason, ())  # one of an earlier policy is lifted, too
    out.document({"changed": changed, "lifted": lift, "purposes": purposes})
    if changed:
        out.line(f"{'Lifted' if lift else 'Switched off'}: {', '.join(purposes) or reason}.")
    else:
        out.line("Nothing was changed: it was so already.")


@click.group("keys")
def keys_command() -> None:
    """Make a key, or move to a new one; issue capabilities; back the keyring up; ship the journal of destroyed keys."""


keys_command.add_command(rotate_command)
keys_command.add_command(status_command)


@keys_command.command("new", cls=Command, short_help="Print a new key, for an environment variable.")
@json_option
@pass_context
def new_command(context: Context) -> None:
    """Print a new key, to be put into an environment variable (--key-env). It is kept nowhere else."""
    text = cp.new_key_text()
    context.out.document({"key": text})
    context.out.line(text)
    context.out.warn("Whoever has this line can open the store that is made with it; without it nobody can.")


keys_command.add_command(capability_command)
keys_command.add_command(keys_backup_command)
keys_command.add_command(journal_command)
keys_command.add_command(recovery_command)
keys_command.add_command(recover_command)
