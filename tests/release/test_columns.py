"""Blocks that are read at once say what they say when they are read one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.errors import CorruptRecord
from consentprofile.model import block
from consentprofile.model.block import Packed
from consentprofile.model.event import Recorded
from consentprofile.model.policy import AmountField, EnumField, IntegerField, TokenField
from consentprofile.release import columns
from consentprofile.release.columns import MISSING
from consentprofile.release.counting import Counting, Opened
from consentprofile.release.gathering import gathered
from consentprofile.release.spec import ReleaseSpec
from tests.release.sets import as_sets
from tests.release.shop_policy import POLICY, SINCE, UNTIL, counted, name, spec

if TYPE_CHECKING:
    from consentprofile.release.measures.measure import Numbers

NUMBER = 1
CODEBOOK = block.Codebook(POLICY)
KINDS = len(POLICY.kind_list)

NUMBERS = st.one_of(
    st.integers(0, 300), st.integers(-200, -1), st.sampled_from([127, 128, 255, 256, 65_535, 65_536, 2**31, 2**32 - 1]),
    st.integers(-(2**40), 2**40), st.sampled_from([-(2**63), 2**63 - 1]),
)  # fmt: skip


def values(position: int) -> st.SearchStrategy[int | bool | bytes]:
    """A value of the field at this position, as blocks hold it."""
    field = POLICY.field_list[position]
    match field:
        case EnumField():
            return st.integers(0, len(field.values) - 1)
        case TokenField():
            return st.binary(min_size=16, max_size=16)
        case AmountField() | IntegerField():
            return NUMBERS
        case _:
            return st.booleans()


@st.composite
def events(draw: st.DrawFn) -> Packed:
    """An event as it stands in a block."""
    positions = sorted(draw(st.sets(st.sampled_from(range(len(POLICY.field_list))))))
    packed: Packed = [
        draw(st.binary(min_size=16, max_size=16)),
        draw(st.one_of(st.integers(SINCE - 5, UNTIL + 5), st.sampled_from([SINCE, UNTIL - 1, 70_000]))),
        draw(st.integers(0, KINDS - 1)),
    ]
    for position in positions:
        packed += [position, draw(values(position))]
    return packed


BLOCKS = st.lists(st.lists(events(), min_size=1, max_size=20), min_size=1, max_size=12)
FIELDS = tuple(range(len(POLICY.field_list)))


@pytest.fixture(autouse=True)
def every_block_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few blocks have another event."""
    monkeypatch.setattr(columns, "FEWEST", 1)


def read_at_once(plain: Sequence[bytes], policy: int, fields: Iterable[int]) -> tuple[columns.Columns, Numbers]:
    return columns.read(b"".join(plain), np.array(list(map(len, plain)), dtype=np.int64), policy, fields)


def number_of(packed: Packed, field: int) -> int:
    said = dict(zip(packed[3::2], packed[4::2], strict=True))
    value = said.get(field)
    return max(value, MISSING + 1) if type(value) is int else MISSING


@given(given_blocks=BLOCKS)
def test_each_event_has_its_numbers(given_blocks: list[list[Packed]]) -> None:
    plain = [block.encode(NUMBER, packed) for packed in given_blocks]
    found, unread = read_at_once(plain, NUMBER, FIELDS)
    assert not set(unread.tolist()) & set(found.block.tolist())
    rows = iter(range(len(found.at)))
    for place, text in enumerate(plain):
        if place in unread:
            continue
        opened = block.decode(text)
        for packed in opened.events:
            row = next(rows)
            assert (found.block[row], found.at[row], found.kind[row]) == (place, packed[1], packed[2])
            assert int(found.id[row]) == int.from_bytes(packed[0][:8], "big")  # type: ignore[index]
            tokens = {position for position in FIELDS if isinstance(POLICY.field_list[position], TokenField)}
            for field in set(FIELDS) - tokens:
                assert found.fields[field][row] == number_of(packed, field)
    assert next(rows, None) is None


@given(given_blocks=BLOCKS)
def test_usual_blocks_are_read(given_blocks: list[list[Packed]]) -> None:
    """Only a time that needs no 32 bits, or more of them, is unusual here."""
    plain = [block.encode(NUMBER, packed) for packed in given_blocks]
    _, unread = read_at_once(plain, NUMBER, FIELDS)
    unusual = [place for place, packed in enumerate(given_blocks) if any(one[1] < 2**16 for one in packed)]  # type: ignore[operator]
    assert unread.tolist() == unusual


