"""Sealing straight from the bytes of slots: the same keys, secrets and bytes as the key tree makes, and as strict."""

from __future__ import annotations

import copy
import pickle
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.crypto import keys
from consentprofile.crypto.aead import NONCE_BYTES, SealingKey, nonces, seal_once
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.block_sealing import BlockKey, CompartmentSlot
from consentprofile.crypto.keys import EpochKeys
from consentprofile.crypto.randomness import injected
from consentprofile.crypto.slots import NO_KEY, RECORD_BYTES, Slot, SlotHeader, SlotKind
from consentprofile.errors import BeyondCapability, CorruptRecord, DestroyedKey

STORE, ROOT, TERMS = bytes(range(16)), bytes(32), b"\x55" * 32
TAG: Final = b"\x11" * 32
GRANTED: Final = SlotHeader(SlotKind.COMPARTMENT, 2, 3, 1, 1, 1000, 2000, TAG, b"\x22" * 16)


def epoch() -> EpochKeys:
    """The keys of an epoch with two purposes."""
    wrapped = keys.mint_epoch(ROOT, STORE, 1, ["support", "analytics"])
    return keys.open_epoch(ROOT, keys.check_value(ROOT), STORE, 1, wrapped)


OPENED: Final = epoch()


def read(slot: Slot) -> CompartmentSlot:
    found = CompartmentSlot.of(TAG, slot.number, slot.record)
    assert found is not None
    return found


headers = st.builds(
    SlotHeader,
    kind=st.just(int(SlotKind.COMPARTMENT)),
    state=st.integers(0, 255),
    generation=st.integers(0, 2**64 - 1),
    purpose=st.integers(0, 2**16 - 1),
    terms=st.integers(0, 2**32 - 1),
    since=st.integers(-(2**63), 2**63 - 1),
    until=st.integers(-(2**63), 2**63 - 1),
    tag=st.just(TAG),
    key_id=st.binary(min_size=16, max_size=16),
)


@given(st.integers(1, 2**40), headers, st.sampled_from([NO_KEY, b"k" * len(NO_KEY), b"\x00" * 91 + b"\x01"]))
def test_a_slot_reads_as_the_one_way_and_as_the_other(number: int, header: SlotHeader, wrapped: bytes) -> None:
    slot = Slot(number, header, wrapped)
    found = read(slot)
    assert found[:-1] == (
        number, header.state, header.generation, header.purpose, header.terms, header.since, header.until,
    )  # fmt: skip
    assert (found.slot, found.key_held) == (slot, slot.key_held)


@pytest.mark.parametrize(
    "record",
    [
        GRANTED._replace(tag=b"\x12" * 32).encode() + NO_KEY,
        *(GRANTED._replace(kind=kind).encode() + NO_KEY for kind in SlotKind if kind != SlotKind.COMPARTMENT),
        GRANTED._replace(kind=9).encode() + NO_KEY,
        b"\x02" + GRANTED.encode()[1:] + NO_KEY,
        GRANTED.encode(),
        GRANTED.encode() + NO_KEY + b"\x00",
        b"",
    ],
)
def test_what_is_no_compartment_of_the_account_is_none(record: bytes) -> None:
    assert CompartmentSlot.of(TAG, 9, record) is None


@given(st.integers(1, 2**40), headers, st.binary(max_size=300), st.sampled_from(["support", "analytics"]))
def test_what_is_sealed_opens_with_the_same_key_of_the_tree_and_the_secret_is_the_same(
    number: int, header: SlotHeader, block: bytes, purpose: str
) -> None:
    slot, key = OPENED.mint(number, header, purpose=purpose, terms=TERMS)
    opened = OPENED.sealer(purpose).open(read(slot), TERMS)
    assert key.open(RecordType.BLOCK, opened.seal(block, nonces(1))) == block
    assert opened.secret.event("e-1") == key.secret.event("e-1")
    assert opened.secret.token("device", "d-1") == key.secret.token("device", "d-1")


