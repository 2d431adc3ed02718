"""Releases: many or nobody, once for each question, and only of what is in force."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.release.writers import write_folder
from tests.usecases.scene import Scene, event

SPEC = """\
format = 1
name = "reach"
purpose = "planning"
measure = "reach"
by = ["platform"]
from = 2024-03-01
until = 2024-04-01
zone = "Europe/Berlin"

[protection]
kind = "threshold"
min_accounts = 3
"""
APRIL = datetime(2024, 4, 2, tzinfo=UTC)
COUNTS = {"desktop": 12, "mobile": 24, "tablet": 2}


def populated(scene: Scene) -> Path:
    """12 accounts on the desktop, 24 others on a mobile, 2 others on a tablet; then it is April."""
    accounts = 0
    for platform, count in COUNTS.items():
        for _ in range(count):
            accounts += 1
            scene.give("planning", account=f"acct-{accounts}")
            scene.store.record(event("login", account=f"acct-{accounts}", platform=platform))
    scene.clock.now = APRIL
    path = scene.folder / "reach.toml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def spec(scene: Scene) -> Path:
    return populated(scene)


def figures(release: cp.Release) -> dict[str, str]:
    rows = csv.DictReader(io.StringIO(release.files["data.csv"].decode()))
    return {row["platform"]: row["accounts"] for row in rows}


def test_large_cells_are_rounded_and_small_ones_have_no_figure(scene: Scene, spec: Path) -> None:
    release = scene.store.release(spec, scene.folder / "out")
    assert figures(release) == {"desktop": "10", "mobile": "25", "tablet": ""}
    assert (release.number, release.repeated) == (1, False)
    assert {path.name: path.read_bytes() for path in (scene.folder / "out").iterdir()} == release.files


def test_one_question_has_one_answer_whatever_has_changed_since(scene: Scene, spec: Path) -> None:
    first = scene.store.release(spec, scene.folder / "first")
    scene.store.erase([f"acct-{number}" for number in range(1, 13)])
    scene.reopen()
    again = scene.store.release(spec, scene.folder / "again")
    assert (again.number, again.repeated, again.files) == (1, True, first.files)


def test_an_answer_is_signed_for_before_its_files_are_out(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a ``data.db`` from before it, under which another figure could be asked for, is known for an older one."""
    ground, seen = scene.store._session.ground, list[tuple[str, int, int]]()

    def watched(files: Mapping[str, bytes], out: Path, beside: Mapping[str, bytes]) -> None:
        ((size, _),) = ground.keyring.anchors()
        seen.append((list(scene.store.audit.log())[-1].operation, size, ground.log.size()))
        write_folder(files, out, beside)

    monkeypatch.setattr("consentprofile.usecases.release.write_folder", watched)
    scene.store.release(spec, scene.folder / "first")
    scene.store.release(spec, scene.folder / "again")
    assert [operation for operation, _, _ in seen] == ["released", "release-read"]
    assert [size for _, size, _ in seen] == [size for _, _, size in seen]


@pytest.mark.parametrize("end", ["withdrawn", "erased", "suppressed", "invalidated"])
def test_accounts_that_are_not_in_force_do_not_count(scene: Scene, spec: Path, end: str) -> None:
    gone = [f"acct-{number}" for number in range(1, 9)]
    if end == "withdrawn":
        for account in gone:
            scene.store.withdraw_consent(account, ["planning"])
    if end == "invalidated":
        for account in gone:
            scene.store.invalidate_consent(account, ["planning"])
    if end == "erased":
        scene.store.erase(gone)
    if end == "suppressed":
        for account in gone:
            scene.store.suppress(account, "deceased")
    assert figures(scene.store.release(spec, scene.folder / "out"))["desktop"] == "5"


def test_a_release_has_a_leaf_and_so_has_every_repetition_and_plan(scene: Scene, spec: Path) -> None:
    first = len(scene.leaves())
    scene.store.plan_release(spec)
    scene.store.release(spec, scene.folder / "out")
    scene.store.release(spec, scene.folder / "out")
    leaves = scene.leaves()[first:]
    assert [(leaf.operation, leaf.purpose, leaf.role) for leaf in leaves] == [
        ("release-planned", "planning", "officer"),
        ("released", "planning", "officer"),
        ("release-read", "planning", "officer"),
    ]
    assert (leaves[1].facts["release"], leaves[2].facts["release"]) == (1, 1)


def test_a_plan_tells_cost_and_bounds_and_no_figure(scene: Scene, spec: Path) -> None:
    plan = scene.store.plan_release(spec)
    assert (plan.cells, plan.min_accounts, plan.round_to, plan.guarantee) == (3, 3, 5, "heuristic")
    assert plan.suppressed_about is None


REFUSED = {
    "fewer accounts than the policy allows": ("min_accounts = 3", "min_accounts = 2", cp.InvalidSpec),
    "a purpose without release rules": ('"planning"', '"support"', cp.InvalidSpec),
    "an undeclared purpose": ('"planning"', '"resale"', cp.InvalidSpec),
    "a field that is not collected": ('["platform"]', '["acquisition"]', cp.InvalidSpec),
    "a period that is not over": ("2024-04-01", "2024-05-01", cp.ReleaseRefused),
    "a period past retention": ("2024-03-01", "2023-11-01", cp.ReleaseRefused),
}


@pytest.mark.parametrize(("old", "new", "error"), REFUSED.values(), ids=REFUSED)
def test_what_the_policy_does_not_allow_is_refused_and_nothing_leaves(
    scene: Scene, spec: Path, old: str, new: str, error: type[cp.ReleaseError]
) -> None:
    spec.write_text(SPEC.replace(old, new))
    with pytest.raises(error):
        scene.store.release(spec, scene.folder / "out")
    with pytest.raises(error):
        scene.store.plan_release(spec)
    assert not (scene.folder / "out").exists()
    assert "released" not in {leaf.operation for leaf in scene.leaves()}


def test_a_cell_that_differs_by_few_members_is_given_its_earlier_value_again(scene: Scene, spec: Path) -> None:
    """Two questions that differ by one person must not tell about that person."""
    assert figures(scene.store.release(spec, scene.folder / "first"))["desktop"] == "10"
    scene.store.record(event("login", account="acct-37", at=datetime(2024, 3, 20, tzinfo=UTC), platform="desktop"))
    spec.write_text(SPEC.replace('by = ["platform"]', 'by = ["kind", "platform"]'))
    release = scene.store.release(spec, scene.folder / "second")
    rows = csv.DictReader(io.StringIO(release.files["data.csv"].decode()))
    assert {row["platform"]: row["accounts"] for row in rows if row["kind"] == "login"}["desktop"] == "10"


def test_a_folder_that_holds_something_else_is_left_alone(scene: Scene, spec: Path) -> None:
    (scene.folder / "out").mkdir()
    (scene.folder / "out" / "mine").write_text("mine")
    with pytest.raises(cp.ReleaseRefused):
        scene.store.release(spec, scene.folder / "out")
    assert [path.name for path in (scene.folder / "out").iterdir()] == ["mine"]


def test_progress_tells_how_much_has_been_read(scene: Scene, spec: Path) -> None:
    told: list[tuple[int, int]] = []
    scene.store.release(spec, scene.folder / "out", progress=lambda *now: told.append(now))
    assert told
    assert all(done <= whole for done, whole in told)


def test_a_release_shows_nothing_of_itself_in_a_log_line(scene: Scene, spec: Path) -> None:
    assert repr(scene.store.release(spec, scene.folder / "out")) == "<Release 1>"
    assert scene.store.check().is_clean
