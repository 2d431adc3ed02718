"""Processes that die, wait, fork, race or know less than they should: nothing is half done, nothing comes back."""

from __future__ import annotations

import os
import threading
import time
from random import Random
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.store.ports import Ground
from tests.support.commands import Json
from tests.support.peer import Peer
from tests.support.people import ADA, BOB, agree, login, look, operations, profile, seen, sign_up, sound
from tests.support.policies import NOTICE, PURPOSES, READERS
from tests.support.stores import START, StoreFactory, moment

STEPS: Final = ("noted", "gate passed", "applied", "journalled", "cleared")


def told(account: str, number: int) -> dict[str, object]:
    """An event in a command."""
    fields: dict[str, object] = {"channel": "web"}
    return {
        "account": account,
        "kind": "login",
        "at": moment(START).isoformat(),
        "id": f"event-{number}",
        "fields": fields,
    }


def reading(account: str, purpose: str = "support") -> dict[str, object]:
    """The reading of a profile in a command."""
    return {"do": "profile", "purpose": purpose, "actor": READERS[purpose], "account": account}


def answer(said: Json) -> Json:
    """The answer of the other process, which must be no error."""
    assert isinstance(said, dict)
    assert "answer" in said, said
    return said["answer"]


# ---- killed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.03, 0.08, 0.15])
def test_killed_while_compacting(stores: StoreFactory, delay: float) -> None:
    """Every event is where it was, a key destroyed meanwhile stays so, and whoever comes next goes on."""
    path = stores.new()
    accounts = [f"account-{number}" for number in range(40)]
    with stores.open(path) as store:
        for account in accounts:
            agree(store, account)
        for number in range(12):
            store.record_many([login(account, number) for account in accounts], batch_size=300)
        with Peer() as peer:
            peer.open(path, stores.key_file, START)
            peer.tell({"do": "compact", "everything": True})
            time.sleep(delay)
            store.withdraw_consent(accounts[0], ["support"])
            peer.kill()
        assert seen(store, accounts[0]) is None
        assert {seen(store, account) for account in accounts[1:]} == {12}
        sound(store)
        store.upkeep.compact(everything=True)
        assert {seen(store, account) for account in accounts[1:]} == {12}
        sound(store)


@pytest.mark.parametrize("delay", [0.0, 0.004, 0.03, 0.09])
def test_killed_while_recording_many(stores: StoreFactory, delay: float) -> None:
    """Whole batches are there, and nothing of the others."""
    path, count, batch = stores.new(), 20_000, 40
    with stores.open(path) as store:
        agree(store, ADA)
        with Peer() as peer:
            peer.open(path, stores.key_file, START)
            events = [told(ADA, number) for number in range(count)]
            peer.tell({"do": "record_many", "batch": batch, "events": events})
            await_first(store, "recorded")
            time.sleep(delay)
            peer.kill()
        recorded = operations(store).count("recorded")
        assert 0 < recorded <= count // batch
        assert store.access(ADA).compartments["support"].profile.events == recorded * batch
        assert store.statistics()["support"] == {cp.Outcome.RECORDED: recorded * batch}
        store.record_many(login(ADA, number) for number in range(count))
        assert len(store.access(ADA).compartments["support"].events) == count
        sound(store)


def await_first(store: cp.Store, operation: str) -> None:
    """Wait, within reason, until the log tells of something."""
    for _ in range(10_000):
        if operation in operations(store):
            return
        time.sleep(0.001)
    raise AssertionError(f"nothing was ever {operation}")


@pytest.mark.parametrize("seed", range(4))
def test_killed_while_giving_consents(stores: StoreFactory, seed: int) -> None:
    """A change of a thousand decisions happened as a whole, or not at all; and the log tells of each."""
    path = stores.new()
    decisions = [
        {"account": f"account-{number}", "purposes": PURPOSES, "act": "give", "notice": NOTICE, "method": "form"}
        for number in range(5_000)
    ]
    with Peer() as peer:
        peer.open(path, stores.key_file, START)
        peer.tell({"do": "decide", "decisions": decisions})
        time.sleep(0.02 + Random(seed).random() * 0.6)
        peer.kill()
    with stores.open(path) as store:
        given = operations(store).count("consent-given")
        assert given % 3_000 == 0
        standing = sum(store.access(f"account-{number}").account is not None for number in range(0, 5_000, 250))
        assert standing == given // 3 // 250
        assert store.give_consents(sign_up(str(one["account"])) for one in decisions) == 5_000 - given // 3
        sound(store)


