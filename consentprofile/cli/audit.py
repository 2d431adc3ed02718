"""``audit``: read and verify the audit log. It names nobody, so it may be shown to an auditor as it is."""

from __future__ import annotations

from datetime import datetime

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, Moment, pass_context, store_options
from consentprofile.cli.output import count


@click.group("audit")
def audit_command() -> None:
    """Read and verify the audit log, which names nobody and stays whole after every erasure."""


@audit_command.command("log", cls=Command)
@click.option("--from", "start", type=click.IntRange(min=0), default=0, metavar="NUMBER", help="Begin with this leaf.")
@click.option("--operation", metavar="WORD", help="Only leaves of this operation, such as erased.")
@click.option("--purpose", help="Only leaves of this purpose.")
@click.option("--role", help="Only leaves of this role.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only leaves of this hour or later.")
@click.option("--until", type=Moment(), metavar="TIME", help="Only leaves before this time.")
@store_options
@pass_context
def log_command(
    context: Context,
    start: int,
    operation: str | None,
    purpose: str | None,
    role: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Show the leaves of the audit log: what happened in which hour (UTC), for which purpose, by which role.

    With --json there is one JSON document a line.
    """
    wanted = {"operation": operation, "purpose": purpose, "role": role}
    chosen = {name: value for name, value in wanted.items() if value is not None}
    first_hour = None if since is None else since.replace(minute=0, second=0, microsecond=0)
    with context.open() as store:
        for leaf in store.audit.log(start):
            if any(getattr(leaf, name) != value for name, value in chosen.items()):
                continue
            if (first_hour is not None and leaf.hour < first_hour) or (until is not None and leaf.hour >= until):
                continue
            context.out.document(leaf)
            context.out.line(leaf_line(leaf))


def leaf_line(leaf: cp.LogEntry) -> str:
    """A leaf on a line, in columns."""
    facts = "  ".join(f"{name} {_short(value)}" for name, value in leaf.facts.items())
    columns = f"{leaf.sequence:>7}  {leaf.hour:%Y-%m-%d %Hh}  {leaf.operation:<19}  {leaf.purpose:<14}  {leaf.role:<14}"
    return f"{columns}  {facts}".rstrip()


def _short(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value[:12]}…" if len(value) > 12 else value


@audit_command.command("verify", cls=Command)
@store_options
@pass_context
def verify_command(context: Context) -> None:
    """Recompute the whole log. If it was tampered with, the first wrong leaf is named (exit code 6).

    Note the size and the root somewhere else: only with them can it be shown that nothing was cut off the end.
    """
    out = context.out
    with context.open() as store, out.progress("Verifying the log") as tell:
        head = store.audit.verify(lambda done: tell(done, None))
    out.document(head)
    out.line(f"The log is whole: {count(head.size, 'leaf', 'leaves')}.")
    out.line(f"Root {head.root}")
