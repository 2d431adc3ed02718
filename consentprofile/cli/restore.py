"""``restore``: from copies of the data, of the keyring, or of both, with an account of what that does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, pass_context, store_options
from consentprofile.cli.output import DECLINED, Output, Tell, count

_LOGS: Final = {
    "kept": "The audit log is the store's own: nothing of it was lost.",
    "copied": "The audit log is that of the copy, which reaches everything that was signed.",
    "broken": "The audit log does not verify, and no head of it is signed any more: run `audit verify`.",
}


@click.command("restore", cls=Command)
@click.option("--data", type=click.Path(path_type=Path), metavar="FILE", help="A copy made by `backup`.")
@click.option("--keyring", type=click.Path(path_type=Path), metavar="FILE", help="A copy made by `keys backup`.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A journal of destroyed keys, written by `keys journal`: what it names is destroyed again.",
)
@click.option(
    "--policy",
    "policies",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    help="A policy that was accepted after the data was copied, where the store's own data is gone.",
)
@click.option(
    "--accept-undone",
    is_flag=True,
    help="Go on with an older keyring although nothing can tell which keys had died since it was copied.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask: restore.")
@store_options
@pass_context
def restore_command(
    context: Context,
    data: Path | None,
    keyring: Path | None,
    journal: Path | None,
    policies: tuple[Path, ...],
    accept_undone: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Restore the store from copies of its data, of its keyring, or of both. No other program may have it open.

    It is made anew beside the old one and put in its place in one step; if it is interrupted, whoever opens the store
    next finds the old one or the new one, whole. What was withdrawn or erased stays so.
    """
    out, path, key = context.out, context.store_path, context.key()
    if not yes and not dry_run:
        out.require_terminal()
    if not yes:
        with out.progress("Looking") as tell:
            plan = cp.Store.plan_restore(
                path,
                key=key,
                data=data,
                keyring=keyring,
                journal=journal,
                policies=policies,
                clock=context.clock,
                progress=_steps(tell),
            )
        if dry_run:
            out.document(plan)
        _show(out, plan)
        if dry_run:
            out.line("Nothing was changed: this was a dry run.")
            return
        if not out.confirm("Put this in the place of what is there?", yes=yes):
            out.warn("Nothing was changed.")
            raise click.exceptions.Exit(DECLINED)
    with out.progress("Restoring") as tell:
        done = cp.Store.restore(
            path,
            key=key,
            data=data,
            keyring=keyring,
            journal=journal,
            policies=policies,
            accept_undone=accept_undone,
            clock=context.clock,
            progress=_steps(tell),
        )
    out.document(done)
    if yes:
        _show(out, done)
    out.line("Done.")


def _steps(tell: Tell) -> Callable[[str], None]:
    """Count the steps of a restore as they are told by name."""
    done = itertools.count(1)
    return lambda step: tell(next(done), None)


def _show(out: Output, found: cp.Restored) -> None:
    tables = sorted(found.opens)
    rows = [
        (table, *(f"{counts[table]:,}" for counts in (found.opens, found.purged, found.quarantined)))
        for table in tables
    ]
    out.table(("rows", "open", "of dead keys, purged", "from elsewhere, left alone"), rows, right=(1, 2, 3))
    out.line()
    out.line(f"{count(found.keys, 'key')} in the keyring. Consents are as the keyring has them.")
    if found.destroyed_again:
        out.line(f"{count(found.destroyed_again, 'key')} had died since the keyring was copied: destroyed again.")
    if found.unknown:
        out.warn(
            f"Nothing tells which others had died since: any of the {count(found.keys, 'key')} may have. What they did "
            "is undone: repeat the withdrawals and erasures of that time. Without --accept-undone this is refused."
        )
    if found.log == "lineage":
        lost = count(found.lost, "leaf", "leaves")
        out.line(f"The audit log of this copy does not reach what was signed: at least {lost} of it lost.")
        out.line(f"It goes on under the name {found.origin}; give its public key to whoever verifies it.")
    else:
        out.line(_LOGS[found.log])
    if found.keys_gone or found.keys_found:
        out.line(
            f"Log and keyring disagreed: {count(found.keys_gone, 'key')} gone, {count(found.keys_found, 'key')} found; "
            "each has a leaf."
        )
    if found.without_id:
        out.warn(
            f"Of {count(found.without_id, 'account')} this data does not have the id. Their consents stand; the id is "
            "written again by any decision of theirs, also one that stands already, and by `access`."
        )
