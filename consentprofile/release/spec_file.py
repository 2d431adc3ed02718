"""Read a specification of a release, every fault at its place."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from consentprofile.errors import Fault, InvalidSpec
from consentprofile.model.calendar import Calendar
from consentprofile.model.policy import AmountField, EnumField, IntegerField, Policy, Purpose
from consentprofile.model.toml_reader import Reader, did_you_mean, quoted
from consentprofile.release.filters import read_where
from consentprofile.release.margins import read_margins
from consentprofile.release.measures.measure import ACCOUNTS, KIND, Measure, Words
from consentprofile.release.measures.named import MEASURES, TERMS
from consentprofile.release.period import UNITS, Zoned, is_told, read_period
from consentprofile.release.protection import (
    MAXIMUM_CELLS,
    DifferentialPrivacy,
    Protection,
    check_keys,
    interval_columns,
    read_protection,
)
from consentprofile.release.spec import CELLS_PER_ACCOUNT, FORMAT, Dimension, ReleaseSpec

_BOUNDED: Final = "cells_per_account"


def read_spec(text: str, name: str, policy: Policy) -> ReleaseSpec:
    """The release that ``text`` asks for under ``policy``; ``name`` is what messages call the file.

    Raises :class:`InvalidSpec` with every fault, each at its place. Whether the period is over, and whether the ledger
    allows it, is for :func:`~consentprofile.release.spec.check_period`.
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
    purpose = _purpose(top, policy)
    zoned = read_period(top)
    words = None if purpose is None else _words(top, policy, purpose, zoned)
    if words is None:
        read_where(top, None)
    measure = _measure(top, words)
    protection = read_protection(top, None if purpose is None else purpose.release)
    dimensions = _dimensions(top, words, measure, protection)
    over = read_margins(top, measure, {one.name: one.values for one in dimensions}, protection)
    cells = _cells_per_account(top, measure)
    top.done()
    if purpose is None or purpose.release is None or words is None or zoned is None:
        return None
    if measure is None or protection is None:
        return None
    units = [unit for unit in UNITS if unit == measure.unit or any(unit == one.unit for one in dimensions)]
    steps = {unit: zoned.steps(unit) for unit in units}
    instants = sorted({*zoned.ends, *(start for cut in steps.values() for start in zoned.inside(cut))})
    _check_times(top, policy, purpose, measure, zoned, instants)
    read = {*(dimension.name for dimension in dimensions), *words.where, *measure.fields}
    return ReleaseSpec(
        name=label or "",
        purpose=purpose.name,
        measure=measure,
        dimensions=dimensions,
        where=tuple((key, words.where[key]) for key in sorted(words.where) if not words.names_all(key)),
        words={key: values for key, values in words.enums.items() if key in read},
        period=zoned.period,
        cuts={unit: cut.offsets for unit, cut in steps.items()},
        instants=tuple(instants),
        cells_per_account=cells,
        protection=protection,
        rules=purpose.release,
        over=over,
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


def _words(top: Reader, policy: Policy, purpose: Purpose, zoned: Zoned | None) -> Words:
    """What the purpose can be asked about: the kinds, enum fields and numbers that it collects.

    Sensitive values that the purpose does not name are left out: for this purpose such events never happened.
    """
    named = {(entry.field, entry.value) for entry in purpose.sensitive}
    kinds = [kind for kind in policy.kind_list if purpose.collected(kind.name) is not None]
    kept = {name for kind in kinds for name in purpose.collected(kind.name) or () if name in kind.fields}
    enums = {
        field.name: tuple(
            value for value in field.values if value not in field.sensitive or (field.name, value) in named
        )
        for field in policy.field_list
        if isinstance(field, EnumField) and field.name in kept
    }
    vocabularies = {KIND: tuple(kind.name for kind in kinds)} | {
        name: values for name, values in enums.items() if values and name != KIND
    }
    numbers = {
        field.name: field
        for field in policy.field_list
        if isinstance(field, AmountField | IntegerField) and field.name in kept
    }
    return Words(vocabularies, numbers, read_where(top, vocabularies), zoned)


def _measure(top: Reader, words: Words | None) -> Measure | None:
    name = top.choice("measure", tuple(MEASURES))
    if name is None:
        top.know(*TERMS)  # which of them belong here is not known
        return None
    return MEASURES[name](top, words)


def _dimensions(
    top: Reader, words: Words | None, measure: Measure | None, protection: Protection | None
) -> tuple[Dimension, ...]:
    names = top.texts("by", "a list of dimensions", optional=True, empty=True) or ()
    if measure is not None and len(names) > measure.dimensions:
        most = f"at most {measure.dimensions} dimensions" if measure.dimensions else "no dimensions"
        top.fault("by", f"expected {most} with the measure {measure.name}, found {len(names)}")
    if words is None or measure is None:
        return ()
    figures = measure.figures
    if isinstance(protection, DifferentialPrivacy):
        figures += interval_columns(figures)
    dimensions = []
    for name in sorted(names):
        if name in (*measure.columns, *figures):
            top.fault("by", f"{quoted(name)} is a column of its own in this measure and cannot be a dimension")
        elif name in words.enums:
            dimensions.append(Dimension(name, words.listed(name)))
        elif name not in UNITS:
            near = did_you_mean(name, (*words.enums, *UNITS))
            top.fault("by", f"{quoted(name)} is neither 'kind' nor an enum field that this purpose collects{near}")
        elif words.zoned is not None:
            steps = words.zoned.steps(name)
            dimensions.append(Dimension(name, steps.names, steps.starts))
    cells = math.prod(len(dimension.values) for dimension in dimensions) * len(measure.keys)
    if protection is not None:
        place = "by" if dimensions else "measure"
        check_keys(top, place, protection, cells, plain=measure.figures == (ACCOUNTS,))
    return tuple(dimensions)


def _cells_per_account(top: Reader, measure: Measure | None) -> int:
    """The most cells that an account counts in, where the measure leaves that to the specification."""
    if measure is None:
        top.know(_BOUNDED)
    elif measure.bound is None:
        expected = "the most cells that one account counts in"
        return top.integer(_BOUNDED, expected, minimum=1, maximum=MAXIMUM_CELLS, optional=True) or CELLS_PER_ACCOUNT
    return CELLS_PER_ACCOUNT


def _check_times(
    top: Reader, policy: Policy, purpose: Purpose, measure: Measure, zoned: Zoned, instants: Iterable[int]
) -> None:
    """Note what the purpose's precision cannot tell: it is refused, not guessed.

    Stored times are floored: a period that begins inside a step of theirs would take events from before it, or miss
    events in it.
    """
    calendar = Calendar(policy.time_zone)
    kept = f"this purpose keeps times to the {purpose.precision} in {policy.time_zone}"
    faults = [
        key
        for key, at in zip(("from", "until"), zoned.ends, strict=True)
        if not is_told(calendar, purpose.precision, (at,))
    ]
    for key in faults:
        top.fault(key, f"{kept}; expected a day that begins with such a step")
    if not faults and not is_told(calendar, purpose.precision, instants):
        top.fault("by", f"{kept}, which does not tell where each day, week or month of the zone begins")
    if measure.exact and purpose.precision != "second":
        top.fault("measure", f"{kept}, which does not tell the order of events that {measure.name} goes by")
