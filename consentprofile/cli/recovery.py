"""``keys recovery`` and ``keys recover``: a copy of the key under a passphrase, and the key from it again."""

from __future__ import annotations

from pathlib import Path

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, json_option, pass_context, store_options
from consentprofile.cli.writing import require_free


@click.command("recovery", cls=Command, short_help="Seal a copy of the key under a long passphrase.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", required=True, help="The new file (mode 0600).")
@store_options
@pass_context
def recovery_command(context: Context, out: Path) -> None:
    """Seal the key under a long passphrase that you type, so that losing the key file does not lose the store.

    The passphrase has at least 20 characters. Keep it on paper, apart from the file.
    """
    require_free(out, "the file for the recovery copy")
    with context.open() as store:
        store.write_recovery_copy(out, key=context.key(), passphrase=context.passphrase(new=True))
    context.out.document({"file": str(out)})
    context.out.line(f"The recovery copy is in {out}. `consentprofile keys recover` makes the key file again from it.")
    context.out.warn(
        "It is one more copy of the key: with its passphrase and an old copy of the keyring it opens what was erased "
        "since that was made. When the keys are rotated it ends with the others: make a new one then."
    )


@click.command("recover", cls=Command, short_help="Make a lost key file again, from its recovery copy.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key-file",
    "target",
    type=click.Path(path_type=Path),
    metavar="NEW",
    required=True,
    help="The key file to make (mode 0600); never overwritten.",
)
@json_option
@pass_context
def recover_command(context: Context, file: Path, target: Path) -> None:
    """Make a key file again from the recovery copy in FILE, with its passphrase. It needs no store."""
    require_free(target, "the key file")
    found = cp.recover_key(file, target, passphrase=context.passphrase(new=False))
    context.out.document({"file": str(target), "recovered": found})
    context.out.line(f"The key is in {target} again: of the store {found.store}, epoch {found.epoch}.")
    context.out.line("Where the key came from an environment variable, its line is what the variable held.")
