"""Batches of ``record_many``: sealed as the keyring stood, and written only as it stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final, cast

import pytest

import consentprofile as cp
from consentprofile.model.projection import Checked
from consentprofile.store.ports import KeyringFile
from consentprofile.usecases import batches
from consentprofile.usecases.batches import Batch, one_ahead
from consentprofile.usecases.sealing import Entry
from consentprofile.usecases.sealing_crew import Crew
from tests.usecases.scene import PURPOSES, Scene, event

WRITTEN: Final = "acct-1"


def events(count: int = 12) -> list[cp.Event]:
    """Events of one account and of another, which has consented to nothing."""
    return [event(account=f"acct-{1 + number % 2}", id=f"e-{number}") for number in range(count)]


def interrupted(scene: Scene, meanwhile: Callable[[], object]) -> cp.Summary:
    """Record with something that happens once, between sealing and writing."""

    def source() -> Iterator[cp.Event]:
        yield from events()

    gather, left = Batch.gather, [meanwhile]

    def and_then(batch: Batch, crew: Crew) -> None:
        gather(batch, crew)
        if left:
            left.pop()()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batch, "gather", and_then)
        return scene.store.record_many(source())


def recorded(summary: cp.Summary, purpose: str = "support") -> dict[cp.Outcome, int]:
    return dict(summary.outcomes[purpose])


def test_what_stands_as_it_stood_is_written_as_it_was_sealed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.give("support", account=WRITTEN)
    monkeypatch.setattr(batches, "offered", None)  # nothing is sealed a second time
    assert recorded(interrupted(scene, lambda: None)) == {cp.Outcome.RECORDED: 6, cp.Outcome.NO_CONSENT: 6}
    assert len(scene.events(account=WRITTEN) or []) == 6


MEANWHILE: Final[dict[str, Callable[[Scene], object]]] = {
    "withdrawn": lambda scene: scene.store.withdraw_consent(WRITTEN, ["support"]),
    "erased": lambda scene: scene.store.erase(WRITTEN),
    "expired": lambda scene: scene.clock.move(days=366),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_nothing_is_written_for_a_consent_that_ended_after_sealing(scene: Scene, what: str) -> None:
    scene.give("support", account=WRITTEN)
    told = interrupted(scene, lambda: MEANWHILE[what](scene))
    assert recorded(told) == {cp.Outcome.NO_CONSENT: 12}
    assert scene.events(account=WRITTEN) is None
    assert scene.leaves()[-2].operation != "recorded"
    assert scene.store.check().is_clean


def test_a_withdrawal_and_a_new_consent_after_sealing_take_the_events_under_the_new_key(scene: Scene) -> None:
    scene.give("support", account=WRITTEN)

    def anew() -> None:
        scene.store.withdraw_consent(WRITTEN, ["support"])
        scene.give("support", account=WRITTEN)

    assert recorded(interrupted(scene, anew))[cp.Outcome.RECORDED] == 6
    assert len(scene.events(account=WRITTEN) or []) == 6
    assert scene.store.check().is_clean


def test_a_suppression_after_sealing_switches_the_purpose_off(scene: Scene) -> None:
    scene.give("marketing", account=WRITTEN)
    told = interrupted(scene, lambda: scene.store.suppress(WRITTEN, "do-not-contact"))
    assert cp.Outcome.RECORDED not in recorded(told, "marketing")
    assert recorded(told, "marketing")[cp.Outcome.SUPPRESSED] == 6


def test_a_month_that_began_after_sealing_is_judged_by_its_own_retention(scene: Scene) -> None:
    scene.give("support", account=WRITTEN)
    told = interrupted(scene, lambda: scene.clock.move(days=120))
    assert recorded(told) == {cp.Outcome.PAST_RETENTION: 6, cp.Outcome.NO_CONSENT: 6}


def test_whoever_destroys_a_key_waits_for_those_who_seal_in_other_processes(scene: Scene) -> None:
    scene.give("support", account=WRITTEN)
    sealing = KeyringFile(scene.folder / "store")
    inside, leave = threading.Event(), threading.Event()

    def seal() -> None:
        with sealing.reading():
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=seal)
    thread.start()
    assert inside.wait(30)
    with cp.Store.open(scene.folder / "store", key=cp.KeyFile(scene.folder / "key"), clock=scene.clock, wait=0.2) as (
        other
    ):
        with pytest.raises(cp.StoreBusy):
            other.withdraw_consent(WRITTEN, ["support"])
        leave.set()
        thread.join()
        assert other.consents(WRITTEN)["support"].state == "withdrawn"


class Hands:
    """As much of a crew as says whether it has workers."""

    def __init__(self, workers: int) -> None:
        self.processes = list(range(workers))


def handed_out(source: Iterator[int], workers: int) -> Iterator[int]:
    """What :func:`one_ahead` hands out, with numbers for batches."""
    return one_ahead(source, cast(Crew, Hands(workers)))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_fails_comes_after_all_before_it(workers: int) -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("no third")

    ahead = handed_out(source(), workers)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(LookupError, match="no third"):
        next(ahead)


def test_with_a_crew_the_next_batch_is_before_it_when_the_last_is_handed_out() -> None:
    asked: list[int] = []

    def source() -> Iterator[int]:
        for number in range(4):
            asked.append(number)
            yield number

    assert [(number, len(asked)) for number in handed_out(source(), 1)] == [(0, 2), (1, 3), (2, 4), (3, 4)]
    asked.clear()
    assert [(number, len(asked)) for number in handed_out(source(), 0)] == [(0, 1), (1, 2), (2, 3), (3, 4)]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_parcel_has_no_more_events_than_it_may_and_none_is_lost(limit: int) -> None:
    entries: list[Entry] = [(str(number), Checked(0, 0, [], frozenset())) for number in range(11)]
    accounts = [(b"a", entries[:7]), (b"b", entries[7:8]), (b"c", entries[8:10]), (b"d", entries[10:])]
    parcels = list(batches._parcels(accounts, limit))
    assert all(sum(len(some) for _, some in parcel) <= limit for parcel in parcels)
    assert [entry for parcel in parcels for _, some in parcel for entry in some] == entries
    assert all(parcels)


def test_purposes_of_the_scene_are_those_that_are_counted(scene: Scene) -> None:
    assert set(scene.store.record_many(events()).outcomes) == set(PURPOSES)
