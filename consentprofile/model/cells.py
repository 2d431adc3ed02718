"""Cells of imported rows: texts in, typed values out.

A reader of cells takes the text of one cell and answers the value, or None where the text is not one. So a whole row
costs no exception, and whoever holds the column's name words the refusal: what a cell says is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from consentprofile.errors import InputError
from consentprofile.model.event import Value
from consentprofile.model.ids import MAXIMUM_ID_BYTES

T = TypeVar("T")

Row: TypeAlias = Sequence[str]
"""The cells of one row, in the order of the file's columns; an empty text is a cell without a value."""

CellReader: TypeAlias = Callable[[str], T | None]

WORDED_FORMATS: Final = ("iso8601", "unix-seconds", "unix-milliseconds")
"""Formats of a time that have a name of their own; every other one is a pattern of ``datetime.strptime``."""

SCALES: Final = (1, 10, 100, 1000, 10000)
"""Minor units in one major unit, for currencies of 0 to 4 decimals."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL: Final = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?", re.ASCII)
_SEPARATOR_OF_FAST_PATTERN: Final = {"%Y-%m-%d %H:%M:%S": " ", "%Y-%m-%dT%H:%M:%S": "T"}
_TRIALS: Final = (datetime(2023, 12, 31, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC))


class RowRefused(InputError):
    """One row of an imported file was refused; the other rows stand.

    ``reason`` names the column and what is expected there. It never holds what the row says.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def nothing(cell: str) -> None:
    """The reader of cells that takes none."""


# ---- values -------------------------------------------------------------------------------------


def whole_number(minimum: int, maximum: int) -> CellReader[Value]:
    """Whole numbers in decimal digits, bounds included: ``-3``, but neither ``+3``, ``3.0`` nor ``1_000``."""

    def read(cell: str) -> int | None:
        if _WHOLE.fullmatch(cell) is None:
            return None
        value = int(cell)
        return value if minimum <= value <= maximum else None

    return read


def amount(maximum: int, scale: int) -> CellReader[Value]:
    """Amounts from 0 to ``maximum`` minor units, written in units of ``scale`` minor units (one of :data:`SCALES`).

    With a scale of 100, ``12.5`` is 1250. What is finer than a minor unit is refused, never rounded.
    """
    places = len(str(scale)) - 1

    def read(cell: str) -> int | None:
        match = _DECIMAL.fullmatch(cell)
        if match is None:
            return None
        decimals = (match[2] or "").rstrip("0")
        if len(decimals) > places:
            return None
        value = int(match[1]) * scale + int(decimals.ljust(places, "0") or "0")
        return value if value <= maximum else None

    return read


TRUTHS: Final[Mapping[str, bool]] = {
    word: truth
    for truth, words in ((True, ("true", "True", "TRUE", "1")), (False, ("false", "False", "FALSE", "0")))
    for word in words
}
"""What a boolean cell may say, unless a mapping adds words of its own."""


def opaque_id(cell: str) -> str | None:
    """An opaque id of 1 to 256 bytes of UTF-8, without control characters."""
    if not cell.isprintable() or not 0 < len(cell) <= MAXIMUM_ID_BYTES:
        return None
    return cell if cell.isascii() or len(cell.encode()) <= MAXIMUM_ID_BYTES else None


# ---- times --------------------------------------------------------------------------------------


def has_offset(pattern: str) -> bool:
    """Whether times written by this ``strptime`` pattern carry their own offset from UTC."""
    return "z" in re.findall(r"%(.)", pattern)


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a ``strptime`` pattern, or None: it must tell at least year, month and day."""
    if "Z" in re.findall(r"%(.)", pattern):
        return "names of time zones (%Z) are ambiguous; use %z, or zone"
    try:
        told = [datetime.strptime(trial.strftime(pattern), pattern).replace(tzinfo=UTC).date() for trial in _TRIALS]
    except (ValueError, re.error):
        told = []
    if told != [trial.date() for trial in _TRIALS]:
        return "expected a pattern that tells year, month and day (%Y-%m-%d %H:%M:%S), or " + ", ".join(WORDED_FORMATS)
    return None


def moment(format: str, zone: ZoneInfo | None) -> CellReader[datetime]:
    """Times in ``format`` (one of :data:`WORDED_FORMATS` or a sound pattern) as aware datetimes in UTC.

    ``zone`` is where times without an offset were read off the clock; without one they are refused. A time that the
    clock showed twice is taken as the first of the two; one that it never showed is refused.
    """
    if format == "unix-seconds":
        return _unix(timedelta(seconds=1))
    if format == "unix-milliseconds":
        return _unix(timedelta(milliseconds=1))
    if format == "iso8601":
        return _iso8601(zone)
    if has_offset(format):
        return _pattern_with_offset(format)
    if zone is None:
        return nothing
    separator = _SEPARATOR_OF_FAST_PATTERN.get(format)
    by_pattern = _pattern(format, zone)
    return by_pattern if separator is None else _fast_pattern(separator, zone, by_pattern)


def _in_utc(told: datetime) -> datetime | None:
    settled = told.astimezone(UTC)
    # A clock that jumps ahead never shows what it leaps over: coming back, such a time is another one.
    return settled if settled.astimezone(told.tzinfo).replace(tzinfo=None) == told.replace(tzinfo=None) else None


def _unix(unit: timedelta) -> CellReader[datetime]:
    def read(cell: str) -> datetime | None:
        if _WHOLE.fullmatch(cell) is None:
            return None
        try:
            return _EPOCH + int(cell) * unit
        except OverflowError:
            return None

    return read


def _iso8601(zone: ZoneInfo | None) -> CellReader[datetime]:
    def read(cell: str) -> datetime | None:
        # A date alone is at most ten characters (2024-02-29): it does not tell when in the day.
        if len(cell) <= 10:
            return None
        try:
            told = datetime.fromisoformat(cell)
            if told.tzinfo is not None:
                return told.astimezone(UTC)
            return None if zone is None else _in_utc(told.replace(tzinfo=zone))
        except (ValueError, OverflowError):
            return None

    return read


def _pattern_with_offset(pattern: str) -> CellReader[datetime]:
    def read(cell: str) -> datetime | None:
        try:
            return datetime.strptime(cell, pattern).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    return read


def _pattern(pattern: str, zone: ZoneInfo) -> CellReader[datetime]:
    def read(cell: str) -> datetime | None:
        try:
            return _in_utc(datetime.strptime(cell, pattern).replace(tzinfo=zone))
        except (ValueError, OverflowError):
            return None

    return read


def _fast_pattern(separator: str, zone: ZoneInfo, otherwise: CellReader[datetime]) -> CellReader[datetime]:
    utc = zone.key == "UTC"

    def read(cell: str) -> datetime | None:
        # Of what fromisoformat takes, only YYYY-MM-DD HH:MM:SS has 19 characters and these five in these places.
        if not (
            len(cell) == 19 and cell[10] == separator and cell[4] == cell[7] == "-" and cell[13] == cell[16] == ":"
        ):
            return otherwise(cell)
        try:
            if utc:
                return datetime.fromisoformat(cell + "+00:00")
            return _in_utc(datetime.fromisoformat(cell).replace(tzinfo=zone))
        except (ValueError, OverflowError):
            return None

    return read
