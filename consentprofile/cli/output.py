"""Everything that the command line prints, and the only module that prints.

Answers go to standard output: people's words, or with ``--json`` one JSON document (NDJSON where an answer is a stream)
and nothing else. Warnings, errors, questions and progress go to standard error. Colours, wide tables and progress are
for a terminal; a pipe gets plain text.
"""

from __future__ import annotations

import io
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias

import click
import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH: Final = 100
"""Prose and tables are set no wider than this."""

PROGRAM: Final = "consentprofile"

DECLINED: Final = 1
"""The exit code where somebody must look: a check found something, rows were refused, the answer was no."""

Tell: TypeAlias = Callable[[int, int | None], None]
"""Told how much is done, of how much (None where that is not known)."""

_MARKED: Final = re.compile(r"(`[^`]+`|\*\*[^*]+\*\*)")
_STYLES: Final = {"`": "cyan", "*": "bold"}


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody is looking."""
    return stream.isatty()


class Output:
    """Where a command's answer goes. Each method speaks in one of the two modes and is silent in the other."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    # ---- for programs ----------------------------------------------------------------------------

    def document(self, value: object) -> None:
        """The whole answer as one JSON document, or one line of a stream of them."""
        if self._as_json:
            sys.stdout.flush()
            sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")  # JSON is UTF-8, whatever the terminal is

    # ---- for people ------------------------------------------------------------------------------

    @cached_property
    def _console(self) -> Console | None:
        """The terminal, or None where there is none."""
        if self._as_json or not is_terminal(sys.stdout):
            return None
        from rich.console import Console

        return Console(highlight=False, markup=False, width=min(WIDTH, Console().width))

    def line(self, text: str = "", *, style: str = "") -> None:
        """One line, as it is."""
        if self._as_json:
            return
        if self._console is None:
            sys.stdout.write(text + "\n")
        else:
            self._console.print(_marked(text, style), soft_wrap=True)

    def text(self, text: str) -> None:
        """A text of several lines, as it is, to be kept: no marks, no wrapping, no line added."""
        if not self._as_json:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())  # what is verified byte for byte is UTF-8 on any terminal

    def prose(self, text: str, *, indent: int = 0, style: str = "") -> None:
        """A paragraph, wrapped. Back ticks mark names, two asterisks what matters; a pipe gets neither."""
        if self._as_json:
            return
        if self._console is None:
            wrapped = textwrap.wrap(_plain(text), WIDTH - indent, break_long_words=False, break_on_hyphens=False)
            sys.stdout.write(textwrap.indent("\n".join(wrapped), " " * indent) + "\n")
        else:
            from rich.padding import Padding

            self._console.print(Padding(_marked(text, style), (0, 0, 0, indent)))

    def heading(self, text: str, *, right: str = "") -> None:
        """A line that stands out, with something small at its right end."""
        if self._as_json:
            return
        width = WIDTH if self._console is None else self._console.width
        gap = " " * max(1, width - len(_plain(text)) - len(right))
        if self._console is None:
            sys.stdout.write(f"{_plain(text)}{gap}{right}".rstrip() + "\n")
        else:
            self._console.print(_marked(text, "bold").append(gap).append(right, style="not bold dim"), soft_wrap=True)

    def pairs(self, pairs: Sequence[tuple[str, str]], *, indent: int = 0) -> None:
        """Names and what they are, one a line, the second column aligned."""
        width = max((len(name) for name, _ in pairs), default=0)
        for name, text in pairs:
            self.prose_beside(name.ljust(width), text, indent=indent)

    def prose_beside(self, name: str, text: str, *, indent: int = 0) -> None:
        """``name``, and beside it a text that wraps in its own column."""
        if self._as_json:
            return
        hang = indent + len(name) + 3
        width = (WIDTH if self._console is None else self._console.width) - hang
        lines = textwrap.wrap(_plain(text), width, break_long_words=False, break_on_hyphens=False) or [""]
        for number, wrapped in enumerate(lines):
            first = f"{' ' * indent}{name}   " if number == 0 else " " * hang
            if self._console is None:
                sys.stdout.write(f"{first}{wrapped}".rstrip() + "\n")
            else:
                self._console.print(_marked("", "").append(first, style="dim").append(wrapped), soft_wrap=True)

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 0, right: Sequence[int] = ()
    ) -> None:
        """A table; the columns numbered in ``right`` are figures and end flush."""
        if self._as_json:
            return
        widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]

        def set_out(row: Sequence[str]) -> str:
            cells = [
                cell.rjust(width) if place in right else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            return (" " * indent + "   ".join(cells)).rstrip()

        self._verbatim(set_out(columns), "dim")
        self._verbatim(" " * indent + "─" * (sum(widths) + 3 * (len(widths) - 1)), "dim")
        for row in rows:
            self._verbatim(set_out(row), "")

    def _verbatim(self, text: str, style: str) -> None:
        """A line whose marks mean nothing: it may hold what others wrote."""
        if self._console is None:
            sys.stdout.write(text + "\n")
        else:
            self._console.print(text, style=style, soft_wrap=True)

    def markdown(self, text: str) -> None:
        """A page of Markdown: set on a terminal, as it is in a pipe."""
        if self._as_json:
            return
        if self._console is None:
            sys.stdout.write(text)
        else:
            from rich.markdown import Markdown

            self._console.print(Markdown(text))

    # ---- beside the answer -----------------------------------------------------------------------

    def warn(self, text: str) -> None:
        """What must not be overlooked, in either mode."""
        for wrapped in textwrap.wrap(_plain(text), WIDTH, break_long_words=False, break_on_hyphens=False):
            sys.stderr.write(wrapped + "\n")

    def confirm(self, question: str, *, yes: bool, why: str = "this cannot be undone") -> bool:
        """Whether to go on with what cannot be undone. Without a terminal only ``--yes`` says so."""
        if yes:
            return True
        self.require_terminal(why)
        return click.confirm(question, default=False, err=True)

    def require_terminal(self, why: str = "this cannot be undone") -> None:
        """Raise :class:`Misuse` where nobody can be asked."""
        if not is_terminal(sys.stdin):
            raise Misuse(f"{why}: on a terminal it asks first; elsewhere it needs --yes")

    def passphrase(self, *, new: bool) -> str:
        """A passphrase, typed unseen; a new one twice."""
        if not is_terminal(sys.stdin):
            raise Misuse("a passphrase is typed on a terminal; elsewhere use --key-file or --key-env")
        text = click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
        return str(text)

    @contextmanager
    def progress(self, what: str) -> Iterator[Tell]:
        """A bar on a terminal, nothing in a pipe."""
        if not is_terminal(sys.stderr):
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


class Misuse(click.UsageError):
    """Wrong usage, in words of ours: the message may be shown, for it holds nothing that was typed."""


def error(text: str) -> None:
    """What went wrong, on standard error. Lines after the first (the faults of a file) are indented already."""
    sys.stderr.write(f"{PROGRAM}: {text}\n")


def prepare() -> None:
    """A terminal that cannot show a character gets a question mark, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def flush() -> None:
    """Write what is held back. Raises :class:`BrokenPipeError` where nobody reads any more."""
    sys.stdout.flush()


def abandon_stdout() -> None:
    """Let the interpreter end in peace when nobody reads standard output any more."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(descriptor, sys.stdout.fileno())
    finally:
        os.close(descriptor)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: ``1 account``, ``31,106 events``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _plain(text: str) -> str:
    return _MARKED.sub(lambda found: found[0].strip("`*"), text)


def _marked(text: str, style: str) -> Text:
    from rich.text import Text

    set_out = Text(style=style)
    for part in _MARKED.split(text):
        if _MARKED.fullmatch(part):
            set_out.append(part.strip("`*"), style=_STYLES[part[0]])
        else:
            set_out.append(part)
    return set_out
