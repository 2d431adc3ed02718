"""Rows of noisy values: what is drawn is shown as it is, what is derived is consistent, and intervals hold for both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

import pytest

from consentprofile.model.event import Recorded
from consentprofile.release.cells import Counted
from consentprofile.release.dp.intervals import CONFIDENCE
from consentprofile.release.dp.mechanisms import draw
from consentprofile.release.dp.protect import Mechanism, Noisy, mechanism, protect
from consentprofile.release.dp.rows import noisy_rows
from consentprofile.release.measures.measure import Figure
from consentprofile.release.spec import ReleaseSpec
from tests.release.dp.shop import MEASURES, RHO, asked, no_noise
from tests.release.shop_policy import SINCE, event, tallied

DRAWS = 200


def crowd(accounts: int) -> Mapping[int, list[Recorded]]:
    """Accounts that come back, search, buy and rate: some rows are full, some nearly empty."""
    source = Random(accounts)
    return {
        number: [
            event(
                source.choice(["login", "login", "search", "purchase"]),
                SINCE + source.randrange(120 * 86_400),
                platform=source.choices(["mobile", "desktop", "tablet"], [6, 3, 1])[0],
                channel="web",
                page=f"p{source.randrange(3)}",
                rating=source.randrange(-2, 6),
                total=source.randrange(5_000),
            )
            for _ in range(source.randrange(1, 9))
        ]
        for number in range(accounts)
    }


def drawn_with(spec: ReleaseSpec) -> Mechanism:
    assert spec.noise is not None
    return mechanism(spec, spec.noise.loss)


def exact(spec: ReleaseSpec, counted: Counted) -> dict[tuple[str, ...], tuple[Figure, ...]]:
    """The figures of what was counted, by the measure itself."""
    parts, own = len(spec.measure.parts), len(spec.measure.keys)
    values = protect(spec, counted, drawn_with(spec), source=no_noise).values
    rows = [values[place : place + parts] for place in range(0, len(values), parts)]
    found: dict[tuple[str, ...], tuple[Figure, ...]] = {}
    for begin in range(0, len(spec.keys), own):
        derived = spec.measure.derived(dict(zip(spec.measure.keys, rows[begin : begin + own], strict=True)))
        found |= dict(zip(spec.keys[begin : begin + own], derived.values(), strict=True))
    return found


@pytest.mark.parametrize("protection", ["epsilon = 0.3", "rho = 0.005"])
@pytest.mark.parametrize("name", MEASURES)
def test_every_figure_lies_in_its_interval_as_often_as_promised(name: str, protection: str) -> None:
    """Figures that are drawn and figures that are derived, each column by itself, over many draws.

    The share is held against the promise with six deviations, counted as if each draw of a table were one trial.
    """
    spec = asked(protection, RHO, **MEASURES[name])
    counted = tallied(spec, crowd(60))
    truth = exact(spec, counted)
    held = [0.0] * len(spec.measure.figures)
    for _ in range(DRAWS):
        rows = dict(noisy_rows(spec, protect(spec, counted, drawn_with(spec))))
        for column in range(len(held)):
            inside = [
                within(figure, *rows[key][3 * column + 1 : 3 * column + 3])
                for key, figures in truth.items()
                if (figure := figures[column]) is not None
            ]
            held[column] += sum(inside) / len(inside) / DRAWS
    assert min(held) >= CONFIDENCE - 6 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / DRAWS)


def within(figure: Figure, low: Figure, high: Figure) -> bool:
    assert figure is not None
    assert low is not None
    assert high is not None
    return low <= figure <= high


@pytest.mark.parametrize("name", MEASURES)
def test_without_noise_figures_are_those_of_the_measure(name: str) -> None:
    """Nothing is lost or bent on the way: with no noise the rows say what the measure says."""
    spec = asked(**MEASURES[name])
    counted = tallied(spec, crowd(40))
    rows = dict(noisy_rows(spec, protect(spec, counted, drawn_with(spec), source=no_noise)))
    for key, figures in exact(spec, counted).items():
        shown = rows[key][::3]
        assert [one for one, other in zip(shown, figures, strict=True) if one != other and other is not None] == []


@pytest.mark.parametrize("name", ["frequency", "funnel", "retention", "time to next", "overlap"])
def test_curves_are_monotone_and_never_below_zero_and_rows_are_as_drawn(name: str) -> None:
    spec = asked("epsilon = 0.05", **MEASURES[name])
    counted = tallied(spec, crowd(12))
    noisy = protect(spec, counted, drawn_with(spec))
    rows = dict(noisy_rows(spec, noisy))
    assert [row[0] for row in rows.values()] == list(noisy.values)
    curve = spec.measure.figures.index(next(name for name in spec.measure.figures if name != "accounts"))
    cohorts: dict[tuple[str, ...], list[float]] = {}
    for key, row in rows.items():
        figure, low, high = row[3 * curve : 3 * curve + 3]
        assert isinstance(figure, int)
        assert isinstance(low, int)
        assert isinstance(high, int)
        assert 0 <= low <= figure <= high
        cohorts.setdefault(key[:-1], []).append(figure)
    falling = name != "time to next"
    for figures in cohorts.values():
        if name != "overlap":  # sets are ordered by what they contain, which is no line
            assert figures == sorted(figures, reverse=falling)


def test_a_share_of_nobody_has_no_figure_and_may_be_anything() -> None:
    spec = asked("epsilon = 0.01", **MEASURES["time to next"])
    nobody = Noisy(drawn_with(spec), tuple(-5 for _ in spec.keys), None)
    for row in dict(noisy_rows(spec, nobody)).values():
        share, low, high = row[6:9]
        assert (share, high) == (None, 100.0)
        assert isinstance(low, float)


@pytest.mark.parametrize("values", [(-3, 500), (0, -9), (2, 10**9)])
def test_a_mean_over_nobody_may_be_whatever_a_mean_can_be(values: tuple[int, int]) -> None:
    """Never divided by nothing, and never beyond what an account's own mean can be."""
    spec = asked("epsilon = 0.01", **MEASURES["means"])
    noisy = Noisy(drawn_with(spec), values * len(spec.keys), None)
    for row in dict(noisy_rows(spec, noisy)).values():
        mean, low, high = row[3:6]
        assert isinstance(mean, float | int)
        assert -3 <= mean <= 3
        assert (low, high) == (-3, 3)


def test_noise_that_is_drawn_twice_is_not_the_same() -> None:
    spec = asked("epsilon = 0.01", by='["platform"]')
    counted = tallied(spec, crowd(5))
    one, other = (protect(spec, counted, drawn_with(spec), source=source).values for source in (draw, draw))
    assert one != other
