"""Slots: 173 bytes that say whose key lives there, and refuse to be anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.crypto import slots
from consentprofile.crypto.slots import NO_KEY, NO_KEY_ID, NOBODY, RECORD_BYTES, Slot, SlotHeader, SlotKind
from consentprofile.errors import CorruptRecord, DestroyedKey, QuarantinedRecord

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
I64 = st.integers(-(2**63), 2**63 - 1)
HEADERS = st.builds(
    SlotHeader,
    kind=st.integers(1, 3),
    state=st.integers(0, 255),
    generation=U64,
    purpose=U16,
    terms=U32,
    since=I64,
    until=I64,
    tag=st.binary(min_size=32, max_size=32),
    key_id=st.binary(min_size=16, max_size=16),
)
WRAPPED = st.just(NO_KEY) | st.binary(min_size=92, max_size=92)


@given(st.integers(1, 2**62), HEADERS, WRAPPED)
def test_a_slot_is_173_bytes_and_reads_back_as_it_was_written(number: int, header: SlotHeader, wrapped: bytes) -> None:
    slot = Slot(number, header, wrapped)
    assert len(slot.record) == RECORD_BYTES == 173
    assert slots.decode(number, slot.record) == slot
    assert slot.key_held is (wrapped != bytes(92))


def test_the_layout_is_the_documented_one() -> None:
    header = SlotHeader(1, 2, 3, 4, 5, 6, -7, b"\xcc" * 32, b"\xdd" * 16)
    assert Slot(9, header, b"\xee" * 92).record.hex() == (
        "01" "01" "02" "0000000000000003" "0004" "00000005" "0000000000000006" "fffffffffffffff9"
        + "cc" * 32 + "dd" * 16 + "ee" * 92
    )  # fmt: skip


SOUND = SlotHeader(SlotKind.COMPARTMENT, 2, 0, 1, 1, 10, 20, b"\x01" * 32, b"\x02" * 16).encode() + b"\x03" * 92
REFUSED = {
    "nothing": b"",
    "a byte short": SOUND[:-1],
    "a byte long": SOUND + b"\x00",
    "a version to come": b"\x02" + SOUND[1:],
    "a version that ended": b"\x00" + SOUND[1:],
    "a kind to come": SOUND[:1] + b"\x05" + SOUND[2:],
    "a key that lives in nobody's slot": SOUND[:1] + b"\x00" + SOUND[2:],
}


@pytest.mark.parametrize("record", REFUSED.values(), ids=REFUSED)
def test_bytes_that_are_no_slot_are_refused(record: bytes) -> None:
    assert slots.decode(1, SOUND).key_held
    with pytest.raises(CorruptRecord):
        slots.decode(1, record)


@given(HEADERS, st.integers(0, 6), I64)
def test_a_vacated_slot_has_the_next_generation_and_no_key_id(header: SlotHeader, state: int, since: int) -> None:
    after = header.vacated(state=state, since=since)
    assert (after.generation, after.key_id, after.until) == (header.generation + 1, NO_KEY_ID, 0)
    assert (after.state, after.since) == (state, since)
    assert (after.kind, after.purpose, after.terms, after.tag) == (
        header.kind,
        header.purpose,
        header.terms,
        header.tag,
    )


def test_a_slot_that_belongs_to_nobody_says_nothing_but_its_generation() -> None:
    assert slots.unused(4) == SlotHeader(SlotKind.UNUSED, 0, 4, 0, 0, 0, 0, NOBODY, NO_KEY_ID)
    assert slots.decode(1, slots.unused(4).encode() + NO_KEY).header.generation == 4


ALIVE = slots.decode(1, SOUND[:3] + (5).to_bytes(8, "big") + SOUND[11:])
EMPTY = Slot(1, ALIVE.header, NO_KEY)


def test_a_row_of_the_living_generation_is_let_through() -> None:
    slots.require_alive(5, ALIVE)


JUDGED = {
    "an earlier generation": (4, ALIVE, DestroyedKey),
    "the first generation": (0, ALIVE, DestroyedKey),
    "an empty slot": (5, EMPTY, DestroyedKey),
    "an earlier generation of an empty slot": (4, EMPTY, DestroyedKey),
    "a generation to come": (6, ALIVE, QuarantinedRecord),
    "a generation to come of an empty slot": (6, EMPTY, QuarantinedRecord),
    "an unknown slot": (0, None, QuarantinedRecord),
}


@pytest.mark.parametrize(("generation", "slot", "error"), JUDGED.values(), ids=JUDGED)
def test_a_row_is_judged_by_its_slot(generation: int, slot: Slot | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        slots.require_alive(generation, slot)
