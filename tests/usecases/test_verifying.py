"""Verifying: sound logs verify, whatever goes on meanwhile, in memory that does not grow. (Attacks: tests/faults.)"""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.store.heads import Heads, Nodes
from consentprofile.store.keyring import Keyring
from consentprofile.store.log import Log
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases import verifying
from tests.support.commands import Command
from tests.support.peer import Peer
from tests.usecases.scene import ACCOUNT, NOW, Scene, event

SECOND: Final = int(NOW.timestamp())


def grow(scene: Scene, count: int) -> None:
    """Append leaves as reads do."""
    session = scene.store._session
    draft = Draft(Operation.READ, SECOND, "support", "support-agent", (("commitment", bytes(32)),))
    with session.ground.writing(), session.ground.files.data_transaction(full=False):
        session.ground.log.append([draft] * count, session.policy.digest)


def giving(account: str) -> dict[str, object]:
    """A consent, in a command."""
    return {"do": "give", "account": account, "purposes": ["support"], "notice": "2024-01", "method": "form"}


@pytest.fixture
def peer(scene: Scene) -> Iterator[Peer]:
    """Another process on the same store."""
    with Peer() as other:
        other.open(scene.folder / "store", scene.folder / "key", SECOND)
        yield other
        other.close_store()


def test_a_log_verifies_through_everything_that_can_happen_to_keys(scene: Scene) -> None:
    scene.give("support", "marketing", "planning")
    scene.give("support", account="b")
    scene.store.renew_consent(ACCOUNT, ["support"], notice="2024-01")
    scene.store.withdraw_consent(ACCOUNT, ["marketing"])
    scene.store.audit.verify()
    scene.give("marketing")
    scene.store.invalidate_consent(ACCOUNT, ["planning"])
    scene.store.refuse_consent("c", ["support"])
    scene.store.suppress("d", "deceased")
    scene.store.audit.verify()
    scene.clock.move(days=120)
    scene.store.upkeep.expire_consents(attended=True)
    scene.give("marketing")
    scene.store.erase([ACCOUNT, "b", "c", "d"])
    head = scene.store.audit.verify()
    assert head.size == len(scene.leaves())
    assert head.checkpoints == len(scene.store._session.ground.heads.after(-1))


