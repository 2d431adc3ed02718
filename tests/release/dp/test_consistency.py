"""Consistent bins: nowhere negative, of the same sum, and as near as whole numbers can be."""

from __future__ import annotations

from itertools import accumulate, pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from consentprofile.release.dp.consistency import consistent

bins = st.lists(st.integers(-60, 200), max_size=12)


@given(bins)
def test_curves_only_fall_and_keep_their_sum(noisy: list[int]) -> None:
    found = consistent(noisy)
    curve = list(accumulate(reversed(found)))
    assert all(value >= 0 for value in found)
    assert all(one <= other for one, other in pairwise(curve))
    assert sum(found) == max(0, sum(noisy))


@given(bins)
def test_what_is_consistent_stays_as_it_is(noisy: list[int]) -> None:
    found = consistent(noisy)
    assert consistent(found) == found


@given(st.lists(st.integers(-3, 4), min_size=1, max_size=4))
def test_no_other_whole_numbers_are_nearer(noisy: list[int]) -> None:
    def distance(found: tuple[int, ...]) -> int:
        return sum((one - other) ** 2 for one, other in zip(found, noisy, strict=True))

    whole = max(0, sum(noisy))
    nearest = min(distance(each) for each in product(range(whole + 1), repeat=len(noisy)) if sum(each) == whole)
    assert distance(tuple(consistent(noisy))) == nearest
