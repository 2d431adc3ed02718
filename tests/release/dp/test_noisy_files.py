"""The files of a noisy release: columns for intervals, the same figures in each, a picture for every measure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

import pytest

from consentprofile.release.arrow import parquet
from consentprofile.release.dp.manifest import noisy_manifest
from consentprofile.release.dp.protect import Noisy, mechanism, protect
from consentprofile.release.figures import Figures, figures_of
from consentprofile.release.pictures.choosing import choose, picture, words
from consentprofile.release.pictures.grid import Grid
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.writers import render
from tests.release.dp.shop import IN_EPSILON, MANY_KEYS, MEASURES, RHO, asked, policy
from tests.release.dp.test_rows import crowd
from tests.release.shop_policy import event, tallied

MUCH = policy(IN_EPSILON.replace("epsilon_per_year = 8", "epsilon_per_year = 20"))


def files(spec: ReleaseSpec, people: int = 60) -> dict[str, bytes]:
    assert spec.noise is not None
    noisy = protect(spec, tallied(spec, crowd(people)), mechanism(spec, spec.noise.loss))
    return rendered(spec, noisy)


def rendered(spec: ReleaseSpec, noisy: Noisy) -> dict[str, bytes]:
    return render(spec, noisy, noisy_manifest(spec, RHO, noisy, salt=b"s" * 32, root=b"r" * 32))


@pytest.mark.parametrize("changes", MEASURES.values(), ids=MEASURES)
def test_each_figure_stands_before_between_what_it_lies_in_every_file(changes: Mapping[str, str]) -> None:
    spec = asked("rho = 0.2", RHO, **changes)
    written = files(spec)
    figures = figures_of(written)
    names = spec.measure.figures
    assert figures.values == tuple(name for one in names for name in (one, f"{one}_low", f"{one}_high"))
    rows = list(csv.reader(io.StringIO(written["data.csv"].decode())))
    assert tuple(rows[0]) == figures.columns
    assert [tuple(row) for row in rows[1:]] == [
        tuple("" if part is None else str(part) for part in row) for row in figures.rows
    ]
    assert len(parquet(figures.table())) > 100
    assert figures.guarantee == "differential privacy"
    assert figures.protection == {"kind": "dp", "rho": 0.2}
    assert set(figures.intervals) == {part.name for part in spec.measure.parts}
    assert (figures.round_to, figures.largest_error, figures.min_accounts) == ({}, {}, 0)


def test_of_many_keys_those_that_were_found_have_rows_and_no_others() -> None:
    spec = asked("epsilon = 1.0, delta = 1e-7", RHO, **MANY_KEYS)
    assert spec.noise is not None
    counted = tallied(spec, {number: [event("search", page="p7")] for number in range(300)})
    figures = figures_of(rendered(spec, protect(spec, counted, mechanism(spec, spec.noise.loss))))
    assert [row[:2] for row in figures.rows] == [("p7", "2024-W01")]
    empty = figures_of(rendered(spec, protect(spec, tallied(spec, {}), mechanism(spec, spec.noise.loss))))
    assert empty.rows == ()
    assert empty.columns == figures.columns


@pytest.mark.parametrize("people", [0, 60], ids=["nobody", "some"])
@pytest.mark.parametrize("changes", MEASURES.values(), ids=MEASURES)
def test_every_measure_has_a_picture_that_says_how_far_off_it_is(changes: Mapping[str, str], people: int) -> None:
    """Also where all figures are noise around nothing, many of them below zero."""
    figures = figures_of(files(asked("epsilon = 0.3", RHO, **changes), people))
    svg, png = picture(figures)
    assert svg.startswith(b"<?xml")
    assert png.startswith(b"\x89PNG")
    notes = words(*choose(figures)).notes
    said = r"≈ with noise \(differential privacy, epsilon 0\.3\): off by at most [\d.,]+, 95 times in 100"
    assert re.match(said, notes[0])
    assert not any("fewer than" in note for note in notes)


def test_a_picture_of_keys_that_were_not_found_is_empty_and_drawn() -> None:
    spec = asked("epsilon = 1.0, delta = 1e-7", RHO, **MANY_KEYS)
    assert spec.noise is not None
    figures = figures_of(rendered(spec, protect(spec, tallied(spec, {}), mechanism(spec, spec.noise.loss))))
    svg, _ = picture(figures)
    assert svg.startswith(b"<?xml")


def test_what_can_be_off_is_the_interval_of_the_column_that_is_drawn() -> None:
    figures: Figures = figures_of(files(asked("epsilon = 0.3", **MEASURES["funnel"])))
    drawn, _ = choose(figures)
    place = figures.values.index("reached")
    widest = max(
        max(row[place] - row[place + 1], row[place + 2] - row[place])  # type: ignore[operator]  # numbers
        for _, row in figures.cells()
    )
    assert drawn.off.most == widest


def test_no_share_is_drawn_of_what_may_be_nothing() -> None:
    """A cohort of five that may be none has no shares; one of hundreds has some, held between none and all."""
    for epsilon, some in (("0.02", False), ("20", True)):
        spec = asked(f"epsilon = {epsilon}", MUCH, **MEASURES["retention in each period"])
        figures = figures_of(files(spec))
        first = {key[0]: row[figures.values.index("accounts")] for key, row in figures.cells() if key[1] == "0"}
        drawn, chosen = choose(figures)
        assert isinstance(chosen.shape, Grid)
        told = {row.label.split()[0]: [value for value in row.values if value is not None] for row in chosen.shape.rows}
        # (noise may have made a cohort of five one of hundreds; then it is drawn like one)
        assert {name for name, shares in told.items() if shares} == {
            name for name in told if (first[name] or 0) > drawn.off.most
        }
        assert any(told.values()) if some else not all(told.values())
        assert all(0 <= value <= 1 for shares in told.values() for value in shares)
        assert any("hatched" in note for note in words(drawn, chosen).notes)
