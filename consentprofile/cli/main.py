"""The program: finds the command, runs it, and turns whatever goes wrong into one line and an exit code.

Nothing that was typed and nothing that is stored is repeated in an error: it may be personal data. Commands are loaded
when they are called, so that ``--help`` is there at once.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final

import click
from click.exceptions import BadOptionUsage, Exit, MissingParameter, NoArgsIsHelpError, NoSuchOption

import consentprofile as cp
from consentprofile.cli import output
from consentprofile.cli.context import store_options, write_options
from consentprofile.errors import ConsentProfileError

DEBUG_VARIABLE: Final = "CONSENTPROFILE_DEBUG"

USAGE: Final = 2
UNEXPECTED: Final = 70
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("demo", "See the whole of it at work on an example shop."),
    "init": ("init", "Make a store and its key."),
    "policy": ("policy", "Check a policy; read it as a notice in plain words."),
    "consent": ("consent", "Note, show and import what people decided."),
    "import": ("importing", "Record the events of a file."),
    "profile": ("profile", "Read the profile of one account, for one purpose."),
    "access": ("rights", "Write out everything that is held about one account."),
    "erase": ("rights", "Destroy everything that is held about accounts."),
    "suppress": ("care", "Switch purposes off for one account, for a declared reason."),
    "retention": ("upkeep", "Destroy what is over: events past their retention, and expired consents' keys."),
    "release": ("release", "Let an aggregate about many accounts leave the store."),
    "audit": ("audit", "Read the audit log, verify it, and prove it to others."),
    "certificate": ("certificate", "Verify or read a certificate of an erasure or a withdrawal."),
    "statistics": ("care", "How often recording took an event, and why not."),
    "compact": ("upkeep", "Bring together what was recorded a little at a time."),
    "check": ("care", "Open and compare everything in the store."),
    "doctor": ("doctor", "Look at what the store stands on: files, modes, clock, backups."),
    "backup": ("backup", "Copy the data, while other programs go on."),
    "restore": ("restore", "Restore the store from copies of its data or its keyring."),
    "keys": ("care", "Make a key, or move to a new one; issue capabilities; back the keyring up."),
}
"""Every command: its module here, and what it does in a line."""


class Commands(click.Group):
    """The commands, each loaded when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a store is lived with."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        found: click.Command = getattr(importlib.import_module(f"consentprofile.cli.{module}"), f"{cmd_name}_command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands first: they are what somebody looks for."""
        self.format_commands(ctx, formatter)
        write_options(self.get_params(ctx), ctx, formatter)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,  # noqa: ANN401 - as click has it
    ) -> Any:  # noqa: ANN401
        """Run, and leave with the exit code of what happened."""

        def run() -> object:
            answer: object = super(Commands, self).main(args, output.PROGRAM, complete_var, False, **extra)
            output.flush()
            return answer

        output.prepare()
        if not standalone_mode:
            return run()
        sys.exit(_exit_code(run))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. A reader of our output that has gone is no error of ours."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise Exit(_broken_pipe()) from None


def _exit_code(run: Callable[[], object]) -> int:
    """What ``run`` ends with; errors are told on standard error."""
    try:
        answer = run()
    except click.UsageError as wrong:
        output.error(_usage(wrong))
        return USAGE
    except BrokenPipeError:
        return _broken_pipe()
    except (click.Abort, KeyboardInterrupt):
        output.error("interrupted; what was finished before stays")
        return INTERRUPTED
    except ConsentProfileError as error:
        _show_debug()
        output.error(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: its details may be personal
        _show_debug()
        reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        output.error(
            f"unexpected {type(error).__name__}{reason}. Its details may hold personal data, so they are not shown; "
            f"with {DEBUG_VARIABLE}=1 they are"
        )
        raise SystemExit(UNEXPECTED) from None
    return answer if isinstance(answer, int) else 0


def _broken_pipe() -> int:
    output.abandon_stdout()
    return BROKEN_PIPE


def _show_debug() -> None:
    if os.environ.get(DEBUG_VARIABLE) == "1":
        sys.stderr.write(traceback.format_exc())


def _usage(wrong: click.UsageError) -> str:
    """What was wrong, in words of ours; click's own would repeat what was typed."""
    message = "wrong usage"
    if isinstance(wrong, output.Misuse):
        message = wrong.message
    elif isinstance(wrong, MissingParameter):
        named = (
            wrong.param.get_error_hint(wrong.ctx) if wrong.param is not None and wrong.ctx is not None else "something"
        )
        message = f"{named.replace(chr(39), '')} is missing"
    elif isinstance(wrong, NoSuchOption):
        near = f"; did you mean {' or '.join(sorted(wrong.possibilities))}?" if wrong.possibilities else ""
        message = f"this command has no such option{near}"
    elif isinstance(wrong, BadOptionUsage):
        message = f"{wrong.option_name} is not given as it must be: with exactly one value, or none if it is a switch"
    elif isinstance(wrong, click.BadParameter):
        message = _bad_value(wrong)
    elif isinstance(wrong, NoArgsIsHelpError):
        message = "the command is missing"
    elif isinstance(wrong.ctx, click.Context) and isinstance(wrong.ctx.command, click.Group):
        message = "there is no such command"
    elif wrong.ctx is not None:
        message = "there are more arguments than this command takes"
    path = output.PROGRAM if wrong.ctx is None else wrong.ctx.command_path.strip()
    return f"{message}; see `{path} --help`"


def _bad_value(wrong: click.BadParameter) -> str:
    named = wrong.param.opts[0] if isinstance(wrong.param, click.Option) else "an argument"
    kind = None if wrong.param is None else wrong.param.type
    if isinstance(kind, click.Choice):
        return f"{named} takes one of {', '.join(map(str, kind.choices))}"
    if isinstance(kind, click.IntRange | click.types.IntParamType):
        least, most = (kind.min or 0, kind.max) if isinstance(kind, click.IntRange) else (0, None)
        return f"{named} takes a whole number, {least:.0f} {'or more' if most is None else f'to {most:.0f}'}"
    return f"{named} has a value that it cannot take"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": output.WIDTH},
)
@click.version_option(cp.__version__, message="%(prog)s %(version)s")
@store_options
def main() -> None:
    """Consented, first-party profiles in an encrypted store. Consent is the key.

    Giving consent to a purpose makes a key for that account and that purpose. Nothing is recorded without it;
    withdrawing consent or erasing the account destroys it, and with it every copy of the data.
    """
