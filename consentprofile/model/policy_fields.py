"""Read the part of a policy that says what may be recorded: fields with their vocabularies, and kinds of events.

A field that is wrong stays declared (its value here is None), so that whatever refers to it is not a fault as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from consentprofile.model.policy import (
    AmountField,
    BooleanField,
    EnumField,
    Field,
    IntegerField,
    Kind,
    TokenField,
)
from consentprofile.model.toml_reader import NAME, NAME_WORDS, Reader, did_you_mean, quoted

MAXIMUM_FIELDS: Final = 256
MAXIMUM_ENUM_VALUES: Final = 4096
MAXIMUM_ENUM_VALUE: Final = 64
"""Characters of one enum value."""
MAXIMUM_KINDS: Final = 256
FIELD_TYPES: Final = ("enum", "integer", "amount", "boolean", "token")

Fields: TypeAlias = Mapping[str, Field | None]
"""The declared fields by name, in the order of the file; None where the declaration is wrong."""

_RESERVED_TYPES: Final = {"channel": "enum", "platform": "enum", "device": "token"}
_INT64: Final = (1 << 63) - 1
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_EDGE_SPACE: Final = re.compile(r"\s.*|.*\s")


def read_fields(top: Reader) -> Fields:
    """The fields of the policy whose top table is ``top``; whatever is wrong is noted there."""
    table = top.table("fields", optional=True)
    if table is None:
        return {}
    fields: dict[str, Field | None] = {}
    for name in table:
        table.named(name)
        declaration = table.table(name, "a field, such as { enum = ['web', 'app'] }")
        fields[name] = None if declaration is None else _field(table, declaration, name)
    top.at_most("fields", len(fields), MAXIMUM_FIELDS, "fields")
    return fields


def read_kinds(top: Reader, fields: Fields) -> dict[str, Kind]:
    """The kinds of the policy whose top table is ``top``, by name; whatever is wrong is noted there."""
    kinds: dict[str, Kind] = {}
    for table in top.tables("kinds", "at least one [[kinds]] table"):
        names = table.texts("names", "a list of kinds of events") or ()
        carried = table.texts("fields", "a list of declared fields, possibly empty", empty=True)
        table.each_declared("fields", carried or (), fields, "field")
        table.done()
        for name in names:
            if not NAME.fullmatch(name):
                table.fault("names", f"{quoted(name)}: expected {NAME_WORDS}")
            elif name in kinds:
                table.fault("names", f"{quoted(name)} is declared twice")
            # An unreadable list of fields carries every field here, so that no purpose is blamed for it.
            kinds.setdefault(name, Kind(name=name, fields=tuple(fields) if carried is None else carried))
    top.at_most("kinds", len(kinds), MAXIMUM_KINDS, "kinds")
    return kinds


def _field(table: Reader, declaration: Reader, name: str) -> Field | None:
    types = [type_ for type_ in FIELD_TYPES if declaration.has(type_)]
    if len(types) != 1:
        table.fault(name, "expected exactly one of " + ", ".join(FIELD_TYPES))
        declaration.know(*FIELD_TYPES, "min", "max", "sensitive", "preference")
        declaration.done()
        return None
    demanded = _RESERVED_TYPES.get(name, types[0])
    if types[0] != demanded:
        table.fault(name, f"is a reserved name; expected its type to be {demanded}")
    field = _READERS[types[0]](declaration, name)
    declaration.done()
    return field


def _enum(declaration: Reader, name: str) -> Field:
    values = declaration.texts("enum", "a list of values")
    declaration.at_most("enum", len(values or ()), MAXIMUM_ENUM_VALUES, "values")
    for value in values or ():
        if len(value) > MAXIMUM_ENUM_VALUE or _EDGE_SPACE.fullmatch(value):
            declaration.fault("enum", f"{quoted(value)}: expected 1 to 64 characters, no space at either end")
    sensitive = declaration.texts("sensitive", "a list of values of this enum", optional=True, empty=True) or ()
    for value in sensitive:
        if values is not None and value not in values:
            declaration.fault("sensitive", f"{quoted(value)} is not a value of this enum{did_you_mean(value, values)}")
    return EnumField(name=name, values=values or (), sensitive=sensitive, preference=_preference(declaration))


def _integer(declaration: Reader, name: str) -> Field:
    _true(declaration, "integer")
    minimum = declaration.integer("min", "the smallest value", minimum=-_INT64 - 1, maximum=_INT64)
    maximum = declaration.integer("max", "the largest value", minimum=-_INT64 - 1, maximum=_INT64)
    if minimum is not None and maximum is not None and minimum > maximum:
        declaration.fault("max", "expected a number not below min")
    return IntegerField(name=name, minimum=minimum or 0, maximum=maximum or 0, preference=_preference(declaration))


def _amount(declaration: Reader, name: str) -> Field:
    currency = declaration.matching("amount", _CURRENCY, "a currency code, such as 'EUR'")
    maximum = declaration.integer("max", "the largest amount in minor units", minimum=1, maximum=_INT64)
    return AmountField(name=name, currency=currency or "", maximum=maximum or 0)


def _boolean(declaration: Reader, name: str) -> Field:
    _true(declaration, "boolean")
    return BooleanField(name=name, preference=_preference(declaration))


def _token(declaration: Reader, name: str) -> Field:
    _true(declaration, "token")
    return TokenField(name=name)


_READERS: Final[Mapping[str, Callable[[Reader, str], Field]]] = {
    "enum": _enum,
    "integer": _integer,
    "amount": _amount,
    "boolean": _boolean,
    "token": _token,
}


def _true(declaration: Reader, key: str) -> None:
    if declaration.raw(key, "true") is not True:
        declaration.fault(key, "expected true")


def _preference(declaration: Reader) -> bool:
    return declaration.boolean("preference", "whether the field is what the person stated")
