"""Blocks in a tail and in sorted runs: whatever is moved and merged, all of them are found, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import CorruptRecord
from consentprofile.store import packs
from consentprofile.store.blocks import Blocks
from consentprofile.store.connection import connect
from consentprofile.store.files import DATA
from consentprofile.store.migrations import statements
from consentprofile.store.packs import LAST_SLOT, Packed
from consentprofile.store.rows import SealedRow
from consentprofile.store.runs import Shape
from tests.support.sealed import every_row

SMALL = Shape(tail=6, run=4, fan=2)
"""So small that a few dozen blocks go through every path."""


def unchanged(blocks: list[Packed]) -> Sequence[Packed]:
    return blocks


def once() -> bool:
    return False


def always() -> bool:
    return True


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = memory()
    yield opened
    opened.close()


def memory() -> sqlite3.Connection:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    for statement in statements("data.sql"):
        opened.execute(statement)
    return opened


def settle(blocks: Blocks, limit: int = 10_000) -> None:
    """Do all that is due, step by step."""
    for _ in range(limit):
        if not blocks.is_due():
            return
        blocks.advance(unchanged, once)
    raise AssertionError("there is no end to it")


def count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# ---- against a plain model -------------------------------------------------------------------------

BLOCK = st.tuples(st.integers(1, 12), st.integers(0, 2), st.integers(0, 80))
BATCHES = st.lists(st.lists(BLOCK, max_size=12), max_size=8)
ACTS = st.lists(st.sampled_from(["append", "step", "slice", "all", "purge"]), max_size=30)


@given(BATCHES, ACTS, st.integers(1, 12))
def test_every_block_is_found_under_its_slot_and_generation_after_any_acts(
    batches: list[list[tuple[int, int, int]]], acts: list[str], victim: int
) -> None:
    connection = memory()
    blocks, expected = Blocks(connection, SMALL), list[SealedRow]()
    pending, serial = list(batches), 0
    for act in [*acts, *("append" for _ in batches)]:
        if act == "append" and pending:
            rows = []
            for slot, generation, length in pending.pop():
                serial += 1
                rows.append(SealedRow(slot, generation, serial.to_bytes(4, "big") + bytes(length * 40)))
            blocks.append(rows)
            expected += rows
        elif act == "step":
            blocks.advance(unchanged, once)
        elif act == "slice":
            blocks.advance(unchanged, always)
        elif act == "all":
            blocks.begin_merging_all()
        elif act == "purge":
            blocks.purge(victim, 1)
            expected = [row for row in expected if row.slot != victim or row.generation >= 1]
        assert sorted(every_row(blocks)) == sorted(expected)
        for slot in range(14):
            for generation in range(3):
                mine = sorted(row.sealed for row in expected if row[:2] == (slot, generation))
                assert sorted(blocks.of(slot, generation)) == mine
        found = blocks.between(3, 7)
        assert blocks.light_between(3, 7, 10**6) == blocks.sorted_between(3, 7)
        assert blocks.sorted_between(3, 7) == sorted((*place, one) for place, all_ in found.items() for one in all_)
        assert sorted(SealedRow(*place, one) for place, all_ in found.items() for one in all_) == sorted(
            row for row in expected if 3 <= row.slot <= 7
        )
    settle(blocks)
    assert sorted(every_row(blocks)) == sorted(expected)
    connection.close()


def test_what_is_due_comes_to_an_end_and_leaves_few_runs(connection: sqlite3.Connection) -> None:
    blocks = Blocks(connection, SMALL)
    for batch in range(100):
        blocks.append(
            SealedRow(1 + (batch * 7 + number * 3) % 90, 0, b"%d/%d" % (batch, number)) for number in range(5)
        )
    settle(blocks)
    assert len(every_row(blocks)) == 500
    levels = [level for (level,) in connection.execute("SELECT level FROM run")]
    assert len(levels) == len(set(levels)), "at most fan - 1 runs of a level are left"
    assert max(levels) >= 5


def test_a_merge_of_everything_leaves_one_run_and_no_tail(connection: sqlite3.Connection) -> None:
    blocks = Blocks(connection, SMALL)
    for batch in range(9):
        blocks.append(SealedRow(1 + number, 0, bytes([batch])) for number in range(batch))
    while blocks.move_tail(2):
        pass
    assert blocks.begin_merging_all()
    while blocks.is_merging():
        blocks.advance(unchanged, once)
    assert (count(connection, "block"), count(connection, "run")) == (0, 1)
    assert len(every_row(blocks)) == 36


def test_blocks_that_a_merge_leaves_out_are_gone(connection: sqlite3.Connection) -> None:
    blocks = Blocks(connection, SMALL)
    blocks.append(SealedRow(slot, 0, b"x") for slot in range(1, 9))
    blocks.append(SealedRow(slot, 0, b"y") for slot in range(1, 9))
    assert blocks.begin_merging_all()
    while blocks.is_merging():
        blocks.advance(lambda found: [block for block in found if block[0] > 4], always)
    assert sorted(row.slot for row in every_row(blocks)) == [5, 5, 6, 6, 7, 7, 8, 8]
    assert blocks.begin_merging_all()
    while blocks.is_merging():
        blocks.advance(lambda _: [], always)
    assert (count(connection, "run"), count(connection, "pack")) == (0, 0)


def test_a_merge_sees_all_that_its_inputs_have_of_a_slot_at_once(connection: sqlite3.Connection) -> None:
    blocks = Blocks(connection, Shape(tail=1_000, run=4, fan=8))
    for run in range(8):
        blocks.append(SealedRow(slot, 0, bytes([run]) * 900) for slot in range(1, 21))
    seen: list[int] = []

    def look(found: list[Packed]) -> Sequence[Packed]:
        slots = {slot for slot, _, _ in found}
        seen.extend(sorted(slots))
        assert len(found) == 8 * len(slots)
        return found

    while blocks.is_due():
        blocks.advance(look, once)
    assert seen == list(range(1, 21))


def test_a_slot_with_more_blocks_than_a_pack_holds_stays_in_one_pack(connection: sqlite3.Connection) -> None:
    blocks = Blocks(connection, SMALL)
    blocks.append(SealedRow(slot, 0, bytes([number]) * 500) for slot in (1, 2, 3) for number in range(40))
    assert count(connection, "pack") == 3
    assert blocks.of(2, 0) == [bytes([number]) * 500 for number in range(40)]


def test_the_first_and_the_last_slot_that_there_can_be(connection: sqlite3.Connection) -> None:
    blocks = Blocks(connection, SMALL)
    for slot in (0, LAST_SLOT):
        blocks.append([SealedRow(slot, 0, b"a")] * SMALL.run)
    assert blocks.of(LAST_SLOT, 0) == blocks.of(0, 0) == [b"a"] * SMALL.run
    assert blocks.of(1, 0) == []


# ---- packs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"\x91", b"\x80", b"\x91\x93\x01\x00\xa1a", b"\x91\x92\x01\x00", b"\x90\x00", b"\x91\x93\xff\x00"]
)
def test_what_is_no_pack_is_corrupt(body: bytes) -> None:
    with pytest.raises(CorruptRecord):
        packs.unpack(body)


@given(st.lists(st.tuples(st.integers(0, LAST_SLOT), st.integers(0, 5), st.binary(max_size=900)), max_size=60))
def test_packs_hold_everything_in_order_and_never_part_a_slot(blocks: list[Packed]) -> None:
    blocks.sort()
    made = list(packs.pack(blocks))
    opened = [packs.unpack(body) for _, body in made]
    assert [block for pack in opened for block in pack] == blocks
    assert [first for first, _ in made] == [pack[0][0] for pack in opened]
    assert all(earlier[-1][0] < later[0][0] for earlier, later in pairwise(opened))
    for pack in opened:
        assert len(packs.encode(pack)) <= packs.PACK_BYTES or len({slot for slot, _, _ in pack}) == 1


# ---- as it is used ---------------------------------------------------------------------------------


def test_a_read_searches_and_never_scans(tmp_path: Path) -> None:
    """However many blocks there are, a read looks at one pack of each run and one place in the tail."""
    from consentprofile.store import blocks as module
    from consentprofile.store.migrations import create_files

    create_files(tmp_path)
    opened = connect(tmp_path / DATA)
    for statement, values in ((module._OF, (1,)), (module._BETWEEN, (1, 9, 1, 9))):
        plan = [row[3] for row in opened.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert not [step for step in plan if step.startswith("SCAN") and step != "SCAN run"], plan
    opened.close()


def test_a_slice_fetches_nothing_whose_turn_is_many_slices_away(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs that begin behind what is merged now may hold large packs: they are not decoded at every slice."""
    blocks = Blocks(connection, Shape(tail=1_000, run=4, fan=8))
    for run in range(8):
        blocks.append(SealedRow(run * 1_000 + slot, 0, bytes(900)) for slot in range(40))
    decoded: list[int] = []

    def counting(body: bytes) -> list[Packed]:
        decoded.append(len(body))
        return packs.unpack(body)

    monkeypatch.setattr("consentprofile.store.runs.unpack", counting)
    slices = 0
    while blocks.is_due():
        blocks.advance(unchanged, once, 1)
        slices += 1
    assert slices > 100
    assert len(decoded) <= 3 * slices, "one pack to merge, one to look where the output ends, and little else"
    assert len(every_row(blocks)) == 320
