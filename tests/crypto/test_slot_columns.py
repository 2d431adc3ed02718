"""Slots read as columns say what each says when it is read by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.crypto import slots
from consentprofile.crypto.byte_rows import cut, joined
from consentprofile.crypto.slot_columns import SlotColumns
from consentprofile.crypto.slots import Slot
from consentprofile.errors import CorruptRecord
from tests.crypto.test_slots import HEADERS, REFUSED, SOUND, WRAPPED

SLOTS = st.lists(st.builds(Slot, st.integers(1, 2**62), HEADERS, WRAPPED), max_size=9)


def columns(given_slots: list[Slot]) -> SlotColumns:
    return SlotColumns.of([(slot.number, slot.record) for slot in given_slots])


@given(SLOTS)
def test_each_slot_has_its_fields(given_slots: list[Slot]) -> None:
    found = columns(given_slots)
    headers = [slot.header for slot in given_slots]
    assert found.number.tolist() == [slot.number for slot in given_slots]
    assert found.state.tolist() == [header.state for header in headers]
    assert [number % 2**64 for number in found.generation.tolist()] == [header.generation for header in headers]
    assert found.terms.tolist() == [header.terms for header in headers]
    assert found.until.tolist() == [header.until for header in headers]
    assert found.tags == [header.tag for header in headers]
    assert found.key_held.tolist() == [slot.key_held for slot in given_slots]
    assert cut(found.header) == [header.encode() for header in headers]
    assert cut(found.wrapped) == [slot.wrapped for slot in given_slots]
    assert [found.at(place) for place in range(len(given_slots))] == given_slots


@given(SLOTS, SLOTS)
def test_some_of_them_and_those_of_several_are_slots_again(one: list[Slot], other: list[Slot]) -> None:
    both = SlotColumns.together([columns(one), columns(other)])
    assert [both.at(place) for place in range(len(one) + len(other))] == one + other
    behind = both.only(slice(len(one), None))
    assert [behind.at(place) for place in range(len(other))] == other


NO_SLOT = {what: record for what, record in REFUSED.items() if what != "a key that lives in nobody's slot"}


@pytest.mark.parametrize("record", NO_SLOT.values(), ids=NO_SLOT)
def test_bytes_that_are_no_slot_are_refused_among_others(record: bytes) -> None:
    with pytest.raises(CorruptRecord):
        SlotColumns.of([(1, SOUND), (2, record), (3, SOUND)])


def test_records_whose_lengths_make_up_for_each_other_are_refused() -> None:
    with pytest.raises(CorruptRecord, match="wrong length"):
        SlotColumns.of([(1, SOUND[:-1]), (2, SOUND + b"\0")])


def test_slots_are_not_shown() -> None:
    shown = repr(SlotColumns.of([(1, SOUND)]))
    assert shown == "<SlotColumns of 1 slots>"
    assert slots.decode(1, SOUND).header.tag.hex() not in shown


@given(st.integers(1, 40).flatmap(lambda width: st.lists(st.binary(min_size=width, max_size=width), min_size=1)))
def test_records_of_one_length_are_cut_as_they_were_joined(records: list[bytes]) -> None:
    assert cut(joined(records, len(records[0]))) == records


def test_no_records_are_no_rows() -> None:
    assert joined([], 7).shape == (0, 7)
    assert cut(joined([], 7)) == []


def test_a_record_of_another_length_is_no_row() -> None:
    with pytest.raises(ValueError, match="not as long"):
        joined([b"12", b"123", b"1"], 2)
