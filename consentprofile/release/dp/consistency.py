"""Bins made consistent: what curves and shares are computed from, so that no curve rises where it can only fall.

Noise makes some bins negative, and a curve that adds them up goes up and down. Bins that are nowhere negative make
curves that are monotone and non-negative, whatever way they are added up. This happens after the noise and looks at
noisy figures alone, so it costs nothing (differential privacy is closed under post-processing); it makes small bins
larger on the average. The bins themselves are published as they were drawn.
"""

from __future__ import annotations

from collections.abc import Sequence


def consistent(bins: Sequence[int]) -> list[int]:
    """The whole numbers nearest to ``bins`` that are nowhere below zero and have the same sum, or 0 if that is below.

    Nearest by the squares of the distances: the projection on the simplex (Hay, Rastogi, Miklau, Suciu, VLDB 2010, on
    consistency after noise; Held, Wolfe, Crowder 1974, on the projection), with what is left of rounding given to the
    largest remainders.
    """
    whole = max(0, sum(bins))
    if all(value >= 0 for value in bins):
        return list(bins)
    if not whole:
        return [0] * len(bins)
    cut = _cut(bins, whole)
    nearest = [max(0.0, value - cut) for value in bins]
    found = [int(value) for value in nearest]
    order = sorted(range(len(bins)), key=lambda place: (found[place] - nearest[place], place))
    for place in order[: whole - sum(found)]:
        found[place] += 1
    return found


def _cut(bins: Sequence[int], whole: int) -> float:
    """What all bins are lowered by, so that those that stay above zero add up to ``whole``."""
    kept, cut = 0, 0.0
    for count, value in enumerate(sorted(bins, reverse=True), 1):
        kept += value
        lowered = (kept - whole) / count
        if value <= lowered:
            break
        cut = lowered
    return cut
