"""A restore that is killed leaves the old store or the new one, whole; and copies of a store may part without harm."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.crypto import randomness
from consentprofile.store.names import PART, WHOLE
from consentprofile.usecases.restore import Restored, Sources, restore
from tests.faults.children import Counters, child, killer
from tests.faults.interposed import Interposed
from tests.support.people import ADA, BOB, agree, login, look, seen, sound
from tests.support.policies import narrowed_policy
from tests.support.stores import SetClock, StoreFactory

STEPS: Final = (
    "keys.db taken",
    "data.db taken",
    "record kept",
    "made whole",
    "committed",
    "journal in place",
    "data in place",
    "old keyring overwritten",
    "keyring in place",
    "settled",
)
NEW: Final = STEPS[STEPS.index("committed") :]
"""Steps from which on the store is the new one."""


class Yesterday:
    """A store with copies of yesterday; since then one account was withdrawn and another recorded more."""

    def __init__(self, stores: StoreFactory) -> None:
        self.stores, self.path = stores, stores.new()
        self.data, self.keyring = stores.directory / "data", stores.directory / "keys"
        with stores.open(self.path) as store:
            for account in (ADA, BOB):
                agree(store, account)
                store.record(login(account))
            store.back_up(self.data)
            store.back_up_keyring(self.keyring)
            store.withdraw_consent(ADA, ["support"])
            store.record(login(BOB, 1))

    def restore(self, observe: Callable[[str], None], *, keyring: bool = False) -> Restored:
        """Restore the data; with ``keyring`` both files, where the store's keyring is gone."""
        sources = Sources(data=self.data, keyring=self.keyring if keyring else None)
        return restore(self.path, self.stores.key, SetClock(), sources, wait=1.0, observe=observe)

    def killed_at(self, step: str, *, keyring: bool = False) -> bool:
        """Let a child restore, and kill it at a step; whether it got there."""
        child = os.fork()
        if child == 0:

            def observe(reached: str) -> None:
                if reached == step:
                    os.kill(os.getpid(), signal.SIGKILL)

            try:
                self.restore(observe, keyring=keyring)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - told by the exit code; a fork must not go on
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL)
        return code != 0

    def left(self) -> set[str]:
        """What lies in the store's directory."""
        return {path.name for path in self.path.iterdir()}


@pytest.fixture
def yesterday(stores: StoreFactory) -> Yesterday:
    return Yesterday(stores)


@pytest.mark.parametrize("step", STEPS)
def test_killed_while_restoring_data(yesterday: Yesterday, step: str) -> None:
    """Whoever opens the store next finds one of the two, and nothing of the restore; the dead stay dead in both."""
    assert yesterday.killed_at(step)
    with yesterday.stores.open(yesterday.path) as store:
        assert (seen(store, ADA), seen(store, BOB)) == (None, 1 if step in NEW else 2)
        sound(store)
    assert not yesterday.left() & {PART, WHOLE}


@pytest.mark.parametrize("step", STEPS)
def test_killed_while_restoring_a_lost_keyring(yesterday: Yesterday, step: str) -> None:
    """Nobody ever opens the older keyring with what has died since alive in it."""
    (yesterday.path / "keys.db").unlink()
    reached = yesterday.killed_at(step, keyring=True)
    assert reached
    if step in NEW:
        with yesterday.stores.open(yesterday.path) as store:
            assert (seen(store, ADA), seen(store, BOB)) == (None, 1)
            sound(store)
    else:
        with pytest.raises(cp.StoreNotFound):
            yesterday.stores.open(yesterday.path).close()


@pytest.mark.parametrize("step", STEPS)
def test_killed_while_restoring_and_restored_again(yesterday: Yesterday, step: str) -> None:
    assert yesterday.killed_at(step)
    assert yesterday.restore(lambda _: None).opens["block"] > 0
    with yesterday.stores.open(yesterday.path) as store:
        assert (seen(store, ADA), seen(store, BOB)) == (None, 1)
        sound(store)
    assert not yesterday.left() & {PART, WHOLE}


@pytest.mark.parametrize("step", NEW[:-1])
@pytest.mark.parametrize("again", NEW[:-1])
def test_killed_while_settling_what_was_killed(yesterday: Yesterday, step: str, again: str) -> None:
    assert yesterday.killed_at(step)
    yesterday.killed_at(again)  # whoever restores settles first
    with yesterday.stores.open(yesterday.path) as store:
        assert (seen(store, ADA), seen(store, BOB)) == (None, 1)
        sound(store)


def test_a_copy_of_the_keyring_that_a_kill_has_left_is_overwritten(yesterday: Yesterday) -> None:
    assert yesterday.killed_at("made whole")
    with open(yesterday.path / PART / "keys.db", "rb") as left:
        yesterday.stores.open(yesterday.path).close()
        assert set(left.read()) == {0}


@pytest.mark.parametrize("name", ["data.db", "keys.db"])
def test_a_power_cut_that_leaves_both_names_of_a_file_on_its_way(yesterday: Yesterday, name: str) -> None:
    """What has taken its place is neither overwritten nor cut off from what was written since."""
    assert yesterday.killed_at("keyring in place")
    (yesterday.path / WHOLE).mkdir(exist_ok=True)
    os.link(yesterday.path / name, yesterday.path / WHOLE / name)
    with yesterday.stores.open(yesterday.path) as store:
        assert (seen(store, ADA), seen(store, BOB)) == (None, 1)
        sound(store)
    assert not yesterday.left() & {PART, WHOLE}


