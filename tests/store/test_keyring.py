"""The keyring's tables: slots are allocated, overwritten where they stand, vacated and used again."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentprofile import canonical
from consentprofile.crypto import slots
from consentprofile.crypto.keys import WrappedKey
from consentprofile.crypto.slots import NO_KEY, RECORD_BYTES, Slot, SlotHeader, SlotKind
from consentprofile.crypto.tags import IndexKey
from consentprofile.errors import CorruptRecord
from consentprofile.store import migrations
from consentprofile.store.connection import connect
from consentprofile.store.files import KEYS
from consentprofile.store.keyring import Epoch, Keyring, Terms, destroyed, own_compartment, own_slot, place_of

TAG = b"\x11" * 32
STORE = bytes(range(16))
ORIGIN = "shop.example/log"
INDEX = IndexKey(bytes(32))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    migrations.create_files(tmp_path)
    opened = connect(tmp_path / KEYS)
    yield opened
    opened.close()


@pytest.fixture
def keyring(connection: sqlite3.Connection) -> Keyring:
    keyring = Keyring(connection)
    epoch = Epoch(1, b"provider", b"\x05" * 32, [WrappedKey("officer", b"o" * 60), WrappedKey("index", b"i" * 60)])
    keyring.establish(STORE, ORIGIN, epoch, ["support", "analytics"])
    return keyring


def wrapped(number: int) -> bytes:
    """Bytes that are found again wherever they lie, unlike any other number's."""
    return random.Random(number).randbytes(92)


def occupy(keyring: Keyring, tag: bytes = TAG, purpose: int = 1, generation: int | None = None) -> Slot:
    number, found = keyring.allocate()
    kept = found if generation is None else generation
    header = SlotHeader(SlotKind.COMPARTMENT, 2, kept, purpose, 1, 5, 9, tag, bytes([number % 256]) * 16)
    slot = Slot(number, header, wrapped(number * 1000 + found))
    keyring.enter(tag, 2 + purpose, number)
    keyring.overwrite(slot)
    return slot


# ---- identity and terms -----------------------------------------------------------------------------


def test_what_was_established_is_read_back(keyring: Keyring) -> None:
    assert keyring.identity() == (STORE, 1)
    assert keyring.origin() == ORIGIN
    assert keyring.purposes() == {1: "support", 2: "analytics"}
    epoch = keyring.epoch(1)
    assert epoch[:3] == (1, b"provider", b"\x05" * 32)
    assert {key.name: key.wrapped for key in epoch.wrapped} == {"index": b"i" * 60, "officer": b"o" * 60}


def test_a_missing_identity_or_epoch_is_damage(keyring: Keyring, connection: sqlite3.Connection) -> None:
    with pytest.raises(CorruptRecord):
        keyring.epoch(2)
    connection.execute("DELETE FROM keyring")
    with pytest.raises(CorruptRecord):
        keyring.identity()


def test_terms_are_bound_by_the_digest_of_every_field(keyring: Keyring) -> None:
    terms = Terms(1, "support", "2024-01", b"\x01" * 32, b"\x02" * 32, b"\x03" * 32)
    keyring.add_terms(terms)
    assert keyring.all_terms() == {1: terms}
    assert terms.bound == canonical.digest(canonical.pack(list(terms)))
    others = [
        terms._replace(number=2),
        terms._replace(purpose="supporT"),
        terms._replace(notice="2024-02"),
        terms._replace(notice_sha256=bytes(32)),
        terms._replace(declaration=bytes(32)),
        terms._replace(policy=bytes(32)),
    ]
    assert len({terms.bound, *(other.bound for other in others)}) == 7


def test_accepted_policies_are_read_back_by_their_numbers(keyring: Keyring) -> None:
    assert keyring.accepted(INDEX) == {}
    keyring.accept(1, b"\x01" * 32, INDEX)
    keyring.accept(2, b"\x02" * 32, INDEX)
    assert keyring.accepted(INDEX) == {1: b"\x01" * 32, 2: b"\x02" * 32}


FORGED = {
    "another digest": "UPDATE accepted_policy SET digest = zeroblob(32)",
    "another number": "UPDATE accepted_policy SET number = 2",
    "another seal": "UPDATE accepted_policy SET seal = zeroblob(32)",
    "one more": "INSERT INTO accepted_policy SELECT 2, digest, seal FROM accepted_policy",
}


@pytest.mark.parametrize("statement", FORGED.values(), ids=FORGED)
def test_a_policy_that_no_key_holder_accepted_is_damage(
    keyring: Keyring, connection: sqlite3.Connection, statement: str
) -> None:
    keyring.accept(1, b"\x01" * 32, INDEX)
    connection.execute(statement)
    with pytest.raises(CorruptRecord):
        keyring.accepted(INDEX)