def test_both_ways_give_the_same_bytes_for_the_same_nonce() -> None:
    slot, key = OPENED.mint(9, GRANTED, purpose="support", terms=TERMS)
    with injected(lambda count: b"\x07" * count):
        sealed = OPENED.sealer("support").open(read(slot), TERMS).seal(b"block", nonces(3))
        assert sealed == key.seal(RecordType.BLOCK, b"block")


@pytest.mark.parametrize("place", range(RECORD_BYTES))
def test_a_slot_of_which_one_byte_is_another_opens_nothing(place: int) -> None:
    slot, _ = OPENED.mint(9, GRANTED, purpose="support", terms=TERMS)
    record = bytearray(slot.record)
    record[place] ^= 1
    changed = read(slot)._replace(record=bytes(record))
    generation = int.from_bytes(record[3:11], "big")
    with pytest.raises(CorruptRecord):
        OPENED.sealer("support").open(changed._replace(generation=generation), TERMS)


def test_another_number_other_terms_and_another_purpose_open_nothing() -> None:
    slot, _ = OPENED.mint(9, GRANTED, purpose="support", terms=TERMS)
    found = read(slot)
    for purpose, taken, terms in (
        ("support", found._replace(number=8), TERMS),
        ("support", found, bytes(32)),
        ("analytics", found, TERMS),
    ):
        with pytest.raises(CorruptRecord):
            OPENED.sealer(purpose).open(taken, terms)
    with pytest.raises(BeyondCapability):
        OPENED.sealer("marketing")


def test_a_slot_without_a_key_has_been_destroyed() -> None:
    with pytest.raises(DestroyedKey):
        OPENED.sealer("support").open(read(Slot(9, GRANTED, NO_KEY)), TERMS)


def test_amid_a_rotation_what_either_epoch_wrapped_opens() -> None:
    before = epoch()
    slot, key = before.mint(9, GRANTED, purpose="support", terms=TERMS)
    after = EpochKeys(STORE, 2, before.hand_on())
    renewed = after.renew(slot, purpose="support", terms=TERMS)
    assert renewed is not None
    for wrapped in (slot, renewed):
        opened = after.sealer("support").open(read(wrapped), TERMS)
        assert key.open(RecordType.BLOCK, opened.seal(b"block", nonces(1))) == b"block"
    before.become(after)
    assert before.sealer("support").open(read(renewed), TERMS).secret.event("e") == key.secret.event("e")
    before.forget_former()
    with pytest.raises(CorruptRecord):
        before.sealer("support").open(read(slot), TERMS)


def test_keys_do_not_show_copy_or_pickle_themselves() -> None:
    slot, _ = OPENED.mint(9, GRANTED, purpose="support", terms=TERMS)
    sealer = OPENED.sealer("support")
    key: BlockKey = sealer.open(read(slot), TERMS)
    assert (repr(key), repr(sealer), repr(read(slot))) == (
        "<BlockKey, withheld>", "<BlockSealer, withheld>", "<CompartmentSlot 9>",
    )  # fmt: skip
    for secret in (key, sealer):
        for act in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                act(secret)


# ---- nonces -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [0, 1, 3, 125])
def test_no_two_nonces_are_one_and_they_never_run_out(together: int) -> None:
    drawn = nonces(together)
    taken = [next(drawn) for _ in range(300)]
    assert len(set(taken)) == 300
    assert {len(one) for one in taken} == {NONCE_BYTES}


def test_nonces_are_the_bytes_of_the_one_source_in_their_order() -> None:
    source = iter(range(256))
    with injected(lambda count: bytes(next(source) for _ in range(count))):
        drawn = nonces(2)
        assert b"".join(next(drawn) for _ in range(6)) == bytes(range(6 * NONCE_BYTES))


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_what_is_sealed_once_opens_as_anything_sealed(plain: bytes, associated: bytes) -> None:
    drawn = nonces(2)
    first, second = (seal_once(TERMS, plain, associated, drawn) for _ in range(2))
    assert first != second
    assert [SealingKey(TERMS).open(sealed, associated) for sealed in (first, second)] == [plain, plain]