@pytest.mark.parametrize("step", STEPS)
def test_leftover_work_is_finished_without_any_key(stores: StoreFactory, step: str) -> None:
    """The dead keys are dead from the first step on; rows and leaves follow, by whoever comes, knowing nothing."""
    path = stores.new()
    with stores.open(path) as store:
        agree(store, ADA)
        agree(store, BOB)
        store.record_many([login(ADA), login(BOB)])
        leaves = len(operations(store))
    with Peer() as peer:
        assert peer.crash(path, stores.key_file, START, step, {"do": "erase", "accounts": [ADA]})
    pending = "SELECT count(*) FROM pending"
    assert look(path, "keys.db", pending) == [(0 if step == "cleared" else 1,)]
    ground = Ground(path, wait=5.0, durability="full")
    try:
        with ground.files.writing():
            assert ground.pending.finish() == (0 if step == "cleared" else 1)
    finally:
        ground.files.close()
    assert look(path, "keys.db", pending) == [(0,)]
    with stores.open(path) as store:
        assert operations(store)[leaves:] == ["erased"] * 4
        assert [profile(store, ADA, purpose) for purpose in PURPOSES] == [None] * 3
        assert store.access(ADA).account is None
        assert seen(store, BOB) == 1
        sound(store)


def test_leftover_work_is_finished_once_by_two_who_come_together(stores: StoreFactory) -> None:
    path = stores.new()
    with stores.open(path) as store:
        agree(store, ADA)
        leaves = len(operations(store))
        with Peer() as doomed, Peer() as first, Peer() as second:
            for peer in (first, second):
                peer.open(path, stores.key_file, START)
            assert doomed.crash(path, stores.key_file, START, "noted", {"do": "erase", "accounts": [ADA]})
            for peer in (first, second):
                peer.tell(reading(ADA))
            assert [answer(peer.hear()) for peer in (first, second)] == [None, None]
        assert operations(store)[leaves:] == ["erased"] * 4 + ["read"] * 2
        sound(store)


# ---- side by side ---------------------------------------------------------------------------------------


def test_a_stale_process_reads_nothing(stores: StoreFactory) -> None:
    """Opened, and used, before a withdrawal elsewhere."""
    path = stores.new()
    with stores.open(path) as store, Peer() as peer:
        agree(store, ADA)
        peer.open(path, stores.key_file, START)
        answer(peer.ask({"do": "record", "event": told(ADA, 1)}))
        read = answer(peer.ask(reading(ADA)))
        assert isinstance(read, dict)
        assert read["events"] == 1
        store.withdraw_consent(ADA, PURPOSES)
        assert answer(peer.ask(reading(ADA))) is None
        outcomes = answer(peer.ask({"do": "record", "event": told(ADA, 2)}))
        assert outcomes == dict.fromkeys(PURPOSES, "no_consent")
        agree(store, ADA)
        read = answer(peer.ask(reading(ADA)))
        assert isinstance(read, dict)
        assert read["events"] == 0
        sound(store)


def test_a_fork_uses_a_store_of_its_own(stores: StoreFactory) -> None:
    """The child records and reads with what it inherited; the parent goes on as if there had been no child."""
    path = stores.new()
    with stores.open(path) as store:
        agree(store, ADA)
        store.record(login(ADA, 0))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store.record(login(ADA, 1))
                ok = (seen(store, ADA) or 0) >= 2  # the parent may have recorded meanwhile
                store.withdraw_consent(ADA, ["analytics"])
                store.close()
                code = 0 if ok else 2
            finally:
                os._exit(code)
        store.record(login(ADA, 2))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        store.record(login(ADA, 3))
        assert seen(store, ADA) == 4
        assert profile(store, ADA, "analytics") is None
        sound(store)


def test_eight_threads_record_and_read_at_once(stores: StoreFactory) -> None:
    path, each = stores.new(), 40
    problems: list[BaseException] = []
    with stores.open(path) as store:
        for number in range(8):
            agree(store, f"account-{number % 4}")
        before = len(operations(store))
        start = threading.Barrier(8)

        def work(number: int) -> None:
            try:
                account, last = f"account-{number % 4}", 0
                start.wait(30)
                for turn in range(each):
                    store.record(login(account, number * each + turn))
                    found = seen(store, account)
                    assert found is not None
                    assert turn < found
                    assert last <= found <= 2 * each
                    last = found
            except BaseException as problem:  # noqa: BLE001 - told to the test below
                problems.append(problem)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert [seen(store, f"account-{number}") for number in range(4)] == [2 * each] * 4
        done = operations(store)[before:]
        assert done.count("read") == 8 * each + 4
        assert each <= done.count("recorded") <= 8 * each  # those that come at the same time share one
        sound(store)


def test_one_process_erases_what_another_records(stores: StoreFactory) -> None:
    """Whatever the order, after the last erasure nothing is there, and the log tells of every key."""
    path, rounds = stores.new(), 15
    with stores.open(path) as store, Peer() as peer:
        peer.open(path, stores.key_file, START)
        for number in range(rounds):
            agree(store, ADA)
            peer.tell({"do": "record_many", "batch": 1, "events": [told(ADA, n) for n in range(30)]})
            while number % 3 and (seen(store, ADA) or 0) < number % 5:
                time.sleep(0.0005)
            assert len(store.erase(ADA).key_ids) == 4
            assert profile(store, ADA) is None
            answer(peer.hear())
            assert answer(peer.ask(reading(ADA))) is None
        agree(store, ADA)
        assert seen(store, ADA) == 0
        done = operations(store)
        assert (done.count("erased"), done.count("consent-given")) == (4 * rounds, 3 * (rounds + 1))
        sound(store)
