"""A mapping as a value, and rows as events: :meth:`RowMapping.compile` makes one function out of the two.

That function refuses a row by itself wherever recording would refuse the event for its account, kind or fields, so that
one bad row never voids a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from consentprofile import canonical
from consentprofile.errors import Fault, InvalidAccount, InvalidMapping
from consentprofile.model import cells
from consentprofile.model.cells import CellReader, Row, RowRefused
from consentprofile.model.event import Event, Value
from consentprofile.model.ids import normalize_account
from consentprofile.model.occurrences import Occurrences

_CONTENT_VERSION: Final = 1

_Pairs: TypeAlias = list[tuple[str, Value]]


def content_bytes(event: Event, occurrence: int = 0) -> bytes:
    """The canonical bytes of what an event says, without its id: what a derived id is derived from.

    A MessagePack array: version 1, occurrence (0 for the first), normalized account id (bytes), kind, time (timestamp
    extension, in UTC), and an array of [name, value] sorted by name. Raises :class:`InvalidAccount`.
    """
    return _content(occurrence, normalize_account(event.account), event.kind, event.at, sorted(event.fields.items()))


def _content(occurrence: int, account: bytes, kind: str, at: datetime, pairs: _Pairs) -> bytes:
    return canonical.pack((_CONTENT_VERSION, occurrence, account, kind, at, pairs))


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where a field comes from: a column whose cells ``read`` turns into values, or a constant of every row."""

    name: str
    column: str | None
    constant: Value | None
    read: CellReader[Value]
    expected: str


class _Step:
    """One field of one kind, ready for a row: a constant pair, or a position, a reader and the words of a refusal."""

    __slots__ = ("name", "pair", "position", "read", "refusal")

    def __init__(self, source: FieldSource, positions: Mapping[str, int], carried: bool) -> None:
        self.name = source.name
        self.pair = None if source.constant is None else (source.name, source.constant)
        self.position = -1 if source.column is None else positions[source.column]
        self.read = source.read if carried else cells.nothing
        expected = source.expected if carried else f"nothing: this row's kind does not carry the field {source.name!r}"
        self.refusal = f"column {source.column!r}: expected {expected}"


@dataclass(frozen=True)
class RowMapping:
    """A mapping that is sound under one policy. ``name`` is what messages call its file."""

    name: str
    account: str
    kind: str | None
    kind_column: str | None
    kinds: Mapping[str, str]
    """Policy kind by what the kind column says."""
    at: str
    read_at: CellReader[datetime] = field(repr=False)
    id: str | None
    """The column of ids, or None where ids are derived from content and occurrence."""
    ignore: tuple[str, ...]
    fields: tuple[FieldSource, ...]
    """Sorted by name."""
    carried: Mapping[str, frozenset[str]]
    """The fields that each policy kind may carry."""

    @property
    def sources(self) -> dict[str, str]:
        """Each column that is mapped, with its first place in the mapping."""
        found = {self.account: "account"}
        if self.kind_column is not None:
            found.setdefault(self.kind_column, "kind")
        found.setdefault(self.at, "at")
        if self.id is not None:
            found.setdefault(self.id, "id")
        for source in self.fields:
            if source.column is not None:
                found.setdefault(source.column, f"fields.{source.name}")
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the mapping knows: those mapped, then those ignored. Other ones are an error."""
        return (*self.sources, *self.ignore)

    def check_columns(self, columns: Iterable[str]) -> None:
        """Raise :class:`InvalidMapping` unless every mapped column is there once and every other one is ignored."""
        there = list(columns)
        faults = [
            Fault(f"{self.name}: {place}", f"the file has no column {column!r}")
            for column, place in self.sources.items()
            if column not in there
        ] + [
            Fault(f"{self.name}: {place}", f"the file has more than one column {column!r}")
            for column, place in self.sources.items()
            if there.count(column) > 1
        ]
        if self.account not in there:
            # Without its header the first line is somebody's row: what it says is not repeated.
            faults.append(Fault(f"{self.name}: account", "the first line of the file may not be its header"))
        else:
            known = self.columns
            faults.extend(
                Fault(f"{self.name}: ignore", f"column {column!r} is neither mapped nor ignored")
                for column in there
                if column not in known
            )
        if faults:
            raise InvalidMapping(faults)

    def compile(self, columns: Sequence[str], derive: Callable[[bytes], str]) -> Callable[[Row], Event]:
        """A function from rows to events, for one pass over one file with these columns.

        ``derive`` turns :func:`content_bytes` into an id; it is deterministic, keyed with a secret of the store. Equal
        rows are numbered as they come, so one pass needs one function, from its first row to its last; what it
        remembers is told in :mod:`consentprofile.model.occurrences`. A row has one cell for each of ``columns``.

        Raises :class:`InvalidMapping` as :meth:`check_columns` does. The function raises :class:`RowRefused`.
        """
        self.check_columns(columns)
        positions = {column: position for position, column in enumerate(columns)}
        plans = {said: self._plan(kind, positions) for said, kind in self.kinds.items()}
        fixed = None if self.kind is None else self._plan(self.kind, positions)
        kind_position = -1 if self.kind_column is None else positions[self.kind_column]
        kind_refusal = f"column {self.kind_column!r}: expected a kind that the policy declares or the mapping renames"
        account_position, account_refusal = positions[self.account], f"column {self.account!r}: "
        at_position, read_at = positions[self.at], self.read_at
        at_refusal = f"column {self.at!r}: expected a time in the mapping's format, with an offset or in its zone"
        id_position = -1 if self.id is None else positions[self.id]
        id_refusal = f"column {self.id!r}: expected an id of 1 to 256 bytes, without control characters"
        occurrences = Occurrences()

        def convert(row: Row) -> Event:
            plan = fixed or plans.get(row[kind_position])
            if plan is None:
                raise RowRefused(kind_refusal)
            account = row[account_position]
            try:
                normalized = normalize_account(account)
            except InvalidAccount as error:
                raise RowRefused(account_refusal + str(error)) from None
            at = read_at(row[at_position])
            if at is None:
                raise RowRefused(at_refusal)
            kind, steps = plan
            pairs: _Pairs = []
            for step in steps:
                if step.pair is not None:
                    pairs.append(step.pair)
                elif cell := row[step.position]:
                    value = step.read(cell)
                    if value is None:
                        raise RowRefused(step.refusal)
                    pairs.append((step.name, value))
            identifier: str | None
            if id_position >= 0:
                identifier = cells.opaque_id(row[id_position])
                if identifier is None:
                    raise RowRefused(id_refusal)
            else:
                identifier = derive(_content(0, normalized, kind, at, pairs))
                if occurrence := occurrences.next(identifier):
                    identifier = derive(_content(occurrence, normalized, kind, at, pairs))
            return Event(account=account, kind=kind, at=at, id=identifier, fields=dict(pairs))

        return convert

    def _plan(self, kind: str, positions: Mapping[str, int]) -> tuple[str, tuple[_Step, ...]]:
        carried = self.carried[kind]
        return kind, tuple(
            _Step(source, positions, source.name in carried)
            for source in self.fields
            if source.constant is None or source.name in carried
        )
