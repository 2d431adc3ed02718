"""The manifest of a release with differential privacy: what was guaranteed, at what cost, with what noise.

All of it follows from the specification and the policy, but for the number of accounts at a bound, which was drawn and
paid for like a figure, and the commitment to the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.model.policy import Policy
from consentprofile.release.dp.accounting import epsilon_of
from consentprofile.release.dp.intervals import CONFIDENCE, half_width, shown_from
from consentprofile.release.dp.protect import Noisy
from consentprofile.release.manifest import FORMAT, Bound, commitment
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.table import columns

GUARANTEE: Final = "differential privacy"
NEIGHBOURS: Final = "one account, with all of its events, is there or not"
IMPLIED_DELTA: Final = 1e-6
"""The delta at which the epsilon that a rho implies is told."""


class Implied(msgspec.Struct, frozen=True, kw_only=True):
    """What zero-concentrated differential privacy implies: for each delta an epsilon, of which this is one."""

    epsilon: float
    delta: float


class Loss(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the guarantee is about and what it cost: ``epsilon`` or ``rho``, and ``delta`` where keys were found."""

    kind: str
    neighbours: str
    distribution: str
    epsilon: float | None = None
    rho: float | None = None
    delta: float | None = None
    implied: Implied | None = None


class Noised(msgspec.Struct, frozen=True, kw_only=True):
    """A figure as it was drawn: one account changes it by at most ``limit``; with noise of this ``scale``.

    What was counted lies within ``interval`` of it, 95 times in 100.
    """

    name: str
    limit: int
    scale: float
    interval: int


class Parameters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The shape of the data. ``keys`` are all ``listed``, or those above ``threshold`` are ``found``.

    A key with ``shown_from`` accounts is found 95 times in 100. ``consistent`` are the figures that were made of
    noisy ones afterwards, so that they are nowhere below zero and curves only fall.
    """

    columns: tuple[str, ...]
    cells: int
    keys: str
    confidence: float
    figures: tuple[Noised, ...]
    consistent: tuple[str, ...] = ()
    threshold: int | None = None
    shown_from: int | None = None


class Bounding(msgspec.Struct, frozen=True, kw_only=True):
    """How many accounts are at a bound, drawn with noise: no other account counts for less than it did."""

    accounts: int
    low: int
    high: int
    scale: float


class NoisyManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A manifest without the digests of the files."""

    format: int
    spec: dict[str, object]
    protection: Loss
    parameters: Parameters
    bound: Bound
    guarantee: str
    policy: str
    commitment: str
    bounding: Bounding | None = None

    def json(self, files: Mapping[str, bytes]) -> bytes:
        """The canonical JSON, with the SHA-256 of each of ``files``."""
        digests = {name: canonical.digest(data).hex() for name, data in files.items()}
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return canonical.json_bytes(said | {"files": digests})


def noisy_manifest(spec: ReleaseSpec, policy: Policy, noisy: Noisy, *, salt: bytes, root: bytes) -> NoisyManifest:
    """The manifest of what was drawn for ``spec``; ``salt`` and ``root`` as for any other manifest."""
    return NoisyManifest(
        format=FORMAT,
        spec=spec.terms,
        protection=_loss(spec, noisy),
        parameters=_parameters(spec, noisy),
        bound=Bound(cells_per_account=spec.bound),
        guarantee=GUARANTEE,
        policy=policy.digest.hex(),
        commitment=commitment(salt, root),
        bounding=_bounding(noisy),
    )


def _loss(spec: ReleaseSpec, noisy: Noisy) -> Loss:
    asked = spec.noise
    if asked is None:
        raise ValueError("a specification without differential privacy has another manifest")
    rho = asked.value if asked.currency == "rho" else None
    return Loss(
        kind="dp",
        neighbours=NEIGHBOURS,
        distribution=noisy.mechanism.parts[0].distribution,
        epsilon=None if rho is not None else asked.value,
        rho=rho,
        delta=asked.delta or None,
        implied=None if rho is None else Implied(epsilon=epsilon_of(rho, IMPLIED_DELTA), delta=IMPLIED_DELTA),
    )


def _parameters(spec: ReleaseSpec, noisy: Noisy) -> Parameters:
    drawn = noisy.mechanism
    names = [part.name for part in spec.measure.parts]
    return Parameters(
        columns=columns(spec),
        cells=len(spec.keys),
        keys="listed" if drawn.threshold is None else "found",
        confidence=CONFIDENCE,
        figures=tuple(
            Noised(name=part.name, limit=part.limit, scale=noise.scale, interval=half_width(noise))
            for part, noise in zip(spec.measure.parts, drawn.parts, strict=True)
        ),
        consistent=tuple(name for name in spec.measure.figures if name not in names),
        threshold=drawn.threshold,
        shown_from=None if drawn.threshold is None else shown_from(drawn.parts[0], drawn.threshold),
    )


def _bounding(noisy: Noisy) -> Bounding | None:
    noise, accounts = noisy.mechanism.bounding, noisy.at_bound
    if noise is None or accounts is None:
        return None
    width = half_width(noise)
    return Bounding(accounts=accounts, low=accounts - width, high=accounts + width, scale=noise.scale)
