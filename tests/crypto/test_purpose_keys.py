"""Purpose keys alone: they open compartments, and nothing else."""

from __future__ import annotations

import copy
import pickle

import pytest

from consentprofile.crypto import keys
from consentprofile.crypto.aead import nonces
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.block_sealing import CompartmentSlot
from consentprofile.crypto.keys import EpochKeys
from consentprofile.crypto.purpose_keys import PurposeKeys
from consentprofile.crypto.slots import NO_KEY, Slot, SlotHeader, SlotKind
from consentprofile.errors import BeyondCapability, CorruptRecord, DestroyedKey

STORE, ROOT, TERMS = bytes(range(16)), bytes(32), b"\x55" * 32
HEADER = SlotHeader(SlotKind.COMPARTMENT, 2, 3, 1, 1, 1000, 2000, b"\x11" * 32, b"\x22" * 16)


@pytest.fixture(scope="module")
def opened() -> EpochKeys:
    """The keys of an epoch with two purposes."""
    wrapped = keys.mint_epoch(ROOT, STORE, 1, ["support", "analytics"])
    return keys.open_epoch(ROOT, keys.check_value(ROOT), STORE, 1, wrapped)


def slot_of(slot: Slot) -> CompartmentSlot:
    found = CompartmentSlot.of(slot.header.tag, slot.number, slot.record)
    assert found is not None
    return found


def test_they_open_what_the_whole_epoch_opens_and_seal_for_it(opened: EpochKeys) -> None:
    slot, key = opened.mint(9, HEADER, purpose="support", terms=TERMS)
    alone = PurposeKeys(STORE, opened.hand_over()).sealer("support").open(slot_of(slot), TERMS)
    assert alone.secret.event("e-1") == key.secret.event("e-1")
    assert key.open(RecordType.BLOCK, alone.seal(b"block", nonces(1))) == b"block"


def test_other_terms_another_purpose_and_another_store_are_refused(opened: EpochKeys) -> None:
    slot, _ = opened.mint(9, HEADER, purpose="support", terms=TERMS)
    handed = opened.hand_over()
    for store, purpose, terms in (
        (STORE, "support", bytes(32)), (STORE, "analytics", TERMS), (bytes(16), "support", TERMS),
    ):  # fmt: skip
        with pytest.raises(CorruptRecord):
            PurposeKeys(store, handed).sealer(purpose).open(slot_of(slot), terms)
    with pytest.raises(DestroyedKey):
        PurposeKeys(STORE, handed).sealer("support").open(slot_of(slot._replace(wrapped=NO_KEY)), TERMS)


def test_a_purpose_that_was_not_handed_over_stays_closed(opened: EpochKeys) -> None:
    handed = opened.hand_over()
    support = PurposeKeys(STORE, {"support": handed["support"]})
    for purpose in ("analytics", ""):
        with pytest.raises(BeyondCapability):
            support.sealer(purpose)


def test_they_do_not_show_copy_or_pickle_themselves(opened: EpochKeys) -> None:
    handed = opened.hand_over()
    alone = PurposeKeys(STORE, handed)
    assert repr(alone) == "<PurposeKeys, withheld>"
    for act in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            act(alone)
