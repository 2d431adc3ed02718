"""What has been released stays readable as it was answered, and reading it is on record."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

import consentprofile as cp
from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.release import ledger
from consentprofile.release.pictures import canvas
from consentprofile.store.ports import StoredRelease
from consentprofile.usecases import released
from consentprofile.usecases.session import Session
from tests.release.plain import split
from tests.release.test_pictures import texts
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
            terms={},
            protection="threshold",
            min_accounts=3,
            hour=datetime(2024, 4, 2, tzinfo=UTC),
            role="officer",
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


def test_who_plans_asks_and_looks_is_told_by_role_in_the_log_and_by_name_in_the_actor_book(
    scene: Scene, spec: Path
) -> None:
    planner, before = "planner:7", len(scene.leaves())
    scene.store.plan_release(spec, actor=planner)
    for folder in ("out", "again"):
        scene.store.release(spec, scene.folder / folder, actor=planner)
    scene.store.figures(1, actor=planner)
    acts = ["release-planned", "released", "release-read", "release-read"]
    assert [(leaf.operation, leaf.role) for leaf in scene.leaves()[before:]] == [(act, "planner") for act in acts]
    assert [(trace.operation, trace.purpose) for trace in scene.store.audit.actor(planner)] == [
        (act, "planning") for act in acts
    ]


@pytest.mark.parametrize(("actor", "error"), [("nobody", cp.InvalidActor), ("stranger:1", cp.RoleNotAllowed)])
def test_somebody_whom_the_policy_does_not_know_is_told_nothing(
    scene: Scene, spec: Path, actor: str, error: type[Exception]
) -> None:
    scene.store.release(spec, scene.folder / "out")
    before = len(scene.leaves())
    for asking in (lambda: scene.store.plan_release(spec, actor=actor), lambda: scene.store.figures(1, actor=actor)):
        with pytest.raises(error):
            asking()
    assert len(scene.leaves()) == before


@pytest.mark.parametrize("number", [-1, 0, 2, 2**63 - 1, 2**63, 10**30])
def test_a_number_that_the_ledger_does_not_have_is_refused_without_a_leaf(
    scene: Scene, spec: Path, number: int
) -> None:
    scene.store.release(spec, scene.folder / "out")
    before = len(scene.leaves())
    with pytest.raises(cp.InputError, match="no release of this number"):
        scene.store.figures(number)
    assert len(scene.leaves()) == before


# ---- what stands beside a release -----------------------------------------------------------------------------------


def test_parquet_and_pictures_stand_beside_the_same_published_bytes(scene: Scene, spec: Path) -> None:
    plain = scene.store.release(spec, scene.folder / "plain")
    rich = scene.store.release(spec, scene.folder / "rich", also=("parquet", "pictures"))
    beside = {"data.parquet", "derived.json", "picture.png", "picture.svg"}
    assert set(rich.files) == set(plain.files) | beside
    assert {name: data for name, data in rich.files.items() if name not in beside} == plain.files
    assert {path.name: path.read_bytes() for path in (scene.folder / "rich").iterdir()} == rich.files
    assert rich.figures == plain.figures


def test_they_are_the_same_after_everybody_has_left(scene: Scene, spec: Path) -> None:
    first = scene.store.release(spec, scene.folder / "first", also=("parquet", "pictures"))
    scene.store.erase([f"acct-{number}" for number in range(1, 39)])
    again = scene.store.release(spec, scene.folder / "again", also=("parquet", "pictures"))
    assert (again.repeated, again.files) == (True, first.files)


def test_the_ledger_does_not_keep_them(scene: Scene, spec: Path) -> None:
    scene.store.release(spec, scene.folder / "out", also=("parquet", "pictures"))
    session = scene.store._session
    row = session.ground.releases.since(1)
    assert row is not None
    entry = ledger.unpack(session.keys.open_record(RecordType.LEDGER, row.number, row.ledger))
    assert set(entry.published) == {"data.csv", "data.json", "manifest.json"}


def test_without_the_extra_nothing_is_released(scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "has_pictures", lambda: False)
    before = len(scene.leaves())
    with pytest.raises(cp.UnsupportedEnvironment):
        scene.store.release(spec, scene.folder / "out", also=("pictures",))
    assert not (scene.folder / "out").exists()
    assert (scene.store.released(), len(scene.leaves())) == ((), before)
    release = scene.store.release(spec, scene.folder / "out", also=None)
    assert "picture.svg" not in release.files
    assert "data.parquet" in release.files


def test_no_account_no_pseudonym_and_no_path_is_in_any_file(scene: Scene, spec: Path) -> None:
    """The canary: what stands in the store about people stands in none of the files, nor in what they unfold to."""
    release = scene.store.release(spec, scene.folder / "acct-folder", also=("parquet", "pictures"))
    session = scene.store._session
    row = session.ground.releases.since(1)
    assert row is not None
    entry = ledger.unpack(session.keys.open_record(RecordType.LEDGER, row.number, row.ledger))
    settled = entry.settled()
    members = split(settled.joined)
    assert len(members) == 38
    canaries = [b"acct-", str(scene.folder).encode(), b"reach.toml"]
    canaries += [form for name in members for form in (name, name.hex().encode())]
    for name, data in release.files.items():
        assert [canary for canary in canaries if canary in data] == [], name
    hidden = {cell.count for cell in settled.cells if cell.value is None}
    assert hidden == {2}
    assert {f"≈ {count}" for count in hidden}.isdisjoint(texts(release.files["picture.svg"]))


# ---- who was behind it ----------------------------------------------------------------------------------------------


def test_check_reads_everybody_behind_a_release(scene: Scene, spec: Path) -> None:
    scene.store.release(spec, scene.folder / "out")
    assert scene.store.check().is_clean
    session = scene.store._session
    row = session.ground.releases.since(1)
    assert row is not None
    entry = ledger.unpack(session.keys.open_record(RecordType.LEDGER, row.number, row.ledger))
    settled = entry.settled()
    fewer = msgspec.structs.replace(settled, cells=settled.cells[:1])
    broken = ledger.pack(msgspec.structs.replace(entry, cells=msgspec.Raw(canonical.pack(fewer))))
    with session.ground.writing(), session.ground.files.data_transaction(full=True):
        session.ground.releases.overwrite(1, session.keys.seal_record(RecordType.LEDGER, 1, broken))
    assert [(finding.where, finding.what) for finding in scene.store.check().findings] == [
        ("release 1", "its ledger entry does not authenticate, or contradicts itself")
    ]
    assert scene.store.figures(1).rows  # what was answered stays readable


def test_a_store_is_checked_without_numpy(scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.store.release(spec, scene.folder / "out")
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert scene.store.check().is_clean
    assert len(scene.store.released()) == 1


def test_a_release_that_the_ledger_cannot_keep_is_refused_before_anything_is_written(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MOST_BYTES", 1000)
    before = len(scene.leaves())
    with pytest.raises(cp.ReleaseRefused, match="ask for fewer"):
        scene.store.release(spec, scene.folder / "out")
    assert not (scene.folder / "out").exists()
    assert (scene.store.released(), len(scene.leaves())) == ((), before)


def test_whoever_holds_keys_of_before_is_told_so_and_not_of_a_broken_ledger(scene: Scene, spec: Path) -> None:
    scene.store.release(spec, scene.folder / "out")
    with cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock) as other:
        other.rotate_keys(cp.KeyFile(scene.folder / "new"))
    with pytest.raises(cp.KeysRotated):
        scene.store.release(spec, scene.folder / "again")
    with pytest.raises(cp.KeysRotated):
        scene.store.plan_release(spec)


def test_an_entry_is_opened_once_before_the_lock_and_only_new_ones_under_it(scene: Scene, spec: Path) -> None:
    scene.store.release(spec, scene.folder / "out")
    session = scene.store._session
    first = released.entries(session)
    other = scene.folder / "other.toml"
    other.write_text(spec.read_text().replace('by = ["platform"]', 'by = ["kind"]'))
    scene.store.release(other, scene.folder / "other")
    with pytest.MonkeyPatch.context() as patch:
        seen: list[int] = []
        opened = released.opened

        def opening(of: Session, row: StoredRelease) -> ledger.Entry:
            seen.append(row.number)
            return opened(of, row)

        patch.setattr(released, "opened", opening)
        assert released.entries(session, first) == released.entries(session)
        assert seen == [2, 1, 2]
        seen.clear()
        third = scene.folder / "third.toml"
        third.write_text(spec.read_text().replace('by = ["platform"]', 'by = ["platform", "kind"]'))
        scene.store.release(third, scene.folder / "third")
    # once to find whether it has been asked before, and once more its cells, to hold the new ones against them
    assert seen == [1, 2, 1, 2]


def test_a_ledger_that_loses_an_entry_meanwhile_does_not_keep_the_lock(scene: Scene, spec: Path) -> None:
    """By somebody who writes to the file: the number that would follow what was read before never comes."""
    for name, instead in (("first", "[]"), ("second", '["kind"]'), ("third", '["kind", "platform"]')):
        (scene.folder / name).write_text(spec.read_text().replace('by = ["platform"]', f"by = {instead}"))
    for name in ("first", "second"):
        scene.store.release(scene.folder / name, scene.folder / f"{name}-out")
    for number in range(1, 39):
        scene.store.erase(f"acct-{number}")  # nobody is left, so no earlier cells are read

    def losing(done: int, last: int) -> None:
        connection = scene.store._session.ground.files.data
        connection.execute("DELETE FROM release WHERE number = 2")

    assert scene.store.release(scene.folder / "third", scene.folder / "out", progress=losing).number == 2
