"""``consent``: note, show and import what people decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import click

import consentprofile as cp
from consentprofile.cli.context import Account, Command, Context, InputFile, pass_context, store_options
from consentprofile.cli.importing import Format, refused_rows, tell_refused, watching
from consentprofile.cli.output import DECLINED, count
from consentprofile.cli.writing import document, reissue, require_free, write_new

_account = click.argument("account", type=Account())
_purposes = click.option(
    "--purpose", "purposes", multiple=True, required=True, metavar="PURPOSE", help="A purpose; may be repeated."
)
_yes = click.option("--yes", is_flag=True, help="Do not ask: destroy the keys.")


@click.group("consent")
def consent_command() -> None:
    """Note, show and import what people decided.

    An ACCOUNT of - is read from the first line of standard input, so that it stands in no shell history.
    """


@consent_command.command("give", cls=Command)
@_account
@_purposes
@click.option("--notice", required=True, metavar="VERSION", help="The notice that the person was shown.")
@click.option("--method", required=True, metavar="TEXT", help="How the person decided, such as 'signup form'.")
@store_options
@pass_context
def give_command(context: Context, account: str, purposes: tuple[str, ...], notice: str, method: str) -> None:
    """Note that ACCOUNT gave consent now. This makes the key without which nothing is recorded."""
    with context.open() as store:
        _tell(context, store.give_consent(account, purposes, notice=notice, method=method))


@consent_command.command("refuse", cls=Command)
@_account
@_purposes
@click.option("--notice", metavar="VERSION", help="The notice that the person was shown.")
@click.option("--method", metavar="TEXT", help="How the person decided.")
@_yes
@store_options
@pass_context
def refuse_command(
    context: Context, account: str, purposes: tuple[str, ...], notice: str | None, method: str | None, yes: bool
) -> None:
    """Note that ACCOUNT said no. Where consent was in force it is withdrawn, and its key destroyed."""
    if _may_destroy(context, yes):
        with context.open() as store:
            _tell(context, store.refuse_consent(account, purposes, notice=notice, method=method))


@consent_command.command("renew", cls=Command, short_help="Note that ACCOUNT renewed consents in force.")
@_account
@_purposes
@click.option("--notice", required=True, metavar="VERSION", help="The notice that the person was shown.")
@click.option("--method", metavar="TEXT", help="How the person decided.")
@store_options
@pass_context
def renew_command(context: Context, account: str, purposes: tuple[str, ...], notice: str, method: str | None) -> None:
    """Note that ACCOUNT renewed consents in force: their lifetime begins anew."""
    with context.open() as store:
        _tell(context, store.renew_consent(account, purposes, notice=notice, method=method))


@consent_command.command("withdraw", cls=Command, short_help="Note that ACCOUNT withdrew; destroys the keys.")
@_account
@_purposes
@click.option("--method", metavar="TEXT", help="How the person decided.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A new file for the signed proof that the keys were destroyed; it names nobody.",
)
@_yes
@store_options
@pass_context
def withdraw_command(
    context: Context, account: str, purposes: tuple[str, ...], method: str | None, certificate: Path | None, yes: bool
) -> None:
    """Note that ACCOUNT withdrew consent: the keys are destroyed before this returns, and the data with them."""
    if certificate is not None:
        require_free(certificate, "the file for the certificate")
    if not _may_destroy(context, yes):
        return
    with context.open() as store:
        done = store.withdraw_consent(account, purposes, method=method)
    written = _written(done, certificate)
    context.out.document(
        {
            "consents": done.consents,
            "key_ids": done.key_ids,
            "leaves": done.leaves,
            "certificate": document(done.file) if done.file else None,
            "file": written,
        }
    )
    _table(context, done.consents)
    if written is not None:
        context.out.line(f"The certificate is in {written}.")
    elif certificate is not None:
        context.out.warn("No key was destroyed, for no consent was in force; so there is no certificate.")


def _written(done: cp.IssuedCertificate, target: Path | None) -> str | None:
    if target is None or not done.file:
        return None
    again = f"; the keys are destroyed. Make it again with `{reissue(done.leaves)}`"
    write_new(target, done.file, "the certificate", after=again)
    return str(target)


@consent_command.command("show", cls=Command, short_help="Show what ACCOUNT decided, and the evidence of it.")
@_account
@store_options
@pass_context
def show_command(context: Context, account: str) -> None:
    """Show what ACCOUNT decided on every purpose, and the evidence of it."""
    out = context.out
    with context.open() as store:
        standing = store.consents(account)
    out.document(standing)
    out.table(
        ("purpose", "consent", "since", "until", "notice"),
        [(c.purpose, c.state, _time(c.since), _time(c.until), c.notice or "") for c in standing.values()],
    )
    history = [entry for consent in standing.values() for entry in consent.history]
    if history:
        out.line()
        out.line("What was decided, and when the store took note of it:")
        out.table(
            ("decided", "recorded", "act", "purpose", "notice", "method"),
            [
                (_time(e.decided), _time(e.recorded), e.act, e.purpose, e.notice, e.method)
                for e in sorted(history, key=lambda entry: entry.recorded)
            ],
        )


@consent_command.command("import", cls=Command, short_help="Import decisions from a file.")
@click.argument("file", type=InputFile(or_stdin=True))
@click.option("--format", "form", type=click.Choice(["csv", "ndjson"]), help="What the file is; told by its content.")
@refused_rows
@store_options
@pass_context
def import_consents_command(context: Context, file: str, form: Format | None, rejects: Path | None) -> None:
    """Import decisions from FILE (CSV or NDJSON, also gzipped; - is standard input), in the order of time.

    The columns are at, account, act, purposes, notice and method. Each decision is judged by the notice of its time.
    Repeating an import changes nothing. Withdrawals and refusals in the file destroy keys.
    """
    out = context.out
    with context.open() as store, watching(out, "Importing decisions") as progress:
        done = store.import_consents(file, format=form, rejects=rejects, progress=progress)
    out.document({"rows": done.rows, "rejected": done.rejected, "changed": done.changed})
    changes = ", ".join(f"{number:,} {state}" for state, number in done.changed.items())
    out.line(f"{count(done.rows, 'decision')} read; changed: {changes or 'nothing'}.")
    tell_refused(out, done, rejects)


def _may_destroy(context: Context, yes: bool) -> bool:
    question = "This destroys the keys of these purposes, and with them what was recorded, for good. Go on?"
    if context.out.confirm(question, yes=yes):
        return True
    context.out.warn("Nothing was changed.")
    raise click.exceptions.Exit(DECLINED)


def _tell(context: Context, answer: dict[str, cp.Consent]) -> None:
    context.out.document(answer)
    _table(context, answer)


def _table(context: Context, answer: Mapping[str, cp.Consent]) -> None:
    context.out.table(
        ("purpose", "consent", "until", "changed"),
        [(c.purpose, c.state, _time(c.until), "yes" if c.changed else "no") for c in answer.values()],
    )


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
