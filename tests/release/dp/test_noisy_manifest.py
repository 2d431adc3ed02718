"""The manifest of a noisy release keeps its schema, and tells of the data no more than was paid for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from consentprofile.release.dp.manifest import noisy_manifest
from consentprofile.release.dp.protect import mechanism, protect
from consentprofile.release.spec import ReleaseSpec
from tests.release.dp.shop import MANY_KEYS, MEASURES, RHO, asked, no_noise
from tests.release.shop_policy import event, tallied
from tests.release.test_manifest import SCHEMA, errors


def written(spec: ReleaseSpec, *accounts: int) -> dict[str, Any]:
    """The manifest over accounts that logged in on a mobile, without noise."""
    assert spec.noise is not None
    counted = tallied(spec, {number: [event(platform="mobile")] for number in accounts})
    noisy = protect(spec, counted, mechanism(spec, spec.noise.loss), source=no_noise)
    made = noisy_manifest(spec, RHO, noisy, salt=b"s" * 32, root=b"r" * 32)
    value: dict[str, Any] = json.loads(made.json({"data.csv": b"x"}))
    return value


@pytest.mark.parametrize("protection", ["epsilon = 0.5", "rho = 0.1"])
@pytest.mark.parametrize("changes", MEASURES.values(), ids=MEASURES)
def test_a_noisy_manifest_keeps_its_schema(changes: Mapping[str, str], protection: str) -> None:
    assert list(errors(written(asked(protection, RHO, **changes)), SCHEMA)) == []


def test_the_manifest_of_keys_that_were_found_says_from_how_many_accounts_on() -> None:
    value = written(asked("rho = 0.1, delta = 1e-7", RHO, **MANY_KEYS))
    assert list(errors(value, SCHEMA)) == []
    parameters = value["parameters"]
    assert parameters["keys"] == "found"
    assert 1 < parameters["threshold"] < parameters["shown_from"]
    assert value["protection"]["delta"] == 1e-7


@pytest.mark.parametrize("protection", [{"kind": "dp"}, {"kind": "dp", "min_accounts": 10}, {"kind": "threshold"}])
def test_the_schema_refuses_a_protection_that_is_none(protection: dict[str, object]) -> None:
    value = written(asked())
    assert list(errors({**value, "protection": protection}, SCHEMA))


def test_nothing_but_the_accounts_at_a_bound_depends_on_the_people() -> None:
    spec = asked(by='["platform"]', cells_per_account="1")
    nobody, some = written(spec), written(spec, 1, 2, 3)
    assert nobody.pop("bounding")["accounts"] == 0
    assert some.pop("bounding")["accounts"] == 3
    assert nobody == some
