"""The ledger answers a repetition with the bytes of the first time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.errors import CorruptRecord
from consentprofile.release.ledger import (
    LedgerEntry,
    answer,
    earlier_cells,
    earlier_periods,
    entry,
    pack,
    unpack,
)
from consentprofile.release.spec import ReleaseSpec
from tests.release.sets import settle
from tests.release.shop_policy import POLICY, people, rules, spec

FILES = {"manifest.json": b"{}", "data.csv": b"accounts\n10\n"}


def made(asked: ReleaseSpec, *numbers: int) -> LedgerEntry:
    cells = settle({key: people(*numbers) for key in asked.keys}, rules(), ())
    return entry(asked, policy=POLICY.digest, salt=bytes(32), cells=cells, files=FILES)


@given(st.sets(st.integers(0, 2**128 - 1), max_size=40), st.booleans())
def test_an_entry_comes_back_from_its_bytes(numbers: set[int], by_platform: bool) -> None:
    value = made(spec(by='["platform"]' if by_platform else "[]"), *numbers)
    again = unpack(pack(value))
    assert again == value
    assert all(cell.count == len(numbers) and cell.members == people(*numbers) for cell in again.cells)


def parts() -> list[object]:
    """The entry of a release as the list that its bytes are."""
    raw: list[object] = canonical.unpack(pack(made(spec(), 1, 2)), list[object])
    return raw


MALFORMED = {
    "cut": pack(made(spec(), 1, 2))[:-1],
    "longer": pack(made(spec(), 1, 2)) + b"\0",
    "another format": canonical.pack([2, *parts()[1:]]),
    "a short salt": canonical.pack([*parts()[:6], b"", *parts()[7:]]),
    "another series": canonical.pack([*parts()[:2], bytes(32), *parts()[3:]]),
    "no specification": canonical.pack([1, b"?", *parts()[2:]]),
    "members out of order": canonical.pack([*parts()[:7], [[[], b"\2" * 16 + b"\1" * 16, None, True]], parts()[8]]),
    "a member twice": canonical.pack([*parts()[:7], [[[], b"\1" * 32, None, True]], parts()[8]]),
    "part of a member": canonical.pack([*parts()[:7], [[[], b"\1" * 17, None, True]], parts()[8]]),
    "files out of order": canonical.pack([*parts()[:8], [["b", b""], ["a", b""]]]),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_bytes_that_are_no_entry_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        unpack(data)


def test_a_repetition_is_answered_with_the_stored_bytes() -> None:
    entries = [made(spec(until="2024-06-01")), made(spec(), 1, 2)]
    assert answer(entries, spec(name='"another name"', by="[]")) == FILES


def test_another_question_or_period_is_not_answered() -> None:
    entries = [made(spec())]
    for other in (spec(until="2024-06-01"), spec(by='["kind"]'), spec(where="{ kind = ['login'] }")):
        assert answer(entries, other) is None


def test_earlier_periods_are_those_of_the_same_question() -> None:
    first = spec(until="2024-06-01", protection="{ kind = 'threshold', min_accounts = 20 }")
    entries = [made(first), made(spec(by='["kind"]'))]
    assert earlier_periods(entries, spec()) == [first.period]


def test_earlier_cells_are_those_of_the_purpose_oldest_first() -> None:
    entries = [made(spec(), 1), made(spec(purpose='"monthly"'), 2), made(spec(by='["platform"]'), 3)]
    assert [cell.members for cell in earlier_cells(entries, "analytics")] == [people(1), *[people(3)] * 3]


def test_an_entry_withholds_its_content() -> None:
    assert repr(made(spec(), 1)) == "<LedgerEntry, content withheld>"
