"""``keys capability``: a key for some purposes, in one role, for a service that should hold no more."""

from __future__ import annotations

from pathlib import Path

import click

from consentprofile.cli.context import Command, Context, pass_context, store_options


@click.command("capability", cls=Command, short_help="Write a key for some purposes and one role only.")
@click.option("--purpose", "purposes", required=True, multiple=True, metavar="PURPOSE", help="A purpose that it opens.")
@click.option(
    "--role", required=True, metavar="ROLE", help="The role that it is for: app records, others read where they may."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The new file (mode 0600).")
@click.option("--passphrase", is_flag=True, help="Seal the keys in it by a passphrase that you type.")
@click.option(
    "--actor",
    default="officer:unnamed",
    show_default=True,
    metavar="ROLE:NAME",
    help="Who does this; it is kept, sealed.",
)
@store_options
@pass_context
def capability_command(
    context: Context, purposes: tuple[str, ...], role: str, out: Path, passphrase: bool, actor: str
) -> None:
    """Write a capability: a file that opens some purposes, in one role, and nothing else.

    A service gets it in the place of the key (--capability). It cannot be called back: it ends when the keys are
    rotated.
    """
    with context.open() as store:
        sealing = context.passphrase(new=True) if passphrase else None
        issued = store.issue_capability(out, purposes, role, passphrase=sealing, actor=actor)
    context.out.document({"file": str(out), "capability": issued})
    context.out.line(f"The capability is in {out}: it opens {', '.join(issued.purposes)} for the role {issued.role}.")
    context.out.warn(
        "Whoever copies this file opens these purposes with it, until the keys are rotated. Keep it where the service "
        "alone can read it, and out of backups."
    )
