"""Compartments that are opened by hundreds open as each does by itself, and nowhere else."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from consentprofile.crypto.aead import SealingKey, SuccessorKey
from consentprofile.crypto.binding import Binding, RecordType
from consentprofile.crypto.byte_rows import Rows, cut, joined
from consentprofile.crypto.compartments import CompartmentOpener, OpenedCompartments
from consentprofile.crypto.slot_columns import SlotColumns
from consentprofile.crypto.slots import HEADER, RECORD_BYTES, SlotHeader, SlotKind
from consentprofile.crypto.tags import hmac_sha256
from consentprofile.errors import CorruptRecord

STORE, PURPOSE, WRAPPING = b"s" * 16, "planning", b"w" * 32
COUNTS = (1, 0, 3)
"""The blocks of each of three compartments."""


class Made(NamedTuple):
    """Three compartments as they are stored."""

    slots: list[tuple[int, bytes]]
    terms: Rows
    blocks: list[list[bytes]]


@pytest.fixture(params=[SealingKey(WRAPPING), SuccessorKey(b"v" * 32, WRAPPING)], ids=["a key", "its successor"])
def opener(request: pytest.FixtureRequest) -> CompartmentOpener:
    return CompartmentOpener(STORE, request.param, PURPOSE)


@pytest.fixture
def made() -> Made:
    associate = partial(Binding(STORE).associate, purpose=PURPOSE)
    terms = [bytes((number,)) * 32 for number in range(3)]
    slots, blocks = [], []
    for number, count in enumerate(COUNTS):
        header = SlotHeader(SlotKind.COMPARTMENT, 2, 7 + number, 1, number).encode()
        bound = associate(RecordType.COMPARTMENT_KEY, 100 + number, 7 + number, bound=header + terms[number])
        slots.append((100 + number, header + SealingKey(WRAPPING).seal(key(number) + secret(number), bound)))
        within = associate(RecordType.BLOCK, 100 + number, 7 + number)
        blocks.append([SealingKey(key(number)).seal(plain(number, place), within) for place in range(count)])
    return Made(slots, joined(terms, 32), blocks)


def key(number: int) -> bytes:
    return bytes((number, 1)) * 16


def secret(number: int) -> bytes:
    return bytes((number, 2)) * 16


def plain(number: int, place: int) -> bytes:
    return b"block %d of %d" % (place, number)


def always() -> bool:
    return True


def opened(opener: CompartmentOpener, made: Made, more: Callable[[], bool] = always) -> OpenedCompartments:
    return opener.open(SlotColumns.of(made.slots), made.terms, made.blocks, more)


def test_each_has_its_pseudonym_and_its_blocks(opener: CompartmentOpener, made: Made) -> None:
    found = opened(opener, made)
    pseudonyms = [hmac_sha256(secret(number), b"\x05")[:16] for number in range(3)]
    assert cut(found.pseudonyms) == pseudonyms
    assert found.blocks == [plain(number, place) for number, count in enumerate(COUNTS) for place in range(count)]
    assert cut(opener.pseudonyms(SlotColumns.of(made.slots), made.terms)) == pseudonyms


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_it_ends_when_it_is_told_to_and_opens_one_at_least(opener: CompartmentOpener, made: Made, allowed: int) -> None:
    answers = iter([*[True] * (allowed - 1), False]) if allowed else iter([False])
    found = opened(opener, made, lambda: next(answers))
    assert len(found.pseudonyms) == max(1, allowed)
    assert len(found.blocks) == sum(COUNTS[: max(1, allowed)])


def test_nothing_is_opened_of_none(opener: CompartmentOpener) -> None:
    found = opener.open(SlotColumns.of([]), np.zeros((0, 32), dtype=np.uint8), [], always)
    assert (found.pseudonyms.shape, found.blocks) == ((0, 16), [])


@pytest.mark.parametrize("bit", range(0, 8 * RECORD_BYTES, 7))
def test_no_bit_of_a_slot_can_be_changed(opener: CompartmentOpener, made: Made, bit: int) -> None:
    number, record = made.slots[1]
    changed = bytearray(record)
    changed[bit // 8] ^= 1 << bit % 8
    made.slots[1] = number, bytes(changed)
    with pytest.raises(CorruptRecord):
        opened(opener, made)


def swapped_slots(made: Made) -> Made:
    (one, first), (other, second), third = made.slots
    return made._replace(slots=[(one, second), (other, first), third])


def wrapped_elsewhere(made: Made) -> Made:
    (one, first), (other, second), third = made.slots
    return made._replace(slots=[(one, first[: HEADER.size] + second[HEADER.size :]), (other, second), third])


def other_terms(made: Made) -> Made:
    return made._replace(terms=made.terms[[1, 0, 2]])


def other_blocks(made: Made) -> Made:
    return made._replace(blocks=made.blocks[::-1])


def changed_block(made: Made) -> Made:
    (*before, last) = made.blocks[2]
    return made._replace(blocks=[*made.blocks[:2], [*before, last[:-1] + bytes((last[-1] ^ 1,))]])


def cut_block(made: Made) -> Made:
    return made._replace(blocks=[[b"short"], *made.blocks[1:]])


@pytest.mark.parametrize(
    "damage", [swapped_slots, wrapped_elsewhere, other_terms, other_blocks, changed_block, cut_block]
)
def test_what_was_sealed_for_another_place_is_not_opened(
    opener: CompartmentOpener, made: Made, damage: Callable[[Made], Made]
) -> None:
    with pytest.raises(CorruptRecord):
        opened(opener, damage(made))


def test_neither_key_nor_what_was_opened_is_shown_or_kept(opener: CompartmentOpener, made: Made) -> None:
    assert repr(opener) == "<CompartmentOpener, withheld>"
    assert repr(opened(opener, made)) == "<OpenedCompartments, content withheld>"
    for leave in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(opener)
