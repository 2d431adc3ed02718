"""The specification of a release: what is asked, over which period, how it is protected.

Two specifications that ask the same have the same canonical bytes: the order of dimensions and of filter values, the
name of the release, a filter that names every value, and two time zones in which the period begins and ends at the
same instants make no difference. "Once for each (canonical specification, period)" would else be evaded by spelling.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Final, Literal, TypeAlias

import msgspec

from consentprofile import canonical
from consentprofile.errors import Fault, InvalidSpec, ReleaseRefused
from consentprofile.model.calendar import Calendar
from consentprofile.model.policy import EnumField, Policy, Purpose, ReleaseRules
from consentprofile.model.toml_reader import Reader, did_you_mean, quoted

FORMAT: Final = 1
"""The format of release specifications that this version reads."""

KIND: Final = "kind"
"""The dimension that every purpose has: the kind of the event."""

VALUE_COLUMN: Final = "accounts"
"""The column of the figures; no dimension may be called so."""

MEASURES: Final = ("reach",)
PROTECTIONS: Final = ("threshold",)
MAXIMUM_DIMENSIONS: Final = 2
MAXIMUM_CELLS: Final = 1024
"""The most cells of one release."""
MAXIMUM_CELLS_PER_ACCOUNT: Final = 16
"""The most cells that one account counts in, however many it did something in."""

Key: TypeAlias = tuple[str, ...]
"""What a cell is about: one value for each dimension, in the order of the columns. ``()`` is the total."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2999
_LARGEST: Final = 1_000_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DAY: Final = 86400


