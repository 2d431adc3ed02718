"""Filters: the values of kinds and enum fields that are let through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from consentprofile.model.toml_reader import Reader, did_you_mean

Where: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Filters by name, their values sorted; one that would name every value is not among them."""


def read_where(top: Reader, vocabularies: Mapping[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]]:
    """The filters under ``where``, values sorted. Without ``vocabularies`` only their shape is judged."""
    table = top.table("where", "filters, such as { kind = ['purchase'] }", optional=True)
    where: dict[str, tuple[str, ...]] = {}
    for key in table or ():
        values = table.texts(key, "a list of values") if table is not None else None
        if table is None or vocabularies is None:
            continue
        if key not in vocabularies:
            near = did_you_mean(key, tuple(vocabularies))
            table.fault(key, f"is neither 'kind' nor an enum field that this purpose collects{near}")
            continue
        table.each_declared(key, values or (), vocabularies[key], "value that this purpose keeps")
        where[key] = tuple(sorted(values or ()))
    return where
