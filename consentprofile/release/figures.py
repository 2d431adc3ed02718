"""The figures of a release as a typed table, made of its published files alone: nothing here knows the store.

A table is handed on without copying by hand: ``pyarrow.table(figures)``, ``polars.DataFrame(figures)`` and
``pandas.DataFrame.from_arrow(figures)`` take it through the Arrow C stream interface
(https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

import msgspec

from consentprofile import canonical
from consentprofile.errors import UnreadableInput
from consentprofile.release.arrow import require_arrow, table

if TYPE_CHECKING:
    import pyarrow

DATA_JSON: Final = "data.json"
MANIFEST: Final = "manifest.json"
ACCOUNTS: Final = "accounts"
"""The column of figures that count accounts."""
FORMAT: Final = 1
"""The format of data and manifest that this version reads."""

Figure: TypeAlias = int | float | None
"""None means suppressed or zero, and nobody can tell which."""

COMMON: Final = frozenset({"format", "purpose", "measure", "by", "from", "until", "cuts", "where", "protection"})
"""The terms that every specification may have; the others are the measure's own."""

_UNREADABLE: Final = "ask for the release again, into another folder"


class MarginLevel(msgspec.Struct, frozen=True, kw_only=True):
    """The ``rows`` that sum over the same columns; one account adds at most ``limit`` to their figures."""

    over: tuple[str, ...]
    rows: int
    limit: int
    step: int
    largest_error: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one release, with what was asked and how they are protected.

    ``rows`` have the values of the dimensions ``by``, in this order, and then a figure for each of ``values``; None is
    a figure that is not shown, because it is about too few accounts, or about none. ``since`` and ``until`` (exclusive)
    are UTC, ISO 8601. ``terms`` are those of the measure's own, such as a limit. ``round_to`` and ``largest_error`` say
    by name of what figures are multiples, and how far they can be off, in their own unit; what is in neither (a mean, a
    share) was made of others that are. ``commitment`` is that of the manifest.

    Where noise protects them (``protection`` says what it cost, as in the specification), nothing is hidden or rounded:
    the minimums are 0, and each figure is followed by its ``_low`` and ``_high``, between which what was counted lies
    95 times in 100. ``intervals`` say by name how wide that is to either side of what was drawn; ``at_bound`` is the
    noisy number of accounts that may count for less than they did, with its own low and high, None where none can.

    Rows that sum over columns say ``(all)`` in them and stand last; ``margins`` says of what their figures are
    multiples, and how far they can be off.
    """

    measure: str
    purpose: str
    by: tuple[str, ...]
    values: tuple[str, ...]
    since: str
    until: str
    where: dict[str, tuple[str, ...]]
    terms: dict[str, object]
    min_accounts: int
    policy_min_accounts: int
    round_to: dict[str, int]
    largest_error: dict[str, int]
    guarantee: str
    commitment: str
    rows: tuple[tuple[str | Figure, ...], ...]
    protection: dict[str, object] = {}
    intervals: dict[str, int] = {}
    at_bound: tuple[int, int, int] | None = None
    margins: tuple[MarginLevel, ...] = ()

    def __repr__(self) -> str:
        return f"<Figures, {self.measure} by {', '.join(self.by) or 'nothing'}, {len(self.rows)} rows>"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: the dimensions, then the figures."""
        return self.by + self.values

    def cells(self) -> Iterator[tuple[tuple[str, ...], tuple[Figure, ...]]]:
        """Each row as its key, one text for each dimension, and its figures."""
        width = len(self.by)
        for row in self.rows:
            yield tuple(str(part) for part in row[:width]), tuple(_figure(part) for part in row[width:])

    @property
    def parts(self) -> tuple[tuple[str | Figure, ...], ...]:
        """The rows that sum over nothing."""
        return self.rows[: len(self.rows) - sum(level.rows for level in self.margins)]

    def table(self) -> pyarrow.Table:
        """The table in Arrow's memory: texts for dimensions, nullable 64-bit numbers for figures.

        Raises :class:`UnsupportedEnvironment` without the extra ``arrow``.
        """
        require_arrow()
        columns = tuple(zip(*self.rows, strict=True)) if self.rows else ((),) * len(self.columns)
        return table(self.columns, len(self.by), columns)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The same as an Arrow C stream, for whoever takes data frames."""
        return self.table().__arrow_c_stream__(requested_schema)


def _figure(part: str | Figure) -> Figure:
    return None if isinstance(part, str) else part


# ---- the published files ------------------------------------------------------------------------


class _Asked(msgspec.Struct):
    """What every ``spec`` of a manifest has."""

    measure: str
    purpose: str
    since: str = msgspec.field(name="from")
    until: str
    where: dict[str, tuple[str, ...]]
    protection: dict[str, object]


class _Threshold(msgspec.Struct, tag_field="kind", tag="threshold"):
    min_accounts: int
    policy_min_accounts: int
    round_to: int


class _Noise(msgspec.Struct, tag_field="kind", tag="dp"):
    """It hides nothing and rounds nothing."""

    distribution: str
    min_accounts: ClassVar[int] = 0
    policy_min_accounts: ClassVar[int] = 0
    round_to: ClassVar[int] = 1


class _Amount(msgspec.Struct):
    name: str
    step: int
    largest_error: int


class _Noised(msgspec.Struct):
    name: str
    interval: int


class _Parameters(msgspec.Struct):
    largest_error: int | None = None
    amounts: tuple[_Amount, ...] = ()
    figures: tuple[_Noised, ...] = ()
    margins: tuple[MarginLevel, ...] = ()


class _Bounding(msgspec.Struct):
    accounts: int
    low: int
    high: int


class _Manifest(msgspec.Struct):
    format: int
    spec: dict[str, object]
    protection: _Threshold | _Noise
    parameters: _Parameters
    guarantee: str
    commitment: str
    files: dict[str, str]
    bounding: _Bounding | None = None


class _Data(msgspec.Struct, forbid_unknown_fields=True):
    """``data.json``: a cell is its key and, beside it, a figure for every other column."""

    format: int
    columns: tuple[str, ...]
    cells: list[dict[str, dict[str, str] | int | float | None]]


def figures_of(files: Mapping[str, bytes]) -> Figures:
    """The figures of the release whose files, by name, are ``files``.

    Raises :class:`UnreadableInput` where one of those that the manifest names is missing or has other bytes than it
    says, and for what is no release of format 1. It proves that the files belong together, not who made them.
    """
    try:
        manifest = msgspec.json.decode(files[MANIFEST], type=_Manifest)
        asked = msgspec.convert(manifest.spec, _Asked)
        data = msgspec.json.decode(files[DATA_JSON], type=_Data)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        raise UnreadableInput(f"this is no release that can be read; {_UNREADABLE}") from None
    if (manifest.format, data.format) != (FORMAT, FORMAT):
        raise UnreadableInput("the release is of another format than 1; read it with a newer version")
    for name, digest in manifest.files.items():
        if name not in files or canonical.digest(files[name]).hex() != digest:
            raise UnreadableInput(f"a file of the release is not the one that its manifest names; {_UNREADABLE}")
    if DATA_JSON not in manifest.files:
        raise UnreadableInput(f"the manifest of the release does not name its data; {_UNREADABLE}")
    by, values, rows = _table(data)
    bounding = manifest.bounding
    amounts = list(manifest.parameters.amounts)
    if manifest.parameters.largest_error is not None:
        amounts.insert(0, _Amount(ACCOUNTS, manifest.protection.round_to, manifest.parameters.largest_error))
    return Figures(
        measure=asked.measure,
        purpose=asked.purpose,
        by=by,
        values=values,
        since=asked.since,
        until=asked.until,
        where=asked.where,
        terms={name: term for name, term in manifest.spec.items() if name not in COMMON},
        min_accounts=manifest.protection.min_accounts,
        policy_min_accounts=manifest.protection.policy_min_accounts,
        round_to={amount.name: amount.step for amount in amounts},
        largest_error={amount.name: amount.largest_error for amount in amounts},
        guarantee=manifest.guarantee,
        commitment=manifest.commitment,
        rows=rows,
        protection=asked.protection,
        intervals={figure.name: figure.interval for figure in manifest.parameters.figures},
        at_bound=None if bounding is None else (bounding.accounts, bounding.low, bounding.high),
        margins=manifest.parameters.margins,
    )


def _table(data: _Data) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str | Figure, ...], ...]]:
    """Dimensions, names of figures, rows."""
    first = data.cells[0].get("key") if data.cells else {}
    by = tuple(name for name in data.columns if isinstance(first, dict) and name in first)
    values = data.columns[len(by) :]
    rows = []
    for cell in data.cells:
        key = cell.get("key")
        if not isinstance(key, dict) or set(key) != set(by) or set(cell) != {"key", *values}:
            raise UnreadableInput(f"the data of the release is not a table; {_UNREADABLE}")
        figures = tuple(None if isinstance(part := cell[name], dict) else part for name in values)
        rows.append((*(key[name] for name in by), *figures))
    return by, values, tuple(rows)


def read_figures(folder: str | os.PathLike[str]) -> Figures:
    """The figures of the release in ``folder``, once its files are found to be those that its manifest names.

    Needs no store and no key. Raises :class:`UnreadableInput`.
    """
    try:
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.is_file()}
    except OSError as error:
        raise UnreadableInput(f"the folder of the release cannot be read: {error.strerror}") from None
    return figures_of(files)
