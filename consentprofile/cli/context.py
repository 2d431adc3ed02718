"""What every command shares: which store, which key, which time, and how to answer.

These options may stand before or after the name of the command; the nearer one wins, and any of them wins over the
environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import click

import consentprofile as cp
from consentprofile.cli.output import Misuse, Output

STORE_VARIABLE: Final = "CONSENTPROFILE_STORE"
KEY_FILE_VARIABLE: Final = "CONSENTPROFILE_KEY_FILE"
CAPABILITY_VARIABLE: Final = "CONSENTPROFILE_CAPABILITY"

COMMON: Final = frozenset({"store", "key_file", "key_env", "ask_passphrase", "capability", "as_of", "as_json"})
"""The names of the options that are shared."""

KEY_CHOICES: Final = (
    "--key-file FILE (or CONSENTPROFILE_KEY_FILE), --key-env VARIABLE, --ask-passphrase, or --capability FILE "
    "(or CONSENTPROFILE_CAPABILITY)"
)

MAXIMUM_KEY: Final = 4_096
"""Characters of a file with a public key that are read: more than any key has."""

P = ParamSpec("P")
R = TypeVar("R")


class Context:
    """The shared options, and what follows from them."""

    def __init__(self) -> None:
        self.store: Path | None = None
        self.key_file: Path | None = None
        self.key_env: str | None = None
        self.ask_passphrase = False
        self.capability: Path | None = None
        self.as_of: datetime | None = None
        self.as_json = False

    @cached_property
    def out(self) -> Output:
        """Where the answer goes."""
        return Output(as_json=self.as_json)

    @property
    def store_path(self) -> Path:
        """The store's directory. Raises :class:`Misuse` where nobody named one."""
        if self.store is not None:
            return self.store
        named = os.environ.get(STORE_VARIABLE)
        if not named:
            raise Misuse(f"say which store: --store DIRECTORY, or set {STORE_VARIABLE}")
        return Path(named)

    def key(self, *, new: bool = False) -> cp.KeyProvider:
        """Where the key comes from; ``new`` asks for a passphrase twice. Raises :class:`Misuse`."""
        named = (self.key_file, self.key_env, self.capability)
        variables = () if any(named) or self.ask_passphrase else (KEY_FILE_VARIABLE, CAPABILITY_VARIABLE)
        found = {name: there for name in variables if (there := os.environ.get(name))}
        if sum(one is not None for one in named) + self.ask_passphrase + len(found) > 1:
            raise Misuse(f"name one key, not several: {KEY_CHOICES}")
        if self.key_env is not None:
            return cp.EnvKey(self.key_env)
        if self.ask_passphrase:
            return self.passphrase(new=new)
        capability = self.capability or found.get(CAPABILITY_VARIABLE)
        if capability:
            return cp.Capability(capability, passphrase=self.passphrase(new=False))  # where the file is sealed by one
        path = self.key_file or found.get(KEY_FILE_VARIABLE)
        if not path:
            raise Misuse(f"say where the key is: {KEY_CHOICES}")
        return cp.KeyFile(path)

    def passphrase(self, *, new: bool) -> cp.Passphrase:
        """A passphrase that is asked for once, and not before it is needed: what is refused is refused first."""
        return cp.Passphrase(cache(lambda: self.out.passphrase(new=new)))

    def clock(self) -> datetime:
        """The present, or what ``--as-of`` takes for it."""
        return self.as_of or datetime.now(UTC)

    def open(self) -> cp.Store:
        """The store, opened. Raises what :meth:`consentprofile.Store.open` raises."""
        return cp.Store.open(self.store_path, key=self.key(), clock=self.clock)


