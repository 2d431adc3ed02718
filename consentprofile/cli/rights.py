"""``access`` and ``erase``: the rights of a person over what is held about them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

import click
import msgspec

import consentprofile as cp
from consentprofile.cli.context import Account, Command, Context, InputFile, pass_context, standard_input, store_options
from consentprofile.cli.output import Misuse, count

ACCESS_FILE: Final = "access.json"

_actor = click.option(
    "--actor",
    default="officer:unnamed",
    show_default=True,
    metavar="ROLE:NAME",
    help="Who does this; it is kept, sealed.",
)


@click.command("access", cls=Command)
@click.argument("account", type=Account())
@click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help="Where access.json is written; made if it is not there.",
)
@click.option("--reason", metavar="TEXT", help="Why, such as the request's number; it is kept, sealed.")
@_actor
@store_options
@pass_context
def access_command(context: Context, account: str, folder: Path, reason: str | None, actor: str) -> None:
    """Write everything that is held about ACCOUNT to access.json: decisions, profiles, events, and who read them.

    The file is for you alone (mode 0600) and is there whole or not at all; one that is there already is not touched.
    """
    out, target = context.out, folder / ACCESS_FILE
    _require_free(target)
    with context.open() as store:
        held = store.access(account, actor=actor, reason=reason)
    _write(target, msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n")
    events = sum(len(compartment.events) for compartment in held.compartments.values())
    summary = {
        "file": str(target),
        "purposes": list(held.compartments),
        "events": events,
        "known": held.account is not None,
    }
    out.document(summary)
    out.line(f"Written to {target}:")
    out.line(
        f"{count(events, 'event')} for {count(len(held.compartments), 'purpose')}, the decisions, and who read what."
    )
    if held.account is None:
        out.line("The store does not know this account; what it may hold is evidence of earlier decisions.")


def _require_free(target: Path) -> None:
    """Before anything is read: a reading in vain would be in the log for nothing."""
    if os.path.lexists(target):
        raise cp.InputError(f"there is an {ACCESS_FILE} in this folder already; it is never overwritten")
    if target.parent.exists() and not target.parent.is_dir():
        raise cp.InputError("the place for the answer is taken by something that is no folder")


def _write(target: Path, data: bytes) -> None:
    """Write ``target`` for its owner alone, whole or not at all, never over another."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    made = False
    try:
        if not target.parent.exists():
            target.parent.mkdir(mode=0o700, parents=True)
            made = True
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(beside, target)  # unlike a rename it fails where a file has come into being meanwhile
        finally:
            beside.unlink()
    except OSError as error:
        if made:
            target.parent.rmdir()
        raise cp.InputError(f"{ACCESS_FILE} cannot be written: {error.strerror}") from None


@click.command("erase", cls=Command)
@click.argument("accounts", nargs=-1, type=Account())
@click.option(
    "--from-file",
    type=InputFile(text=True, or_stdin=True),
    metavar="FILE",
    help="Erase the accounts of this file too, one a line; - is standard input.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be destroyed, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask: destroy the keys.")
@click.option("--reference", metavar="TEXT", help="Your own number of the request; only a commitment to it is kept.")
@_actor
@store_options
@pass_context
def erase_command(
    context: Context,
    accounts: tuple[str, ...],
    from_file: str | None,
    dry_run: bool,
    yes: bool,
    reference: str | None,
    actor: str,
) -> None:
    """Destroy every key of one or more ACCOUNTS, and with them everything that they did. It cannot be undone.

    It says first what will be destroyed. What stays: the evidence of decisions, sealed, for its own lifetime; and
    suppressions, so that nobody is contacted again because they asked to be forgotten.
    """
    out = context.out
    named = [*accounts, *_lines(from_file)]
    if not named:
        raise Misuse("name at least one account, or a file of them with --from-file")
    with context.open() as store:
        plan = store.plan_erasure(named)
        of = count(len(set(named)), "account named", "accounts named")
        purposes = f" ({', '.join(plan.purposes)})" if plan.purposes else ""
        out.line(f"{of}, {plan.found:,} of them known: {count(plan.keys, 'key')} to destroy{purposes}.")
        if dry_run:
            out.document({"dry_run": True, "plan": plan})
            out.line("Nothing was changed: this was a dry run.")
            return
        if not out.confirm(f"Destroy {count(plan.keys, 'key')} and all that they lock, for good?", yes=yes):
            out.warn("Nothing was changed.")
            raise click.exceptions.Exit(1)
        done = store.erase(named, reference=reference, actor=actor)
    out.document({"dry_run": False, "plan": plan, "erasure": done})
    out.line(f"Done. {count(len(done.key_ids), 'key')} destroyed; nobody can open what they locked.")
    if done.leaves:
        out.line(f"The audit log says so in its leaves {done.leaves[0]} to {done.leaves[-1]}.")
    if done.reference_salt is not None:
        out.line(f"To prove later which request this answered, keep this salt: {done.reference_salt}")


def _lines(path: str | None) -> list[str]:
    """The accounts of a file, one a line; empty lines are passed over."""
    if path is None:
        return []
    text = standard_input() if path == "-" else Path(path).read_text("utf-8")
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n") if line.strip()]