UNUSUAL: Mapping[str, bytes] = {
    "of another policy": block.encode(NUMBER + 1, [[bytes(16), SINCE, 0]]),
    "of a policy with a large number": block.encode(300, [[bytes(16), SINCE, 0]]),
    "without events": canonical.pack([NUMBER, [], []]),
    "empty": b"",
    "cut off": block.encode(NUMBER, [[bytes(16), SINCE, 0], [bytes(16), SINCE, 0]])[:-3],
    "with more behind it": block.encode(NUMBER, [[bytes(16), SINCE, 0]]) + b"\0",
    "not a block at all": b"\xff" * 100,
    "a text instead of a block": canonical.pack("nothing of the kind"),
    "an event of two elements": canonical.pack([NUMBER, [], [[bytes(16), SINCE]]]),
    "a time of 64 bits": canonical.pack([NUMBER, [], [[bytes(16), 2**40, 0]]]),
    "an id of another length": canonical.pack([NUMBER, [], [[bytes(15), SINCE, 0]]]),
    "a position of two bytes": canonical.pack([NUMBER, [], [[bytes(16), SINCE, 0, 208, 5]]]),
    "a position without a value": canonical.pack([NUMBER, [], [[bytes(16), SINCE, 0, 1]]])[:-1],
    "an event of many fields": canonical.pack([NUMBER, [], [[bytes(16), SINCE, 0, *([1, 1] * 33)]]]),
    "a text among the values": canonical.pack([NUMBER, [], [[bytes(16), SINCE, 0, 1, "word"]]]),
}


@pytest.mark.parametrize("unusual", UNUSUAL.values(), ids=UNUSUAL)
@pytest.mark.parametrize("before", [True, False])
def test_a_block_of_another_shape_is_handed_back_and_harms_no_other(unusual: bytes, before: bool) -> None:
    usual = block.encode(NUMBER, [[bytes(16), SINCE + 1, 0]])
    plain = [unusual, usual] if before else [usual, unusual]
    found, unread = read_at_once(plain, NUMBER, FIELDS)
    assert unread.tolist() == [plain.index(unusual)]
    assert found.at.tolist() == [SINCE + 1]


def test_many_fields_and_many_events_make_long_arrays() -> None:
    long: list[Packed] = [[number.to_bytes(16, "big"), SINCE + number, 0] for number in range(70_000)]
    wide: list[Packed] = [[bytes(16), SINCE, 0, *(part for field in range(12) for part in (field, 1))]]
    for packed in (long, wide):
        found, unread = read_at_once([block.encode(NUMBER, packed)], NUMBER, (3,))
        assert len(unread) == (len(packed) > 65_535)  # an array of that many is of another form
        assert len(found.at) == (0 if len(unread) else len(packed))


def test_a_few_bytes_do_not_ask_for_much_memory() -> None:
    """A block that says it has 65,535 events, and has one."""
    text = block.encode(NUMBER, [login(1)]).replace(b"\x90\x91", b"\x90\xdc\xff\xff", 1)
    found, unread = read_at_once([text] * 4096, NUMBER, FIELDS)
    assert len(unread) == 4096
    assert not len(found.at)


def test_a_field_is_not_taken_for_another_one_of_a_policy_with_many() -> None:
    """The byte before a position of two bytes is the position of another field."""
    plain = block.encode(NUMBER, [[bytes(16), SINCE, 0, 208, 5]])
    found, unread = read_at_once([plain], NUMBER, (204, 208))
    assert (len(found.at), unread.tolist()) == (0, [0])


def test_an_array_that_says_it_is_long_is_not_gone_through() -> None:
    """Steps are taken for pairs that there are, not for those that an event says it has."""
    text = block.encode(NUMBER, [login(1)]).replace(b"\x91\x93", b"\x91\xdc\xff\xff", 1)
    walk = columns._Walk(text * 16, np.full(16, len(text)), NUMBER, ())
    walk.run()
    assert set(walk._cursor.tolist()) == {walk._astray + columns._HEAD_BYTES}
    assert not walk.columns()[1].any()


TOTAL = [field.name for field in POLICY.field_list].index("total")


def test_a_number_of_more_than_63_bits_is_refused_either_way() -> None:
    plain = block.encode(NUMBER, [[bytes(16), SINCE, 0, TOTAL, 2**63]])
    sums = spec(measure='"sums"', field='"total"', limit="100")
    with pytest.raises(CorruptRecord, match="does not fit the policy"):
        Counting(sums).add_all(together([Account(name(1), [plain], 0, 100)]), POLICY, NUMBER)
    alone = Counting(sums)
    alone.add(name(1), CODEBOOK.read_all(block.decode(plain).events))
    with pytest.raises(CorruptRecord, match="does not fit the policy"):
        alone.portion()


@given(given_blocks=st.lists(st.lists(st.binary(max_size=9), max_size=3), max_size=6), chosen=st.data())
def test_the_blocks_of_an_account_are_found_again(given_blocks: list[list[bytes]], chosen: st.DataObject) -> None:
    opened = together(Account(name(number), blocks, 0, 1) for number, blocks in enumerate(given_blocks))
    asked = chosen.draw(st.lists(st.sampled_from(range(len(given_blocks))))) if given_blocks else []
    assert list(opened.blocks(asked)) == [given_blocks[place] for place in asked]