pass_context = click.make_pass_decorator(Context, ensure=True)


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Note a shared option where it was given; one before the command is judged before one after it."""
    context = ctx.ensure_object(Context)
    if value is not None and value is not False:
        setattr(context, str(param.name), value)


# ---- kinds of values; what was typed is never repeated, for it may be personal ------------------------------


if TYPE_CHECKING:
    _MomentType = click.ParamType[datetime]
    _TextType = click.ParamType[str]
else:  # generic for type checkers only in older versions of click
    _MomentType = _TextType = click.ParamType


class Moment(_MomentType):
    """A day (its beginning) or a time, ISO 8601; without an offset it is UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment, aware."""
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise Misuse(f"{_named(param)} takes a day or a time such as 2024-07-01 or 2024-07-01T09:30:00Z") from None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


class InputFile(_TextType):
    """A file that is there and can be read; with ``text`` it is UTF-8, with ``or_stdin`` it may be ``-``."""

    name = "file"

    def __init__(self, *, text: bool = False, or_stdin: bool = False) -> None:
        self._text = text
        self._or_stdin = or_stdin

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path, as it was given."""
        path = str(value)
        if self._or_stdin and path == "-":
            return path
        try:
            with open(path, encoding="utf-8") as file:
                if self._text:
                    file.read()
        except UnicodeDecodeError:
            raise Misuse(f"{_named(param)} is not UTF-8 text") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a path"
            raise Misuse(f"{_named(param)} cannot be read: {reason}") from None
        return path


class Account(_TextType):
    """An account id, or ``-`` for one on the first line of standard input (so that it enters no shell history)."""

    name = "account"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The account id."""
        if value != "-":
            return str(value)
        line = _decoded(sys.stdin.buffer.readline()).rstrip("\r\n")
        if not line:
            raise Misuse("standard input has no account on its first line")
        return line


class PublicKey(_TextType):
    """The public key of a log: its text, or ``@`` and a file that holds it."""

    name = "key"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text of the key."""
        text = str(value)
        if not text.startswith("@"):
            return text
        try:
            with open(text[1:], encoding="utf-8") as file:
                return file.read(MAXIMUM_KEY).strip()
        except UnicodeDecodeError:
            raise Misuse(f"{_named(param)} names a file that is not UTF-8 text") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a path"
            raise Misuse(f"{_named(param)} names a file that cannot be read: {reason}") from None


def standard_input() -> str:
    """All of standard input, which is UTF-8 whatever the terminal is. Raises :class:`Misuse`."""
    return _decoded(sys.stdin.buffer.read())


def _decoded(data: bytes) -> str:
    text = data.decode("utf-8", errors="replace")
    if text.encode() != data:
        raise Misuse("standard input is not UTF-8 text")
    return text


def _named(param: click.Parameter | None) -> str:
    if param is None:
        return "a value"
    return param.opts[0] if isinstance(param, click.Option) else str(param.name).upper()


# ---- the options ---------------------------------------------------------------------------------


def json_option(function: Callable[P, R]) -> Callable[P, R]:
    """``--json``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Answer in JSON, for programs.",
    )(function)


def store_options(function: Callable[P, R]) -> Callable[P, R]:
    """The store, its key, the time, and ``--json``."""
    for decorate in (
        json_option,
        click.option(
            "--as-of",
            type=Moment(),
            metavar="TIME",
            expose_value=False,
            callback=_keep,
            help="Take this day or time (ISO 8601, UTC) for the present.",
        ),
        click.option(
            "--capability",
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help=f"A capability, which opens some purposes only. [{CAPABILITY_VARIABLE}]",
        ),
        click.option(
            "--ask-passphrase",
            is_flag=True,
            expose_value=False,
            callback=_keep,
            help="The key follows from a passphrase that you type.",
        ),
        click.option(
            "--key-env",
            metavar="VARIABLE",
            expose_value=False,
            callback=_keep,
            help="The environment variable that holds the key.",
        ),
        click.option(
            "--key-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help=f"The key file. [{KEY_FILE_VARIABLE}]",
        ),
        click.option(
            "--store",
            type=click.Path(path_type=Path),
            metavar="DIRECTORY",
            expose_value=False,
            callback=_keep,
            help=f"The store. [{STORE_VARIABLE}]",
        ),
    ):
        function = decorate(function)
    return function


class Command(click.Command):
    """A command whose help lists its own options first, and the shared ones apart."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options in two lists."""
        write_options(self.get_params(ctx), ctx, formatter)


def write_options(params: list[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """The options of ``params`` in two lists: its own, and the shared ones."""
    for title, shared in (("Options", False), ("Store, key, time and form of the answer", True)):
        records = [
            record
            for param in params
            if isinstance(param, click.Option)
            and (param.name in COMMON) is shared
            and (record := param.get_help_record(ctx)) is not None
        ]
        if records:
            with formatter.section(title):
                formatter.write_dl(records)
