"""``release``: let an aggregate about many accounts leave the store, or see what that would be."""

from __future__ import annotations

from pathlib import Path

import click

from consentprofile.cli.context import Command, Context, InputFile, pass_context, store_options, write_options
from consentprofile.cli.output import count


class Releasing(click.Group):
    """A group whose first argument may also be a specification: ``release SPEC`` is what people do most."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command's name where it was left out."""
        if args and args[0] not in self.commands and not set(args) & set(ctx.help_option_names):
            args = [make_command.name or "", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Both ways of calling it."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] SPEC --out DIRECTORY")
        formatter.write_usage(ctx.command_path, "plan [OPTIONS] SPEC", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of the command that may be left out, and the other command."""
        write_options(make_command.get_params(ctx), ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group("release", cls=Releasing)
def release_command() -> None:
    """Let an aggregate about many accounts leave the store, as the file SPEC asks for it.

    Figures about few accounts are left out, the others are rounded. What was answered once is answered again with the
    same bytes. A specification that is called plan is written ./plan.
    """


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
@store_options
@pass_context
def make_command(context: Context, spec: str, folder: Path) -> None:
    """Let the aggregate that SPEC asks for leave the store."""
    out = context.out
    with context.open() as store, out.progress("Counting") as tell:
        done = store.release(spec, folder, progress=tell)
    out.document({"number": done.number, "repeated": done.repeated, "folder": done.folder, "files": sorted(done.files)})
    again = ", the same bytes as when it was first answered" if done.repeated else ""
    out.line(f"Release {done.number} is in {done.folder}{again}: {', '.join(sorted(done.files))}.")


@release_command.command("plan", cls=Command)
@click.argument("spec", type=InputFile(text=True))
@store_options
@pass_context
def plan_command(context: Context, spec: str) -> None:
    """Show what the release would be and cost, never its figures."""
    out = context.out
    with context.open() as store, out.progress("Counting") as tell:
        plan = store.plan_release(spec, progress=tell)
    out.document(plan)
    cells = f"{count(plan.cells, 'figure')}, by {', '.join(plan.columns)}" if plan.columns else "one figure, the total"
    suppressed = "not told for so few figures" if plan.suppressed_about is None else f"about {plan.suppressed_about} %"
    out.pairs(
        [
            ("what", cells),
            ("behind each figure", f"at least {count(plan.min_accounts, 'account')}"),
            ("rounded to", f"{plan.round_to:,}; off by at most {count(plan.largest_error, 'account')}"),
            ("one account counts", f"in at most {count(plan.cells_per_account, 'figure')}"),
            ("left out", suppressed),
            ("guarantee", plan.guarantee),
            ("answered", f"once for this period; the next one is due after {count(plan.cadence_days, 'day')}"),
        ]
    )
