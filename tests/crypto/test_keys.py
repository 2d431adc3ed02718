"""The key tree: wrong, corrupt, quarantined and destroyed are four different errors, and nothing can be swapped."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest

from consentprofile.crypto import keys, slots
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import EpochKeys, SlotKey, WrappedKey
from consentprofile.crypto.slots import NO_KEY, Slot, SlotHeader, SlotKind
from consentprofile.crypto.tags import hkdf_sha256, hmac_sha256
from consentprofile.errors import BeyondCapability, CorruptRecord, DestroyedKey, QuarantinedRecord, WrongKey

STORE, SECRET, EPOCH = bytes(range(16)), b"\x07" * 32, 1
ROOT = keys.derive_root(SECRET, STORE, EPOCH)
TERMS = b"\x55" * 32
HEADER = SlotHeader(SlotKind.COMPARTMENT, 2, 3, 1, 1, 1000, 2000, b"\x11" * 32, b"\x22" * 16)


@pytest.fixture(scope="module")
def wrapped() -> list[WrappedKey]:
    """The keys of an epoch with two purposes, wrapped."""
    return keys.mint_epoch(ROOT, STORE, EPOCH, ["support", "analytics"])


@pytest.fixture(scope="module")
def opened(wrapped: list[WrappedKey]) -> EpochKeys:
    """The same, opened."""
    return keys.open_epoch(ROOT, keys.check_value(ROOT), STORE, EPOCH, wrapped)


def mint(opened: EpochKeys) -> tuple[Slot, SlotKey]:
    return opened.mint(9, HEADER, purpose="support", terms=TERMS)


def flips(data: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


# ---- the root and the epoch -----------------------------------------------------------------------


def test_the_root_is_derived_as_documented_and_belongs_to_one_store_and_epoch() -> None:
    info = b"consentprofile root \x00\x00\x00\x00\x00\x00\x00\x01"
    assert hkdf_sha256(SECRET, salt=STORE, info=info) == ROOT
    assert keys.check_value(ROOT) == hmac_sha256(ROOT, b"consentprofile check")
    others = [(SECRET, STORE, 2), (SECRET, bytes(16), EPOCH), (bytes(32), STORE, EPOCH)]
    assert len({ROOT, *(keys.derive_root(*other) for other in others)}) == 4


def test_an_epoch_has_its_four_keys_and_one_for_each_purpose(wrapped: list[WrappedKey]) -> None:
    names = ["index", "signing", "officer", "import", "purpose:support", "purpose:analytics"]
    assert [key.name for key in wrapped] == names
    assert {len(key.wrapped) for key in wrapped} == {60}


def test_another_root_is_a_wrong_key(wrapped: list[WrappedKey]) -> None:
    with pytest.raises(WrongKey):
        keys.open_epoch(bytes(32), keys.check_value(ROOT), STORE, EPOCH, wrapped)


def test_a_flipped_bit_of_the_check_value_is_damage_and_not_a_wrong_key(wrapped: list[WrappedKey]) -> None:
    for changed in flips(keys.check_value(ROOT)):
        with pytest.raises(CorruptRecord):
            keys.open_epoch(ROOT, changed, STORE, EPOCH, wrapped)


def test_every_flipped_bit_of_a_wrapped_key_of_the_epoch_is_damage(wrapped: list[WrappedKey]) -> None:
    for changed in flips(wrapped[0].wrapped):
        with pytest.raises(CorruptRecord):
            keys.open_epoch(ROOT, keys.check_value(ROOT), STORE, EPOCH, [WrappedKey("index", changed), *wrapped[1:]])


DAMAGED: dict[str, Callable[[list[WrappedKey]], list[WrappedKey]]] = {
    "all of them damaged": lambda all_: [WrappedKey(key.name, bytes(60)) for key in all_],
    "none there": lambda all_: [],
    "no index key": lambda all_: all_[1:],
    "no officer key": lambda all_: [key for key in all_ if key.name != "officer"],
    "two swapped": lambda all_: [
        WrappedKey("index", all_[1].wrapped),
        WrappedKey("signing", all_[0].wrapped),
        *all_[2:],
    ],
    "a purpose renamed": lambda all_: [*all_[:4], WrappedKey("purpose:other", all_[4].wrapped), all_[5]],
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_keys_of_the_epoch_that_are_not_as_written_are_damage(
    wrapped: list[WrappedKey], damage: Callable[[list[WrappedKey]], list[WrappedKey]]
) -> None:
    with pytest.raises(CorruptRecord):
        keys.open_epoch(ROOT, keys.check_value(ROOT), STORE, EPOCH, damage(wrapped))


@pytest.mark.parametrize(("store", "epoch"), [(bytes(16), EPOCH), (STORE, 2)], ids=["store", "epoch"])
def test_keys_of_another_store_or_epoch_do_not_open(wrapped: list[WrappedKey], store: bytes, epoch: int) -> None:
    with pytest.raises(CorruptRecord):
        keys.open_epoch(ROOT, keys.check_value(ROOT), store, epoch, wrapped)


# ---- keys in slots --------------------------------------------------------------------------------


def test_a_minted_key_opens_what_it_sealed_and_so_does_the_unwrapped_one(opened: EpochKeys) -> None:
    slot, key = mint(opened)
    again = opened.unwrap(slot, purpose="support", terms=TERMS)
    sealed = key.seal(RecordType.BLOCK, b"events")
    assert (slot.number, slot.header, len(slot.wrapped)) == (9, HEADER, 92)
    assert again.open(RecordType.BLOCK, sealed) == b"events"
    assert (again.slot, again.generation, again.purpose) == (9, 3, "support")
    assert again.secret.event("e-1") == key.secret.event("e-1")


def test_a_sealed_row_opens_as_nothing_but_what_it_is(opened: EpochKeys) -> None:
    _, key = mint(opened)
    sealed = key.seal(RecordType.BLOCK, b"events")
    for record in set(RecordType) - {RecordType.BLOCK}:
        with pytest.raises(CorruptRecord):
            key.open(record, sealed)


def test_every_flipped_bit_of_a_slot_is_refused(opened: EpochKeys) -> None:
    slot, _ = mint(opened)
    for changed in flips(slot.record):
        with pytest.raises((CorruptRecord, BeyondCapability)):
            opened.unwrap(slots.decode(9, changed), purpose="support", terms=TERMS)


def test_every_flipped_bit_of_the_terms_is_refused(opened: EpochKeys) -> None:
    slot, _ = mint(opened)
    for terms in flips(TERMS):
        with pytest.raises(CorruptRecord):
            opened.unwrap(slot, purpose="support", terms=terms)


SWAPPED: dict[str, Callable[[Slot], Slot]] = {
    "another slot": lambda slot: slot._replace(number=10),
    "another account's tag": lambda slot: slot._replace(header=slot.header._replace(tag=b"\x12" * 32)),
    "a later expiry": lambda slot: slot._replace(header=slot.header._replace(until=3000)),
    "other terms": lambda slot: slot._replace(header=slot.header._replace(terms=2)),
    "a state in force": lambda slot: slot._replace(header=slot.header._replace(state=3)),
    "another generation": lambda slot: slot._replace(header=slot.header._replace(generation=4)),
}


@pytest.mark.parametrize("swap", SWAPPED.values(), ids=SWAPPED)
def test_nobody_without_keys_points_a_slot_elsewhere_or_stretches_it(
    opened: EpochKeys, swap: Callable[[Slot], Slot]
) -> None:
    slot, _ = mint(opened)
    with pytest.raises(CorruptRecord):
        opened.unwrap(swap(slot), purpose="support", terms=TERMS)


def test_a_key_of_one_purpose_does_not_open_under_another(opened: EpochKeys) -> None:
    slot, _ = mint(opened)
    with pytest.raises(CorruptRecord):
        opened.unwrap(slot, purpose="analytics", terms=TERMS)


def test_an_empty_slot_is_a_destroyed_key(opened: EpochKeys) -> None:
    with pytest.raises(DestroyedKey):
        opened.unwrap(Slot(9, HEADER, NO_KEY), purpose="support", terms=TERMS)


def test_rewrapping_keeps_the_key_and_binds_the_new_terms(opened: EpochKeys) -> None:
    slot, key = mint(opened)
    header = HEADER._replace(until=9000, terms=2)
    sealed = key.seal(RecordType.BLOCK, b"events")
    moved, again = opened.rewrap(slot, header, purpose="support", terms=TERMS, new_terms=b"\x66" * 32)
    assert moved.header == header
    assert again.open(RecordType.BLOCK, sealed) == b"events"
    assert opened.unwrap(moved, purpose="support", terms=b"\x66" * 32).open(RecordType.BLOCK, sealed) == b"events"
    with pytest.raises(CorruptRecord):
        opened.unwrap(moved, purpose="support", terms=TERMS)


def test_a_succeeding_key_is_another_with_the_same_secret_in_the_same_slot(opened: EpochKeys) -> None:
    slot, key = mint(opened)
    sealed = key.seal(RecordType.BLOCK, b"events")
    succeeding, new = opened.succeed(slot, b"\x33" * 16, purpose="support", terms=TERMS)
    assert succeeding.number == slot.number
    assert succeeding.header == HEADER._replace(generation=4, key_id=b"\x33" * 16)
    assert (new.slot, new.generation) == (9, 4)
    assert new.secret.event("e-1") == key.secret.event("e-1")
    with pytest.raises(CorruptRecord):
        new.open(RecordType.BLOCK, sealed)
    resealed = new.seal(RecordType.BLOCK, b"what remains")
    assert opened.unwrap(succeeding, purpose="support", terms=TERMS).open(RecordType.BLOCK, resealed) == b"what remains"
    with pytest.raises(CorruptRecord):
        key.open(RecordType.BLOCK, resealed)
    with pytest.raises(DestroyedKey):
        opened.succeed(slot._replace(wrapped=NO_KEY), bytes(16), purpose="support", terms=TERMS)


def test_the_four_errors_are_four_different_errors() -> None:
    errors: list[type[Exception]] = [WrongKey, CorruptRecord, QuarantinedRecord, DestroyedKey]
    assert not any(issubclass(one, other) for one in errors for other in errors if one is not other)


def test_whoever_holds_one_purpose_opens_only_that_one(opened: EpochKeys) -> None:
    some = EpochKeys(STORE, EPOCH, {"index": bytes(32), "purpose:support": bytes(32)})
    slot, _ = mint(opened)
    for attempt in (
        lambda: some.unwrap(slot, purpose="analytics", terms=TERMS),
        lambda: some.seal_record(RecordType.ACTOR_BOOK, 1, b""),
        lambda: some.open_record(RecordType.LEDGER, 1, b""),
        lambda: some.mint(1, SlotHeader(SlotKind.EVIDENCE, 0, 0)),
    ):
        with pytest.raises(BeyondCapability):
            attempt()


def test_an_officers_record_opens_in_its_place_only(opened: EpochKeys) -> None:
    sealed = opened.seal_record(RecordType.ACTOR_BOOK, 4, b"entry")
    assert opened.open_record(RecordType.ACTOR_BOOK, 4, sealed) == b"entry"
    for record, number in ((RecordType.ACTOR_BOOK, 5), (RecordType.LEDGER, 4)):
        with pytest.raises(CorruptRecord):
            opened.open_record(record, number, sealed)


def test_opened_keys_show_nothing_and_leave_no_copy(opened: EpochKeys) -> None:
    _, key = mint(opened)
    assert (repr(opened), repr(key)) == ("<EpochKeys, withheld>", "<SlotKey, withheld>")
    for held in (opened, key):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                attempt(held)
