"""``release plan`` before any budget is spent: how wide the intervals will be, from the specification alone.

Nothing is counted for it, so it can be asked for as often as one likes, and tells nothing about anybody.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from consentprofile.release.dp.accounting import Currency, Loss
from consentprofile.release.dp.intervals import CONFIDENCE, half_width, shown_from
from consentprofile.release.dp.mechanisms import Distribution
from consentprofile.release.dp.protect import Mechanism, mechanism
from consentprofile.release.protection import MAXIMUM_CELLS
from consentprofile.release.spec import ReleaseSpec


class PlannedFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that would be drawn: with noise of ``scale``, within ``interval`` of what is counted 95 times in 100.

    ``accounts`` is how many accounts at the ``limit`` of what one adds the interval is worth, whatever the limit is.
    """

    name: str
    limit: int
    scale: float
    interval: int
    accounts: float


class PlannedNoise(msgspec.Struct, frozen=True, kw_only=True):
    """How wide a release would be, and what it would cost.

    Its ``cost`` is in the ``currency`` of the purpose's budget, of which ``left`` can be spent now; it is 0 for what
    was paid for before. ``affordable`` is when it can be paid for (aware UTC), None for never under this budget.
    ``keys`` are ``listed``, every one of them, or ``found``: those above the ``threshold`` appear, and a key with
    ``shown_from`` accounts does so 95 times in 100.

    ``suggested_cells_per_account`` is the largest number of cells of one account for which figures would lie within
    what the policy's minimum of accounts can add: a rule that looks at no data. None where the specification has no say
    in it.
    """

    distribution: Distribution
    figures: tuple[PlannedFigure, ...]
    confidence: float
    keys: str
    threshold: int | None
    shown_from: int | None
    suggested_cells_per_account: int | None
    currency: Currency
    cost: float
    delta: float
    left: float
    delta_left: float
    affordable: datetime | None


def planned_noise(spec: ReleaseSpec, asked: Loss, cost: Loss, left: Loss, affordable: datetime | None) -> PlannedNoise:
    """The noise of ``spec`` at a loss of ``asked``, which is ``cost`` in the currency of the budget."""
    drawn = mechanism(spec, asked)
    return PlannedNoise(
        distribution=drawn.parts[0].distribution,
        figures=_figures(spec, drawn),
        confidence=CONFIDENCE,
        keys="listed" if drawn.threshold is None else "found",
        threshold=drawn.threshold,
        shown_from=None if drawn.threshold is None else shown_from(drawn.parts[0], drawn.threshold),
        suggested_cells_per_account=_suggested(spec, asked),
        currency=cost.currency,
        cost=cost.value,
        delta=cost.delta_value,
        left=left.value,
        delta_left=left.delta_value,
        affordable=affordable,
    )


def _figures(spec: ReleaseSpec, drawn: Mechanism) -> tuple[PlannedFigure, ...]:
    return tuple(
        PlannedFigure(
            name=part.name,
            limit=part.limit,
            scale=noise.scale,
            interval=(width := half_width(noise)),
            accounts=round(width / part.limit, 1),
        )
        for part, noise in zip(spec.measure.parts, drawn.parts, strict=True)
    )


def _suggested(spec: ReleaseSpec, asked: Loss) -> int | None:
    """By halving: the more cells an account may count in, the more noise; but for all of them nothing is cut off."""
    if spec.measure.bound is not None:
        return None

    def fits(cells: int) -> bool:
        bounded = msgspec.structs.replace(spec, cells_per_account=cells)
        part, noise = bounded.measure.parts[0], mechanism(bounded, asked).parts[0]
        return half_width(noise) <= spec.rules.min_accounts * part.limit

    low, high = 1, min(len(spec.keys), MAXIMUM_CELLS)
    if fits(high):
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