# ---- counted at once, and one by one --------------------------------------------------------------


class Account(NamedTuple):
    """One account of those that are opened together."""

    pseudonym: bytes
    blocks: Sequence[bytes]
    oldest: int
    keep: int
    alone: bool = False


def together(accounts: Iterable[Account]) -> Opened:
    each = list(accounts)
    return Opened(
        np.frombuffer(b"".join(one.pseudonym for one in each), dtype=np.uint8).reshape(len(each), 16),
        np.array([len(one.blocks) for one in each], dtype=np.int64),
        b"".join(plain for one in each for plain in one.blocks),
        np.array([len(plain) for one in each for plain in one.blocks], dtype=np.int64),
        np.array([one.oldest for one in each], dtype=np.int64),
        np.array([one.keep for one in each], dtype=np.int64),
        np.array([one.alone for one in each], dtype=bool),
    )


ASKED: Sequence[ReleaseSpec] = (
    spec(by='["platform", "kind"]'),
    spec(by='["day"]', until="2024-01-08", cells_per_account="3"),
    spec(measure='"funnel"', steps='["login", "search", "purchase"]', window='"1 days"'),
    spec(measure='"sums"', field='"total"', limit="100"),
    spec(measure='"transitions"', of='"platform"', where="{ kind = ['login', 'search'] }"),
)

ACCOUNTS = st.lists(st.lists(st.lists(events(), min_size=1, max_size=6), max_size=4), max_size=8)


def read(blocks: Sequence[Sequence[Packed]], oldest: int) -> list[Recorded]:
    return [one for packed in blocks for one in CODEBOOK.read_all(packed) if one.at >= oldest]


@given(asked=st.sampled_from(ASKED), accounts=ACCOUNTS, oldest=st.sampled_from([0, SINCE + 3]))
def test_what_is_counted_at_once_is_what_is_counted_one_by_one(
    asked: ReleaseSpec, accounts: list[list[list[Packed]]], oldest: int
) -> None:
    counting = Counting(asked)
    opened = together(
        Account(name(number), [block.encode(NUMBER, packed) for packed in blocks], oldest, keep=10_000)
        for number, blocks in enumerate(accounts)
    )
    plain = {number: read(blocks, oldest) for number, blocks in enumerate(accounts)}
    left = counting.add_all(opened, POLICY, NUMBER)
    for number in left:
        counting.add(name(number), plain[number])
    assert as_sets(gathered(asked, [counting.portion()])) == counted(asked, plain)


def login(number: int, at: int = SINCE) -> Packed:
    return [number.to_bytes(16, "big"), at, 0]


LEFT = {
    "an event that is there twice": Account(name(1), [block.encode(NUMBER, [login(1)] * 2)], 0, 100),
    "an event that is there twice, in two blocks": Account(name(1), [block.encode(NUMBER, [login(1)])] * 2, 0, 100),
    "more events than are kept": Account(name(1), [block.encode(NUMBER, [login(1 << 90), login(2 << 90)])], 0, 1),
    "a block of another policy": Account(name(1), [block.encode(2, [login(1)])], 0, 100),
    "whose times only its events can tell of": Account(name(1), [block.encode(NUMBER, [login(1)])], 0, 100, alone=True),
}


@pytest.mark.parametrize("unusual", LEFT.values(), ids=LEFT)
def test_who_is_unusual_is_left_to_be_counted_alone(unusual: Account) -> None:
    counting = Counting(spec())
    usual = Account(name(2), [block.encode(NUMBER, [login(3 << 90)])], 0, 100)
    assert counting.add_all(together([unusual, usual]), POLICY, NUMBER) == [0]
    assert as_sets(gathered(spec(), [counting.portion()])) == {(): frozenset({name(2)})}


def test_an_old_event_does_not_count_against_what_is_kept() -> None:
    events = [login(1 << 90, SINCE), login(2 << 90, SINCE + 9)]
    opened = Account(name(1), [block.encode(NUMBER, events)], SINCE + 5, 1)
    assert Counting(spec()).add_all(together([opened]), POLICY, NUMBER) == []


def test_a_position_that_the_policy_does_not_have_is_refused() -> None:
    broken = Account(name(1), [block.encode(NUMBER, [[bytes(16), SINCE, KINDS]])], 0, 100)
    with pytest.raises(CorruptRecord, match="does not fit the policy"):
        Counting(spec(by='["kind"]')).add_all(together([broken]), POLICY, NUMBER)


def test_opened_accounts_are_not_shown() -> None:
    assert "content withheld" in repr(together(LEFT.values()))
