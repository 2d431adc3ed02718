"""``doctor``: what around the store is not as it should be, with what to do about it."""

from __future__ import annotations

import os
from pathlib import Path

import click

import consentprofile as cp
from consentprofile.cli.context import KEY_FILE_VARIABLE, Command, Context, pass_context, store_options
from consentprofile.cli.output import DECLINED, count


@click.command("doctor", cls=Command)
@store_options
@pass_context
def doctor_command(context: Context) -> None:
    """Look at what the store stands on: who may read its files and its key, the clock, how old backups are.

    No key is needed; a key file that is named is looked at, not read. The exit code is 1 when something was found.
    `check` looks into the store itself.
    """
    out = context.out
    named = context.key_file or os.environ.get(KEY_FILE_VARIABLE)
    found = cp.examine(context.store_path, key_file=Path(named) if named else None, clock=context.clock)
    out.document({"well": found.is_well, "diagnosis": found})
    for symptom in found.symptoms:
        out.prose(f"**{symptom.where}**: {symptom.what}.")
        out.prose(f"{symptom.advice[0].upper()}{symptom.advice[1:]}.", indent=2)
    out.line(f"{count(len(found.symptoms), 'symptom')}." if found.symptoms else "All is well.")
    out.line("What the doctor cannot know:")
    for text in found.cannot_know:
        out.line(f"- {text}")
    if not found.is_well:
        raise click.exceptions.Exit(DECLINED)
