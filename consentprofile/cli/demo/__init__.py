"""``demo``: the main job from end to end on the example shop, told step by step. Every number shown is computed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import click

import consentprofile as cp
from consentprofile.cli.context import Command, Context, json_option, pass_context
from consentprofile.cli.demo.ending import erase, withdraw
from consentprofile.cli.demo.importing import create, decide, import_events
from consentprofile.cli.demo.proof import release, verify
from consentprofile.cli.demo.reading import compare, follow
from consentprofile.cli.demo.shop import PRESENT, Shop
from consentprofile.cli.demo.stage import Stage
from consentprofile.cli.output import Output

STEPS = (create, decide, import_events, follow, compare, withdraw, erase, verify, release)


@click.command("demo", cls=Command)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help="Work in this new folder and keep it; otherwise a temporary one is removed at the end.",
)
@json_option
@pass_context
def demo_command(context: Context, keep: Path | None) -> None:
    """See the whole of it at work on an example shop, in a few seconds: no store, key or file of yours is touched.

    Its customers decide, their events are imported, one is followed across devices and seen with different eyes,
    a consent is withdrawn, an account erased, the log verified, and an aggregate released.
    """
    out, began = context.out, perf_counter()
    shop = Shop()
    with _folder(keep) as folder, Stage(out, folder, shop) as stage:
        _open(out)
        for number, step in enumerate(STEPS, 1):
            stage.begin(number)
            step(stage)
            out.line()
        out.document(stage.facts)
        _end(out, folder, perf_counter() - began, kept=keep is not None)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """The folder to work in: a new one to be kept, or one that is gone afterwards."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="consentprofile-demo-") as name:
            yield Path(name)
        return
    try:
        keep.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise cp.InputError(f"the folder of --keep cannot be made: {error.strerror}") from None
    yield keep


def _open(out: Output) -> None:
    out.line()
    out.heading("Consent is the key", right=f"as of {PRESENT.day} {PRESENT:%B %Y, %H:%M} UTC")
    out.prose(
        "Giving consent makes a key for one account and one purpose. Nothing is recorded without it; withdrawing "
        "consent destroys it, and with it every copy of the data. Here is the whole of it at work for a shop whose "
        "customers never existed."
    )
    out.line()


def _end(out: Output, folder: Path, seconds: float, *, kept: bool) -> None:
    if kept:
        out.heading(f"Done in {seconds:.1f} seconds. All of it is kept; to look further:")
        common = f"--store {folder / 'store'} --key-file {folder / 'shop.key'} --as-of {PRESENT:%Y-%m-%d}"
        out.line(f"   consentprofile {common} audit log")
    else:
        out.heading(f"Done in {seconds:.1f} seconds. The store lay in a temporary folder and goes with it.")
        out.prose("`consentprofile demo --keep DIRECTORY` keeps it, to look further.")
    out.line()
