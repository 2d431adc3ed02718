"""The destruction journal: a line for each key that died, durable before it is forgotten, and nobody in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.crypto.slots import Slot
from consentprofile.errors import CorruptRecord, StoreFault
from consentprofile.store.files import Files
from consentprofile.store.journal import JOURNAL, SUCCEEDED, Destruction, Journal, decode, encode, read
from consentprofile.store.keyring import Keyring
from consentprofile.store.log import Log
from consentprofile.store.pending import PendingWork
from tests.store.test_pending import HEADER, OLD_KEY, At, Stopped, change, succession

ONE = Destruction(17, 3, b"\xab" * 16, "erased", 474_732)
LINE = (
    b'{"generation":3,"hour":"2024-02-27T12:00:00Z","key_id":"abababababababababababababababab",'
    b'"operation":"erased","slot":17}\n'
)

destructions = st.builds(
    Destruction,
    slot=st.integers(1, 1 << 40),
    generation=st.integers(0, 1 << 63),
    key_id=st.binary(min_size=16, max_size=16),
    operation=st.sampled_from(["erased", "consent-withdrawn", SUCCEEDED]),
    hour=st.integers(0, 253_402_300_799 // 3600),
)


# ---- a line ------------------------------------------------------------------------------------------


def test_a_line_is_what_the_format_says() -> None:
    assert encode(ONE) == LINE
    assert decode(LINE) == ONE


@given(destructions)
def test_every_line_is_read_back(destruction: Destruction) -> None:
    assert decode(encode(destruction)) == destruction


NO_LINES = {
    "no newline": LINE[:-1],
    "no JSON": b"destroyed\n",
    "another order": LINE.replace(b'"generation":3,', b"").replace(b'"slot":17', b'"slot":17,"generation":3'),
    "white space": LINE.replace(b":3", b": 3"),
    "a field too many": LINE.replace(b'"slot"', b'"a":1,"slot"'),
    "a field missing": LINE.replace(b',"slot":17', b""),
    "a short key id": LINE.replace(b"abababab", b"abab"),
    "no key id": LINE.replace(b"ababab", b"xyxyxy"),
    "capitals in the key id": LINE.replace(b"ab", b"AB"),
    "a minute": LINE.replace(b"12:00:00", b"12:30:00"),
    "a month too many": LINE.replace(b"-02-", b"-13-"),
    "a slot below nothing": LINE.replace(b":17", b":-1"),
    "not UTF-8": LINE.replace(b"erased", b"\xff"),
}


@pytest.mark.parametrize("line", NO_LINES.values(), ids=NO_LINES)
def test_what_would_not_be_written_so_is_refused(line: bytes) -> None:
    with pytest.raises(CorruptRecord):
        decode(line)


# ---- the file ----------------------------------------------------------------------------------------


def test_it_begins_when_it_is_first_needed_readable_by_its_owner_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.note([])
    assert list(read(journal.path)) == []
    assert not journal.path.exists()
    journal.note([ONE])
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    journal.note([ONE, ONE._replace(slot=18)])
    assert list(read(journal.path)) == [ONE, ONE, ONE._replace(slot=18)]


@pytest.mark.parametrize("torn", [LINE[:-1], LINE[:40], b"{", b"\n{"[1:] * 9000])
def test_a_torn_last_line_is_left_out_and_cut_by_the_next(tmp_path: Path, torn: bytes) -> None:
    journal = Journal(tmp_path)
    journal.note([ONE])
    with open(journal.path, "ab") as file:
        file.write(torn)
    assert list(read(journal.path)) == [ONE]
    journal.note([ONE._replace(slot=18)])
    assert journal.path.read_bytes() == LINE + encode(ONE._replace(slot=18))


def test_a_journal_of_nothing_but_a_torn_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(LINE[:-1])
    Journal(tmp_path).note([ONE])
    assert (tmp_path / JOURNAL).read_bytes() == LINE


def test_a_damaged_line_is_named_and_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "shipped"
    path.write_bytes(LINE + LINE.replace(b"17", b" 7") + LINE)
    with pytest.raises(CorruptRecord, match="line 2"):
        list(read(path))


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine\n")
    os.symlink(elsewhere, tmp_path / JOURNAL)
    with pytest.raises(StoreFault, match="dead keys stay dead"):
        Journal(tmp_path).note([ONE])
    assert elsewhere.read_bytes() == b"mine\n"


def test_a_directory_in_its_place_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(StoreFault):
        Journal(tmp_path).note([ONE])
    with pytest.raises(StoreFault):
        list(read(tmp_path / JOURNAL))


# ---- as part of pending work -------------------------------------------------------------------------


@pytest.fixture
def files(files: Files) -> Files:
    """Both files of a store in which an empty log has begun."""
    with files.writing(), files.data_transaction(full=True) as data:
        Log(data).establish()
    return files


DIED = Destruction(1, 0, b"k" * 16, "erased", 2)


@pytest.mark.parametrize("step", ["noted", "gate passed", "applied", "journalled", "cleared"])
def test_whatever_crashes_a_destroyed_key_has_its_line(files: Files, step: str) -> None:
    with files.writing(), pytest.raises(Stopped):
        PendingWork(files, At(step)).perform(change)
    with files.writing():
        PendingWork(files).finish()
    found = list(read(files.path / JOURNAL))
    assert set(found) == {DIED}
    assert len(found) == (2 if step == "journalled" else 1)  # a repeated line means nothing


def test_a_journal_that_cannot_be_written_leaves_the_note_and_is_tried_again(files: Files) -> None:
    (files.path / JOURNAL).mkdir()
    with files.writing(), pytest.raises(StoreFault, match="dead keys stay dead"):
        PendingWork(files).perform(change)
    assert PendingWork(files).is_noted()
    (files.path / JOURNAL).rmdir()
    with files.writing():
        assert PendingWork(files).finish() == 1
    assert list(read(files.path / JOURNAL)) == [DIED]


@pytest.mark.parametrize("step", ["noted", "applied", "journalled", "succeeded", "cleared"])
def test_a_key_whose_place_another_one_took_has_its_line(files: Files, step: str) -> None:
    with files.writing():
        with files.keyring_transaction() as keys:
            number, _ = Keyring(keys).allocate()
            Keyring(keys).overwrite(old := slot_of(number))
            Keyring(keys).enter(HEADER.tag, 3, number)
        pending = PendingWork(files, At(step))

        def go_through() -> None:
            pending.begin_succession(succession(old))
            pending.finish()

        with pytest.raises(Stopped):
            go_through()
    with files.writing():
        PendingWork(files).finish()
    found = set(read(files.path / JOURNAL))
    # Where data.db has not seen it, the old key lives on.
    assert found == (set() if step == "noted" else {Destruction(1, 0, HEADER.key_id, SUCCEEDED, 2)})


def slot_of(number: int) -> Slot:
    """A compartment with a key."""
    return Slot(number, HEADER, OLD_KEY)
