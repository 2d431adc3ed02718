"""Whoever can write ``data.db`` can move, copy and cut packs: nobody is shown what is another's, and `check` tells.

What is deleted leaves no mark; but what stands in the wrong place is found, and compaction comes to an end with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import pytest

import consentprofile as cp
from consentprofile.store import blocks
from consentprofile.store.runs import Shape
from consentprofile.usecases import compaction
from tests.support.people import agree, edit, login, look
from tests.support.stores import StoreFactory

Block: TypeAlias = list[int | bytes]

PEOPLE: Final = tuple(f"account-{number}" for number in range(12))
RUN: Final = 1 << 40
BATCHES: Final = 3


@pytest.fixture
def path(stores: StoreFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A closed store: three runs, each of a few packs, with two events of everybody; and one more each in the tail."""
    monkeypatch.setattr(compaction, "MOVES", 0)
    path = stores.new()
    with stores.open(path) as store, monkeypatch.context() as patch:
        patch.setattr(blocks, "SHAPE", Shape(tail=99, run=13, fan=9))
        for account in PEOPLE:
            agree(store, account, ["support", "analytics"])
        for batch in range(BATCHES):
            store.record_many(login(account, 10 * batch + n) for account in PEOPLE for n in range(2))
        store.record_many(login(account, 77) for account in PEOPLE[:6])
    runs = look(path, "data.db", "SELECT number, count(*) FROM run JOIN pack ON id >> 40 = number GROUP BY number")
    assert len(runs) == BATCHES
    assert min(count for _, count in runs if isinstance(count, int)) >= 2
    assert look(path, "data.db", "SELECT count(*) FROM block") == [(12,)]
    return path


def packs(path: Path) -> dict[int, list[Block]]:
    found = look(path, "data.db", "SELECT id, body FROM pack ORDER BY id")
    return {identity: msgspec.msgpack.decode(body) for identity, body in found}  # type: ignore[misc, call-overload]


def put(path: Path, identity: int, content: list[Block] | bytes) -> None:
    body = content if isinstance(content, bytes) else msgspec.msgpack.encode(content)
    assert edit(path, "data.db", "UPDATE pack SET body = ? WHERE id = ?", body, identity) == 1


def move(path: Path, identity: int, to: int) -> None:
    assert edit(path, "data.db", "UPDATE pack SET id = ? WHERE id = ?", to, identity) == 1


# ---- the attacks -------------------------------------------------------------------------------------


