"""The state of the keys: what it says of old copies follows from the provider, the epoch and the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.usecases import audit
from tests.support.people import ADA, agree, login
from tests.support.stores import SetClock, StoreFactory, scratch


@pytest.fixture
def stores() -> Iterator[StoreFactory]:
    """A factory of stores whose files are gone after the test."""
    with scratch() as directory:
        yield StoreFactory(directory)


def test_a_new_store_is_in_its_first_epoch_and_nothing_is_known_of_copies(stores: StoreFactory) -> None:
    with stores.open(stores.new()) as store:
        size = store.audit.verify().size
        status = store.key_status()
        assert store.audit.verify().size == size  # nothing personal was opened: it has no leaf
    assert (status.epoch, status.provider, status.rotating, status.copies) == (1, "key-file", False, ())
    assert status.since == datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert len(status.horizon) == 2
    assert "this key file" in status.horizon[0]
    assert "cannot prove" in status.horizon[-1]


def test_copies_of_the_epoch_are_listed_and_those_of_before_are_summed_up(
    stores: StoreFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SKIMMED", 3)
    clock = SetClock()
    with stores.open(stores.new(), clock) as store:
        agree(store, ADA)
        store.back_up_keyring(tmp_path / "first")
        for number in range(5):
            store.record(login(ADA, number))
        clock.second += 7_200
        store.back_up_keyring(tmp_path / "second")
        before = store.key_status()
        clock.second += 3_600
        store.rotate_keys(cp.KeyFile(tmp_path / "new.key"))
        rotated = store.key_status()
        clock.second += 3_600
        store.back_up_keyring(tmp_path / "third")
        after = store.key_status()
        leaves = {entry.sequence: entry.operation for entry in store.audit.log()}
    assert [copy.hour.hour for copy in before.copies] == [12, 14]
    assert {leaves[copy.leaf] for copy in before.copies} == {"keyring-backed-up"}
    assert (rotated.epoch, rotated.copies) == (2, ())
    assert rotated.since == datetime(2024, 3, 1, 15, tzinfo=UTC)
    assert "2024-03-01 15:00 UTC" in rotated.horizon[0]
    assert "former key" in rotated.horizon[0]
    assert [copy.hour.hour for copy in after.copies] == [16]
    assert after.horizon == rotated.horizon


@pytest.mark.parametrize(
    ("key", "words"), [("environment", "secret managers"), ("passphrase", "guessed")], ids=["environment", "passphrase"]
)
def test_what_it_takes_to_end_a_key_depends_on_its_provider(
    stores: StoreFactory, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_TEST_KEY", cp.new_key_text())
    new: dict[str, cp.KeyProvider] = {
        "environment": cp.EnvKey("CONSENTPROFILE_TEST_KEY"),
        "passphrase": cp.Passphrase("a phrase for tests that is long", memory_kib=19 * 1024, iterations=2, lanes=1),
    }
    with stores.open(stores.new()) as store:
        store.rotate_keys(new[key])
        status = store.key_status()
    assert status.provider == key
    assert words in status.horizon[1]
