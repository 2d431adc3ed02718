"""Measure how much releases give away: ``python -m tests.release.dp.audit [DRAWS]``, some four minutes.

For every measure two stores that differ in one account are released from again and again, and an observer who knows
both and everything about the noise says which one it was, by the likelihood of what was drawn: no test tells them apart
better (Neyman and Pearson). From how often that is right follows a lower bound on what is given away, which is wrong
once in a million times (Clopper and Pearson). It must not exceed what the release claims; how near it comes shows that
the observer is a strong one. Of Laplace noise the bound is on epsilon, of Gaussian noise on rho, by the distance of two
normal distributions that would be told apart as well: mu^2 / 2.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

from consentprofile.model.event import Recorded
from consentprofile.release.dp.mechanisms import Noise
from consentprofile.release.dp.protect import Mechanism, Noisy, mechanism, protect
from consentprofile.release.spec import ReleaseSpec
from tests.release.dp.shop import IN_RHO, MANY_KEYS, MEASURES, RHO, asked, no_noise, policy
from tests.release.shop_policy import SINCE, event, tallied

DRAWS: Final = 3_000
UNSURE: Final = 1e-6
"""How often a bound may be wrong."""

LARGE_DELTA: Final = policy(IN_RHO.replace("1e-6", "0.001"))
"""So large that it can be measured."""

HOUR: Final = 3_600
EVERYBODY: Final[Mapping[int, list[Recorded]]] = {
    number: [event("login", SINCE + number, platform="mobile")] for number in range(5)
}
ONE_MORE: Final[list[Recorded]] = [
    event(kind, SINCE + (30 * day + step) * 24 * HOUR, platform=platform, page="p7", rating=5, total=900)
    for day, platform in enumerate(("mobile", "desktop", "tablet"))
    for step, kind in enumerate(("login", "search", "purchase", "login"))
]
"""Somebody who does as much as counts anywhere."""


class Found(NamedTuple):
    """What an observer found out about one release: a lower bound on what it gives away, and what it claims."""

    name: str
    claimed: float
    at_least: float


class Sides(NamedTuple):
    """The two stores, as what noise is added to, and with how much of it each value is drawn."""

    noises: tuple[Noise, ...]
    without: tuple[int, ...]
    with_it: tuple[int, ...]

    def likelier(self, drawn: Sequence[int]) -> float:
        """The logarithm of how much likelier it is to have been drawn with the account than without."""
        return math.fsum(
            _log(noise, value - there) - _log(noise, value - other)
            for noise, value, there, other in zip(self.noises, drawn, self.with_it, self.without, strict=True)
        )


def _log(noise: Noise, z: int) -> float:
    return -abs(z) / noise.scale if noise.distribution == "laplace" else -(z * z) / (2 * noise.scale**2)


def values(noisy: Noisy) -> tuple[int, ...]:
    """Everything that was drawn."""
    bounding = () if noisy.at_bound is None else (noisy.at_bound,)
    return tuple(value or 0 for value in noisy.values) + bounding


def noises(spec: ReleaseSpec, drawn: Mechanism) -> tuple[Noise, ...]:
    """The noise of each of these values."""
    return drawn.parts * len(spec.keys) + (() if drawn.bounding is None else (drawn.bounding,))


def audit(name: str, spec: ReleaseSpec, draws: int, *, weaker: float = 1.0) -> Found:
    """What ``draws`` releases from either store give away; noise can be made ``weaker`` than it has to be."""
    if spec.noise is None:
        raise ValueError("only noise can be audited")
    drawn = mechanism(spec, spec.noise.loss)
    used = drawn._replace(parts=tuple(noise._replace(scale=noise.scale / weaker) for noise in drawn.parts))
    without, with_it = tallied(spec, EVERYBODY), tallied(spec, {**EVERYBODY, 99: ONE_MORE})
    exact = [values(protect(spec, counted, drawn, source=no_noise)) for counted in (without, with_it)]
    sides = Sides(noises(spec, used), *exact)
    here, there = (
        sorted(sides.likelier(values(protect(spec, counted, used))) for _ in range(draws))
        for counted in (with_it, without)
    )
    measure = _epsilon if spec.noise.currency == "epsilon" else _rho
    return Found(name, spec.noise.value, _lower_bound(here, there, measure))


def _lower_bound(here: Sequence[float], there: Sequence[float], measure: Callable[[float, float], float]) -> float:
    """By the best of a few thresholds, which one half of the draws chooses and the other half alone judges."""
    learn, judge = ([side[place::2] for side in (here, there)] for place in (0, 1))
    cuts = [learn[0][int(len(learn[0]) * share)] for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)]
    cut = max(cuts, key=lambda cut: measure(*_rates(learn, cut)))
    return max(0.0, measure(*_rates(judge, cut)))


def _rates(sides: Sequence[Sequence[float]], cut: float) -> tuple[float, float]:
    """How often the account is rightly said to be there, at least, and wrongly, at most."""
    hits = [sum(value >= cut for value in side) for side in sides]
    return _at_least(hits[0], len(sides[0])), 1 - _at_least(len(sides[1]) - hits[1], len(sides[1]))


def _epsilon(right: float, wrong: float) -> float:
    return math.log(right / wrong) if right > 0 else 0.0


def _rho(right: float, wrong: float) -> float:
    if not 0 < wrong < right < 1:
        return 0.0
    normal = NormalDist()
    return (normal.inv_cdf(right) - normal.inv_cdf(wrong)) ** 2 / 2


def _at_least(hits: int, trials: int) -> float:
    """The smallest probability for which so many hits, or more, are not rarer than :data:`UNSURE`."""
    low, high = 0.0, hits / trials
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _or_more(hits, trials, middle) > UNSURE else (middle, high)
    return low


def _or_more(hits: int, trials: int, p: float) -> float:
    """The probability of so many hits or more, each of probability ``p``."""
    if hits == 0 or p == 0:
        return float(hits == 0)

    def chance(k: int) -> float:
        choose = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        return math.exp(choose + k * math.log(p) + (trials - k) * math.log1p(-p))

    return math.fsum(chance(k) for k in range(hits, trials + 1))


def audit_keys(protection: str, draws: int) -> Found:
    """How often an account makes a key appear that nobody else has: no more often than its delta."""
    spec = asked(f"{protection}, delta = 0.001", LARGE_DELTA, **MANY_KEYS)
    assert spec.noise is not None
    drawn = mechanism(spec, spec.noise.loss)
    counted = tallied(spec, {99: ONE_MORE})
    seen = sum(any(value is not None for value in protect(spec, counted, drawn).values) for _ in range(draws))
    return Found(f"keys to be found ({protection}): delta", spec.noise.delta, _at_least(seen, draws))


def audits(draws: int) -> Iterator[Found]:
    """Every measure under both noises, and the keys."""
    for protection in ("epsilon = 1.0", "rho = 1.0"):
        for name, changes in MEASURES.items():
            yield audit(f"{name}, {protection}", asked(protection, RHO, **changes), draws)
    for protection in ("epsilon = 1.0", "rho = 0.1"):
        yield audit_keys(protection, draws)


def main(draws: int) -> int:
    """Print what was found; 1 where anything gives away more than it claims."""
    wrong = 0
    for found in audits(draws):
        sys.stdout.write(f"{found.name:<45} claims {found.claimed:<8g} gives away at least {found.at_least:.4f}\n")
        sys.stdout.flush()
        wrong += found.at_least > found.claimed
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS))
