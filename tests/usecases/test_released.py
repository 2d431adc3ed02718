"""What has been released stays readable as it was answered, and reading it is on record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import consentprofile as cp
from tests.usecases.scene import Scene
from tests.usecases.test_release import populated


@pytest.fixture
def spec(scene: Scene) -> Path:
    return populated(scene)


def test_nothing_is_listed_before_anything_was_released(scene: Scene) -> None:
    assert scene.store.released() == ()


def test_the_list_says_what_was_asked(scene: Scene, spec: Path) -> None:
    scene.store.release(spec, scene.folder / "out")
    assert scene.store.released() == (
        cp.Released(
            number=1,
            purpose="planning",
            measure="reach",
            by=("platform",),
            since=datetime(2024, 2, 29, 23, tzinfo=UTC),
            until=datetime(2024, 3, 31, 22, tzinfo=UTC),
            where={},
            min_accounts=3,
        ),
    )


def test_figures_are_the_same_from_the_answer_the_ledger_and_the_folder(scene: Scene, spec: Path) -> None:
    release = scene.store.release(spec, scene.folder / "out")
    assert release.figures.rows == (("desktop", 10), ("mobile", 25), ("tablet", None))
    assert scene.store.figures(1) == release.figures == cp.read_figures(scene.folder / "out")


def test_figures_stay_what_they_were_whoever_leaves(scene: Scene, spec: Path) -> None:
    before = scene.store.release(spec, scene.folder / "out").figures
    scene.store.erase([f"acct-{number}" for number in range(1, 39)])
    scene.reopen()
    assert scene.store.figures(1) == before


def test_a_look_at_figures_has_its_leaf_and_a_look_at_the_list_has_none(scene: Scene, spec: Path) -> None:
    scene.store.release(spec, scene.folder / "out")
    before = len(scene.leaves())
    scene.store.released()
    scene.store.figures(1)
    (leaf,) = scene.leaves()[before:]
    assert (leaf.operation, leaf.purpose, leaf.role, leaf.facts) == (
        "release-read",
        "planning",
        "officer",
        {"release": 1},
    )


@pytest.mark.parametrize("number", [-1, 0, 2, 2**63 - 1, 2**63, 10**30])
def test_a_number_that_the_ledger_does_not_have_is_refused_without_a_leaf(
    scene: Scene, spec: Path, number: int
) -> None:
    scene.store.release(spec, scene.folder / "out")
    before = len(scene.leaves())
    with pytest.raises(cp.InputError, match="no release of this number"):
        scene.store.figures(number)
    assert len(scene.leaves()) == before
