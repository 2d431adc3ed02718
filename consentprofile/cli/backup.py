"""``backup``, ``keys backup`` and ``keys journal``: copies, and how long to keep them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import click

from consentprofile.cli.context import Command, Context, Moment, pass_context, store_options
from consentprofile.cli.output import Misuse, count
from consentprofile.cli.writing import require_free, write_new

DATA_ADVICE: Final = (
    "Keep it as long as you like, apart from the keyring: what is withdrawn or erased later is gone from it, too. "
    "After `retention run` it no longer opens what was resealed, so make a new one then."
)
KEYRING_ADVICE: Final = (
    "Until this copy is destroyed, it and the key open what is erased or withdrawn from now on. Keep it apart from "
    "backups of the data, and for days, not months: how long you keep it is how long an erasure takes to be final."
)


@click.command("backup", cls=Command)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", required=True, help="A new file; never overwritten."
)
@store_options
@pass_context
def backup_command(context: Context, out: Path) -> None:
    """Copy the data to a new file (mode 0600), while other programs go on. Without the keyring it is noise.

    The keyring is copied apart, by `keys backup`.
    """
    with context.open() as store:
        store.back_up(out)
    context.out.document({"file": str(out), "bytes": out.stat().st_size})
    context.out.line(f"The data is copied to {out}: {out.stat().st_size:,} bytes.")
    context.out.warn(DATA_ADVICE)


@click.command("backup", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@store_options
@pass_context
def keys_backup_command(context: Context, file: Path) -> None:
    """Copy the keyring to a new FILE (mode 0600).

    Keep it apart from backups of the data, and not for long: with the key it opens what was erased since.
    """
    with context.open() as store:
        store.back_up_keyring(file)
    context.out.document({"file": str(file)})
    context.out.line(f"The keyring is copied to {file}.")
    context.out.warn(KEYRING_ADVICE)


@click.command("journal", cls=Command, short_help="Write out which keys were destroyed, without people.")
@click.option(
    "--out",
    metavar="FILE",
    required=True,
    help="A new file (mode 0600); - is standard output.",
)
@click.option("--since", type=Moment(), metavar="TIME", help="Only the keys destroyed from this hour on.")
@store_options
@pass_context
def journal_command(context: Context, out: str, since: datetime | None) -> None:
    """Write out the journal of destroyed keys: a line of JSON for each, and no people.

    Ship it off the machine often. A keyring that is restored from a backup is told by it which keys had died since.
    """
    if out == "-" and context.as_json:
        raise Misuse("--json answers with a document; with --out - the journal itself is the answer")
    if out != "-":
        require_free(Path(out), "the file for the journal")
    with context.open() as store:
        lines = store.journal(since)
    if out == "-":
        context.out.text(lines.decode())
        return
    write_new(Path(out), lines, "the journal")
    number = lines.count(b"\n")
    context.out.document({"file": out, "lines": number})
    context.out.line(f"The journal is written to {out}: {count(number, 'line')}.")