def test_a_log_verifies_when_everybody_is_gone(scene: Scene) -> None:
    for number in range(5):
        scene.give("support", "marketing", account=f"acct-{number}")
    scene.store.erase([f"acct-{number}" for number in range(5)])
    before = scene.store.audit.verify()
    scene.reopen()
    assert scene.store.audit.verify() == before


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 14, 253, 254, 255, 998])
def test_logs_of_every_length_verify(scene: Scene, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("consentprofile.usecases.audit.PAGE", 100)
    monkeypatch.setattr(verifying, "NODES", 7)
    grow(scene, count)
    assert scene.store.audit.verify().size == count + 2


def test_the_memory_of_verifying_does_not_grow_with_the_log(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consentprofile.usecases.audit.PAGE", 100)
    monkeypatch.setattr(verifying, "NODES", 100)
    peaks = []
    for count in (1_000, 9_000):
        grow(scene, count)
        scene.store.audit.verify()
        tracemalloc.start()
        scene.store.audit.verify()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_wrong_node_is_named_in_whatever_slice_it_lies(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "NODES", 4)
    grow(scene, 60)
    data = scene.store._session.ground.files.data
    for level, position in [(1, 0), (1, 3), (1, 4), (1, 30), (2, 7), (3, 6), (5, 0)]:
        (kept,) = data.execute("SELECT hash FROM node WHERE level = ? AND position = ?", (level, position)).fetchone()
        data.execute("UPDATE node SET hash = zeroblob(32) WHERE level = ? AND position = ?", (level, position))
        with pytest.raises(cp.BrokenLog) as caught:
            scene.store.audit.verify()
        assert caught.value.sequence == position << level
        data.execute("DELETE FROM node WHERE level = ? AND position = ?", (level, position))
        with pytest.raises(cp.BrokenLog) as caught:
            scene.store.audit.verify()
        assert caught.value.sequence == position << level
        data.execute("INSERT INTO node VALUES (?, ?, ?)", (level, position, kept))
    scene.store.audit.verify()


# ---- while others go on ----------------------------------------------------------------------------------------

READINGS: Final[list[tuple[type, str]]] = [
    (Keyring, "changes"),
    (Log, "head"),
    (Log, "page"),
    (Nodes, "between"),
    (Nodes, "ends"),
    (Heads, "after"),
    (Heads, "newest"),
    (Keyring, "anchors"),
    (Keyring, "iterate"),
]
"""Everything that verifying reads, one after the other."""

MEANWHILE: Final[dict[str, Command]] = {
    "a leaf": {"do": "consents", "account": "b"},
    "a grant": giving("b"),
    "a head": {"do": "check"},
}


def interfere(
    monkeypatch: pytest.MonkeyPatch, place: tuple[type, str], act: Callable[[], object], *, at: int, after: bool
) -> list[int]:
    """Let ``act`` happen right before or after call number ``at`` of a reading; the calls counted."""
    owner, name = place
    original, calls = getattr(owner, name), [0]

    def reading(*arguments: object, **named: object) -> object:
        calls[0] += 1
        mine = calls[0] == at
        if mine and not after:
            act()
        answer = original(*arguments, **named)
        if mine and after:
            act()
        return answer

    monkeypatch.setattr(owner, name, reading)
    return calls


@pytest.mark.parametrize("what", MEANWHILE)
@pytest.mark.parametrize("place", READINGS, ids=[f"{owner.__name__}.{name}" for owner, name in READINGS])
def test_what_others_do_meanwhile_is_no_alarm(
    scene: Scene, peer: Peer, monkeypatch: pytest.MonkeyPatch, place: tuple[type, str], what: str
) -> None:
    """Between any two readings another process appends, grants or signs."""
    scene.give()
    scene.store.audit.checkpoint()
    grow(scene, 5)
    said = []

    def act() -> None:
        said.append(peer.ask(MEANWHILE[what]))

    for at, after in ((1, False), (1, True), (2, False), (2, True)):
        with monkeypatch.context() as patch:
            calls = interfere(patch, place, act, at=at, after=after)
            scene.store.audit.verify()
            assert len(said) == (calls[0] >= at)
        assert all(isinstance(one, dict) and "answer" in one for one in said)
        said.clear()


def test_a_change_that_is_half_done_meanwhile_is_no_alarm(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process grants a key and dies before the log has the leaf, right after verifying has looked for such work."""
    scene.give()
    with Peer() as doomed:

        def die() -> None:
            path, key = scene.folder / "store", scene.folder / "key"
            assert doomed.crash(path, key, SECOND, "noted", giving("b"))

        calls = interfere(monkeypatch, (Keyring, "changes"), die, at=1, after=False)
        scene.store.audit.verify()
        assert calls[0] > 1
    assert scene.key_ids("consent-given")[-1] != scene.key_ids("consent-given")[0]


def test_a_store_that_never_stands_still_is_verified_all_the_same(
    scene: Scene, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the end the others have to wait."""
    scene.give()
    original, tries = Keyring.iterate, []

    def iterate(self: Keyring, after: int, limit: int) -> object:
        if after == 0:
            tries.append(scene.store._session.ground.files._writers > 0)
            if not tries[-1]:
                peer.ask(giving(f"acct-{len(tries)}"))
        return original(self, after, limit)

    monkeypatch.setattr(Keyring, "iterate", iterate)
    scene.store.audit.verify()
    assert tries == [False] * (verifying.TRIES - 1) + [True]


def test_real_writers_never_raise_an_alarm(scene: Scene, peer: Peer) -> None:
    acts: list[Command] = []
    for number in range(20):
        account = f"acct-{number % 4}"
        acts += [giving(account), {"do": "consents", "account": account}]
        acts.append({"do": "erase", "accounts": [account]} if number % 3 else {"do": "check"})
    for command in acts:
        peer.tell(command)
    sizes = [scene.store.audit.verify().size for _ in range(25)]
    for _ in acts:
        said = peer.hear()
        assert isinstance(said, dict)
        assert "answer" in said, said
    sizes.append(scene.store.audit.verify().size)
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


def test_a_broken_log_is_an_alarm_however_busy_the_store(scene: Scene, peer: Peer) -> None:
    """Trying again does not make an edit go away."""
    scene.give()
    scene.store._session.ground.files.data.execute("UPDATE leaf SET hash = zeroblob(32) WHERE sequence = 1")
    for number in range(30):
        peer.tell(giving(f"acct-{number}"))
    for _ in range(10):
        with pytest.raises(cp.BrokenLog) as caught:
            scene.store.audit.verify()
        assert caught.value.sequence == 1
    for _ in range(30):
        peer.hear()


def test_reading_a_broken_log_stops_where_it_cannot_be_read(scene: Scene) -> None:
    scene.give()
    scene.store._session.ground.files.data.execute("UPDATE leaf SET body = x'c1' WHERE sequence = 2")
    found: list[cp.LogEntry] = []
    with pytest.raises(cp.BrokenLog) as caught:
        found.extend(scene.store.audit.log())
    assert caught.value.sequence == 2


def test_nothing_is_written_by_verifying(scene: Scene) -> None:
    scene.give()
    scene.store.record(event())
    session = scene.store._session

    def state() -> tuple[int, int, int]:
        data: sqlite3.Connection = session.ground.files.data
        return session.ground.log.size(), session.ground.keyring.changes(), data.total_changes

    before = state()
    scene.store.audit.verify()
    assert state() == before
