"""A second opinion on the noise: exact samplers and exact probabilities, in integers and fractions, without OpenDP.

Algorithms 1 to 3 of Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (NeurIPS 2020).
"""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

from consentprofile.release.dp.mechanisms import Noise


def chance(noise: Noise, at: int) -> float:
    """The probability of one number."""
    return _weight(noise, at) / math.fsum(_weight(noise, z) for z in range(-_far(noise), _far(noise) + 1))


def chance_from(noise: Noise, at: int) -> float:
    """The probability of ``at`` and everything above."""
    whole = math.fsum(_weight(noise, z) for z in range(-_far(noise), _far(noise) + 1))
    return math.fsum(_weight(noise, z) for z in range(at, max(at, 0) + _far(noise) + 1)) / whole


def _far(noise: Noise) -> int:
    return math.ceil(50 * noise.scale) + 50


def _weight(noise: Noise, z: int) -> float:
    return math.exp(-abs(z) / noise.scale if noise.distribution == "laplace" else -(z * z) / (2 * noise.scale**2))


def sampled(noise: Noise, source: Random) -> int:
    """One draw, exact but for the scale, which is taken as the fraction that its floating-point number is."""
    scale = Fraction(noise.scale)
    return _laplace(scale, source) if noise.distribution == "laplace" else _gaussian(scale * scale, source)


def _bernoulli(p: Fraction, source: Random) -> bool:
    return source.randrange(p.denominator) < p.numerator


def _bernoulli_exp(gamma: Fraction, source: Random) -> bool:
    """True with probability exp(-gamma)."""
    while gamma > 1:
        if not _bernoulli_exp(Fraction(1), source):
            return False
        gamma -= 1
    tries = 1
    while _bernoulli(gamma / tries, source):
        tries += 1
    return tries % 2 == 1


def _laplace(scale: Fraction, source: Random) -> int:
    while True:
        first = source.randrange(scale.numerator)
        if not _bernoulli_exp(Fraction(first, scale.numerator), source):
            continue
        wholes = 0
        while _bernoulli_exp(Fraction(1), source):
            wholes += 1
        size = (first + scale.numerator * wholes) // scale.denominator
        negative = _bernoulli(Fraction(1, 2), source)
        if negative and size == 0:
            continue
        return -size if negative else size


def _gaussian(variance: Fraction, source: Random) -> int:
    width = Fraction(math.isqrt(math.floor(variance)) + 1)
    while True:
        found = _laplace(width, source)
        if _bernoulli_exp((abs(found) - variance / width) ** 2 / (2 * variance), source):
            return found
