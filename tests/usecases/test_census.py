"""A census counts everybody once, in however many processes, and nobody who has gone before it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

import consentprofile as cp
from consentprofile import canonical
from consentprofile.crypto import compartments as opening
from consentprofile.crypto.byte_rows import Rows
from consentprofile.crypto.tags import members
from consentprofile.release.spec_file import read_spec
from consentprofile.store import compartments
from consentprofile.store.compartments import Slice
from consentprofile.usecases import census, counting, counting_worker, stretches
from consentprofile.usecases.census import Census, Standing
from consentprofile.usecases.counting_crew import CountingCrew
from consentprofile.usecases.counting_wire import Setup, answers
from consentprofile.usecases.session import Session
from consentprofile.usecases.worker_process import LENGTH
from tests.usecases import counting_scene
from tests.usecases.counting_scene import ACCOUNTS, PEOPLE, ReadyCrew, people, same, taken
from tests.usecases.scene import Scene, event
from tests.usecases.test_release import APRIL, SPEC, populated


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    counting_scene.short_stretches(monkeypatch)


@pytest.fixture
def spec(scene: Scene) -> Path:
    return populated(scene)


# ---- by several processes -----------------------------------------------------------------------


def test_several_processes_count_the_same_as_one(scene: Scene, spec: Path) -> None:
    scene.store.suppress("acct-3", "deceased")
    scene.store.withdraw_consent("acct-20", ["planning"])
    session = scene.store._session
    alone, together = taken(session).standing(session), taken(session, workers=2).standing(session)
    assert people(alone) == PEOPLE - 2
    assert len(ReadyCrew.began) == 2
    assert same(alone, together)


@pytest.mark.parametrize(("processors", "many", "workers"), [(1, 0, 0), (2, 0, 1), (4, 0, 3), (99, 0, 64), (4, 999, 0)])
def test_there_is_a_worker_for_each_processor_but_one_where_there_is_much_to_count(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch, processors: int, many: int, workers: int
) -> None:
    asked: list[int] = []

    class Noting(CountingCrew):
        def __init__(self, setups: Sequence[Setup], lock: int) -> None:
            asked.append(len(setups))
            super().__init__([], lock)

    monkeypatch.setattr(census, "CountingCrew", Noting)
    monkeypatch.setattr(census, "_processors", lambda: processors)
    monkeypatch.setattr(census, "MANY", many)
    census.take(scene.store._session, read_spec(SPEC, "reach.toml", scene.store._session.policy), SPEC)
    assert asked == [workers]


SMALL: dict[str, tuple[ModuleType, str, float]] = {
    "bytes that are fetched at once": (compartments, "MOST_BYTES", 0),
    "seconds of a slice": (counting, "LONGEST", 0.0),
    "seconds of a stretch": (counting, "PATIENCE", -1.0),
    "bytes that are counted at once": (counting, "BATCH_BYTES", 0),
}


@pytest.mark.parametrize("smalls", [*([one] for one in SMALL.values()), SMALL.values()], ids=[*SMALL, "all of them"])
def test_however_little_is_taken_at_once_everybody_is_counted(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch, smalls: Iterable[tuple[ModuleType, str, float]]
) -> None:
    session = scene.store._session
    expected = taken(session).standing(session)
    for module, name, value in smalls:
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(stretches, "LONGEST", 1_000)
    assert same(expected, taken(session).standing(session))


def test_a_slice_opens_no_more_than_its_time_allows(scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One account at least; how many others were fetched with it does not matter."""
    opened: list[int] = []
    opening = counting.Counter._open

    def counted(counter: counting.Counter, found: Slice, end: float) -> int:
        opened.append(opening(counter, found, end))
        return opened[-1]

    monkeypatch.setattr(counting.Counter, "_open", counted)
    monkeypatch.setattr(counting, "LONGEST", 0.0)
    taken(scene.store._session)
    assert max(opened) == 1
    assert sum(opened) == PEOPLE


