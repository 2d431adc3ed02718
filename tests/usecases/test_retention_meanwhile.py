"""While somebody runs retention: checks, releases and long readings see what they would have seen without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.slots import SlotKind
from consentprofile.model.event import Recorded
from consentprofile.release.spec import ReleaseSpec
from consentprofile.store.files import Files
from consentprofile.store.ports import Ground
from consentprofile.usecases import reading, release
from consentprofile.usecases.census import Census
from consentprofile.usecases.session import Session
from tests.usecases.scene import Scene, event
from tests.usecases.test_retention import LATER, busy


class Stopped(BaseException):
    """The process ended here."""


def begin(scene: Scene, step: str) -> None:
    """Another process is at ``step``: as far as the files can tell, it has just ended there."""

    def observe(reached: str) -> None:
        if reached == step:
            raise Stopped

    pending = scene.store._session.ground.pending
    pending._observe = observe
    with pytest.raises(Stopped):
        scene.store.upkeep.run_retention(attended=True)
    pending._observe = lambda _: None


@contextmanager
def nobody_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The writer lock is taken without finishing what is pending, as a check that reads on meanwhile sees it."""

    @contextmanager
    def writing(self: Ground) -> Iterator[None]:
        with self.files.writing():
            yield

    with monkeypatch.context() as patch:
        patch.setattr(Ground, "writing", writing)
        yield


@pytest.mark.parametrize("step", ["noted", "applied", "succeeded", "gate passed"])
def test_a_check_meanwhile_finds_nothing_wrong(scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    busy(scene, "acct-1", "acct-2")
    begin(scene, step)
    with nobody_writes(monkeypatch):
        findings = scene.store.check().findings
    assert [one for one in findings if one.where != "audit log"] == []
    assert scene.store.check().findings == ()


def test_a_key_that_waits_for_nothing_is_found(scene: Scene) -> None:
    busy(scene)
    begin(scene, "noted")
    files = scene.store._session.ground.files
    with files.writing():
        files.keys.execute("DELETE FROM pending")
    (found,) = scene.store.check().findings
    assert found.what == "waits for a slot, and no work is pending"
    slots = scene.store._session.ground.keyring.every_slot()
    assert found.where == f"slot {next(slot.number for slot in slots if slot.header.kind == SlotKind.TO_COME)}"


def after_the_first_slice(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let a reading open one block at a time, and something happen after the first."""
    open_blocks, gate = reading.open_blocks, Files.reading
    waiting, acted = [act], [False]

    def opening(session: Session, key: SlotKey, rows: list[bytes], terms: int, now: int) -> list[Recorded]:
        acted[0] = True
        return open_blocks(session, key, rows, terms, now)

    @contextmanager
    def between(self: Files) -> Iterator[None]:
        if acted[0] and waiting:
            waiting.pop()()
        with gate(self):
            yield

    monkeypatch.setattr(reading, "open_blocks", opening)
    monkeypatch.setattr(reading, "SLICE", 1)
    monkeypatch.setattr(Files, "reading", between)


def test_a_long_reading_meanwhile_reads_everything_that_is_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    busy(scene)
    before = scene.events()
    after_the_first_slice(monkeypatch, lambda: scene.store.upkeep.run_retention(attended=True))
    assert scene.events() == before


def test_a_release_meanwhile_drops_nobody_who_is_still_there(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        scene.give("planning", account=f"acct-{number}")
    for at in (scene.clock.now, LATER.replace(month=4)):
        scene.clock.now = at
        for number in range(4):
            scene.store.record(event(at=at, account=f"acct-{number}", platform="mobile"))
    scene.clock.now = LATER
    spec = scene.folder / "reach.toml"
    spec.write_text(
        'format = 1\nname = "r"\npurpose = "planning"\nmeasure = "reach"\nby = ["platform"]\nfrom = 2024-04-01\n'
        'until = 2024-05-01\nzone = "Europe/Berlin"\n[protection]\nkind = "threshold"\n'
    )
    standing: list[int] = []
    publish: Callable[..., object] = release._publish

    def publishing(session: Session, spec: ReleaseSpec, census: Census, *rest: object) -> object:
        assert scene.store.upkeep.run_retention(attended=True).resealed == 4
        standing.append(len(census.standing(session).counted.pseudonyms))
        return publish(session, spec, census, *rest)

    monkeypatch.setattr(release, "_publish", publishing)
    scene.store.release(spec, scene.folder / "out")
    assert standing == [4]
    assert scene.store.check().is_clean
