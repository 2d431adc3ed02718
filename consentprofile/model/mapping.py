"""Mapping files: how the columns of a foreign file become events (design, section 10; reference in ``docs/import.md``).

A mapping is read from TOML and validated as a whole against the policy, every fault at its place in the file.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from consentprofile.errors import Fault, InvalidMapping
from consentprofile.model import cells
from consentprofile.model.cells import CellReader, RowRefused
from consentprofile.model.event import Value
from consentprofile.model.policy import AmountField, BooleanField, EnumField, Field, IntegerField, Policy
from consentprofile.model.row_mapping import FieldSource, RowMapping, content_bytes
from consentprofile.model.toml_reader import Reader, did_you_mean

__all__ = ["CONTENT_IDS", "FORMAT", "FieldSource", "RowMapping", "RowRefused", "content_bytes", "read_mapping"]

FORMAT: Final = 1
"""The version of the mapping file that this module reads."""

CONTENT_IDS: Final = "content+occurrence"
"""What ``id`` says, or leaves unsaid, where ids are derived."""

_COLUMN: Final = "the name of a column"


def read_mapping(text: str, name: str, policy: Policy) -> RowMapping:
    """The mapping that ``text`` declares, for stores under ``policy``; ``name`` is what messages call the file.

    Raises :class:`InvalidMapping` with every fault, each with its place (``shop.toml: fields.platform.column``).
    """
    faults: list[Fault] = []
    top = Reader.of_text(text, name, faults)
    mapping = None if top is None else _mapping(top, name, policy)
    if mapping is None or faults:
        raise InvalidMapping(faults)
    return mapping


def _mapping(top: Reader, name: str, policy: Policy) -> RowMapping:
    top.integer("format", "the format of this file", minimum=FORMAT, maximum=FORMAT)
    account = top.text("account", _COLUMN) or ""
    kind, kind_column, kinds = _kinds(top, policy)
    at, read_at = _at(top)
    identifier = _id(top)
    ignore = top.texts("ignore", "a list of column names", optional=True, empty=True) or ()
    mapping = RowMapping(
        name=name,
        account=account,
        kind=kind,
        kind_column=kind_column,
        kinds=kinds,
        at=at,
        read_at=read_at,
        id=identifier,
        ignore=ignore,
        fields=_fields(top, policy, [kind] if kind is not None else tuple(policy.kinds)),
        carried={declared.name: frozenset(declared.fields) for declared in policy.kind_list},
    )
    for column, place in mapping.sources.items():
        if column in ignore:
            top.fault("ignore", f"column {column!r} is mapped already, under {place}")
    top.done()
    return mapping


def _kinds(top: Reader, policy: Policy) -> tuple[str | None, str | None, Mapping[str, str]]:
    """The constant kind, the kind column, and the policy kinds by what that column says."""
    expected = _COLUMN + ', or { value = "login" }'
    if isinstance(top.raw("kind", expected), dict):
        table = top.table("kind")
        constant = None if table is None else table.choice("value", policy.kinds)
        if table is not None:
            table.done()
        if top.has("kinds"):
            top.raw("kinds", "")
            top.fault("kinds", "renames what a kind column says, but the kind is constant")
        return constant, None, {}
    column = top.text("kind", expected) if top.has("kind") else None
    kinds = {kind: kind for kind in policy.kinds}
    renames = top.table("kinds", "a table of policy kinds, by what the column says", optional=True)
    if renames is not None:
        for said in list(renames.keys()):
            kind = renames.choice(said, policy.kinds)
            if kind is not None:
                kinds[said] = kind
    return None, column or "", kinds


def _at(top: Reader) -> tuple[str, CellReader[datetime]]:
    table = top.table("at", 'a table, such as { column = "time", format = "iso8601" }')
    if table is None:
        return "", cells.nothing
    column = table.text("column", _COLUMN)
    pattern = table.text("format", "a strptime pattern, or one of " + ", ".join(cells.WORDED_FORMATS))
    zone = _zone(table)
    table.done()
    if pattern is None:
        return column or "", cells.nothing
    if pattern not in cells.WORDED_FORMATS:
        fault = cells.pattern_fault(pattern)
        if fault is not None:
            table.fault("format", fault)
            return column or "", cells.nothing
    told = pattern.startswith("unix-") or (pattern != "iso8601" and cells.has_offset(pattern))
    if told and table.has("zone"):
        table.fault("zone", "is not for times that carry their own offset from UTC")
    elif not told and not table.has("zone") and pattern != "iso8601":
        table.fault("zone", "is missing; expected the time zone whose clock showed these times, such as 'UTC'")
    return column or "", cells.moment(pattern, zone)


def _zone(table: Reader) -> zoneinfo.ZoneInfo | None:
    zone = table.time_zone("zone", optional=True)
    return None if zone is None else zoneinfo.ZoneInfo(zone)


def _id(top: Reader) -> str | None:
    expected = f'"{CONTENT_IDS}", or {{ column = "..." }}'
    said = top.raw("id", expected, optional=True)
    if said is None or said == CONTENT_IDS:
        return None
    if not isinstance(said, dict):
        top.fault("id", f"expected {expected}")
        return None
    table = top.table("id")
    column = None if table is None else table.text("column", _COLUMN)
    if table is not None:
        table.done()
    return column


def _fields(top: Reader, policy: Policy, kinds: Sequence[str]) -> tuple[FieldSource, ...]:
    table = top.table("fields", "a table of where each field comes from", optional=True)
    if table is None:
        return ()
    carried = {name for kind in kinds for name in policy.kinds[kind].fields}
    found = []
    for name in list(table.keys()):
        source = table.table(name, 'a table, such as { column = "..." } or { value = "..." }')
        declared = policy.fields.get(name)
        if declared is None:
            table.fault(name, f"is not a field of the policy{did_you_mean(name, policy.fields)}")
        elif name not in carried:
            table.fault(name, "is not carried by any kind that this mapping makes")
        elif source is not None:
            found.append(_field(source, declared))
    return tuple(sorted(found, key=lambda source: source.name))


def _field(source: Reader, declared: Field) -> FieldSource:
    constant: Value | None = None
    column = None
    if source.has("column") == source.has("value"):
        source.know("column", "value", "values", "scale")
        source.fault("column", "expected exactly one of column and value")
    elif source.has("value"):
        constant = _said(source, "value", declared)
    else:
        column = source.text("column", _COLUMN)
    read, expected = _cells(source, declared) if column is not None else (cells.nothing, "")
    source.done()
    return FieldSource(name=declared.name, column=column, constant=constant, read=read, expected=expected)


def _said(source: Reader, key: str, declared: Field) -> Value | None:
    """A value of the field that the mapping itself says."""
    if isinstance(declared, EnumField):
        return source.choice(key, declared.values)
    if isinstance(declared, IntegerField):
        return source.integer(key, "a whole number", minimum=declared.minimum, maximum=declared.maximum)
    if isinstance(declared, AmountField):
        return source.integer(key, "an amount in minor units", minimum=0, maximum=declared.maximum)
    if isinstance(declared, BooleanField):
        return source.boolean(key, "yes or no")
    said = source.text(key, "an opaque id")
    if said is not None and cells.opaque_id(said) is None:
        source.fault(key, "expected an opaque id of 1 to 256 bytes")
    return said


def _cells(source: Reader, declared: Field) -> tuple[CellReader[Value], str]:
    """How the cells of the field's column are read, and what is expected of them."""
    if isinstance(declared, AmountField):
        scale = source.integer("scale", "minor units in a unit of the column", minimum=1, maximum=10000, optional=True)
        if scale is not None and scale not in cells.SCALES:
            source.fault("scale", "expected one of " + ", ".join(map(str, cells.SCALES)))
            return cells.nothing, ""
        unit = "minor units" if scale is None else f"units of {scale} minor units"
        return cells.amount(declared.maximum, scale or 1), f"an amount from 0 to the field's maximum, in {unit}"
    if not isinstance(declared, EnumField | IntegerField | BooleanField):
        return cells.opaque_id, "an opaque id of 1 to 256 bytes, without control characters"
    renames: dict[str, Value] = {}
    table = source.table("values", "a table of the field's values, by what the column says", optional=True)
    for said in table.keys() if table is not None else ():
        value = None if table is None else _said(table, said, declared)
        if value is not None:
            renames[said] = value
    if isinstance(declared, EnumField):
        values: dict[str, Value] = {**{value: value for value in declared.values}, **renames}
        return values.get, f"a value of the field {declared.name!r}, or one that the mapping renames"
    if isinstance(declared, BooleanField):
        return {**cells.TRUTHS, **renames}.get, "true or false, or what the mapping renames"
    number = cells.whole_number(declared.minimum, declared.maximum)
    bounds = f"a whole number from {declared.minimum} to {declared.maximum}"
    if not renames:
        return number, bounds
    return lambda cell: renames[cell] if cell in renames else number(cell), bounds + ", or what the mapping renames"