def block_moved_to_another_compartment_of_its_pack(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    other = next(one for one in found if one[0] != found[0][0])
    put(path, identity, sorted([[other[0], other[1], found[0][2]], *found[1:]]))


def blocks_of_two_compartments_exchanged(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    one, other = found[0], found[-1]
    put(path, identity, [[*one[:2], other[2]], *found[1:-1], [*other[:2], one[2]]])


def block_of_another_generation(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    put(path, identity, [*found[:-1], [found[-1][0], 9, found[-1][2]]])


def pack_with_the_body_of_another_run(path: Path) -> None:
    identities = list(packs(path))
    twin = next(one for one in identities if one >> 40 == 2)
    assert edit(path, "data.db", "UPDATE pack SET body = (SELECT body FROM pack WHERE id = ?) WHERE id = ?",
                twin, identities[0]) == 1  # fmt: skip


def pack_with_the_body_of_its_neighbour(path: Path) -> None:
    first, second = list(packs(path))[:2]
    put(path, first, packs(path)[second])


def pack_moved_to_another_run_between_its_packs(path: Path) -> None:
    last = [one for one in packs(path) if one >> 40 == 1][-1]
    move(path, last, 2 * RUN + last % RUN + 1)


def pack_moved_to_a_run_that_is_not_there(path: Path) -> None:
    last = list(packs(path))[-1]
    move(path, last, last + 9 * RUN)


def pack_moved_to_a_number_below_every_run(path: Path) -> None:
    last = list(packs(path))[-1]
    move(path, last, -last)


def pack_that_begins_too_late(path: Path) -> None:
    first = next(iter(packs(path)))
    move(path, first, first + 2)


def pack_that_claims_a_slot_far_below(path: Path) -> None:
    last = list(packs(path))[-1]
    found = packs(path)[last]
    put(path, last, [[0, 0, found[0][2]], *found])


def pack_that_claims_a_slot_of_the_next(path: Path) -> None:
    first, second = list(packs(path))[:2]
    put(path, first, [*packs(path)[first], packs(path)[second][-1]])


def pack_that_claims_slots_of_another_run(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    put(path, identity, [*found, [RUN + 5, 0, found[0][2]]])


def pack_that_claims_a_negative_slot(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    put(path, identity, [[-3, 0, found[0][2]], *found])


def pack_that_claims_a_slot_beyond_all_numbers(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    put(path, identity, [*found, [2**64 - 1, 0, found[0][2]]])


def pack_that_is_empty(path: Path) -> None:
    put(path, next(iter(packs(path))), [])


def pack_that_is_noise(path: Path) -> None:
    put(path, next(iter(packs(path))), os.urandom(64))


def pack_cut_short(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    put(path, identity, msgspec.msgpack.encode(found)[:-9])


def pack_with_a_flipped_bit(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    body = bytearray(msgspec.msgpack.encode(found))
    body[-1] ^= 1
    put(path, identity, bytes(body))


def run_forgotten(path: Path) -> None:
    assert edit(path, "data.db", "DELETE FROM run WHERE number = 2") == 1


def run_merged_into_nothing(path: Path) -> None:
    assert edit(path, "data.db", "UPDATE run SET target = 5000 WHERE number = 2") == 1


def run_merged_into_itself(path: Path) -> None:
    assert edit(path, "data.db", "UPDATE run SET target = 2 WHERE number = 2") == 1


def runs_merged_into_one_another(path: Path) -> None:
    assert edit(path, "data.db", "UPDATE run SET target = 3 - number WHERE number < 3") == 2


def run_merged_into_another_that_holds_the_same_slots(path: Path) -> None:
    assert edit(path, "data.db", "UPDATE run SET target = 1 WHERE number = 2") == 1


def rows_of_slots_that_no_run_can_hold(path: Path) -> None:
    query = "INSERT INTO block SELECT ?, arrival + slot, generation, sealed FROM block WHERE slot BETWEEN 0 AND 99999"
    assert edit(path, "data.db", query, -7) == 12
    assert edit(path, "data.db", query, 2**62) == 12


def pack_deleted(path: Path) -> None:
    assert edit(path, "data.db", "DELETE FROM pack WHERE id = (SELECT min(id) FROM pack)") == 1


def pack_whose_blocks_are_not_in_order(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    put(path, identity, found[::-1])


def pack_copied_back_after_it_had_been_merged(path: Path) -> None:
    identity, found = next(iter(packs(path).items()))
    copy = msgspec.msgpack.encode(found)
    assert edit(path, "data.db", "INSERT INTO run (number, level) VALUES (70, 0)") == 1
    assert edit(path, "data.db", "INSERT INTO pack VALUES (?, ?)", 70 * RUN + identity % RUN, copy) == 1


Attack: TypeAlias = Callable[[Path], None]

FOUND: Final[dict[Attack, str]] = {
    block_moved_to_another_compartment_of_its_pack: "block",
    blocks_of_two_compartments_exchanged: "block",
    block_of_another_generation: "block",
    pack_with_the_body_of_its_neighbour: "pack",
    pack_moved_to_another_run_between_its_packs: "pack",
    pack_moved_to_a_run_that_is_not_there: "pack",
    pack_moved_to_a_number_below_every_run: "pack",
    pack_that_begins_too_late: "pack",
    pack_that_claims_a_slot_far_below: "pack",
    pack_that_claims_a_slot_of_the_next: "pack",
    pack_that_claims_slots_of_another_run: "pack",
    pack_that_claims_a_negative_slot: "pack",
    pack_that_claims_a_slot_beyond_all_numbers: "pack",
    pack_that_is_empty: "pack",
    pack_that_is_noise: "pack",
    pack_cut_short: "pack",
    pack_with_a_flipped_bit: "block",
    run_forgotten: "pack",
    run_merged_into_nothing: "run",
    run_merged_into_itself: "run",
    runs_merged_into_one_another: "run",
    rows_of_slots_that_no_run_can_hold: "block",
}
"""Attacks, and where `check` finds each."""

UNSEEN: Final[tuple[Attack, ...]] = (
    # What is gone leaves no mark, copies of sound blocks are sound, and order in a pack is made anew on reading.
    pack_with_the_body_of_another_run,
    pack_deleted,
    pack_whose_blocks_are_not_in_order,
    run_merged_into_another_that_holds_the_same_slots,
    pack_copied_back_after_it_had_been_merged,
)
"""Attacks that no check can tell from what may be."""


def views(store: cp.Store) -> dict[tuple[str, str], set[str] | None]:
    """The ids of the events that everybody is shown; None where that is refused as corrupt."""
    found: dict[tuple[str, str], set[str] | None] = {}
    for purpose in ("support",):
        with store.view(purpose, "agent:7") as view:
            for account in PEOPLE:
                try:
                    found[purpose, account] = {event.id for event in view.events(account) or ()}
                except cp.CorruptRecord:
                    found[purpose, account] = None
    return found


@pytest.mark.parametrize("attack", [*FOUND, *UNSEEN], ids=lambda attack: attack.__name__)
def test_nobody_is_shown_more_than_what_is_theirs_and_check_tells(
    stores: StoreFactory, path: Path, attack: Attack
) -> None:
    with stores.open(path) as store:
        before = views(store)
        assert store.check().findings == ()
    attack(path)
    with stores.open(path) as store:
        after = views(store)
        findings = store.check().findings
    for place, shown in after.items():
        assert shown is None or shown <= (before[place] or set())
    assert (FOUND[attack] in {finding.where for finding in findings}) if attack in FOUND else findings == ()


@pytest.mark.parametrize("attack", [*FOUND, *UNSEEN], ids=lambda attack: attack.__name__)
def test_compaction_comes_to_an_end_and_takes_nothing_away(
    stores: StoreFactory, path: Path, attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses what it cannot read, and changes nothing then; or it is done, and shows everybody no less."""
    attack(path)
    monkeypatch.setattr(blocks, "SHAPE", Shape(tail=5, run=4, fan=2))
    with stores.open(path) as store:
        before = views(store)
        for _ in range(300):
            try:
                if not store.upkeep.step():
                    break
            except cp.ConsentProfileError:
                break
        else:
            pytest.fail("there is no end to it")
        after = views(store)
        try:
            store.upkeep.compact(everything=True)
        except cp.CorruptRecord:
            pass
        else:
            after = views(store)
        store.record(login(PEOPLE[0], 99))
    for place, shown in before.items():
        now = after[place]
        assert shown is None or now is None or shown <= now
        assert now is not None or shown is None
