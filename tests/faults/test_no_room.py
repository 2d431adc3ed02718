"""A disk that is full: a typed error, nothing half done, and the store goes on when there is room."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from tests.support.people import ADA, BOB, agree, edit, login, operations, profile, seen, sign_up, sound
from tests.support.stores import StoreFactory


@contextmanager
def full(store: cp.Store, file: str) -> Iterator[None]:
    """No page can be added to the file."""
    files = store._session.ground.files
    connection = files.data if file == "data.db" else files.keys
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 1073741823")


def test_no_room_for_data_changes_nothing(stores: StoreFactory) -> None:
    """Recording and giving consent fail as one; when there is room again, the store goes on."""
    path = stores.new()
    with stores.open(path) as store:
        agree(store, ADA)
        before = len(operations(store))
        with full(store, "data.db"), pytest.raises(cp.StoreFault):
            store.record_many((login(ADA, number) for number in range(5_000)), batch_size=5_000)
        assert len(operations(store)) == before
        assert store.statistics()["support"] == {}
        assert seen(store, ADA) == 0
        store.record(login(ADA))
        assert seen(store, ADA) == 1
        sound(store)


@pytest.mark.parametrize("act", ["give", "withdraw", "erase"])
def test_an_error_after_the_keys_says_that_the_change_stands(stores: StoreFactory, act: str) -> None:
    """Who reads "undone" would think that the data is still there. What data.db missed comes with the next change."""
    path = stores.new()
    with stores.open(path) as store:
        agree(store, ADA)
        store.record(login(ADA))

        def apply(operation: bytes, work: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        pending = store._session.ground.pending
        pending._apply = apply  # type: ignore[method-assign]
        acts: dict[str, Callable[[], object]] = {
            "give": lambda: agree(store, BOB),
            "withdraw": lambda: store.withdraw_consent(ADA, ["support"]),
            "erase": lambda: store.erase(ADA),
        }
        with pytest.raises(cp.StoreFault, match="the change is made in the keyring and stands"):
            acts[act]()
        del pending._apply
        store.record(login(BOB))
        assert seen(store, BOB) == (1 if act == "give" else None)
        assert seen(store, ADA) == (1 if act == "give" else None)
        sound(store)


def test_a_store_that_cannot_be_opened_leaves_nothing_open(stores: StoreFactory) -> None:
    path = stores.new()
    edit(path, "data.db", "PRAGMA user_version = 99")
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        with pytest.raises(cp.NewerFormat):
            stores.open(path)
    assert len(os.listdir("/dev/fd")) == before


def test_no_room_for_keys_changes_nothing(stores: StoreFactory) -> None:
    path = stores.new()
    with stores.open(path) as store:
        before = len(operations(store))
        with full(store, "keys.db"), pytest.raises(cp.StoreFault):
            store.give_consents(sign_up(f"account-{number}") for number in range(1_000))
        assert len(operations(store)) == before
        assert profile(store, "account-1") is None
        agree(store, "account-1")
        assert seen(store, "account-1") == 0
        sound(store)


def test_no_room_for_the_traces_of_an_erasure_leaves_no_key_behind(stores: StoreFactory) -> None:
    """The keys die first. What could not be written of it is written when there is room."""
    path = stores.new()
    accounts = [f"account-{number}" for number in range(400)]
    with stores.open(path) as store:
        store.give_consents(sign_up(account) for account in accounts)
        store.record_many(login(account) for account in accounts)
        before = len(operations(store))
        with full(store, "data.db"):
            with pytest.raises(cp.StoreFault):
                store.erase(accounts)
            keyring = store._session.ground.keyring
            assert [slot for slot in keyring.every_slot() if slot.key_held and slot.header.kind != 3] == []
            assert len(operations(store)) == before
        assert profile(store, accounts[0]) is None
        assert operations(store)[before:] == ["erased"] * (4 * len(accounts)) + ["read"]
        sound(store)


LIMITED: Final = """
import resource, signal, sys
import consentprofile as cp
from tests.support.people import login
from tests.support.stores import SetClock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = cp.Store.open(sys.argv[1], key=cp.KeyFile(sys.argv[2]), clock=SetClock(), durability="relaxed")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
committed = 0
def told(count):
    global committed
    committed = count
try:
    store.record_many((login("account-ada", n) for n in range(100_000)), batch_size=100, progress=told)
except cp.StoreFault:
    print(committed)
"""


def test_a_file_that_may_not_grow_ends_in_a_typed_error_between_batches(stores: StoreFactory) -> None:
    path = stores.new()
    with stores.open(path) as store:
        agree(store, ADA)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(stores.key_file), str(1_000_000)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    committed = int(done.stdout or -1)
    assert 0 < committed < 100_000, done.stderr
    with stores.open(path) as store:
        assert len(store.access(ADA).compartments["support"].events) == committed
        sound(store)
