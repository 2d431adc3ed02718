"""What a restore changes in a keyring: the name of the log, and the generations below which no key will live."""

from __future__ import annotations

import pytest

from consentprofile.errors import CorruptRecord
from consentprofile.store.files import Files
from consentprofile.store.keyring import Keyring
from consentprofile.store.resumption import Resumption
from tests.store.test_journal import slot_of


def test_a_log_under_another_name_has_no_anchor_yet(files: Files) -> None:
    with files.writing(), files.keyring_transaction() as keys:
        Keyring(keys).anchor(3, bytes(32))
        Resumption(keys).rename_log("shop.example/log/lineage-2")
    assert (Keyring(files.keys).origin(), Keyring(files.keys).anchors()) == ("shop.example/log/lineage-2", [])


def test_a_log_that_is_called_so_already_keeps_its_anchor(files: Files) -> None:
    with files.writing(), files.keyring_transaction() as keys:
        Keyring(keys).anchor(3, bytes(32))
        Resumption(keys).call_log("shop.example/log/lineage-2")
    assert Keyring(files.keys).anchors() == [(3, bytes(32))]


def test_no_key_comes_to_live_below_a_generation_that_was_passed_over(files: Files) -> None:
    """Free slots and slots to come are handed out under later generations, in order and without gaps."""
    with files.writing():
        with files.keyring_transaction() as keys:
            keyring, resumption = Keyring(keys), Resumption(keys)
            resumption.advance(3, 7)
            resumption.advance(1, 2)
            resumption.advance(1, 1)
            assert (keyring.count(), keyring.free()) == (3, {1, 2, 3})
        with files.keyring_transaction() as keys:
            assert [Keyring(keys).allocate() for _ in range(4)] == [(1, 2), (2, 0), (3, 7), (4, 0)]


def test_a_slot_that_holds_a_key_is_not_passed_over(files: Files) -> None:
    with files.writing():
        with files.keyring_transaction() as keys:
            number, _ = Keyring(keys).allocate()
            Keyring(keys).overwrite(slot_of(number))
        with pytest.raises(CorruptRecord), files.keyring_transaction() as keys:
            Resumption(keys).advance(number, 5)
    assert Keyring(files.keys).slot(number) == slot_of(number)
