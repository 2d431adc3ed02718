"""Slots are divided so that each is counted once, and that nobody is left to wait for a large stretch at the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consentprofile.usecases.counting_wire import Stretch
from consentprofile.usecases.stretches import LONGEST, PARTS, SHORTEST, Stretches


def divided(last: int, processes: int) -> list[Stretch]:
    """All of the stretches from 1 to ``last``, in the order in which they are taken."""
    waiting, taken = Stretches(), []
    waiting.put_back([Stretch(1, last)])
    while waiting:
        taken.append(waiting.take(processes))
    return taken


def slots(stretches: list[Stretch]) -> list[int]:
    return [slot for stretch in stretches for slot in range(stretch.first, stretch.last + 1)]


def sizes(stretches: list[Stretch]) -> list[int]:
    return [stretch.last - stretch.first + 1 for stretch in stretches]


@given(st.integers(1, 3 * LONGEST), st.integers(1, 65))
def test_every_slot_is_in_one_stretch(last: int, processes: int) -> None:
    taken = divided(last, processes)
    assert slots(taken) == list(range(1, last + 1))
    assert max(sizes(taken)) <= LONGEST


@given(st.integers(1, 3 * LONGEST), st.integers(2, 65))
def test_no_stretch_is_more_than_its_part_of_what_is_left_unless_it_is_a_short_one(last: int, processes: int) -> None:
    left = last
    for size in sizes(divided(last, processes)):
        assert size <= max(SHORTEST, left // (PARTS * processes))
        left -= size


def test_one_process_alone_waits_for_nobody() -> None:
    assert sizes(divided(2 * LONGEST + 5, 1)) == [LONGEST, LONGEST, 5]


def test_a_store_without_slots_has_one_stretch_with_nothing_in_it() -> None:
    assert divided(0, 3) == [Stretch(1, 0)]


@given(st.lists(st.integers(1, 2_000), min_size=1, max_size=9), st.integers(1, 5))
def test_what_is_put_back_is_taken_again_and_nothing_else_is(lengths: list[int], processes: int) -> None:
    waiting, taken, first = Stretches(), [], 1
    for length in lengths:
        waiting.put_back([Stretch(first, first + length - 1)])
        first += length
        taken.append(waiting.take(processes))
        if len(taken) % 3 == 0:
            waiting.put_back([taken.pop()])
    while waiting:
        taken.append(waiting.take(processes))
    assert sorted(slots(taken)) == list(range(1, first))
