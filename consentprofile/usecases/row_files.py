"""Files of rows: CSV and newline-delimited JSON, plain or gzip, from a path or standard input, as a bounded stream.

CSV is RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180) with a header line, in UTF-8, lines ended by CR LF or LF.
NDJSON (https://github.com/ndjson/ndjson-spec) is one flat JSON object a line. A byte order mark is tolerated. Which
of them a file is, and whether it is compressed (RFC 1952), is told by its first bytes, never by its name.

Whatever is wrong with one row is that row's refusal; whatever leaves the rest of the file without meaning is an error.
Neither repeats what the file says.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, Final, Literal, NoReturn, Self, TypeAlias, cast

from consentprofile.errors import UnreadableInput
from consentprofile.model.cells import Row, RowRefused

Format: TypeAlias = Literal["csv", "ndjson"]

STANDARD_INPUT: Final = "-"

LONGEST_RECORD: Final = 1 << 20
"""The longest line, and the longest CSV record over several lines, in characters."""

_GZIP: Final = b"\x1f\x8b"


def open_rows(
    path: str | os.PathLike[str], format: Format | None = None, *, columns: Sequence[str] | None = None
) -> RowSource:
    """The rows of the file at ``path``, or of standard input where ``path`` is ``-``.

    ``format`` is told by the first character unless given: ``{`` begins NDJSON, everything else CSV. ``columns`` are
    the keys that NDJSON objects may have, in the order that rows shall have; without them the first object's keys are.
    A CSV file has its own header instead.

    Raises :class:`UnreadableInput` if there is no such file, it is not text, or it has no proper header.
    """
    if os.fspath(path) == STANDARD_INPUT:
        return RowSource(_Counted(sys.stdin.buffer, owned=False), format, columns)
    try:
        file = io.FileIO(path)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise UnreadableInput(f"the input file cannot be opened: {problem}") from None
    return RowSource(_Counted(file, owned=True), format, columns)


class RowSource:
    """An open file of rows; iterate once, and close (it is a context manager).

    Yields (line, row): the number of the line on which the row begins, the first line being 1, and its cells in the
    order of :attr:`columns`, or a :class:`RowRefused` where this row is not one. An empty cell, a missing key and
    ``null`` are the empty text; numbers are as the file writes them, booleans ``true`` and ``false``. Empty lines are
    passed over. Memory is bounded by :data:`LONGEST_RECORD`, whatever the file.

    Iterating raises :class:`UnreadableInput` for bytes that are not UTF-8, NUL characters, over-long lines, quotes
    that do not close, and damaged or cut-off compression. Rows before that point have been handed out by then.
    """

    columns: tuple[str, ...]
    format: Format
    total: int | None
    """The size of the file in bytes, or None where it is not known (a pipe, standard input)."""

    def __init__(self, raw: _Counted, format: Format | None, columns: Sequence[str] | None) -> None:
        self._raw = raw
        self._line = 0
        self._record = 0
        try:
            self.total = raw.size()
            self._open(format, columns)
        except BaseException:
            raw.close()
            raise

    def _open(self, format: Format | None, columns: Sequence[str] | None) -> None:
        compressed = self._raw.begins_with(_GZIP)
        buffered = io.BufferedReader(self._raw)
        binary = cast(BinaryIO, gzip.GzipFile(fileobj=buffered) if compressed else buffered)
        # Lines end with LF alone: the line numbers are those of every editor, and CR stays where quotes hold it.
        self._text = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="\n")
        self._outer = buffered
        lines = self._lines()
        first = next(lines, "")
        begins = first.lstrip()[:1]
        if format is None and begins == "[":
            raise UnreadableInput("the input begins like a JSON array; expected one JSON object a line")
        self.format = format or ("ndjson" if begins == "{" else "csv")
        lines = itertools.chain([first], lines) if first else lines
        if self.format == "csv":
            reader = csv.reader(lines, strict=True)
            self.columns = _header(self._next_record(reader))
            self._rows = self._csv_rows(reader)
        else:
            self.columns = _keys(first) if columns is None else tuple(columns)
            self._rows = self._ndjson_rows(lines)

    def __iter__(self) -> Iterator[tuple[int, Row | RowRefused]]:
        """The rows, from where the iteration stands: a second one goes on, it does not begin anew."""
        return self._rows

    @property
    def position(self) -> int:
        """How many bytes of the file were read so far, compressed ones where it is compressed."""
        return self._raw.count

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._text.close()
        self._outer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _lines(self) -> Iterator[str]:
        problem = line = ""
        readline = self._text.readline
        while True:
            try:
                line = readline(LONGEST_RECORD + 1)
            except UnicodeDecodeError:
                problem = "is not text in UTF-8"
            except EOFError:
                problem = "is cut off in the middle of its compression"
            except (gzip.BadGzipFile, zlib.error):
                problem = "has damaged compression"
            except OSError as error:
                problem = f"cannot be read: {error.strerror or type(error).__name__}"
            if problem:
                # Outside the handlers: their errors hold bytes of the file, and would travel along as context.
                self._refuse(problem)
            if not line:
                return
            self._line += 1
            self._record += len(line)
            if self._record > LONGEST_RECORD:
                self._refuse(f"has a line or record of more than {LONGEST_RECORD} characters")
            if "\0" in line:
                self._refuse("is not text: it holds a NUL character")
            yield line

    def _refuse(self, problem: str) -> NoReturn:
        raise UnreadableInput(f"the input {problem}, after or at line {max(self._line, 1)}")

    def _next_record(self, reader: Iterator[list[str]]) -> list[str] | None:
        broken, record = False, None
        try:
            record = next(reader, None)
        except csv.Error:
            broken = True
        if broken:
            self._refuse(
                "is not CSV as RFC 4180 has it: a quote that is open, alone or not doubled, or too long a cell"
            )
        self._record = 0
        return record

    def _csv_rows(self, reader: Iterator[list[str]]) -> Iterator[tuple[int, Row | RowRefused]]:
        width = len(self.columns)
        begins = self._line + 1
        next_record = self._next_record
        while (record := next_record(reader)) is not None:
            if len(record) == width:
                yield begins, record
            elif record:
                yield begins, RowRefused(f"expected as many cells as the header has ({width}), found {len(record)}")
            begins = self._line + 1

    def _ndjson_rows(self, lines: Iterator[str]) -> Iterator[tuple[int, Row | RowRefused]]:
        columns = self.columns
        known = frozenset(columns)
        for line in lines:
            self._record = 0
            if line.isspace():
                continue
            try:
                said = _cells_by_key(line)
                if not known.issuperset(said):
                    raise RowRefused("expected no key but " + ", ".join(columns))
                row: Row | RowRefused = [said.get(column, "") for column in columns]
            except RowRefused as refused:
                row = refused
            yield self._line, row


class _Counted(io.RawIOBase):
    """Bytes of ``file``, counted; one look ahead at its beginning."""

    def __init__(self, file: BinaryIO | io.FileIO, *, owned: bool) -> None:
        self._file = file
        # One read of the system at a time: a pipe is followed as it fills.
        self._read = file.read1 if isinstance(file, io.BufferedIOBase) else file.read
        self._owned = owned
        self._ahead = b""
        self.count = 0

    def readable(self) -> bool:
        return True

    def size(self) -> int | None:
        """The size of a regular file that was opened here, at its beginning therefore."""
        try:
            status = os.fstat(self._file.fileno())
        except (OSError, ValueError):
            return None
        return status.st_size if self._owned and stat.S_ISREG(status.st_mode) else None

    def begins_with(self, magic: bytes) -> bool:
        """Whether the file does; only for the beginning."""
        while len(self._ahead) < len(magic):
            more = self._read(len(magic) - len(self._ahead))
            if not more:
                break
            self._ahead += more
        return self._ahead == magic

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """As of :class:`io.RawIOBase`."""
        if self._ahead:
            taken, self._ahead = self._ahead[: len(buffer)], self._ahead[len(buffer) :]
        else:
            taken = self._read(len(buffer))
        buffer[: len(taken)] = taken
        self.count += len(taken)
        return len(taken)

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned and not self.closed:
            self._file.close()
        super().close()


def _header(record: list[str] | None) -> tuple[str, ...]:
    """The names of the columns. A file without its header has somebody's row there, so nothing of it is repeated."""
    if not record:
        raise UnreadableInput("the input has no header: its first line must name the columns")
    for number, name in enumerate(record, 1):
        if not name or not name.isprintable():
            raise UnreadableInput(f"column {number} of the header has no name that can be printed")
        if name in record[: number - 1]:
            raise UnreadableInput(f"columns {record.index(name) + 1} and {number} of the header have the same name")
    return tuple(record)


def _keys(first: str) -> tuple[str, ...]:
    try:
        return tuple(_cells_by_key(first))
    except RowRefused as refused:
        raise UnreadableInput(f"the first line must name the columns: {refused.reason}") from None


# ---- NDJSON -------------------------------------------------------------------------------------


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RowRefused("expected each key once")
    return found


def _no_number(word: str) -> NoReturn:
    raise RowRefused("expected JSON, which has neither NaN nor Infinity")


# Numbers stay as written: nothing is rounded on the way to a field that counts in minor units.
_json: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_no_number)


def _cells_by_key(line: str) -> dict[str, str]:
    broken = False
    said: object = None
    try:
        said = _json.decode(line)
    except (json.JSONDecodeError, RecursionError):
        # An error of the decoder holds the line; it must not travel along.
        broken = True
    if broken or not isinstance(said, dict):
        raise RowRefused("expected one JSON object in the line")
    cells = {}
    for key, value in said.items():
        if isinstance(value, str):
            cells[key] = value
        elif value is None or isinstance(value, bool):
            cells[key] = "" if value is None else "true" if value else "false"
        else:
            raise RowRefused("expected a flat object: texts, numbers, true, false and null")
    return cells