def test_there_is_one_anchor_and_it_moves_on(keyring: Keyring) -> None:
    assert keyring.anchors() == []
    for size in (2, 9):
        keyring.anchor(size, bytes([size]) * 32)
        assert keyring.anchors() == [(size, bytes([size]) * 32)]


# ---- slots ------------------------------------------------------------------------------------------


def test_slots_are_numbered_from_1_without_gaps_and_begin_at_generation_0(keyring: Keyring) -> None:
    assert [keyring.allocate() for _ in range(5)] == [(number, 0) for number in range(1, 6)]
    assert keyring.count() == 5


def test_an_overwritten_slot_is_read_back_by_tag_by_number_and_in_order(keyring: Keyring) -> None:
    first, second = occupy(keyring), occupy(keyring, purpose=2)
    other = occupy(keyring, tag=b"\x12" * 32)
    assert keyring.slots_of(TAG) == {3: first, 4: second}
    assert [one.slot for one in keyring.compartments_of(TAG)] == [first, second]
    assert keyring.slot_at(TAG, 4) == second
    assert keyring.slot_at(TAG, 5) is None
    assert keyring.slot(other.number) == other
    assert keyring.slot(99) is None
    assert list(keyring.every_slot(page=2)) == [first, second, other]
    assert keyring.iterate(after=1, limit=1) == [second]


def test_destroying_overwrites_the_key_and_keeps_whose_slot_it_is(keyring: Keyring) -> None:
    slot = occupy(keyring)
    dead = destroyed(slot, state=4, since=77)
    keyring.overwrite(dead)
    found = keyring.slot_at(TAG, 3)
    assert found == dead
    assert (dead.wrapped, dead.key_held) == (NO_KEY, False)
    assert (dead.header.state, dead.header.since, dead.header.generation) == (4, 77, 1)
    assert dead.header.tag == TAG


def test_a_vacated_slot_belongs_to_nobody_and_is_used_again_under_its_next_generation(keyring: Keyring) -> None:
    slot, other = occupy(keyring), occupy(keyring, purpose=2)
    dead = destroyed(slot, state=4, since=77)
    keyring.overwrite(dead)
    keyring.vacate(TAG, 3, dead)
    assert keyring.slots_of(TAG) == {4: other}
    assert keyring.slot(slot.number) == Slot(slot.number, slots.unused(1), NO_KEY)
    assert keyring.free() == {slot.number}
    again = occupy(keyring, tag=b"\x12" * 32)
    assert (again.number, again.header.generation) == (slot.number, 1)
    assert keyring.free() == set()
    assert keyring.allocate() == (3, 0)


def test_the_lowest_free_slot_is_used_first(keyring: Keyring) -> None:
    held = [occupy(keyring, tag=bytes([number]) * 32) for number in range(1, 5)]
    for slot in (held[2], held[0]):
        keyring.vacate(slot.header.tag, 3, destroyed(slot, state=4, since=1))
    assert [keyring.allocate()[0] for _ in range(3)] == [1, 3, 5]


def test_a_slot_that_is_free_by_mistake_is_never_handed_out(keyring: Keyring, connection: sqlite3.Connection) -> None:
    slot = occupy(keyring)
    connection.execute("INSERT INTO free_slot VALUES (?)", (slot.number,))
    with pytest.raises(CorruptRecord):
        keyring.allocate()


def test_overwriting_a_slot_that_has_vanished_is_damage(keyring: Keyring, connection: sqlite3.Connection) -> None:
    with pytest.raises(CorruptRecord):
        keyring.overwrite(Slot(7, slots.unused(), NO_KEY))


def offsets(path: Path, needle: bytes) -> list[int]:
    content, found = path.read_bytes(), []
    at = content.find(needle)
    while at >= 0:
        found.append(at)
        at = content.find(needle, at + 1)
    return found


