"""Locks that another process holds: a typed error within the settable wait, and no key lives longer for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from tests.support.people import ADA, agree, login, operations, profile, seen, sound
from tests.support.policies import PURPOSES
from tests.support.stores import StoreFactory

HOLD: Final = """
import fcntl, sys
held = open(sys.argv[1])
fcntl.flock(held, fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path, lock: str, how: str = "alone") -> Iterator[None]:
    """Another process holds a lock of the store."""
    arguments = [sys.executable, "-c", HOLD, str(path / f"{lock}.lock"), how]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield


def test_a_writer_lock_held_elsewhere_is_a_typed_error_and_changes_nothing(stores: StoreFactory) -> None:
    path = stores.new()
    with stores.open(path, wait=0.05) as store:
        agree(store, ADA)
        store.record(login(ADA))
        before = operations(store)
        with held_elsewhere(path, "writer"):
            with pytest.raises(cp.StoreBusy):
                store.record(login(ADA, 1))
            with pytest.raises(cp.StoreBusy):
                store.record_many([login(ADA, 1)])
            with pytest.raises(cp.StoreBusy):
                profile(store, ADA)
            with pytest.raises(cp.StoreBusy):
                store.withdraw_consent(ADA, PURPOSES)
            with pytest.raises(cp.StoreBusy):
                store.erase(ADA)
            with pytest.raises(cp.StoreBusy):
                store.consents(ADA)
            with pytest.raises(cp.StoreBusy):
                stores.open(path, wait=0.05)
            assert operations(store) == before
        assert seen(store, ADA) == 1
        sound(store)


def test_a_store_that_is_held_alone_cannot_be_opened(stores: StoreFactory) -> None:
    path = stores.new()
    with held_elsewhere(path, "alive"), pytest.raises(cp.StoreBusy):
        stores.open(path, wait=0.05)
    with stores.open(path) as store:
        sound(store)


def test_a_reader_that_does_not_let_go_keeps_no_key_alive(stores: StoreFactory) -> None:
    """The withdrawal says that it could not wait; the keys are dead all the same, and the rest follows."""
    path = stores.new()
    with stores.open(path, wait=0.05) as store:
        agree(store, ADA)
        store.record(login(ADA))
        before = len(operations(store))
        with held_elsewhere(path, "gate", "shared"), pytest.raises(cp.StoreBusy):
            store.withdraw_consent(ADA, PURPOSES)
        assert profile(store, ADA) is None
        assert operations(store)[before:] == ["consent-withdrawn"] * 3 + ["read"]
        sound(store)
