"""The ledger answers a repetition with the bytes of the first time."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.errors import CorruptRecord, ReleaseRefused
from consentprofile.release import ledger
from consentprofile.release.kept import Settled
from consentprofile.release.ledger import LedgerEntry, answer, earlier_periods, entry, pack, unpack
from consentprofile.release.measures.measure import Part
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.threshold import settle
from tests.release.plain import Cells, PlainCell, Weighed
from tests.release.sets import as_counted, as_plain
from tests.release.shop_policy import POLICY, people, rules, spec

FILES = {"manifest.json": b"{}", "data.csv": b"accounts\n10\n"}


def made(asked: ReleaseSpec, *numbers: int) -> LedgerEntry:
    return of(asked, {key: people(*numbers) for key in asked.keys})


def of(asked: ReleaseSpec, cells: Cells) -> LedgerEntry:
    settled = settle(as_counted(cells), rules(), ())
    return entry(asked, policy=POLICY.digest, salt=bytes(32), settled=settled, files=FILES)


def read(data: bytes) -> Settled:
    """Everything that an entry holds."""
    settled = unpack(data).settled()
    settled.verify()
    return settled


@given(st.sets(st.integers(0, 2**128 - 1), max_size=40), st.booleans())
def test_an_entry_comes_back_from_its_bytes(numbers: set[int], by_platform: bool) -> None:
    value = made(spec(by='["platform"]' if by_platform else "[]"), *numbers)
    again = unpack(pack(value))
    assert again == value
    assert pack(again) == pack(value)
    assert [cell.members for cell in as_plain(read(pack(value)))] == [people(*numbers)] * (3 if by_platform else 1)


def test_an_outline_answers_and_names_nobody() -> None:
    value = made(spec(), 1, 2)
    assert answer({3: value.outline}, spec()) == (3, FILES)
    assert earlier_periods([value.outline], spec()) == [value.period]
    assert not any(member in pack(value.outline) for member in people(1, 2))


def parts(value: LedgerEntry) -> list[object]:
    """An entry as the list that its bytes are."""
    raw: list[object] = canonical.unpack(pack(value), list[object])
    return raw


WHOLE = parts(made(spec(), 1, 2))

MALFORMED = {
    "cut": canonical.pack(WHOLE)[:-1],
    "longer": canonical.pack(WHOLE) + b"\0",
    "a format that is to come": canonical.pack([4, *WHOLE[1:]]),
    "an earlier format with cells of this one": canonical.pack([2, *WHOLE[1:]]),
    "a short salt": canonical.pack([*WHOLE[:6], b"", *WHOLE[7:]]),
    "another series": canonical.pack([*WHOLE[:2], bytes(32), *WHOLE[3:]]),
    "no specification": canonical.pack([*WHOLE[:1], b"?", *WHOLE[2:]]),
    "no cells": canonical.pack([*WHOLE[:7], None, WHOLE[8]]),
    "files out of order": canonical.pack([*WHOLE[:8], [["b", b""], ["a", b""]]]),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_bytes_that_are_no_entry_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        read(data)


ONE, TWO = bytes(15) + b"\1", bytes(15) + b"\2"
CELL: Final[list[object]] = [[], None, True, 1, None, b"\0\0", b""]
"""Everybody of two, each adding one."""
ADDED: Final[list[object]] = [[], None, True, 9, None, b"\0\0", b"\2\4"]
"""Two members that add 1 and 2."""


def with_cells(*cells: list[object], pseudonyms: bytes = ONE + TWO) -> bytes:
    return canonical.pack([*WHOLE[:7], [pseudonyms, list(cells)], WHOLE[8]])


def changed(cell: list[object], place: int, value: object) -> list[object]:
    return [*cell[:place], value, *cell[place + 1 :]]


CONTRADICTORY = {
    "pseudonyms out of order": with_cells(CELL, pseudonyms=TWO + ONE),
    "a pseudonym twice": with_cells(CELL, pseudonyms=ONE + ONE),
    "part of a pseudonym": with_cells(CELL, pseudonyms=ONE + TWO + b"\3"),
    "a pseudonym of nobody": with_cells(CELL, pseudonyms=ONE + TWO + b"\3" * 16),
    "a member without a pseudonym": with_cells(CELL, pseudonyms=ONE),
    "a member beyond the pseudonyms": with_cells(CELL, changed(CELL, 5, b"\2")),
    "a place beyond all": with_cells(CELL, changed(CELL, 5, b"\xff" * 8 + b"\x7f")),
    "a place that is cut off": with_cells(CELL, changed(CELL, 5, b"\x80")),
    "a place that is longer than it need be": with_cells(CELL, changed(CELL, 5, b"\x81\0")),
    "a number that no place has": with_cells(CELL, changed(CELL, 5, b"\x80" * 9 + b"\1")),
    "an amount too few": with_cells(ADDED, changed(ADDED, 6, b"\4")),
    "an amount too many": with_cells(ADDED, changed(ADDED, 6, b"\4\4\4")),
    "an amount that is longer than it need be": with_cells(ADDED, changed(ADDED, 6, b"\2\x84\0")),
    "amounts that are all one": with_cells(ADDED, changed(ADDED, 6, b"\2\2")),
    "an amount above the limit": with_cells(ADDED, changed(ADDED, 6, b"\2\x14")),
    "an amount below the limit": with_cells(ADDED, changed(ADDED, 6, b"\2\x13")),
    "a cell with an element too few": with_cells(CELL[:6]),
    "a cell with an element too many": with_cells([*CELL, None]),
    "members as a list": with_cells(changed(CELL, 5, [0, 1])),
}


def test_the_cells_that_are_broken_here_are_whole_before() -> None:
    assert [cell.count for cell in read(with_cells(CELL, ADDED)).cells] == [2, 2]
    assert [cell.adds for cell in as_plain(read(with_cells(CELL, ADDED)))] == [(1, 1), (1, 2)]


@pytest.mark.parametrize("data", CONTRADICTORY.values(), ids=CONTRADICTORY)
def test_cells_that_are_not_canonical_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        read(data)


AMOUNTS = st.integers(-(10**11), 10**11)
MEMBERS = st.one_of(
    st.frozensets(st.integers(0, 2**128 - 1), max_size=300).map(lambda numbers: people(*numbers)),
    st.builds(
        Weighed,
        st.dictionaries(st.integers(0, 2**128 - 1).map(lambda number: number.to_bytes(16, "big")), AMOUNTS, max_size=9),
        st.just(Part("sum", 10**11, -(10**11))),
    ),
)


@given(st.lists(MEMBERS, max_size=4))
def test_every_cell_is_kept_with_its_members_and_what_they_add(cells: list[frozenset[bytes] | Weighed]) -> None:
    value = of(spec(), {(str(number),): members for number, members in enumerate(cells)})
    for cell, members in zip(as_plain(read(pack(value))), cells, strict=True):
        adds = members.by_account if isinstance(members, Weighed) else dict.fromkeys(members, 1)
        assert dict(zip(sorted(cell.members), cell.adds, strict=True)) == adds


def test_a_million_members_of_nine_cells_are_few_bytes() -> None:
    """One byte each, beside the pseudonyms, where every twelfth account is a member; a thousandth as many here."""
    cells: Cells = {(str(nth),): people(*range(nth, 1000, 12)) for nth in range(12)}
    assert len(pack(of(spec(), cells))) < 1000 * (16 + 1) + 1500


def test_an_entry_that_would_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    value = made(spec(), *range(100))
    monkeypatch.setattr(ledger, "MOST_BYTES", len(pack(value)) - 1)
    with pytest.raises(ReleaseRefused, match="fewer"):
        pack(value)


# ---- entries of earlier versions ----------------------------------------------------------------

COUNTED_CELL: Final[list[object]] = [["web"], ONE + TWO, 10, True]
WEIGHED_CELL: Final[list[object]] = [["web"], ONE + TWO, 30, False, 20, [7, -3], 10]


def earlier(form: int, *cells: list[object]) -> bytes:
    return canonical.pack([form, *WHOLE[1:7], list(cells), WHOLE[8]])


def test_entries_of_earlier_formats_are_read() -> None:
    assert as_plain(read(earlier(1, COUNTED_CELL, [["app"], TWO, None, True]))) == (
        PlainCell(("web",), ONE + TWO, 10, own=True),
        PlainCell(("app",), TWO, None, own=True),
    )
    assert as_plain(read(earlier(2, WEIGHED_CELL, [["app"], TWO, 15, True, 1, [], None]))) == (
        PlainCell(("web",), ONE + TWO, 30, own=False, limit=20, amounts=(7, -3), accounts=10),
        PlainCell(("app",), TWO, 15, own=True),
    )
    assert read(earlier(1)).cells == read(earlier(2)).cells == ()


def test_an_entry_of_an_earlier_format_keeps_its_bytes() -> None:
    for data in (earlier(1, COUNTED_CELL), earlier(2, WEIGHED_CELL)):
        assert pack(unpack(data)) == data
        assert answer({1: unpack(data)}, spec()) == (1, FILES)


EARLIER = {
    "members out of order": earlier(1, [[], TWO + ONE, None, True]),
    "a member twice": earlier(1, [[], ONE + ONE, None, True]),
    "part of a member": earlier(1, [[], ONE + b"\2", None, True]),
    "amounts where there are none": earlier(1, WEIGHED_CELL),
    "no amounts where there are some": earlier(2, COUNTED_CELL),
    "an amount too few": earlier(2, changed(WEIGHED_CELL, 5, [7])),
    "an amount beyond all": earlier(2, changed(WEIGHED_CELL, 5, [7, 2**63])),
}


@pytest.mark.parametrize("data", EARLIER.values(), ids=EARLIER)
def test_contradictions_in_earlier_formats_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        read(data)


# ---- looking up ---------------------------------------------------------------------------------


def test_a_repetition_is_answered_with_the_stored_bytes() -> None:
    entries = {1: made(spec(until="2024-06-01")), 2: made(spec(), 1, 2)}
    assert answer(entries, spec(name='"another name"', by="[]")) == (2, FILES)


def test_another_question_or_period_is_not_answered() -> None:
    entries = {1: made(spec())}
    for other in (spec(until="2024-06-01"), spec(by='["kind"]'), spec(where="{ kind = ['login'] }")):
        assert answer(entries, other) is None


def test_earlier_periods_are_those_of_the_same_question() -> None:
    first = spec(until="2024-06-01", protection="{ kind = 'threshold', min_accounts = 20 }")
    entries = [made(first), made(spec(by='["kind"]'))]
    assert earlier_periods(entries, spec()) == [first.period]


def test_an_entry_withholds_its_content() -> None:
    assert repr(made(spec(), 1)) == "<LedgerEntry, content withheld>"
    settled = made(spec(), 1).settled()
    assert (repr(settled), repr(settled.cells[0])) == ("<Settled, content withheld>", "<LedgerCell, content withheld>")
