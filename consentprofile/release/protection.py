"""How a release protects accounts: the two protections as a specification asks for them, read with faults in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from consentprofile.model.policy import ReleaseRules
from consentprofile.model.toml_reader import Reader
from consentprofile.release.dp.accounting import Currency, Loss, counted_in, loss

MAXIMUM_CELLS: Final = 1_024
"""The most cells of a release that lists every one of them."""
MAXIMUM_KEYS: Final = 65_536
"""The most keys that differential privacy finds those with accounts among."""

_LARGEST: Final = 1_000_000
_LOSSES: Final[dict[Currency, tuple[float, float]]] = {"epsilon": (0.001, 20.0), "rho": (1e-7, 20.0)}
"""The smallest and the largest loss of a release."""
_DELTAS: Final = (1e-15, 1e-3)


class Threshold(msgspec.Struct, frozen=True):
    """At least ``min_accounts`` behind every figure: the policy's minimum, or more."""

    min_accounts: int

    @property
    def terms(self) -> dict[str, object]:
        """As in a canonical specification."""
        return {"kind": "threshold", "min_accounts": self.min_accounts}


class DifferentialPrivacy(msgspec.Struct, frozen=True):
    """Noise that costs ``value`` of epsilon or of rho, and ``delta`` where keys have to be found; 0 where not."""

    currency: Currency
    value: float
    delta: float

    @property
    def terms(self) -> dict[str, object]:
        """As in a canonical specification."""
        found = {"delta": self.delta} if self.delta else {}
        return {"kind": "dp", self.currency: self.value, **found}

    @property
    def loss(self) -> Loss:
        """The privacy loss, in whole units."""
        return loss(self.currency, self.value, self.delta)


Protection: TypeAlias = Threshold | DifferentialPrivacy


def budget(rules: ReleaseRules) -> Loss | None:
    """What a purpose may lose in a year, in the currency of its budget; None where it has none."""
    if rules.budget is None:
        return None
    kind, value, delta = rules.budget
    return loss("rho" if kind == "rho" else "epsilon", value, delta)


def interval_columns(figures: Iterable[str]) -> tuple[str, ...]:
    """The columns that say between what figures lie, two for each."""
    return tuple(name for figure in figures for name in (f"{figure}_low", f"{figure}_high"))


def read_protection(top: Reader, rules: ReleaseRules | None) -> Protection | None:
    """The protection; None with faults noted. Without ``rules``, for a faulty purpose, only its shape is judged."""
    table = top.table("protection", "a table that says how accounts are protected")
    if table is None:
        return None
    kind = table.choice("kind", ("threshold", "dp"))
    if kind == "threshold":
        found: Protection | None = _threshold(table, rules)
    elif kind == "dp":
        found = _dp(table, rules)
    else:
        found = None
        table.know("min_accounts", "epsilon", "rho", "delta")
    table.done()
    return found


def _threshold(table: Reader, rules: ReleaseRules | None) -> Threshold | None:
    least = 1 if rules is None else rules.min_accounts
    expected = "the fewest accounts behind a figure, not fewer than the policy's"
    chosen = table.integer("min_accounts", expected, minimum=least, maximum=_LARGEST, optional=True)
    if chosen is None:
        return None if table.has("min_accounts") else Threshold(least)
    return Threshold(chosen)


def _dp(table: Reader, rules: ReleaseRules | None) -> DifferentialPrivacy | None:
    epsilon = _number(table, "epsilon", "the loss of this release", *_LOSSES["epsilon"])
    rho = _number(table, "rho", "the loss of this release, in zCDP", *_LOSSES["rho"])
    delta = _number(table, "delta", "the probability with which a key may give an account away", *_DELTAS)
    if table.has("epsilon") == table.has("rho"):
        table.fault("epsilon", "expected either epsilon (Laplace noise) or rho (Gaussian noise)")
        return None
    currency: Currency = "epsilon" if table.has("epsilon") else "rho"
    value = epsilon if currency == "epsilon" else rho
    if value is None or (delta is None and table.has("delta")):
        return None
    found = DifferentialPrivacy(currency, value, delta or 0.0)
    if rules is not None:
        _check_budget(table, found, budget(rules))
    return found


def _number(table: Reader, key: str, expected: str, least: float, most: float) -> float | None:
    value = table.number(key, expected, optional=True)
    if value is not None and not least <= value <= most:
        table.fault(key, f"expected {expected}, from {least:g} to {most:g}")
        return None
    return value


def _check_budget(table: Reader, asked: DifferentialPrivacy, allowed: Loss | None) -> None:
    """Note what no year of this purpose could pay for."""
    if allowed is None:
        table.fault("kind", "this purpose has no privacy budget in the policy (epsilon_per_year or rho_per_year)")
        return
    cost = counted_in(asked.loss, allowed.currency)
    if cost is None:
        table.fault("rho", "the budget of this purpose is kept in epsilon; expected epsilon")
        return
    if cost.amount > allowed.amount:
        costs = "" if asked.currency == allowed.currency else f" (it costs rho {cost.value:g})"
        table.fault(asked.currency, f"is more than the budget of a year, {allowed.currency} {allowed.value:g}{costs}")
    if cost.delta and not allowed.delta:
        table.fault("delta", "the budget of this purpose has no delta (delta_per_year in the policy)")
    elif cost.delta > allowed.delta:
        table.fault("delta", f"is more than the budget of a year, {allowed.delta_value:g}")


def check_keys(top: Reader, place: str, protection: Protection, cells: int, *, plain: bool) -> None:
    """Note at ``place`` where a release has more keys than its protection can show.

    ``plain``: it counts accounts and shows nothing else. Only then are keys found among many, for a key is shown where
    accounts are behind it; amounts would have to be far larger to be seen above the noise of one account.
    """
    if isinstance(protection, Threshold):
        top.at_most(place, cells, MAXIMUM_CELLS, "cells in a release")
        return
    top.at_most(place, cells, MAXIMUM_KEYS, "keys in a release")
    if cells <= MAXIMUM_CELLS:
        if protection.delta:
            top.fault("protection", f"delta is for keys to be found; all of these {cells:,} are listed and cost none")
    elif not plain:
        top.fault(place, f"expected at most {MAXIMUM_CELLS:,} cells with this measure, found {cells:,}")
    elif not protection.delta:
        top.fault("protection", f"delta is missing; among {cells:,} keys those with accounts have to be found")
