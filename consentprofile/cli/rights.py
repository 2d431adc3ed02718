"""``access`` and ``erase``: the rights of a person over what is held about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

import consentprofile as cp
from consentprofile.cli.context import Account, Command, Context, InputFile, pass_context, standard_input, store_options
from consentprofile.cli.output import DECLINED, Misuse, Output, count
from consentprofile.cli.writing import document, reissue, require_folder, require_free, write_new

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
    require_free(target, f"{ACCESS_FILE} in this folder")
    with context.open() as store:
        held = store.access(account, actor=actor, reason=reason)
    write_new(target, msgspec.json.format(msgspec.json.encode(held), indent=2) + b"\n", ACCESS_FILE)
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
@click.option(
    "--certificates",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help="Erase each account by itself, and write the signed proof of each erasure there, to be handed on.",
)
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
    folder: Path | None,
    actor: str,
) -> None:
    """Destroy every key of one or more ACCOUNTS, and with them everything that they did. It cannot be undone.

    It says first what will be destroyed. What stays: the evidence of decisions, sealed, for its own lifetime; and
    suppressions, so that nobody is contacted again because they asked to be forgotten.

    A certificate names nobody, not even in its file name; the answer lists them in the order of the accounts named.
    """
    out = context.out
    named = list(dict.fromkeys([*accounts, *_lines(from_file)]))
    if not named:
        raise Misuse("name at least one account, or a file of them with --from-file")
    with context.open() as store:
        plan = store.plan_erasure(named)
        of = count(len(named), "account named", "accounts named")
        purposes = f" ({', '.join(plan.purposes)})" if plan.purposes else ""
        out.line(f"{of}, {plan.found:,} of them known: {count(plan.keys, 'key')} to destroy{purposes}.")
        if dry_run:
            out.document({"dry_run": True, "plan": plan})
            out.line("Nothing was changed: this was a dry run.")
            return
        if not out.confirm(f"Destroy {count(plan.keys, 'key')} and all that they lock, for good?", yes=yes):
            out.warn("Nothing was changed.")
            raise click.exceptions.Exit(DECLINED)
        if folder is not None:
            require_folder(folder)
        done: list[tuple[cp.IssuedCertificate, Path | None]] = []
        with out.progress("Erasing") as tell:
            for issued in _erase(store, named, reference, actor, singly=folder is not None):
                done.append((issued, _certificate(issued, folder)))
                tell(len(done), len(named) if folder is not None else 1)
    out.document({"dry_run": False, "plan": plan, "erasures": [_document(issued, file) for issued, file in done]})
    _tell(out, done)


def _erase(
    store: cp.Store, named: list[str], reference: str | None, actor: str, *, singly: bool
) -> Iterator[cp.IssuedCertificate]:
    if not singly:
        yield store.erase(named, reference=reference, actor=actor)
        return
    for account in named:
        yield store.erase(account, reference=reference, actor=actor)


def _certificate(issued: cp.IssuedCertificate, folder: Path | None) -> Path | None:
    """Where the certificate was written, or None where none was asked for or no key destroyed."""
    if folder is None or not issued.file:
        return None
    target = folder / f"certificate-{issued.leaves[0]}.json"
    again = f"; the keys are destroyed. Make it again with `{reissue(issued.leaves)}`"
    write_new(target, issued.file, "a certificate", after=again)
    return target


def _document(issued: cp.IssuedCertificate, file: Path | None) -> dict[str, object]:
    return {
        "found": issued.found,
        "key_ids": issued.key_ids,
        "purposes": issued.purposes,
        "leaves": issued.leaves,
        "reference_salt": issued.reference_salt,
        "certificate": document(issued.file) if issued.file else None,
        "file": None if file is None else str(file),
    }


def _tell(out: Output, done: list[tuple[cp.IssuedCertificate, Path | None]]) -> None:
    destroyed = sum(len(issued.key_ids) for issued, _ in done)
    leaves = [leaf for issued, _ in done for leaf in issued.leaves]
    out.line(f"Done. {count(destroyed, 'key')} destroyed; nobody can open what they locked.")
    if leaves:
        out.line(f"The audit log says so in its leaves {leaves[0]} to {leaves[-1]}.")
    written = any(file is not None for _, file in done)
    for number, (issued, file) in enumerate(done, 1):
        if written:
            out.line(f"Certificate {number} of {len(done)}: {file or 'none, for the store does not know the account'}")
        if issued.reference_salt is not None and issued.leaves:
            out.line(f"To prove later which request this answered, keep this salt: {issued.reference_salt}")


def _lines(path: str | None) -> list[str]:
    """The accounts of a file, one a line; empty lines are passed over."""
    if path is None:
        return []
    text = standard_input() if path == "-" else Path(path).read_text("utf-8")
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n") if line.strip()]
