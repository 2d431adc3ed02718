"""How far noise reaches: intervals that hold what was counted, from the distribution of the noise alone.

An interval is about the noise. What bounding cut off (an account in more cells than it may count in, an amount beyond
its limit) was not counted, and no interval speaks of it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

from consentprofile.release.dp.mechanisms import Noise

CONFIDENCE: Final = 0.95
"""How often an interval holds what was counted, at least."""
JOINT: Final = (1 + CONFIDENCE) / 2
"""How often each of two intervals does, so that both do at least as often as :data:`CONFIDENCE`."""

_WIDEST: Final = 20_000
"""The scale, times the root of the number of draws, beyond which a sum is bounded, not added up."""
_SLACK: Final = 1e-9
"""More than adding up in floating point can be wrong by."""


@cache
def half_width(noise: Noise, terms: int = 1, confidence: float = CONFIDENCE) -> int:
    """The smallest h for which the sum of ``terms`` draws lies within -h and h with probability ``confidence``.

    Found exactly, by adding up probabilities; for sums wider than 20,000 by a bound that is never too small: a
    discrete Gaussian reaches no further than a continuous one and a step (Canonne, Kamath, Steinke 2020,
    proposition 25), and sums of Laplace draws no further than Chernoff's bound. No terms: 0. Cached.
    """
    if terms == 0:
        return 0
    outside = 1 - confidence
    if noise.distribution == "laplace" and terms == 1:
        return _laplace(noise.scale, outside)
    if noise.scale * math.sqrt(terms) <= _WIDEST:
        return _added_up(noise, terms, outside)
    if noise.distribution == "gaussian" and terms == 1:
        return math.ceil(1 + noise.scale * _normal_quantile(outside / 2))
    return _bounded(noise, terms, outside)


def _laplace(scale: float, outside: float) -> int:
    """Pr[abs(z) > h] = 2 q^(h + 1) / (1 + q), with q = exp(-1 / scale)."""
    q = math.exp(-1 / scale)
    width = max(0, math.floor(scale * math.log(2 / (outside * (1 + q)))) - 1)
    while 2 * math.exp(-(width + 1) / scale) / (1 + q) > outside:
        width += 1
    return width


def _added_up(noise: Noise, terms: int, outside: float) -> int:
    """By the distribution of the sum: the product of the Fourier transforms."""
    import numpy as np

    reach = math.ceil(noise.scale * (40 + 12 * math.sqrt(terms))) + 8
    size = 1 << (2 * reach).bit_length()
    at = np.minimum(np.arange(size), size - np.arange(size)).astype(np.float64) / noise.scale
    weights = np.exp(-at) if noise.distribution == "laplace" else np.exp(-at * at / 2)
    chances = np.fft.irfft(np.fft.rfft(weights / weights.sum()) ** terms, size)
    beyond = np.cumsum(chances[size // 2 : 0 : -1])[::-1]  # Pr[z > h], for h from 0 on
    return int(np.flatnonzero(2 * beyond + _SLACK <= outside)[0])


def _bounded(noise: Noise, terms: int, outside: float) -> int:
    """Chernoff's bound: the smallest h with 2 exp(-t h) E[exp(t z)]^terms <= outside for some t."""
    wanted = math.log(2 / outside)
    if noise.distribution == "gaussian":  # E[exp(t z)] <= exp(t^2 scale^2 / 2)
        return math.ceil(noise.scale * math.sqrt(2 * terms * wanted))
    q = math.exp(-1 / noise.scale)
    best = math.inf
    for step in range(1, 400):
        t = step / 400 / noise.scale
        moment = 2 * math.log1p(-q) - math.log1p(-q * math.exp(t)) - math.log1p(-q * math.exp(-t))
        best = min(best, (wanted + terms * moment) / t)
    return math.ceil(best)


def _normal_quantile(beyond: float) -> float:
    """The x above which a standard normal lies with this probability, rounded up."""
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if math.erfc(middle / math.sqrt(2)) / 2 <= beyond else (middle, high)
    return high


def shown_from(noise: Noise, threshold: int) -> int:
    """How many accounts make a key that is to be found appear with probability :data:`CONFIDENCE`, or more."""
    return threshold + 1 + half_width(noise, 1, 2 * CONFIDENCE - 1)