def test_overwriting_happens_in_place_and_leaves_no_other_copy(tmp_path: Path) -> None:
    migrations.create_files(tmp_path)
    path = tmp_path / KEYS
    count = 400

    connection = connect(path)
    keyring = Keyring(connection)
    connection.execute("BEGIN IMMEDIATE")
    held = [occupy(keyring, tag=number.to_bytes(32, "big")) for number in range(1, count + 1)]
    connection.execute("COMMIT")
    connection.close()
    size = path.stat().st_size
    where = {slot.number: offsets(path, slot.wrapped) for slot in held}
    assert {len(found) for found in where.values()} == {1}

    connection = connect(path)
    keyring = Keyring(connection)
    chosen = random.Random(1).sample(held, count // 2)
    again: dict[int, Slot] = {}
    for slot in chosen:  # one transaction each, as destroying is; half of them get a new key at once
        connection.execute("BEGIN IMMEDIATE")
        dead = destroyed(slot, state=4, since=1)
        keyring.overwrite(dead)
        if slot.number % 2:
            again[slot.number] = Slot(slot.number, dead.header, wrapped(10**6 + slot.number))
            keyring.overwrite(again[slot.number])
        connection.execute("COMMIT")
    pages = connection.execute("PRAGMA page_count").fetchone()[0] * connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()

    assert path.stat().st_size == pages == size
    assert {offset for slot in chosen for offset in offsets(path, slot.wrapped)} == set()
    for number, slot in again.items():
        assert offsets(path, slot.wrapped) == where[number]
    for slot in set(held) - set(chosen):
        assert offsets(path, slot.wrapped) == where[slot.number]
    assert not path.with_name(KEYS + "-journal").exists()


# ---- the directory ------------------------------------------------------------------------------------

PLACES = {
    "an account key": (SlotHeader(SlotKind.ACCOUNT, 0, 0), 0),
    "an evidence key": (SlotHeader(SlotKind.EVIDENCE, 0, 0), 1),
    "the first purpose": (SlotHeader(SlotKind.COMPARTMENT, 2, 0, 1), 3),
    "the seventh purpose": (SlotHeader(SlotKind.COMPARTMENT, 2, 0, 7), 9),
    "nobody": (slots.unused(), None),
}


@pytest.mark.parametrize(("header", "place"), PLACES.values(), ids=PLACES)
def test_every_slot_knows_its_place(header: SlotHeader, place: int | None) -> None:
    assert place_of(header) == place


MISLED = {
    "another account's slot": "UPDATE directory SET slot = 2 WHERE slot = 1",
    "a slot that is not there": "UPDATE directory SET slot = 9 WHERE slot = 1",
    "another purpose's place": "UPDATE directory SET place = 4 WHERE slot = 1",
    "the account's place": "UPDATE directory SET place = 0 WHERE slot = 1",
    "a slot of nobody": "UPDATE slot SET record = zeroblob(173) WHERE number = 1",
    "a slot of a kind to come": f"UPDATE slot SET record = x'0009{'00' * 171}' WHERE number = 1",
}


@pytest.mark.parametrize("statement", MISLED.values(), ids=MISLED)
def test_a_directory_that_leads_elsewhere_is_damage(
    keyring: Keyring, connection: sqlite3.Connection, statement: str
) -> None:
    occupy(keyring)
    connection.execute("PRAGMA foreign_keys = 0")
    occupy(keyring, tag=b"\x12" * 32)
    connection.execute("DELETE FROM directory WHERE slot = 2")
    connection.execute(statement)
    with pytest.raises(CorruptRecord):
        keyring.slots_of(TAG)


def test_a_record_of_another_size_is_not_even_stored(keyring: Keyring, connection: sqlite3.Connection) -> None:
    occupy(keyring)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE slot SET record = ?", (bytes(RECORD_BYTES + 1),))


# ---- suppressions -------------------------------------------------------------------------------------


def test_suppressions_are_noted_and_lifted_by_reason(keyring: Keyring) -> None:
    assert keyring.has_suppressions() is False
    for reason in ("deceased", "asked"):
        keyring.suppress(TAG, reason, INDEX)
    assert keyring.reasons(TAG, INDEX) == ["asked", "deceased"]
    assert keyring.reasons(b"\x12" * 32, INDEX) == []
    keyring.lift(TAG, "asked")
    assert keyring.reasons(TAG, INDEX) == ["deceased"]
    assert keyring.has_suppressions() is True
    assert keyring.suppressions() == [(TAG, "deceased", INDEX.suppression(TAG, "deceased"))]


def test_a_suppression_that_no_key_holder_wrote_is_damage(keyring: Keyring) -> None:
    keyring.suppress(TAG, "deceased", IndexKey(b"\x01" * 32))
    with pytest.raises(CorruptRecord):
        keyring.reasons(TAG, INDEX)


@pytest.mark.parametrize(
    ("place", "header"),
    [
        (3, SlotHeader(SlotKind.COMPARTMENT, 2, 0, 2, 1, 5, 9, TAG)),
        (3, SlotHeader(SlotKind.COMPARTMENT, 2, 0, 1, 1, 5, 9, b"\x12" * 32)),
        (3, SlotHeader(SlotKind.TO_COME, 2, 0, 1, 1, 5, 9, TAG)),
        (3, SlotHeader(SlotKind.ACCOUNT, 0, 0, tag=TAG)),
        (0, SlotHeader(SlotKind.ACCOUNT, 0, 0, tag=TAG)),
        (3, slots.unused()),
    ],
)
def test_a_compartment_is_recorded_into_only_where_the_directory_and_its_slot_agree(
    place: int, header: SlotHeader
) -> None:
    agreed = SlotHeader(SlotKind.COMPARTMENT, 2, 0, 1, 1, 5, 9, TAG).encode() + NO_KEY
    assert own_compartment(TAG, 3, 9, agreed).slot == own_slot(TAG, 3, 9, agreed)
    for record in (header.encode() + NO_KEY, agreed[:-1], b"\x02" + agreed[1:], None):
        with pytest.raises(CorruptRecord):
            own_compartment(TAG, place, 9, record)
