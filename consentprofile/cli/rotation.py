"""``keys rotate`` and ``keys status``: a new key for the store, and what the old one can still do."""

from __future__ import annotations

from pathlib import Path

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, pass_context, store_options
from consentprofile.cli.output import Misuse, count

NEW_KEY_CHOICES = "--new-key-file FILE, --new-key-env VARIABLE or --new-passphrase"


@click.command("rotate", cls=Command, short_help="Move the store to a new key.")
@click.option(
    "--new-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The new key file. It is made (mode 0600) where there is none.",
)
@click.option("--new-key-env", metavar="VARIABLE", help="The environment variable that holds the new key.")
@click.option("--new-passphrase", is_flag=True, help="The new key follows from a passphrase that you type, twice.")
@click.option(
    "--resume", is_flag=True, help="Finish a rotation that was interrupted; the store is opened by its new key."
)
@click.option(
    "--retag",
    is_flag=True,
    help="Give every account a new tag, too, while nobody has the store open: old capabilities find nobody then.",
)
@store_options
@pass_context
def rotate_command(
    context: Context,
    new_key_file: Path | None,
    new_key_env: str | None,
    new_passphrase: bool,
    resume: bool,
    retag: bool,
) -> None:
    """Move the store to a new key: the old one, and every capability issued under it, opens nothing any more.

    Give the key in force as always, and one new key that was never used before. Programs that have the store open go on
    as soon as they open it with the new key; until then they are refused and change nothing. Interrupted, it is
    finished with --resume.
    """
    out = context.out
    new = _new_key(context, new_key_file, new_key_env, new_passphrase)
    if (new is None) is not resume:
        raise Misuse(f"name one new key, {NEW_KEY_CHOICES}; or --resume, which takes none")
    with out.progress("Wrapping keys anew") as tell:
        if retag:
            done = cp.Store.retag(
                context.store_path, key=context.key(), new_key=new, clock=context.clock, progress=tell
            )
        else:
            with context.open() as store:
                done = store.resume_rotation(progress=tell) if new is None else store.rotate_keys(new, progress=tell)
    out.document({"rotation": done})
    if done is None:
        out.line("No rotation is unfinished.")
        return
    out.line(
        f"Done: epoch {done.epoch} is in force. {count(done.keys, 'key')} wrapped anew; "
        f"{count(done.entries, 'entry', 'entries')} of the officer's records sealed anew."
    )
    if done.damaged:
        out.warn(f"{done.damaged:,} of them were damaged and are lost: run `check`.")
    if done.under_former_tags:
        out.warn(
            f"{count(done.under_former_tags, 'account')} got no new tag, for the id is lost: nothing is recorded or "
            "read for them until they move. Any decision of theirs moves them, also one that stands already, and so "
            "does `access`."
        )
    out.warn(
        "From now on the store opens with the new key only: keep a copy of it apart, give it to the programs that open "
        "the store, issue capabilities anew, and make new backups of the keyring and of the data. An old copy of the "
        "keyring still opens with the old key: destroy these copies, then every copy of the old key."
    )


def _new_key(context: Context, file: Path | None, variable: str | None, ask: bool) -> cp.KeyProvider | None:
    """The provider of the new key, where one is named. Raises :class:`Misuse` for several."""
    named: list[cp.KeyProvider] = []
    if file is not None:
        named.append(cp.KeyFile(file))
    if variable is not None:
        named.append(cp.EnvKey(variable))
    if ask:
        named.append(context.passphrase(new=True))
    if len(named) > 1:
        raise Misuse(f"name one new key, not several: {NEW_KEY_CHOICES}")
    return named[0] if named else None


@click.command("status", cls=Command, short_help="Show from when on no old copy opens what was erased.")
@store_options
@pass_context
def status_command(context: Context) -> None:
    """Show the epoch of the keys, copies that the log knows of, and the shred horizon.

    That is, in plain words, from when on no old copy can bring back what was erased.
    """
    out = context.out
    with context.open() as store:
        found = store.key_status()
    out.document(found)
    since = "" if found.since is None else f", since {found.since:%Y-%m-%d %H:%M} UTC"
    out.line(f"Epoch {found.epoch}{since}. Its key comes from: {found.provider}.")
    out.line("A rotation of the keys is unfinished." if found.rotating else "No rotation is unfinished.")
    out.line()
    out.line("Shred horizon: from when on no old copy can bring back what was erased")
    for sentence in found.horizon:
        out.prose(f"- {sentence}", indent=2)
    out.line()
    out.line(
        "Copies of this epoch that the log knows of:" if found.copies else "The log knows of no copy of this epoch."
    )
    for copy in found.copies:
        named = f" for {copy.purpose} as {copy.role}" if copy.purpose else ""
        out.prose(f"- {copy.hour:%Y-%m-%d %H:%M} UTC: {copy.what}{named}. {copy.horizon}", indent=2)
