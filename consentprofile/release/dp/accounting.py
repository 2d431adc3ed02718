"""What releases cost and what a purpose may spend: privacy loss as numbers that add up.

The guarantee is about whole accounts: two stores are neighbours where one has an account, with all of its events, that
the other does not have. Against anybody, whatever else they know, a mechanism M is

- **(epsilon, delta)-differentially private** if for all neighbours and every set S of answers
  Pr[M(one) in S] <= e^epsilon Pr[M(other) in S] + delta (Dwork, McSherry, Nissim, Smith, TCC 2006; Dwork et al.,
  Eurocrypt 2006), and pure with delta = 0;
- **delta-approximately rho-zCDP** if outside of an event of probability delta the Renyi divergence of every order a > 1
  is at most rho a (Bun and Steinke, TCC 2016, definitions 1.1 and 8.1).

A policy gives the budget of a purpose in one of two currencies, and what is released adds up in it:

- ``epsilon``: the sums of epsilon and of delta (Dwork, Kenthapadi, McSherry, Mironov, Naor 2006). They hold where each
  question, and how much to spend on it, is chosen after seeing earlier answers (Rogers, Roth, Ullman, Vadhan, NeurIPS
  2016, theorem 3.6: a privacy filter).
- ``rho``: the sums of rho and of delta (Bun and Steinke 2016, lemma 1.7 and section 8), chosen likewise (Feldman and
  Zrnic, NeurIPS 2021; Whitehouse, Ramdas, Rogers, Wu, ICML 2023, theorem 1). An epsilon-private release costs
  epsilon^2 / 2 (Bun and Steinke 2016, proposition 1.4).

Loss is counted in whole units, each figure of a file as it is written and rounded up: sums are exact, in any order.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, Literal

import msgspec

Currency = Literal["epsilon", "rho"]
"""What losses are counted in."""

LOSS_UNIT: Final = 10**12
"""Units in 1 of epsilon or rho."""
DELTA_UNIT: Final = 10**18
"""Units in 1 of delta."""


class Loss(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A privacy loss: ``amount`` in 10^-12 of epsilon or rho, ``delta`` in 10^-18."""

    currency: Currency
    amount: int
    delta: int = 0

    def __post_init__(self) -> None:
        if self.amount < 0 or self.delta < 0:
            raise ValueError("a loss is never below zero")

    @property
    def value(self) -> float:
        """Epsilon or rho."""
        return self.amount / LOSS_UNIT

    @property
    def delta_value(self) -> float:
        """Delta."""
        return self.delta / DELTA_UNIT


def loss(currency: Currency, value: float, delta: float = 0.0) -> Loss:
    """A loss from figures as a file has them: the shortest decimal that reads as the same number, rounded up."""
    return Loss(currency, units(value, LOSS_UNIT), units(delta, DELTA_UNIT))


def units(value: float, unit: int) -> int:
    """How many times 1 / ``unit`` a figure is, rounded up."""
    return math.ceil(Fraction(repr(float(value))) * unit)


def counted_in(found: Loss, currency: Currency) -> Loss | None:
    """The same loss in another currency; None for rho in epsilon, which has no finite epsilon without a delta."""
    if found.currency == currency:
        return found
    if currency == "epsilon":
        return None
    return Loss("rho", -(-found.amount * found.amount // (2 * LOSS_UNIT)), found.delta)


def total(losses: list[Loss], currency: Currency) -> Loss | None:
    """What losses add up to; None where one of them cannot be counted in this currency."""
    counted = [counted_in(one, currency) for one in losses]
    known = [one for one in counted if one is not None]
    if len(known) < len(counted):
        return None
    return Loss(currency, sum(one.amount for one in known), sum(one.delta for one in known))


def epsilon_of(rho: float, delta: float) -> float:
    """An epsilon for which rho-zCDP implies (epsilon, delta)-differential privacy: rho + 2 sqrt(rho ln(1 / delta)).

    Bun and Steinke 2016, proposition 1.3. It holds for every ``delta`` between 0 and 1; it is not the smallest one.
    """
    if not 0 < delta < 1:
        raise ValueError("a delta lies between 0 and 1")
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))


def shares(whole: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """``whole`` units divided by ``weights``, each part rounded down: what is composed never costs more than it."""
    return tuple(whole * weight // sum(weights) for weight in weights)
