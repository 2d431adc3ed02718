"""The manifest says how a release was made, and nothing that the people behind it could change."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consentprofile.release.manifest import commitment, manifest
from tests.release.shop_policy import POLICY, spec

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "release-manifest.schema.json").read_text(encoding="utf-8"))
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
}
ANNOTATIONS = {"$schema", "title", "description"}

FULL = spec(by='["platform", "kind"]', where="{ kind = ['purchase', 'login'], platform = ['tablet'] }")


ASKED = {
    "full": FULL,
    "total": spec(),
    "many cells": spec(by='["page"]'),
    "days": spec(by='["day"]', zone='"Europe/Berlin"', cells_per_account="31"),
    "margins": spec(by='["platform", "kind"]', margins="true"),
    "margins of amounts": spec(measure='"counts"', limit="10", by='["platform", "kind"]', margins='["kind"]'),
    "counts": spec(measure='"counts"', limit="10"),
    "sums": spec(measure='"sums"', field='"total"', limit="20_000", by='["platform"]'),
    "means": spec(measure='"means"', field='"rating"', limit="5"),
    "overlap": spec(measure='"overlap"', of='"platform"'),
    "frequency": spec(measure='"frequency"'),
    "funnel": spec(measure='"funnel"', steps='["login", "purchase"]'),
    "retention": spec(measure='"retention"', every='"month"'),
    "transitions": spec(measure='"transitions"', of='"kind"'),
    "time-to-next": spec(measure='"time-to-next"', first='["login"]', next='["purchase"]'),
    "segments": spec(
        measure='"segments"',
        segments="[{ name = 'often', all = [{ count = 'days', at_least = 2, where = { kind = ['login'] } }] }]",
    ),
}

HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "type": lambda value, rule: isinstance(value, TYPES[rule]) and not isinstance(value, bool),
    "const": lambda value, rule: bool(value == rule),
    "enum": lambda value, rule: value in rule,
    "pattern": lambda value, rule: re.search(rule, value) is not None,
    "minimum": lambda value, rule: bool(value >= rule),
    "maximum": lambda value, rule: bool(value <= rule),
    "minItems": lambda value, rule: len(value) >= rule,
    "minLength": lambda value, rule: len(value) >= rule,
    "minProperties": lambda value, rule: len(value) >= rule,
    "maxItems": lambda value, rule: len(value) <= rule,
    "uniqueItems": lambda value, rule: len(set(value)) == len(value),
    "required": lambda value, rule: set(rule) <= set(value),
}
"""The part of JSON Schema 2020-12 that ours uses; any other keyword counts as broken."""


def errors(value: Any, schema: dict[str, Any], place: str = "$") -> Iterator[str]:  # noqa: ANN401
    """Where ``value`` breaks ``schema``."""
    parts: dict[str, dict[str, Any]] = {}
    if isinstance(value, dict):
        parts = {name: schema.get("properties", {}).get(name, schema.get("additionalProperties")) for name in value}
    for name, rule in parts.items():
        if isinstance(rule, dict):
            yield from errors(value[name], rule, f"{place}.{name}")
        elif rule is False:
            yield f"{place}: additionalProperties"
    for item in value if isinstance(value, list) else ():
        yield from errors(item, schema["items"], f"{place}[]")
    if "oneOf" in schema and sum(not list(errors(value, one, place)) for one in schema["oneOf"]) != 1:
        yield f"{place}: oneOf"
    for keyword in schema.keys() - ANNOTATIONS - {"properties", "items", "additionalProperties", "oneOf"}:
        if keyword not in HOLDS or not HOLDS[keyword](value, schema[keyword]):
            yield f"{place}: {keyword}"


def written(asked: Any = FULL) -> dict[str, Any]:  # noqa: ANN401
    value: dict[str, Any] = json.loads(manifest(asked, POLICY, salt=b"s" * 32, root=b"r" * 32).json({"data.csv": b"x"}))
    return value


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_manifest_keeps_its_schema(asked: Any) -> None:  # noqa: ANN401
    assert list(errors(written(asked), SCHEMA)) == []


BROKEN = {
    "another format": {"format": 2},
    "a guarantee that is none": {"guarantee": "private"},
    "something more": {"checkpoint": "x"},
    "no digest": {"policy": "00"},
    "no files": {"files": {}},
    "a file without digest": {"files": {"data.csv": ""}},
    "no bound": {"bound": {}},
    "an unbounded account": {"bound": {"cells_per_account": 1025}},
    "another measure": {"spec": {**written()["spec"], "measure": "rows"}},
    "an empty filter": {"spec": {**written()["spec"], "where": {"kind": []}}},
    "a local time": {"spec": {**written()["spec"], "from": "2024-01-01"}},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_the_schema_refuses_what_is_no_manifest(change: dict[str, Any]) -> None:
    assert list(errors({**written(), **change}, SCHEMA))


@pytest.mark.parametrize("key", sorted(written()))
def test_the_schema_demands_every_part(key: str) -> None:
    value = written()
    del value[key]
    assert list(errors(value, SCHEMA)) == ["$: required"]


def test_a_manifest_says_how_the_release_was_made() -> None:
    value = written()
    assert value["spec"]["by"] == ["kind", "platform"]
    assert value["spec"]["where"] == {"kind": ["login", "purchase"], "platform": ["tablet"]}
    assert value["spec"]["from"] == "2024-01-01T00:00:00Z"
    assert value["parameters"] == {"columns": ["kind", "platform", "accounts"], "cells": 2, "largest_error": 11}
    assert value["bound"] == {"cells_per_account": 2}
    assert value["policy"] == POLICY.digest.hex()
    assert value["files"] == {"data.csv": hashlib.sha256(b"x").hexdigest()}


def test_the_name_is_not_in_it() -> None:
    assert written(spec(name='"my release"')) == written(spec())


def test_the_root_is_committed_to_and_not_told() -> None:
    value = manifest(FULL, POLICY, salt=b"s" * 32, root=b"root-of-the-log").json({})
    assert hashlib.sha256(b"s" * 32 + b"root-of-the-log").hexdigest().encode() in value
    assert b"root-of-the-log" not in value
    assert b"root-of-the-log".hex().encode() not in value
    assert commitment(b"s" * 32, b"root") != commitment(b"t" * 32, b"root")


def test_a_commitment_without_a_full_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(b"", b"root")