# ---- a snapshot restored twice ------------------------------------------------------------------------

SEALED: Final = ("block", "evidence", "trail", "account", "actor_book")
NONCE: Final = 12


def sealed(path: Path) -> set[bytes]:
    """Every sealed row of a closed store."""
    rows = [row for table in SEALED for row in look(path, "data.db", f"SELECT sealed FROM {table}")]
    return {bytes(row[0]) for row in rows if isinstance(row[0], bytes)}


def part(yesterday: Yesterday) -> tuple[Path, Path]:
    """Two stores of one snapshot."""
    other = yesterday.path.with_name("other")
    shutil.copytree(yesterday.path, other)
    return yesterday.path, other


def test_a_snapshot_restored_twice_and_written_differently_repeats_no_nonce(yesterday: Yesterday) -> None:
    before = sealed(yesterday.path)
    both = part(yesterday)
    for number, path in enumerate(both):
        with yesterday.stores.open(path) as store:
            for event in range(25):
                store.record(login(BOB, 10 + number + 2 * event))
            assert seen(store, BOB) == 27
    written = [row for path in both for row in sealed(path) - before]
    assert len({row[:NONCE] for row in written}) == len(written) > 50


def test_a_forced_repeat_of_a_nonce_leaks_equality_only(yesterday: Yesterday) -> None:
    """The same event under the same nonce is the same bytes; another one shares nothing with it but the nonce."""
    first, second = part(yesterday)
    one, same = recorded_with_one_nonce(yesterday, first, 7), recorded_with_one_nonce(yesterday, second, 7)
    other = recorded_with_one_nonce(yesterday, second, 8)
    assert one == same
    assert one[:NONCE] == other[:NONCE]
    assert len(one) == len(other)
    alike = sum(a == b for a, b in zip(one[NONCE:], other[NONCE:], strict=True))
    assert alike < len(one) / 4  # a stream cipher would show in nearly every byte how alike the events are


def recorded_with_one_nonce(yesterday: Yesterday, path: Path, number: int) -> bytes:
    """Record one event with all randomness forced; its block for one purpose."""
    with yesterday.stores.open(path) as store:
        data = store._session.ground.files.data
        before = set(data.execute("SELECT slot, arrival FROM block"))
        with randomness.injected(lambda count: b"\x07" * count):
            store.record(login(BOB, number))
        rows = data.execute("SELECT slot, arrival, sealed FROM block ORDER BY slot, arrival")
        added = [bytes(row) for slot, arrival, row in rows if (slot, arrival) not in before]
    return added[0]


def test_a_keyring_that_a_crash_left_half_written_is_put_right_first_and_counts_as_whole(stores: StoreFactory) -> None:
    """And the data is lost by that accident: nobody can open the store, and SQLite rolls nothing back for readers.

    Its consents stand after a restore of the data, and no older keyring takes its place.
    """
    yesterday, number = Yesterday(stores), 0
    path = yesterday.path
    while not _is_half_written(yesterday.path / "keys.db-journal"):
        number += 1
        yesterday.path = stores.directory / f"half-written-{number}"
        shutil.copytree(path, yesterday.path)
        assert child(lambda watched, counters: _withdraw(yesterday, watched, counters, number)).killed  # noqa: B023
    for file in yesterday.path.glob("data.db*"):
        file.unlink()
    with pytest.raises(cp.RestoreRefused, match="changes newer"):
        yesterday.restore(lambda _: None, keyring=True)
    yesterday.restore(lambda _: None)
    with stores.open(yesterday.path) as store:
        assert (seen(store, ADA), seen(store, BOB)) == (None, 1)
        assert store.consents(BOB)["analytics"].state == "given"
        assert not store.check().findings


@pytest.mark.parametrize("named", [False, True], ids=["not named", "named"])
def test_a_policy_that_was_being_accepted_when_the_data_was_lost_is_brought_by_the_pending_work(
    stores: StoreFactory, named: bool
) -> None:
    """The keyring has accepted it, and has noted its text for the data, which never saw it."""
    yesterday, policy = Yesterday(stores), narrowed_policy(1)

    def change(watched: Interposed, counters: Counters) -> None:
        store = stores.open(yesterday.path)
        pending = store._session.ground.pending
        pending._observe = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == "noted" else None
        store.apply_policy(policy, key=stores.key)

    assert child(change).killed
    for file in yesterday.path.glob("data.db*"):
        file.unlink()
    files = [policy] if named else []
    cp.Store.restore(yesterday.path, key=stores.key, data=yesterday.data, policies=files, clock=SetClock())
    with stores.open(yesterday.path) as store:
        assert store.policy.digest == policy.digest
        assert (seen(store, ADA), seen(store, BOB)) == (None, 1)
        assert not store.check().findings


def _withdraw(yesterday: Yesterday, watched: Interposed, counters: Counters, last: int) -> None:
    """Withdraw, killed instead of call number ``last``."""
    with yesterday.stores.open(yesterday.path) as store:
        watched.watcher = killer(counters, last)
        store.withdraw_consent(BOB, ["support"])
        watched.watcher = None


def _is_half_written(journal: Path) -> bool:
    """Whether a rollback journal tells of pages that were overwritten already: its header counts them."""
    return journal.exists() and int.from_bytes(journal.read_bytes()[8:12], "big") > 0
