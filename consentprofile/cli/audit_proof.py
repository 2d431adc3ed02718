"""``audit``, for outsiders: the public key, checkpoints, proofs, exports, certificates once more, and the witness."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from consentprofile.cli.context import Command, Context, PublicKey, json_option, pass_context, store_options
from consentprofile.cli.output import Misuse, Output, count
from consentprofile.cli.writing import PUBLIC, document, replace, require_free, write_new
from consentprofile.usecases import witnessing

MOST_LEAVES: Final = 100_000
"""Leaves of the largest certificate that is made once more."""

_out = click.option(
    "--out", "target", type=click.Path(path_type=Path), metavar="FILE", help="A new file; otherwise it is printed."
)


def _hand_over(out: Output, target: Path | None, content: bytes, name: str, **facts: object) -> None:
    """Print a text, or write it to a new file and say where."""
    if target is not None:
        write_new(target, content, "the file", mode=PUBLIC)
    out.document({name: content.decode(), **facts, "file": None if target is None else str(target)})
    if target is None:
        out.text(content.decode())
    else:
        out.line(f"Written to {target}.")


def _require_free(target: Path | None) -> None:
    if target is not None:
        require_free(target, "the file")


@click.command("public-key", cls=Command, short_help="Print the public key that others verify with.")
@_out
@store_options
@pass_context
def public_key_command(context: Context, target: Path | None) -> None:
    """Print the public key of the log, with which others verify its checkpoints, proofs and certificates.

    It is no secret: publish it, and keep it where the store is not. It is a verifier key of C2SP signed-note.
    """
    _require_free(target)
    with context.open() as store:
        key = store.audit.public_key
    _hand_over(context.out, target, f"{key}\n".encode(), "public_key")


@click.command("checkpoint", cls=Command, short_help="Print the signed head of the log, to be kept elsewhere.")
@_out
@store_options
@pass_context
def checkpoint_command(context: Context, target: Path | None) -> None:
    """Print the signed head of the log as it stands now (C2SP tlog-checkpoint), after signing it where need be.

    Keep one elsewhere from time to time: `audit verify --checkpoint` finds any later change to what it vouches for.
    """
    _require_free(target)
    with context.open() as store:
        note = store.audit.checkpoint()
    _hand_over(context.out, target, note, "checkpoint")


@click.command("prove", cls=Command, short_help="Prove that a leaf is in the log.")
@click.argument("leaf", type=click.IntRange(min=0))
@_out
@store_options
@pass_context
def prove_command(context: Context, leaf: int, target: Path | None) -> None:
    """Print the proof that LEAF, by its number, is in the signed log (C2SP tlog-proof).

    The leaf itself is not in it: whoever verifies has it from an export or from you.
    """
    _require_free(target)
    with context.open() as store:
        proof = store.audit.prove(leaf)
    _hand_over(context.out, target, proof, "proof")


@click.command("export", cls=Command, short_help="Write the whole log as static files for auditors.")
@click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help="Where the files are written; an earlier export there is extended.",
)
@store_options
@pass_context
def export_command(context: Context, folder: Path) -> None:
    """Write the whole log as static files (C2SP tlog-tiles) with its signed checkpoint, for auditors and witnesses.

    The files name nobody, and may be published. An export of another log is never written over.
    """
    out = context.out
    with context.open() as store, out.progress("Exporting the log") as tell:
        done = store.audit.export(folder, lambda files: tell(files, None))
    out.document({"size": done.size, "files": done.files, "folder": str(folder)})
    out.line(f"The log of {count(done.size, 'leaf', 'leaves')} is in {folder}: {count(done.files, 'file')} written.")


@click.command("certificate", cls=Command, short_help="Make a lost certificate once more.")
@click.argument("first", type=click.IntRange(min=0))
@click.argument("last", type=click.IntRange(min=0), required=False)
@_out
@store_options
@pass_context
def certificate_command(context: Context, first: int, last: int | None, target: Path | None) -> None:
    """Make the certificate of an erasure or a withdrawal once more, from its leaves FIRST to LAST.

    The numbers were told when the keys were destroyed; `audit log --operation erased` lists them.
    """
    _require_free(target)
    last = first if last is None else last
    if not 0 <= last - first < MOST_LEAVES:
        raise Misuse("FIRST and LAST are the numbers of the first and the last leaf of one erasure or one withdrawal")
    with context.open() as store:
        file = store.audit.certificate(range(first, last + 1))
    if target is not None:
        write_new(target, file, "the certificate")
    context.out.document({"certificate": document(file), "file": None if target is None else str(target)})
    if target is None:
        context.out.text(file.decode())
    else:
        context.out.line(f"The certificate is in {target}.")


@click.command("witness", cls=Command, short_help="Watch over a log and cosign its head; needs no store.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="EXPORT_DIR")
@click.option(
    "--public-key",
    required=True,
    type=PublicKey(),
    metavar="KEY",
    help="The public key of the log: its text, or @FILE. Have it from the log's keeper, not from the export.",
)
@click.option(
    "--witness-key",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The witness's own key; --init makes it with mode 0600.",
)
@click.option(
    "--state",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What was cosigned last: one file for each log. Keep it; without it a witness has seen nothing.",
)
@click.option("--init", "first", is_flag=True, help="Begin: take the log as it is, this once. Makes key and state.")
@click.option("--name", metavar="NAME", help="With --init, where the key is made: what the witness is known by.")
@click.option("--out", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write it here, over the last.")
@json_option
@pass_context
def witness_command(
    context: Context,
    folder: Path,
    public_key: str,
    witness_key: Path,
    state: Path,
    first: bool,
    name: str | None,
    target: Path | None,
) -> None:
    """Watch over the log of somebody else: cosign its checkpoint, having seen that it extends the one cosigned last.

    For a second machine or person, with an export (EXPORT_DIR) and no store. A log that was rewritten, forked or set
    back is refused (exit code 6): then keep both checkpoints, for together they prove it. What is printed is the
    checkpoint with one more signature (C2SP tlog-cosignature).
    """
    out = context.out
    made = _make_key(witness_key, state, name, first=first)
    try:
        done = witnessing.witness(folder, public_key, witness_key, state, first=first, now=context.clock())
    except BaseException:
        if made is not None and not state.exists():
            witness_key.unlink()  # nothing was signed with it
        raise
    if target is not None:
        replace(target, done.note, "the cosigned checkpoint")
    out.document(
        {
            "checkpoint": done.note.decode(),
            "size": done.size,
            "earlier": done.earlier,
            "witness_public_key": made,
            "file": None if target is None else str(target),
        }
    )
    if target is None:
        out.text(done.note.decode())
    else:
        seen = "taken as it is" if done.earlier is None else f"extends the {count(done.earlier, 'leaf', 'leaves')} seen"
        out.line(f"Cosigned in {target}: {count(done.size, 'leaf', 'leaves')}, {seen}.")
    if made is not None:
        out.warn(f"The witness's key was made. Others verify its cosignatures with: {made}")


def _make_key(path: Path, state: Path, name: str | None, *, first: bool) -> str | None:
    """The public half of a key that is made now, or None where there is one already."""
    if not first or path.exists():
        if name is not None:
            raise Misuse("--name is for --init, and for a witness's key that is made then")
        return None
    require_free(state, "the state")
    if name is None:
        raise Misuse("--init makes the witness's key here, and needs --name, such as auditor.example/w1")
    return witnessing.make_key(path, name).verifier.encode()


PROOF_COMMANDS: Final = (
    checkpoint_command,
    prove_command,
    export_command,
    public_key_command,
    certificate_command,
    witness_command,
)
