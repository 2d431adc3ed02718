"""How the keyring stands: what is known of it is what it says, as long as it counts the same changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consentprofile.crypto.slots import Slot, SlotHeader, SlotKind
from consentprofile.crypto.tags import IndexKey
from consentprofile.errors import CorruptRecord
from consentprofile.store.connection import connect
from consentprofile.store.files import KEYS, Files
from consentprofile.store.keyring import Keyring
from consentprofile.store.standing import Outlook, Standings

TAG, OTHER, NOBODY = b"\x11" * 32, b"\x12" * 32, b"\x13" * 32
NEW = Outlook(pending=False, suppressions=False, changes=0, epoch=1, policy=0)


@pytest.fixture
def standings(files: Files) -> Standings:
    return Standings(files.keys)


@pytest.fixture
def elsewhere(files: Files) -> Iterator[Files]:
    """The same store, opened once more, as another process has it."""
    opened = Files(files.path, wait=0.2, durability="relaxed")
    yield opened
    opened.close()


def occupy(files: Files, tag: bytes, purpose: int) -> Slot:
    with files.writing(), files.keyring_transaction() as keys:
        keyring = Keyring(keys)
        slot = Slot(keyring.allocate()[0], SlotHeader(SlotKind.COMPARTMENT, 2, 0, purpose, 1, 5, 9, tag), b"w" * 92)
        keyring.enter(tag, 2 + purpose, slot.number)
        keyring.overwrite(slot)
    return slot


def note(files: Files) -> None:
    """Leave work pending."""
    with files.writing(), files.keyring_transaction() as keys:
        keys.execute("INSERT INTO pending (operation, body) VALUES (?, x'00')", (bytes(16),))


def test_the_standing_of_an_account_is_what_single_questions_answer(files: Files, standings: Standings) -> None:
    assert standings.outlook() == NEW
    assert standings.of(TAG) == (NEW, [])
    with files.writing(), files.keyring_transaction() as keys:
        keyring = Keyring(keys)
        keyring.enter(TAG, 0, keyring.allocate()[0])  # the account's own key is no compartment
    assert standings.of(TAG) == (NEW._replace(changes=1), [])
    taken = [occupy(files, TAG, 2), occupy(files, TAG, 1)]
    occupy(files, OTHER, 1)
    assert sorted(one.slot for one in standings.of(TAG).compartments) == sorted(taken)
    assert standings.of(NOBODY) == (NEW._replace(changes=4), [])


def test_every_change_of_anybody_is_seen_with_the_next_question(
    files: Files, elsewhere: Files, standings: Standings
) -> None:
    expected = NEW
    assert standings.outlook() == standings.of(TAG).outlook == expected
    with elsewhere.writing(), elsewhere.keyring_transaction() as keys:
        keys.execute("UPDATE keyring SET epoch = 2")
    assert standings.of(TAG).outlook == (expected := expected._replace(changes=1, epoch=2))
    with elsewhere.writing(), elsewhere.keyring_transaction() as keys:
        Keyring(keys).suppress(OTHER, "asked", IndexKey(bytes(32)))
    assert standings.outlook() == (expected := expected._replace(changes=2, suppressions=True))
    with elsewhere.writing(), elsewhere.keyring_transaction() as keys:
        Keyring(keys).accept(3, bytes(32), IndexKey(bytes(32)))
    assert standings.of(TAG).outlook == (expected := expected._replace(changes=3, policy=3))
    note(elsewhere)
    assert standings.outlook() == standings.of(TAG).outlook == expected._replace(changes=4, pending=True)
    with files.writing(), files.keyring_transaction() as keys:
        keys.execute("DELETE FROM pending")
    assert standings.of(TAG).outlook == expected._replace(changes=5)


def test_what_was_seen_in_a_transaction_that_was_undone_is_forgotten(files: Files, standings: Standings) -> None:
    """The next transaction gives the same count to something else."""

    def undone() -> None:
        with files.writing(), files.keyring_transaction() as keys:
            keys.execute("UPDATE keyring SET epoch = 2")
            assert standings.outlook() == standings.of(TAG).outlook == NEW._replace(changes=1, epoch=2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    note(files)
    assert standings.outlook() == standings.of(TAG).outlook == NEW._replace(changes=1, pending=True)


def test_a_change_between_two_statements_is_noticed(
    elsewhere: Files, standings: Standings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account is never answered with slots of one moment and the outlook of another."""
    ask, taken = standings.outlook, list[Slot]()

    def late() -> Outlook:
        if not taken:
            taken.append(occupy(elsewhere, TAG, 1))
        return ask()

    monkeypatch.setattr(standings, "outlook", late)
    found = standings.of(TAG)
    assert (found.outlook, [one.slot for one in found.compartments]) == (NEW._replace(changes=1), taken)
    assert len(taken) == 1


def test_what_nobody_has_counted_is_noticed_with_the_next_full_question(files: Files, standings: Standings) -> None:
    """Somebody has altered the keyring by hand."""
    assert standings.of(TAG).outlook == NEW
    files.keys.execute("UPDATE keyring SET epoch = 2")
    assert standings.outlook() == standings.of(TAG).outlook == NEW._replace(epoch=2)


def test_a_directory_that_leads_astray_is_damage(files: Files, standings: Standings) -> None:
    occupy(files, TAG, 1)
    files.keys.execute("UPDATE directory SET tag = ?", (OTHER,))
    with pytest.raises(CorruptRecord):
        standings.of(OTHER)


def test_a_keyring_that_has_lost_its_identity_is_damage(files: Files) -> None:
    other = connect(files.path / KEYS)
    other.execute("DELETE FROM keyring")
    other.close()
    for question in (lambda: Standings(files.keys).of(TAG), lambda: Standings(files.keys).outlook()):
        with pytest.raises(CorruptRecord, match="which store"):
            question()
