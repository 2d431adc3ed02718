"""``audit``: read the audit log and verify it. It names nobody, so it may be shown to an auditor as it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import click
import msgspec

import consentprofile as cp
from consentprofile.cli.audit_proof import PROOF_COMMANDS
from consentprofile.cli.context import Account, Command, Context, InputFile, Moment, pass_context, store_options
from consentprofile.cli.output import Misuse, Output, count

OFFICER = "officer:unnamed"


@click.group("audit")
def audit_command() -> None:
    """Read the audit log, verify it, and prove it to others. It names nobody and stays whole after every erasure.

    Keep its public key and, from time to time, a checkpoint where the store is not: with these two anybody can show
    later that nothing in the log was changed.
    """


for command in PROOF_COMMANDS:
    audit_command.add_command(command)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which leaves, or entries of a trail or of the actor book, are shown. None shows all."""

    start: int
    operation: str | None
    purpose: str | None
    role: str | None
    since: datetime | None
    until: datetime | None

    def leaf(self, leaf: cp.LogEntry) -> bool:
        """Whether to show a leaf. It knows its hour only: an hour that has begun before ``since`` may be meant."""
        hour = None if self.since is None else self.since.replace(minute=0, second=0, microsecond=0)
        words = ((self.operation, leaf.operation), (self.purpose, leaf.purpose), (self.role, leaf.role))
        return (
            all(wanted is None or wanted == found for wanted, found in words)
            and (hour is None or leaf.hour >= hour)
            and (self.until is None or leaf.hour < self.until)
        )

    def trace(self, trace: cp.Trace) -> bool:
        """Whether to show an entry of a trail or of the actor book, which know the second."""
        role = trace.actor.partition(":")[0]
        words = ((self.operation, trace.operation), (self.purpose, trace.purpose), (self.role, role))
        return (
            trace.leaf >= self.start
            and all(wanted is None or wanted == found for wanted, found in words)
            and (self.since is None or trace.at >= self.since)
            and (self.until is None or trace.at < self.until)
        )


@audit_command.command("log", cls=Command, short_help="Show what happened; who did what to an account.")
@click.option(
    "--account",
    type=Account(),
    metavar="ACCOUNT",
    help="Who did what to this account, to the second and why; - reads the account from standard input.",
)
@click.option("--actor", metavar="ROLE:NAME", help="What this actor did, to the second and why; it names no account.")
@click.option("--from", "start", type=click.IntRange(min=0), default=0, metavar="NUMBER", help="Begin with this leaf.")
@click.option("--operation", metavar="WORD", help="Only leaves of this operation, such as erased.")
@click.option("--purpose", help="Only leaves of this purpose.")
@click.option("--role", help="Only leaves of this role.")
@click.option("--since", type=Moment(), metavar="TIME", help="Only leaves of this hour or later.")
@click.option("--until", type=Moment(), metavar="TIME", help="Only leaves before this time.")
@click.option("--by", metavar="ROLE:NAME", help="With --account or --actor: who asks; it is kept, sealed.")
@click.option("--reason", metavar="TEXT", help="With --account: why, such as the request's number; it is kept, sealed.")
@store_options
@pass_context
def log_command(
    context: Context,
    account: str | None,
    actor: str | None,
    start: int,
    operation: str | None,
    purpose: str | None,
    role: str | None,
    since: datetime | None,
    until: datetime | None,
    by: str | None,
    reason: str | None,
) -> None:
    """Show the leaves of the audit log: what happened in which hour (UTC), for which purpose, by which role.

    A leaf names nobody. --account opens the trail of one account, which is gone with the account; --actor the book of
    what somebody did. Either look is in the log, the trail and the book itself. With --json there is one JSON document
    a line.
    """
    if account is not None and actor is not None:
        raise Misuse("ask for an account or for an actor, not for both: no record joins them but an account's trail")
    if (by is not None and account is None and actor is None) or (reason is not None and account is None):
        raise Misuse("--by goes with --account or --actor, --reason with --account: the leaves alone name nobody")
    chosen = Filter(start=start, operation=operation, purpose=purpose, role=role, since=since, until=until)
    out = context.out
    with context.open() as store:
        if account is not None:
            found = store.audit.account(account, actor=by or OFFICER, reason=reason)
            _tell_traces(out, filter(chosen.trace, found))
        elif actor is not None:
            book = store.audit.actor(actor, actor=by or OFFICER, since=since, until=until)
            _tell_traces(out, filter(chosen.trace, book))
        else:
            for leaf in filter(chosen.leaf, store.audit.log(start)):
                out.document(leaf)
                out.line(leaf_line(leaf))


def _tell_traces(out: Output, traces: Iterable[cp.Trace]) -> None:
    for trace in traces:
        out.document(trace)
        columns = f"{trace.leaf:>7}  {trace.at:%Y-%m-%d %H:%M:%S}  {trace.actor:<24}  {trace.operation:<19}"
        out.line(f"{columns}  {trace.purpose:<14}  {trace.reason}".rstrip())


def leaf_line(leaf: cp.LogEntry) -> str:
    """A leaf on a line, in columns."""
    facts = "  ".join(f"{name} {_short(value)}" for name, value in leaf.facts.items())
    columns = f"{leaf.sequence:>7}  {leaf.hour:%Y-%m-%d %Hh}  {leaf.operation:<19}  {leaf.purpose:<14}  {leaf.role:<14}"
    return f"{columns}  {facts}".rstrip()


def _short(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value[:12]}…" if len(value) > 12 else value


@audit_command.command("verify", cls=Command, short_help="Verify the whole log.")
@click.option(
    "--checkpoint",
    type=InputFile(),
    metavar="FILE",
    help="Show too that today's log extends, unchanged, the one whose checkpoint was kept in this file.",
)
@store_options
@pass_context
def verify_command(context: Context, checkpoint: str | None) -> None:
    """Verify the whole log: every leaf, the tree over them, every signed head, and the keys that must agree with them.

    If it was tampered with, the first wrong leaf is named (exit code 6). Whoever has the store and its key could write
    another log, whole in itself: only a checkpoint that was kept elsewhere (--checkpoint) or a witness finds that.
    """
    out = context.out
    seen = None if checkpoint is None else _read(checkpoint)
    with context.open() as store, out.progress("Verifying the log") as tell:
        head = store.audit.verify(lambda done: tell(done, None))
        extended = None if seen is None else store.audit.extends(seen)
    out.document({**msgspec.structs.asdict(head), "extends": extended})
    out.line(f"The log is whole: {count(head.size, 'leaf', 'leaves')}.")
    told = [
        ("leaves", "each hashed anew; none missing, added, moved or earlier than the one before it"),
        ("tree", "every node is the hash of what is below it"),
        ("signed heads", f"{head.checkpoints:,}, each signed by this log's key and true of its tree"),
        ("anchor", "the newest head known to the keyring is one of this log: it was not cut"),
        ("keys", "each key that was granted is in the keyring, or has the leaf of its destruction"),
    ]
    if extended is not None:
        told.append(("checkpoint", f"the log extends the {count(extended, 'leaf', 'leaves')} that it vouched for"))
    out.pairs(told, indent=2)
    out.line(f"Root {head.root}")
    if extended is None:
        out.line("Against whoever holds its key, only a checkpoint kept elsewhere helps: see `audit checkpoint`.")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