class Period(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """From ``since`` until ``until``, exclusive, in seconds since 1970-01-01T00:00:00Z."""

    since: int
    until: int


class Dimension(msgspec.Struct, frozen=True):
    """What a release is broken down by: ``kind`` or an enum field, and the values that it lists, in policy order."""

    name: str
    values: tuple[str, ...]


class ReleaseSpec(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A specification that the policy allows. Made by :func:`read_spec` only, so it is always consistent.

    ``dimensions`` are sorted by name, which is the order of the columns, whatever the file says. ``where`` is sorted by
    name, its values too; a filter that would name every value is not in it. ``rules`` are the policy's,
    ``min_accounts`` is the specification's own and at least theirs.
    """

    name: str
    purpose: str
    measure: Literal["reach"]
    dimensions: tuple[Dimension, ...]
    where: tuple[tuple[str, tuple[str, ...]], ...]
    period: Period
    min_accounts: int
    rules: ReleaseRules

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the dimensions."""
        return tuple(dimension.name for dimension in self.dimensions)

    @functools.cached_property
    def keys(self) -> tuple[Key, ...]:
        """Every declared key, in the order of the rows. It depends on the policy and this specification alone."""
        return tuple(itertools.product(*(dimension.values for dimension in self.dimensions)))

    @property
    def bound(self) -> int:
        """The most cells that one account counts in."""
        return min(len(self.keys), MAXIMUM_CELLS_PER_ACCOUNT)

    @property
    def question(self) -> dict[str, object]:
        """What is asked, without period and protection."""
        return {
            "format": FORMAT,
            "purpose": self.purpose,
            "measure": self.measure,
            "by": list(self.columns),
            "where": {name: list(values) for name, values in self.where},
        }

    @property
    def terms(self) -> dict[str, object]:
        """Everything that makes this specification the one it is: the question, its period, its protection."""
        return {
            **self.question,
            "from": _instant(self.period.since),
            "until": _instant(self.period.until),
            "protection": {"kind": "threshold", "min_accounts": self.min_accounts},
        }

    @functools.cached_property
    def canonical(self) -> bytes:
        """Canonical JSON of :attr:`terms`: equal for specifications that mean the same."""
        return canonical.json_bytes(self.terms)

    @functools.cached_property
    def digest(self) -> bytes:
        """SHA-256 of :attr:`canonical`."""
        return canonical.digest(self.canonical)

    @functools.cached_property
    def series(self) -> bytes:
        """SHA-256 of the canonical JSON of :attr:`question`: releases that differ in their period (or protection)."""
        return canonical.digest(canonical.json_bytes(self.question))


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- reading ------------------------------------------------------------------------------------


def read_spec(text: str, name: str, policy: Policy) -> ReleaseSpec:
    """The release that ``text`` asks for under ``policy``; ``name`` is what messages call the file.

    Raises :class:`InvalidSpec` with every fault, each at its place. Whether the period is over, and whether the ledger
    allows it, is for :func:`check_period`.
    """
    faults: list[Fault] = []
    top = Reader.of_text(text, name, faults)
    spec = None if top is None else _spec(top, policy)
    if spec is None or faults:
        raise InvalidSpec(faults)
    return spec


def _spec(top: Reader, policy: Policy) -> ReleaseSpec | None:
    top.integer("format", "the format of this file", minimum=FORMAT, maximum=FORMAT)
    label = top.text("name", "a name for people, at most 200 characters", maximum=200)
    top.choice("measure", MEASURES)
    purpose = _purpose(top, policy)
    vocabulary = None if purpose is None else _vocabulary(policy, purpose)
    where = _where(top, vocabulary)
    dimensions = _dimensions(top, vocabulary, where)
    period = _period(top, policy, purpose)
    rules = None if purpose is None else purpose.release
    min_accounts = _protection(top, rules)
    top.done()
    if rules is None or purpose is None or vocabulary is None or period is None:
        return None
    return ReleaseSpec(
        name=label or "",
        purpose=purpose.name,
        measure="reach",
        dimensions=dimensions,
        where=tuple((key, where[key]) for key in sorted(where) if set(where[key]) != set(vocabulary.get(key, ()))),
        period=period,
        min_accounts=min_accounts or 0,
        rules=rules,
    )


def _purpose(top: Reader, policy: Policy) -> Purpose | None:
    """The purpose, or None with a fault where it is not declared or lets nothing out."""
    name = top.text("purpose", "a declared purpose")
    if name is None:
        return None
    top.each_declared("purpose", [name], policy.purposes, "purpose")
    purpose = policy.purposes.get(name)
    if purpose is not None and purpose.release is None:
        top.fault("purpose", f"{quoted(name)} has no release rules in the policy, so nothing leaves it in aggregate")
        return None
    return purpose


def _vocabulary(policy: Policy, purpose: Purpose) -> dict[str, tuple[str, ...]]:
    """What the purpose can be broken down by: the kinds and enum fields that it collects, with their values.

    Sensitive values that the purpose does not name are left out: for this purpose such events never happened.
    """
    named = {(entry.field, entry.value) for entry in purpose.sensitive}
    kinds = [kind for kind in policy.kind_list if purpose.collected(kind.name) is not None]
    kept = {name for kind in kinds for name in purpose.collected(kind.name) or () if name in kind.fields}
    vocabulary = {
        field.name: tuple(
            value for value in field.values if value not in field.sensitive or (field.name, value) in named
        )
        for field in policy.field_list
        if isinstance(field, EnumField) and field.name in kept
    }
    return {KIND: tuple(kind.name for kind in kinds)} | {
        name: values for name, values in vocabulary.items() if values and name != KIND
    }


def _where(top: Reader, vocabulary: Mapping[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]]:
    """The filters, values sorted."""
    table = top.table("where", "filters, such as { kind = ['purchase'] }", optional=True)
    where: dict[str, tuple[str, ...]] = {}
    for key in table or ():
        values = table.texts(key, "a list of values") if table is not None else None
        if table is None or vocabulary is None:
            continue
        if key not in vocabulary:
            table.fault(key, _not_a_dimension(key, vocabulary))
            continue
        table.each_declared(key, values or (), vocabulary[key], "value that this purpose keeps")
        where[key] = tuple(sorted(values or ()))
    return where


def _dimensions(
    top: Reader, vocabulary: Mapping[str, tuple[str, ...]] | None, where: Mapping[str, tuple[str, ...]]
) -> tuple[Dimension, ...]:
    names = top.texts("by", "a list of at most two dimensions", optional=True, empty=True) or ()
    top.at_most("by", len(names), MAXIMUM_DIMENSIONS, "dimensions")
    dimensions = []
    for name in sorted(names):
        if name == VALUE_COLUMN:
            top.fault("by", f"{quoted(name)} is the column of the figures and cannot be a dimension")
        elif vocabulary is not None and name not in vocabulary:
            top.fault("by", f"{quoted(name)} {_not_a_dimension(name, vocabulary)}")
        elif vocabulary is not None:
            listed = where.get(name, vocabulary[name])
            dimensions.append(Dimension(name, tuple(value for value in vocabulary[name] if value in listed)))
    cells = math.prod(len(dimension.values) for dimension in dimensions)
    top.at_most("by", cells, MAXIMUM_CELLS, "cells in a release")
    return tuple(dimensions)


def _not_a_dimension(name: str, vocabulary: Iterable[str]) -> str:
    near = did_you_mean(name, tuple(vocabulary))
    return f"is neither 'kind' nor an enum field that this purpose collects{near}"


def _protection(top: Reader, rules: ReleaseRules | None) -> int | None:
    table = top.table("protection", "a table that says how accounts are protected")
    if table is None:
        return None
    table.choice("kind", PROTECTIONS)
    least = 1 if rules is None else rules.min_accounts
    expected = "the fewest accounts behind a figure, not fewer than the policy's"
    chosen = table.integer("min_accounts", expected, minimum=least, maximum=_LARGEST, optional=True)
    table.done()
    return least if chosen is None and not table.has("min_accounts") else chosen


# ---- the period ---------------------------------------------------------------------------------


def _period(top: Reader, policy: Policy, purpose: Purpose | None) -> Period | None:
    """The period, its days cut in the specification's zone."""
    first, last = _date(top, "from"), _date(top, "until")
    zone = top.time_zone("zone")
    if first is None or last is None or zone is None:
        return None
    if first >= last:
        top.fault("until", "expected a day after 'from' (it is exclusive)")
        return None
    calendar = Calendar(zone)
    period = Period(*(calendar.day_start(day.toordinal() - _EPOCH_ORDINAL) for day in (first, last)))
    if purpose is not None:
        # Stored times are floored: a period that begins inside such a step would take events from before it, or miss
        # events in it. What the stored precision cannot tell is refused, not guessed.
        floored = Calendar(policy.time_zone)
        for key, at in (("from", period.since), ("until", period.until)):
            if floored.floor(at, purpose.precision) != at:
                top.fault(
                    key,
                    f"this purpose keeps times to the {purpose.precision} in {policy.time_zone}; "
                    "expected a day that begins with such a step",
                )
    return period


def _date(top: Reader, key: str) -> date | None:
    expected = f"a day, such as 2024-01-01, from {_FIRST_YEAR} to {_LAST_YEAR}"
    value = top.raw(key, expected)
    if value is None:
        return None
    if not isinstance(value, date) or isinstance(value, datetime) or not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        top.fault(key, f"expected {expected}")
        return None
    return value


def check_period(spec: ReleaseSpec, policy: Policy, calendar: Calendar, now: int, earlier: Iterable[Period]) -> None:
    """Refuse what the clock, the retention or the ledger does not allow: :class:`ReleaseRefused`.

    ``calendar`` is that of the policy's time zone, ``now`` in seconds since 1970-01-01T00:00:00Z. ``earlier`` are the
    periods already released in this specification's series; a specification that the ledger answers is not checked.

    The cadence: measured against each earlier period, ``from`` is the same or at least ``cadence_days`` away, and so
    is ``until``. Otherwise two windows a day apart would show what happened on that day alone. (Days are counted to
    the nearest, so that a change of clocks does not matter.)
    """
    if spec.period.since >= now:
        raise ReleaseRefused("the period has not begun; a release is about a period that is over")
    if spec.period.until > now:
        raise ReleaseRefused("the period is still open; ask again once it is over")
    purpose = policy.purposes[spec.purpose]
    if calendar.month(spec.period.since) < calendar.oldest_month(now, purpose.retention_months):
        raise ReleaseRefused(
            "the period begins before the oldest month that the purpose still keeps, so its figures would be too "
            "small; ask for a later 'from'"
        )
    cadence = spec.rules.cadence_days
    for period in earlier:
        if period == spec.period:
            raise ReleaseRefused(
                "this question was answered for this period under another protection; ask for it as it was asked then"
            )
        moved = (abs(spec.period.since - period.since), abs(spec.period.until - period.until))
        if any(0 < seconds < cadence * _DAY - _DAY // 2 for seconds in moved):
            raise ReleaseRefused(
                f"an earlier release of the same question begins or ends less than {cadence} days away, the policy's "
                "cadence; keep 'from' or 'until' as it was, or move it further"
            )
