"""Noise over whole numbers, by OpenDP's core measurements: discrete Laplace and Gaussian, and keys to be found.

A thin layer: it chooses the scale, and asks OpenDP what that costs until it is no more than allowed. OpenDP samples
both distributions exactly, from the operating system's randomness (Canonne, Kamath, Steinke, NeurIPS 2020), so that
no floating-point number gives a figure away (Mironov, CCS 2012).

Only its core is imported: its ``prelude`` takes three times as long, and five times where Polars is installed.

Not guaranteed: that the time it takes to draw says nothing.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, Literal, NamedTuple, Protocol, cast

from consentprofile.errors import UnsupportedEnvironment
from consentprofile.release.dp.accounting import DELTA_UNIT, LOSS_UNIT, Loss

Distribution = Literal["laplace", "gaussian"]

_NOISE: Final[Mapping[str, Distribution]] = {"epsilon": "laplace", "rho": "gaussian"}


class Reach(NamedTuple):
    """What one account can change: ``cells`` values, each by at most ``limit``."""

    cells: int
    limit: int


class Noise(NamedTuple):
    """A discrete distribution around zero.

    Laplace: Pr[z] in proportion to exp(-|z| / scale). Gaussian: to exp(-z^2 / (2 scale^2)).
    """

    distribution: Distribution
    scale: float


Draw = Callable[[Noise, Sequence[int]], list[int]]
"""Adds noise to each value. Only tests put another one in the place of :func:`draw`."""


class _Measurement(Protocol):
    """What is used of one of OpenDP's, which has no types of its own."""

    def map(self, distance: object, /) -> object:
        """What it costs where the data are this far apart."""

    def __call__(self, values: object, /) -> object:
        """Draw."""


def has_opendp() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("opendp") is not None


def require_opendp() -> None:
    """Raise :class:`UnsupportedEnvironment` where the extra is not installed."""
    if not has_opendp():
        raise UnsupportedEnvironment(
            "differential privacy needs OpenDP; install the extra: pip install 'consentprofile[dp]'"
        )


def noise_for(allowed: Loss, reach: Reach) -> Noise:
    """The noise under which values that one account changes by ``reach`` cost no more than ``allowed``, delta aside.

    Laplace by the sum of the changes: scale = cells limit / epsilon. Gaussian by the root of the sum of their squares:
    scale = limit sqrt(cells / (2 rho)).
    """
    value = allowed.amount / LOSS_UNIT
    if allowed.currency == "epsilon":
        scale = reach.cells * reach.limit / value
    else:
        scale = reach.limit * math.sqrt(reach.cells / (2 * value))
    noise = Noise(_NOISE[allowed.currency], scale)
    below = math.nextafter(value, 0.0)  # whatever the division above was rounded to, the cost stays below the loss
    while _cost(noise, reach) > below:
        noise = noise._replace(scale=math.nextafter(noise.scale, math.inf))
    return noise


def _cost(noise: Noise, reach: Reach) -> float:
    """What OpenDP says that adding this noise costs: epsilon or rho."""
    if noise.distribution == "laplace":
        return cast(float, _adding(noise).map(reach.cells * reach.limit))
    return cast(float, _adding(noise).map(_root_above(reach)))


@cache
def _adding(noise: Noise) -> _Measurement:
    from opendp import domains, measurements, metrics, mod

    mod.enable_features("contrib")
    domain = domains.vector_domain(domains.atom_domain(T="i64"))
    if noise.distribution == "laplace":
        return cast(_Measurement, measurements.make_laplace(domain, metrics.l1_distance(T="i64"), scale=noise.scale))
    return cast(_Measurement, measurements.make_gaussian(domain, metrics.l2_distance(T="f64"), scale=noise.scale))


def draw(noise: Noise, values: Sequence[int]) -> list[int]:
    """Each value with noise of its own. Beyond 64 bits it stays at the largest number, on either side."""
    return cast(list[int], _adding(noise)(list(values))) if values else []


# ---- keys to be found -------------------------------------------------------------------------------


def threshold_for(allowed: Loss, noise: Noise, reach: Reach) -> int:
    """The smallest threshold T for which showing only values above T costs no more than the delta of ``allowed``.

    A key that one account alone makes appear gives it away where it is shown: delta is the probability that any of its
    ``reach.cells`` keys is, each with ``reach.limit`` and noise above T.
    """
    delta = allowed.delta / DELTA_UNIT
    low, high = reach.limit, reach.limit + 1
    while _delta(noise, reach, high) > delta:
        low, high = high, 2 * high
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _delta(noise, reach, middle) <= delta else (middle, high)
    return high


def _delta(noise: Noise, reach: Reach, threshold: int) -> float:
    """What OpenDP charges for showing values above ``threshold``."""
    far = reach.cells * reach.limit if noise.distribution == "laplace" else _root_above(reach)
    return cast(tuple[float, float], _finding(noise, threshold).map((reach.cells, far, reach.limit)))[1]


def _root_above(reach: Reach) -> float:
    return math.nextafter(reach.limit * math.sqrt(reach.cells), math.inf)


def _finding(noise: Noise, threshold: int) -> _Measurement:
    from opendp import domains, measurements, metrics, mod

    mod.enable_features("contrib")
    domain = domains.map_domain(domains.atom_domain(T="u32"), domains.atom_domain(T="i64"))
    if noise.distribution == "laplace":
        distance = metrics.l01inf_distance(metrics.absolute_distance(T="i64"))
        make = measurements.make_laplace_threshold
    else:
        distance = metrics.l02inf_distance(metrics.absolute_distance(T="f64"))
        make = measurements.make_gaussian_threshold
    return cast(_Measurement, make(domain, distance, scale=noise.scale, threshold=threshold))


def find(noise: Noise, values: Mapping[int, int], threshold: int) -> dict[int, int]:
    """Those of ``values`` that are above ``threshold`` once noise is added, with that noise, ordered by key.

    OpenDP 0.16 shows values *from* the threshold that it is built with on, but charges for those above it only
    (https://github.com/opendp/opendp/issues/2922). So it is built with ``threshold`` + 1 and charged at ``threshold``.
    """
    if not values:
        return {}
    found = cast(dict[int, int], _finding(noise, threshold + 1)(dict(values)))
    return {key: found[key] for key in sorted(found)}