def test_a_worker_that_takes_long_answers_with_what_it_has(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever waits would take it for dead, and count everything by itself."""
    noted: list[Setup] = []

    class Noting(CountingCrew):
        def __init__(self, setups: Sequence[Setup], lock: int) -> None:
            noted.extend(setups)
            super().__init__((), lock)

    monkeypatch.setattr(census, "CountingCrew", Noting)
    taken(scene.store._session, workers=1)
    monkeypatch.setattr(counting, "PATIENCE", -1.0)
    monkeypatch.setattr(counting, "LONGEST", 0.0)
    desk = counting_worker._Desk(noted[0])
    answer = answers.decode(desk.count(canonical.pack([1, 10_000]))[LENGTH.size :])
    assert answer is not None
    assert answer.tally.slot.tolist() == [answer.tally.last]


def test_a_store_that_is_moved_away_meanwhile_is_told_of_as_ever(scene: Scene, spec: Path) -> None:
    """What the release is told is not covered by what it does on its way out."""
    store, elsewhere = scene.folder / "store", scene.folder / "elsewhere"

    def move(done: int, last: int) -> None:
        if store.exists():
            store.rename(elsewhere)

    try:
        with pytest.raises(cp.StoreFault):
            scene.store.release(spec, scene.folder / "out", workers=0, progress=move)
    finally:
        elsewhere.rename(store)
    assert not (scene.folder / "out").exists()


def test_each_account_is_told_of_once(scene: Scene, spec: Path) -> None:
    told: list[tuple[int, int]] = []
    scene.store.release(spec, scene.folder / "out", workers=2, progress=lambda *now: told.append(now))
    last = told[-1][1]
    assert told[-1] == (last, last)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@pytest.mark.parametrize("workers", [-1, 65])
def test_another_number_of_workers_is_refused(scene: Scene, spec: Path, workers: int) -> None:
    with pytest.raises(cp.InputError, match="0 to 64"):
        scene.store.release(spec, scene.folder / "out", workers=workers)
    assert not (scene.folder / "out").exists()


def test_what_a_worker_cannot_open_is_an_error_here(scene: Scene, spec: Path) -> None:
    ground = scene.store._session.ground
    with ground.files.writing(), ground.files.data_transaction(full=False) as data:
        data.execute("UPDATE block SET sealed = zeroblob(length(sealed)) WHERE slot = (SELECT max(slot) FROM block)")
    with pytest.raises(cp.CorruptRecord):
        scene.store.release(spec, scene.folder / "out", workers=1)
    assert not (scene.folder / "out").exists()
    assert scene.store.released() == ()


# ---- cancelled ----------------------------------------------------------------------------------


class Enough(Exception):
    """Whoever watches the progress has seen enough."""


@pytest.mark.parametrize("error", [Enough, KeyboardInterrupt])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_release_that_is_cancelled_leaves_nothing_behind(
    scene: Scene, spec: Path, workers: int, error: type[BaseException]
) -> None:
    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise error

    with pytest.raises(error):
        scene.store.release(spec, scene.folder / "out", workers=workers, progress=stop)
    assert sorted(path.name for path in scene.folder.iterdir()) == ["key", "reach.toml", "store"]
    assert scene.store.released() == ()
    assert all(not Path(f"/proc/{process}").exists() for process in ReadyCrew.began)
    assert scene.store.release(spec, scene.folder / "out").number == 1


# ---- who has gone before it is published --------------------------------------------------------


def ended(scene: Scene) -> None:
    scene.store.withdraw_consent("acct-1", ["planning"])


def came_back(scene: Scene) -> None:
    scene.store.withdraw_consent("acct-1", ["planning"])
    scene.give("planning", account="acct-1")
    scene.store.record(event("login", account="acct-1", platform="tablet", at=APRIL))


def erased(scene: Scene) -> None:
    scene.store.erase("acct-1")


def another_in_the_same_slot(scene: Scene) -> None:
    scene.store.erase("acct-1")
    scene.give("planning", account="acct-99")
    scene.store.record(event("login", account="acct-99", platform="tablet", at=APRIL))


def suppressed(scene: Scene) -> None:
    scene.store.suppress("acct-1", "deceased")


def over(scene: Scene) -> None:
    """Renewals keep all others in force beyond the day on which this one's consent ends."""
    scene.clock.now = APRIL + timedelta(days=300)
    for number in range(2, PEOPLE + 1):
        scene.store.renew_consent(f"acct-{number}", ["planning"], notice="2023-01", method="form")
    scene.clock.now = APRIL + timedelta(days=350)


GONE: dict[str, Callable[[Scene], None]] = {
    "withdrew": ended,
    "withdrew, and came back": came_back,
    "was erased": erased,
    "was erased, and another has its slot": another_in_the_same_slot,
    "was suppressed": suppressed,
    "has a consent that is over": over,
}


@pytest.mark.parametrize("leave", GONE.values(), ids=GONE)
def test_whoever_has_gone_since_is_not_counted(scene: Scene, spec: Path, leave: Callable[[Scene], None]) -> None:
    session = scene.store._session
    counted = taken(session)
    before = counted.standing(session)
    assert people(before) == PEOPLE
    leave(scene)
    after = counted.standing(session)
    assert people(after) == PEOPLE - 1
    assert set(after.counted.pseudonyms.tolist()) < set(before.counted.pseudonyms.tolist())


def test_a_consent_that_ends_by_itself_is_seen_though_the_keyring_did_not_change(scene: Scene, spec: Path) -> None:
    session = scene.store._session
    counted = taken(session)
    before = counted.standing(session)
    scene.clock.now += timedelta(days=400)
    after = counted.standing(session)
    assert after.changes == before.changes
    assert (people(before), people(after)) == (PEOPLE, 0)


def test_a_consent_that_was_renewed_meanwhile_stands_beyond_its_former_end(scene: Scene, spec: Path) -> None:
    """Counted under the former end, published after it: a release that waited for that end would wait for ever."""
    february, text = APRIL.replace(year=2025, month=2), SPEC.replace("2024-03", "2025-02").replace("2024-04", "2025-03")
    scene.clock.now = february
    scene.store.record_many(event("login", account=account, platform="mobile", at=february) for account in ACCOUNTS)
    scene.clock.now = APRIL.replace(year=2025, month=3)
    session = scene.store._session
    counted = taken(session, text=text)
    for account in ACCOUNTS:
        scene.store.renew_consent(account, ["planning"], notice="2023-01", method="form")
    scene.clock.now = APRIL.replace(year=2025)
    standing = counted.standing(session)
    assert people(standing) == PEOPLE
    assert standing.until > scene.clock.now.timestamp()


def test_a_pseudonym_that_ends_with_zeros_is_known_again_under_a_new_key(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ending(secrets: Rows) -> Rows:
        made = members(secrets).copy()
        made[:, 13:] = 0
        return made

    monkeypatch.setattr(opening, "members", ending)
    session = scene.store._session
    counted = taken(session)
    scene.store.record_many(event("login", account=account, at=APRIL) for account in ACCOUNTS)
    before = counted.standing(session)
    scene.clock.move(days=95)
    assert scene.store.upkeep.run_retention(attended=True).resealed
    assert same(before, counted.standing(session))


def test_what_changes_while_a_release_is_protected_is_seen_before_it_is_published(
    scene: Scene, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once after the census stood, for as long as it is prepared beside others; then others wait."""
    stood: list[int] = []
    standing = Census.standing

    def meanwhile(counted: Census, session: Session) -> Standing:
        found = standing(counted, session)
        stood.append(people(found))
        if not session.ground.files._writers:
            scene.store.withdraw_consent(f"acct-{len(stood)}", ["planning"])
        return found

    monkeypatch.setattr(Census, "standing", meanwhile)
    release = scene.store.release(spec, scene.folder / "out")
    assert stood == [PEOPLE, PEOPLE - 1, PEOPLE - 2, PEOPLE - 3]
    rows = release.files["data.csv"].decode().splitlines()
    assert rows[1] == "desktop,10"  # nine of twelve, rounded
    assert scene.store.check().is_clean
