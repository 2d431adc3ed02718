"""``import``: record the events of a file. What imports share lies here too: progress, and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, ParamSpec, TypeAlias, TypeVar

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, InputFile, pass_context, store_options
from consentprofile.cli.output import DECLINED, Output, count

P = ParamSpec("P")
R = TypeVar("R")

Format: TypeAlias = Literal["csv", "ndjson"]

WORDS: Final = {
    cp.Outcome.RECORDED: "recorded",
    cp.Outcome.NO_CONSENT: "no consent",
    cp.Outcome.BEFORE_CONSENT: "before consent",
    cp.Outcome.PAST_RETENTION: "past retention",
    cp.Outcome.SUPPRESSED: "suppressed",
    cp.Outcome.NOT_COLLECTED: "not collected",
}
"""The outcomes of recording, in words."""


def refused_rows(function: Callable[P, R]) -> Callable[P, R]:
    """``--rejects``."""
    return click.option(
        "--rejects",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A new file for the line and the reason of each refused row.",
    )(function)


@contextmanager
def watching(out: Output, what: str) -> Iterator[Callable[[int, int, int | None], None]]:
    """Progress of a file that is read: by bytes where its size is known, by rows otherwise."""
    with out.progress(what) as tell:
        yield lambda rows, position, total: tell(rows if total is None else position, total)


@click.command("import", cls=Command)
@click.argument("file", type=InputFile(or_stdin=True))
@click.option(
    "--mapping", required=True, type=InputFile(text=True), metavar="FILE", help="Which column means what (TOML)."
)
@click.option("--format", "form", type=click.Choice(["csv", "ndjson"]), help="What the file is; told by its content.")
@refused_rows
@click.option(
    "--workers",
    type=click.IntRange(0, 64),
    default=0,
    metavar="NUMBER",
    help="So many more processes encrypt: for a large file, where cores are free.",
)
@store_options
@pass_context
def import_command(
    context: Context, file: str, mapping: str, form: Format | None, rejects: Path | None, workers: int
) -> None:
    """Record the events of FILE (CSV or NDJSON, also gzipped; - is standard input) where there is consent.

    Consent is not changed. Each event goes to the purposes that its account consents to, and is counted by reason for
    the others. Bad rows are left out, each by itself. Repeating an import adds nothing.
    """
    out = context.out
    with context.open() as store, watching(out, "Importing events") as progress:
        done = store.import_events(
            file, mapping=mapping, format=form, rejects=rejects, progress=progress, workers=workers
        )
    out.document({"rows": done.rows, "rejected": done.rejected, "outcomes": done.outcomes})
    out.line(f"{count(done.rows, 'event')} read.")
    outcome_table(out, done.outcomes)
    tell_refused(out, done, rejects)


def outcome_table(out: Output, outcomes: dict[str, dict[cp.Outcome, int]], *, indent: int = 0) -> None:
    """Purposes down, outcomes that occurred across."""
    occurred = [outcome for outcome in WORDS if any(outcome in counts for counts in outcomes.values())]
    out.table(
        ("purpose", *(WORDS[outcome] for outcome in occurred)),
        [(purpose, *(f"{counts.get(outcome, 0):,}" for outcome in occurred)) for purpose, counts in outcomes.items()],
        right=range(1, len(occurred) + 1),
        indent=indent,
    )


def tell_refused(out: Output, done: cp.Imported, rejects: Path | None) -> None:
    """Say how many rows were refused; then the exit code is 1, for somebody has to look at them."""
    if not done.rejected:
        return
    where = (
        "name a new file with --rejects to see which and why" if rejects is None else "the file of --rejects says why"
    )
    out.warn(f"{count(done.rejected, 'row was', 'rows were')} refused; {where}.")
    raise click.exceptions.Exit(DECLINED)
