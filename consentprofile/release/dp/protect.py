"""Protection by noise: what is drawn for a release, and what it costs, from the specification alone.

What is published is a function of the noisy values and of the specification, and of nothing else about anybody:

- of each protected cell its value with noise of its own, whether anybody is behind it or not, so that it makes no
  difference which cells are there (up to 1,024 of them);
- of more keys than that only those whose noisy number of accounts is above a threshold, from among those with anybody
  behind them: which these are may give an account away with the probability delta;
- where bounding may have cut something off, a noisy number of the accounts at a bound.

One account changes at most ``spec.bound`` cells, each of the measure's parts in them by at most its limit, and the
number of accounts at a bound by one: counting sees to that, account by account, whatever the others do. Adding or
removing one account is what the loss is about.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from consentprofile.release.cells import Cell, Counted
from consentprofile.release.dp.accounting import Loss, shares
from consentprofile.release.dp.intervals import half_width
from consentprofile.release.dp.mechanisms import Draw, Noise, Reach, draw, find, noise_for, threshold_for
from consentprofile.release.spec import ReleaseSpec

_SHARES: Final = (19, 1)
"""How a loss is divided between the figures, which share their part alike, and the number of accounts at a bound."""


class Mechanism(NamedTuple):
    """What is drawn with: the noise of each part of the measure, the threshold for keys, the noise of the bounding.

    ``threshold`` is None where every key is listed; ``bounding`` is None where nothing can have been cut off.
    """

    parts: tuple[Noise, ...]
    threshold: int | None
    bounding: Noise | None

    @property
    def intervals(self) -> tuple[int, ...]:
        """By part, how far a value is from what was counted, in 95 of 100 draws."""
        return tuple(half_width(noise) for noise in self.parts)


class Noisy(NamedTuple):
    """What was drawn: a value for each protected cell, in the order of ``spec.cells``, None where it is not shown.

    ``at_bound`` is the noisy number of accounts at a bound, None where there is no such bound.
    """

    mechanism: Mechanism
    values: tuple[int | None, ...]
    at_bound: int | None


def mechanism(spec: ReleaseSpec, allowed: Loss) -> Mechanism:
    """What ``spec`` is answered with at a cost of ``allowed``, no more. It knows nothing of who is counted."""
    parts = spec.measure.parts
    bounded = is_bounded(spec)
    weights = (_SHARES[0],) * len(parts) + ((_SHARES[1] * len(parts),) if bounded else ())
    amounts = shares(allowed.amount, weights)
    reaches = [Reach(spec.bound, part.limit) for part in parts]
    of_parts = tuple(
        noise_for(Loss(allowed.currency, amount), reach) for amount, reach in zip(amounts, reaches, strict=False)
    )
    return Mechanism(
        parts=of_parts,
        threshold=threshold_for(allowed, of_parts[0], reaches[0]) if spec.finds_keys else None,
        bounding=noise_for(Loss(allowed.currency, amounts[-1]), Reach(1, 1)) if bounded else None,
    )


def is_bounded(spec: ReleaseSpec) -> bool:
    """Whether an account may count for less than it did: in fewer cells, or with a smaller amount."""
    return _cuts_cells(spec) or any(not part.counts for part in spec.measure.parts)


def _cuts_cells(spec: ReleaseSpec) -> bool:
    return spec.measure.bound is None and spec.bound < len(spec.keys)


def protect(spec: ReleaseSpec, counted: Counted, drawn: Mechanism, *, source: Draw = draw) -> Noisy:
    """What is published of ``counted``. Only tests give another ``source`` of noise than OpenDP.

    Draws: to call it twice for one charge and show both answers would cost twice.
    """
    totals = [_total(cell) for cell in counted.cells]
    bounding = None if drawn.bounding is None else source(drawn.bounding, [_at_bound(spec, counted)])[0]
    if drawn.threshold is not None:
        present = {place: total for place, total in enumerate(totals) if total}
        found = find(drawn.parts[0], present, drawn.threshold)
        return Noisy(drawn, tuple(found.get(place) for place in range(len(totals))), bounding)
    values: list[int | None] = [None] * len(totals)
    for place, noise in enumerate(drawn.parts):
        values[place :: len(drawn.parts)] = source(noise, totals[place :: len(drawn.parts)])
    return Noisy(drawn, tuple(values), bounding)


def _total(cell: Cell) -> int:
    return len(cell.members) if cell.amounts is None else int(cell.amounts.sum())


def _at_bound(spec: ReleaseSpec, counted: Counted) -> int:
    """How many accounts count in as many cells as they may, or add as much to one as they may.

    They may have been cut off there, or have just that much: nobody else can have been cut off.
    """
    import numpy as np

    parts = len(spec.measure.parts)
    reached = np.zeros(len(counted.pseudonyms), dtype=bool)
    if _cuts_cells(spec):
        cells = np.zeros(len(counted.pseudonyms), dtype=np.int64)
        for cell in counted.cells[::parts]:
            cells[cell.members] += 1
        reached |= cells >= spec.bound
    for cell in counted.cells:
        if cell.amounts is not None:
            reached[cell.members[np.abs(cell.amounts) >= cell.part.limit]] = True
    return int(reached.sum())
