"""Epochs: one gives way to the next, and nothing of its keys is left in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from consentprofile.crypto.keys import WrappedKey
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.slots import Slot, SlotHeader, SlotKind
from consentprofile.errors import UnsupportedEnvironment
from consentprofile.store.epochs import Epochs
from consentprofile.store.files import Files
from consentprofile.store.keyring import Epoch, Keyring

NAMES = ["index", "signing", "import", "officer", *(f"purpose:{number:03}-{'x' * 60}" for number in range(120))]
"""Keys of an epoch with so many purposes, under such long names, that they take several pages."""


def epoch(number: int, names: list[str]) -> Epoch:
    return Epoch(number, b"", random_bytes(32), [WrappedKey(name, random_bytes(60)) for name in names])


def follow(files: Files, number: int) -> Epoch:
    """Begin an epoch with former keys beside its own."""
    made = epoch(number, NAMES + [f"former:{name}" for name in NAMES[3:]])
    with files.writing(), files.keyring_transaction():
        Epochs(files.keys).begin(made)
    return made


@pytest.fixture
def epochs(files: Files) -> Epochs:
    with files.writing(), files.keyring_transaction() as keys:
        first = epoch(1, NAMES)
        keys.execute("INSERT INTO epoch VALUES (?, ?, ?)", first[:3])
        keys.executemany("INSERT INTO epoch_key VALUES (1, ?, ?)", first.wrapped)
    return Epochs(files.keys)


def close(files: Files, epochs: Epochs) -> None:
    with files.writing(), epochs.emptying(), files.keyring_transaction():
        epochs.close_before()


def test_an_epoch_stands_beside_the_one_before_until_that_is_closed(files: Files, epochs: Epochs) -> None:
    assert epochs.before() is None
    made = follow(files, 2)
    assert Keyring(files.keys).identity()[1] == 2
    before = epochs.before()
    assert before is not None
    assert before.number == 1
    close(files, epochs)
    assert epochs.before() is None
    rows = files.keys.execute("SELECT epoch, name, wrapped FROM epoch_key ORDER BY name").fetchall()
    assert rows == sorted((2, name, wrapped) for name, wrapped in made.wrapped if not name.startswith("former:"))
    assert files.keys.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert files.keys.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_no_byte_of_a_closed_epoch_is_left_in_the_file(files: Files, epochs: Epochs, folder: Path) -> None:
    """However the pages were split before: each of ten epochs goes without a trace."""
    gone: list[bytes] = [key for (key,) in files.keys.execute("SELECT wrapped FROM epoch_key")]
    for number in range(2, 12):
        made = follow(files, number)
        gone += [key for name, key in made.wrapped if name.startswith("former:")]
        close(files, epochs)
        kept = [key for name, key in made.wrapped if not name.startswith("former:")]
        content = (folder / "keys.db").read_bytes()
        assert [key for key in gone if key[:20] in content or key[-20:] in content] == []
        assert all(key in content for key in kept)
        gone += kept
    assert len(gone) > 1_000


def test_references_are_not_switched_off_within_a_transaction(files: Files, epochs: Epochs) -> None:
    with files.writing(), files.keyring_transaction(), pytest.raises(UnsupportedEnvironment), epochs.emptying():
        pytest.fail("nothing would have been emptied")


def test_only_slots_that_are_as_they_were_read_are_exchanged(files: Files, epochs: Epochs) -> None:
    header = SlotHeader(SlotKind.ACCOUNT, 0, 0, tag=b"\x11" * 32, key_id=b"\x22" * 16)
    old = [Slot(number, header, bytes((number,)) * 92) for number in (1, 2)]
    new = [slot._replace(wrapped=b"\x77" * 92) for slot in old]
    changed = old[1]._replace(wrapped=b"\x33" * 92)
    with files.writing(), files.keyring_transaction() as keys:
        keys.executemany("INSERT INTO slot VALUES (?, ?)", [(old[0].number, old[0].record), (2, changed.record)])
        records = [(one.number, one.record, other.record) for one, other in zip(old, new, strict=True)]
        assert epochs.exchange(records) == 1
        assert epochs.exchange([]) == 0
    assert files.keys.execute("SELECT record FROM slot ORDER BY number").fetchall() == [
        (new[0].record,),
        (changed.record,),
    ]
