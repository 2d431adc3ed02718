"""An interval holds what was counted as often as it says, and is no wider than it has to be."""

from __future__ import annotations

import math

import pytest

from consentprofile.release.dp.intervals import CONFIDENCE, half_width, shown_from
from consentprofile.release.dp.mechanisms import Noise, draw, find
from tests.release.dp.exact import chance, chance_from

SCALES = (0.3, 1.0, 2.5, 27.33333333333, 160.0)


@pytest.mark.parametrize("distribution", ["laplace", "gaussian"])
@pytest.mark.parametrize("scale", SCALES)
def test_it_is_the_narrowest_that_holds_often_enough(distribution: str, scale: float) -> None:
    noise = Noise("laplace" if distribution == "laplace" else "gaussian", scale)
    width = half_width(noise)
    assert 2 * chance_from(noise, width + 1) <= 1 - CONFIDENCE + 1e-8
    assert width == 0 or 2 * chance_from(noise, width) > 1 - CONFIDENCE - 1e-8


@pytest.mark.parametrize("distribution", ["laplace", "gaussian"])
@pytest.mark.parametrize("terms", [2, 5])
def test_a_sum_is_as_wide_as_its_exact_distribution(distribution: str, terms: int) -> None:
    noise = Noise("laplace" if distribution == "laplace" else "gaussian", 1.5)
    reach = 60
    one = [chance(noise, z) for z in range(-reach, reach + 1)]
    whole = [1.0]
    for _ in range(terms):
        longer = [0.0] * (len(whole) + 2 * reach)
        for place, weight in enumerate(whole):
            for other, chance_of in enumerate(one):
                longer[place + other] += weight * chance_of
        whole = longer
    width, middle = half_width(noise, terms), terms * reach
    outside = math.fsum(whole[: middle - width]) + math.fsum(whole[middle + width + 1 :])
    narrower = outside + whole[middle - width] + whole[middle + width]
    assert outside <= 1 - CONFIDENCE + 1e-8
    assert narrower > 1 - CONFIDENCE - 1e-8


@pytest.mark.parametrize("distribution", ["laplace", "gaussian"])
@pytest.mark.parametrize("terms", [1, 3])
def test_beyond_the_scale_that_is_added_up_a_bound_takes_over_and_is_never_narrower(
    distribution: str, terms: int
) -> None:
    kind = Noise("laplace" if distribution == "laplace" else "gaussian", 0)
    scales = [scale / math.sqrt(terms) for scale in (19_999.0, 20_001.0)]
    added, bounded = (half_width(kind._replace(scale=scale), terms) / scale for scale in scales)
    assert 0.999 * added <= bounded <= 1.7 * added


def test_published_intervals_of_laplace_noise_agree() -> None:
    """TestConfidenceIntervalLaplace of google/differential-privacy, go/noise/laplace_noise_test.go."""
    for scale, alpha, published in ((27.33333333333, 0.05, 81.88334881), (60.0, 0.24, 85.6269813), (700.0, 0.8, 156.2)):
        assert abs(half_width(Noise("laplace", scale), 1, 1 - alpha) - published) <= 1


@pytest.mark.parametrize("noise", [Noise("laplace", 6.0), Noise("gaussian", 9.0)])
def test_ten_thousand_cells_are_covered_as_often_as_promised(noise: Noise) -> None:
    """Unselected cells of any size: the share is within 6 deviations of what the distribution says, 95 % or more."""
    counted = [place % 977 for place in range(10_000)]
    width = half_width(noise)
    covered = sum(abs(noisy - exact) <= width for noisy, exact in zip(draw(noise, counted), counted, strict=True))
    promised = 1 - 2 * chance_from(noise, width + 1)
    assert promised >= CONFIDENCE
    assert covered >= 10_000 * promised - 6 * math.sqrt(10_000 * promised * (1 - promised))


def test_nothing_added_up_is_exact() -> None:
    assert half_width(Noise("laplace", 100.0), 0) == 0


def test_a_key_with_that_many_accounts_appears_nearly_always() -> None:
    noise, threshold = Noise("laplace", 5.0), 80
    accounts = shown_from(noise, threshold)
    shown = len(find(noise, dict.fromkeys(range(5_000), accounts), threshold))
    assert shown >= 5_000 * CONFIDENCE - 6 * math.sqrt(5_000 * 0.05)
