"""Associated data: no two records share it, and its bytes are those that docs/format.md describes."""

from __future__ import annotations

import struct
from typing import TypeAlias

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.crypto.binding import Binding, RecordBinding, RecordType
from consentprofile.crypto.byte_rows import joined

Fields: TypeAlias = tuple[bytes, RecordType, int, int, str, bytes]

NUMBERS = st.integers(0, 3) | st.integers(0, 2**64 - 1)
FIELDS = st.tuples(
    st.binary(min_size=16, max_size=16) | st.sampled_from([bytes(16), b"\x01" * 16]),
    st.sampled_from(RecordType),
    NUMBERS,
    NUMBERS,
    st.text("ab", max_size=3) | st.text(max_size=20),
    st.binary(max_size=3) | st.binary(max_size=120),
)


def associate(fields: Fields) -> bytes:
    store, record, slot, generation, purpose, bound = fields
    return Binding(store).associate(record, slot, generation, purpose=purpose, bound=bound)


def read(data: bytes) -> Fields:
    """The fields behind associated data, read as the format is written: a version, then length-prefixed fields."""
    assert data[0] == 1
    fields, at = [], 1
    while at < len(data):
        (length,) = struct.unpack_from(">H", data, at)
        fields.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    store, record, purpose, slot, generation, bound = fields
    assert (len(record), len(slot), len(generation)) == (1, 8, 8)
    numbers = int.from_bytes(slot, "big"), int.from_bytes(generation, "big")
    return store, RecordType(record[0]), *numbers, purpose.decode(), bound


@given(FIELDS)
def test_every_field_can_be_read_back_so_no_two_lists_of_fields_give_the_same_bytes(fields: Fields) -> None:
    assert read(associate(fields)) == fields


@given(st.lists(FIELDS, min_size=2, max_size=6, unique=True))
def test_different_fields_give_different_bytes(lists: list[Fields]) -> None:
    assert len({associate(fields) for fields in lists}) == len(lists)


@given(FIELDS, st.lists(st.tuples(NUMBERS, NUMBERS, st.binary(min_size=9, max_size=9)), max_size=5))
def test_that_of_many_records_is_that_of_each(fields: Fields, records: list[tuple[int, int, bytes]]) -> None:
    store, record, _, _, purpose, _ = fields
    binding = RecordBinding(store, record, purpose)
    slots, generations = (np.array([one[place] for one in records], dtype=np.uint64) for place in (0, 1))
    bound = joined([one for _, _, one in records], 9)
    assert binding.associate_each(slots, generations, bound) == [
        associate((store, record, slot, generation, purpose, last)) for slot, generation, last in records
    ]
    assert binding.associate_each(slots, generations) == [
        associate((store, record, slot, generation, purpose, b"")) for slot, generation, _ in records
    ]


def test_one_binding_answers_alike_whatever_it_was_asked_before() -> None:
    binding = Binding(bytes(16))
    questions = [(RecordType.BLOCK, "a"), (RecordType.TRAIL, "a"), (RecordType.BLOCK, "b"), (RecordType.BLOCK, "a")]
    for record, purpose in questions:
        assert binding.associate(record, 1, 2, purpose=purpose) == associate((bytes(16), record, 1, 2, purpose, b""))


def test_the_layout_is_the_documented_one() -> None:
    made = Binding(bytes(range(16))).associate(RecordType.BLOCK, 7, 3, purpose="support", bound=b"\xaa\xbb")
    assert made.hex() == (
        "01"
        "0010" "000102030405060708090a0b0c0d0e0f"
        "0001" "05"
        "0007" "737570706f7274"
        "0008" "0000000000000007"
        "0008" "0000000000000003"
        "0002" "aabb"
    )  # fmt: skip


def test_record_types_keep_their_numbers() -> None:
    assert {record.name: record.value for record in RecordType} == {
        "EPOCH_KEY": 1,
        "COMPARTMENT_KEY": 2,
        "ACCOUNT_KEY": 3,
        "EVIDENCE_KEY": 4,
        "BLOCK": 5,
        "TRAIL": 6,
        "ACCOUNT": 7,
        "EVIDENCE": 8,
        "ACTOR_BOOK": 9,
        "LEDGER": 10,
    }
