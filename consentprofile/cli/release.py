"""``release``: let an aggregate about many accounts leave the store, or see what that would be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

import consentprofile as cp
from consentprofile.cli.approval import APPROVAL_COMMANDS, list_approvals
from consentprofile.cli.asking import asked, list_asked, plain, planned
from consentprofile.cli.budget import budget_command
from consentprofile.cli.context import Command, Context, InputFile, pass_context, store_options, write_options
from consentprofile.cli.output import count

NO_FIGURE: Final = "no figure"
"""What stands where a figure is about too few."""


ORDER: Final = ("plan", "budget", "approve", "disapprove", "list", "show")
"""The commands in the order in which a release comes about; any others follow."""


class Releasing(click.Group):
    """A group whose first argument may also be a specification: ``release SPEC`` is what people do most."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command's name where it was left out."""
        if args and args[0] not in self.commands and not set(args) & set(ctx.help_option_names):
            args = [make_command.name or "", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command; the one whose name may be left out is called as its group is."""
        name, command, rest = super().resolve_command(ctx, args)
        return "" if command is make_command else name, command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a release comes about."""
        return list(dict.fromkeys(name for name in (*ORDER, *self.commands) if name in self.commands))

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Both ways of calling it."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] SPEC --out DIRECTORY")
        for usage in (
            "plan [OPTIONS] SPEC",
            "approve [OPTIONS] SPEC --actor officer:NAME",
            "disapprove [OPTIONS] NUMBER --actor officer:NAME",
            "list [OPTIONS]",
            "show [OPTIONS] NUMBER|DIRECTORY",
        ):
            formatter.write_usage(ctx.command_path, usage, prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of the command that may be left out, and the other commands."""
        write_options(make_command.get_params(ctx), ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group("release", cls=Releasing)
def release_command() -> None:
    """Let an aggregate about many accounts leave the store, as the file SPEC asks for it.

    Figures about few accounts are left out, the others are rounded. What was answered once is answered again with the
    same bytes. A specification that is called as one of the commands below is written ./plan.
    """


counting_workers = click.option(
    "--workers",
    type=click.IntRange(0, 64),
    metavar="NUMBER",
    help="So many processes count beside this one; otherwise one fewer than processors, where there is much to count.",
)


who_asks = click.option(
    "--actor",
    default="officer:unnamed",
    show_default=True,
    metavar="ROLE:NAME",
    help="Who asks the store; it is kept, sealed.",
)


@release_command.command("now", cls=Command, hidden=True)
@click.argument("spec", type=InputFile(text=True))
@click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIRECTORY",
    help="A new or empty folder for data and manifest.",
)
@click.option(
    "--actor",
    default="officer:unnamed",
    show_default=True,
    metavar="ROLE:NAME",
    help="Who asks; it is kept, sealed. Where the policy asks for an approval, another one than who approved.",
)
@click.option("--plain", "bare", is_flag=True, help="Data and manifest only: neither Parquet nor pictures.")
@counting_workers
@store_options
@pass_context
def make_command(context: Context, spec: str, folder: Path, actor: str, bare: bool, workers: int | None) -> None:
    """Let the aggregate that SPEC asks for leave the store."""
    out = context.out
    with context.open() as store, out.progress("Counting") as tell:
        done = store.release(spec, folder, also=() if bare else None, actor=actor, workers=workers, progress=tell)
    out.document({"number": done.number, "repeated": done.repeated, "folder": done.folder, "files": sorted(done.files)})
    again = ", the same bytes as when it was first answered" if done.repeated else ""
    out.line(f"Release {done.number} is in {done.folder}{again}: {', '.join(sorted(done.files))}.")


@release_command.command("plan", cls=Command, short_help="Show what a release would be and cost, never its figures.")
@click.argument("spec", type=InputFile(text=True))
@who_asks
@counting_workers
@store_options
@pass_context
def plan_command(context: Context, spec: str, actor: str, workers: int | None) -> None:
    """Show what the release would be and cost, never its figures."""
    out = context.out
    with context.open() as store, out.progress("Counting") as tell:
        plan = store.plan_release(spec, actor=actor, workers=workers, progress=tell)
    out.document(plan)
    out.pairs([(plain(name), plain(text)) for name, text in planned(plan)])


@release_command.command("list", cls=Command, short_help="List what was released, and what is approved.")
@store_options
@pass_context
def list_command(context: Context) -> None:
    """List what has been released, and what was approved and not released yet: questions, without figures."""
    out = context.out
    with context.open() as store:
        found, approved = store.released(), store.approvals()
    out.document({"releases": found, "approvals": approved})
    for one in found:
        when = "" if one.hour is None else f" {one.hour:%Y-%m-%d %H:%M}"
        list_asked(out, one, f"released{when}, role {one.role}")
    if not found:
        out.line("Nothing has been released.")
    if approved:
        out.line()
        out.line("Approved, and not released yet:")
        list_approvals(out, approved)


@release_command.command("show", cls=Command, short_help="Show the figures of a release.")
@click.argument("release", metavar="NUMBER|DIRECTORY")
@who_asks
@store_options
@pass_context
def show_command(context: Context, release: str, actor: str) -> None:
    """Show the figures of a release: of the one with this NUMBER in the store, or of the one in a DIRECTORY.

    A directory needs neither store nor key; its files are held against the digests of its manifest. One whose name is
    a number is written ./3.
    """
    out = context.out
    if release.isascii() and release.isdecimal():
        with context.open() as store:
            figures = store.figures(int(release), actor=actor)
    else:
        figures = cp.read_figures(release)
    out.document(figures)
    shown = _drawn if figures.intervals else _shown
    out.pairs([(plain(name), plain(text)) for name, text in _about(figures)])
    out.line()
    out.table(
        tuple(map(plain, figures.columns)),
        [(*map(plain, key), *(shown(value) for value in values)) for key, values in figures.cells()],
        right=range(len(figures.by), len(figures.columns)),
    )


def _about(figures: cp.Figures) -> Iterator[tuple[str, str]]:
    """What was asked, and how it is protected."""
    yield from asked(figures)
    if figures.intervals:
        yield from _noise(figures)
        return
    errors = figures.largest_error.items()
    rough = (f"{name} rounded to {figures.round_to[name]:,}, off by at most {error:,}" for name, error in errors)
    yield "≈", "; ".join(rough)
    for level in figures.margins:
        rounding = f"rounded to {level.step:,}, off by at most {level.largest_error:,}"
        yield f"≈ over {', '.join(level.over)}", f"{count(level.rows, 'margin')}, {rounding}"
    dominated = ", one that dominates" * bool(figures.round_to.keys() - {"accounts"})
    least = count(figures.min_accounts, "account")
    besides = ", or to keep margins from telling another" * bool(figures.margins)
    yield NO_FIGURE, f"fewer than {least}{dominated}, or none, or too near a group that had no figure{besides}"
    yield "guarantee", figures.guarantee


def _noise(figures: cp.Figures) -> Iterator[tuple[str, str]]:
    """What differential privacy cost, and how wide it makes figures."""
    yield "noise", ", ".join(f"{name} {value}" for name, value in figures.protection.items() if name != "kind")
    widths = "; ".join(f"{name} within {width:,}" for name, width in figures.intervals.items())
    yield "95 times in 100", f"{widths} of what was counted, and it lies from low to high"
    if figures.at_bound is not None:
        accounts, low, high = figures.at_bound
        yield "at a bound", f"{accounts:,} accounts (from {low:,} to {high:,}), which may count for less than they did"
    yield "guarantee", figures.guarantee


def _drawn(figure: int | float | None) -> str:
    """A figure as it was drawn, below zero too."""
    return NO_FIGURE if figure is None else f"{figure:,}"


def _shown(figure: int | float | None) -> str:
    """A figure, marked as rounded, or the mark of none."""
    return NO_FIGURE if figure is None else f"≈ {figure:,}"


release_command.add_command(budget_command)
for command in APPROVAL_COMMANDS:
    release_command.add_command(command)
