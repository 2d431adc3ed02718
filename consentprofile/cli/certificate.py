"""``certificate``: verify a certificate of destruction, and read it in plain words. No store and no key is needed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click
import msgspec

import consentprofile as cp
from consentprofile.cli.context import Command, Context, InputFile, PublicKey, json_option, pass_context
from consentprofile.cli.output import Misuse, Output, count

LARGEST: Final = 256 * 1024 * 1024
"""Bytes of the largest certificate that is read."""

_TITLES: Final = {"erasure": "Certificate of an erasure", "withdrawal": "Certificate of a withdrawal of consent"}

_PROVES: Final = {"erasure": "an erasure", "withdrawal": "a withdrawal of consent"}

_file = click.argument("file", type=InputFile())


@click.group("certificate")
def certificate_command() -> None:
    """Verify a certificate of an erasure or a withdrawal, and read it in plain words.

    Neither store nor key nor network is needed: anybody can do this, on any machine, years later.
    """


@certificate_command.command("verify", cls=Command, short_help="Verify a certificate, offline.")
@_file
@click.option(
    "--public-key",
    required=True,
    type=PublicKey(),
    metavar="KEY",
    help="The public key of the log: its text, or @FILE. Have it from somewhere else than the certificate.",
)
@click.option("--reference", metavar="TEXT", help="Also show that it answers the request with this number.")
@click.option("--salt", metavar="HEX", help="What the operator was told at the erasure, for --reference.")
@json_option
@pass_context
def verify_command(context: Context, file: str, public_key: str, reference: str | None, salt: str | None) -> None:
    """Verify the certificate in FILE: its signature, and the proof that its leaves are in the signed log.

    The exit code is 6 when it does not hold.
    """
    out = context.out
    if (reference is None) != (salt is None):
        raise Misuse("--reference and --salt go together: the salt was told when the account was erased")
    certificate = cp.open_certificate(_read(file), public_key)
    if reference is not None and salt is not None:
        cp.reference_matches(certificate, reference, _salt(salt))
    statement = certificate.statement
    size = _size(certificate)
    out.document(
        {
            "holds": True,
            "origin": certificate.origin,
            "statement": statement,
            "leaves": [leaf.sequence for leaf in certificate.leaves],
            "log_size": size,
            "reference_matches": reference is not None,
        }
    )
    out.line(f"The certificate holds: it proves {_PROVES[statement.kind]}.")
    shown = [
        ("signed by", f"{certificate.origin}, whose public key was given"),
        ("says", _summary(certificate)),
        (
            "proven",
            f"{count(len(certificate.leaves), 'leaf', 'leaves')} of the log, of {count(size, 'leaf', 'leaves')} under "
            "its signed head",
        ),
    ]
    if reference is not None:
        shown.append(("reference", "it answers the request with this number"))
    out.pairs(shown, indent=2)


@certificate_command.command("show", cls=Command, short_help="Read a certificate in plain words.")
@_file
@click.option("--public-key", type=PublicKey(), metavar="KEY", help="Verify it too: the log's key, or @FILE.")
@json_option
@pass_context
def show_command(context: Context, file: str, public_key: str | None) -> None:
    """Show in plain words what the certificate in FILE says, and what it does not say.

    Without --public-key nothing is verified, and that is said.
    """
    out, data = context.out, _read(file)
    certificate = _unverified(data) if public_key is None else cp.open_certificate(data, public_key)
    out.document(
        {
            "verified": public_key is not None,
            "origin": certificate.origin,
            "statement": certificate.statement,
            "leaves": [leaf.sequence for leaf in certificate.leaves],
        }
    )
    _tell(out, certificate, verified=public_key is not None)


def _tell(out: Output, certificate: cp.Certificate, *, verified: bool) -> None:
    statement = certificate.statement
    erasure = statement.kind == "erasure"
    out.heading(_TITLES[statement.kind])
    out.line()
    keys = count(len(statement.key_ids), "key")
    out.prose(
        f"{_when(statement.hour)}, {keys} {'was' if len(statement.key_ids) == 1 else 'were'} destroyed: "
        f"{_locked(certificate)}. Nobody can open what they locked any more, neither in the store nor in any copy or "
        "backup of its data: it was only ever kept locked."
    )
    out.line()
    out.line("What this certificate is:")
    _points(
        out,
        [
            f"A statement signed by the keeper of the log {certificate.origin}, who cannot take it back.",
            "The proof that the log holds these destructions. Whoever asks to see the log must be shown them.",
            "About no one by name. Keep it with the letter that it came with, which says whom it is about."
            if erasure
            else "About no one by name, and about the purposes that it lists only. Other purposes go on.",
            *(
                ["The answer to one request: its number can be shown later to belong to this certificate."]
                if statement.reference
                else []
            ),
        ],
    )
    out.line("What it cannot show:")
    stays = (
        ["That nothing at all was kept. The proof of what you had consented to stays, locked, for a stated time."]
        if erasure
        else ["That nothing at all was kept. The proof of your decisions stays, locked, for a stated time."]
    )
    _points(
        out,
        [
            *stays,
            "That nobody had made a copy of the keys themselves before, or of what somebody had read.",
        ],
    )
    if verified:
        out.line("It was verified just now with the public key that you gave, and it holds.")
    else:
        out.line("Nothing of this has been verified yet. To verify it, ask for the log's public key, and run")
        out.line("  consentprofile certificate verify FILE --public-key KEY")


def _points(out: Output, texts: list[str]) -> None:
    for text in texts:
        out.prose_beside("-", text, indent=1)
    out.line()


def _when(hour: str) -> str:
    begins = datetime.fromisoformat(hour)
    ends = begins + timedelta(hours=1)
    return f"On {begins.day} {begins:%B %Y}, between {begins:%H:%M} and {ends:%H:%M} UTC"


def _locked(certificate: cp.Certificate) -> str:
    statement = certificate.statement
    purposes = _listed(statement.purposes)
    if statement.kind == "withdrawal":
        return f"what had been recorded for {purposes} was locked with {_them(certificate)}"
    if not purposes:
        return "the record of the account itself was locked with them"
    return f"all that had been recorded for {purposes}, and the record of the account itself, was locked with them"


def _them(certificate: cp.Certificate) -> str:
    return "it" if len(certificate.statement.key_ids) == 1 else "them"


def _summary(certificate: cp.Certificate) -> str:
    statement = certificate.statement
    keys = count(len(statement.key_ids), "key")
    purposes = f" ({_listed(statement.purposes)})" if statement.purposes else ""
    begins = datetime.fromisoformat(statement.hour)
    return f"{keys} destroyed{purposes} in the hour from {begins:%Y-%m-%d %H:%M} UTC on"


def _listed(names: tuple[str, ...]) -> str:
    quoted = [f"“{name}”" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}" if quoted else ""


def _size(certificate: cp.Certificate) -> int:
    return int(certificate.checkpoint.split("\n")[1])  # the second line of a checkpoint, verified as one before


def _salt(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Misuse("--salt takes hexadecimal digits, as they were told at the erasure") from None


def _read(file: str) -> bytes:
    with Path(file).open("rb") as opened:
        return opened.read(LARGEST + 1)


def _unverified(data: bytes) -> cp.Certificate:
    try:
        certificate = msgspec.json.decode(data, type=cp.Certificate)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise cp.ProofRefused("this is not a certificate in its canonical form") from None
    if certificate.encode() != data:
        raise cp.ProofRefused("this is not a certificate in its canonical form")
    return certificate
