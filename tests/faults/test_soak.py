"""Processes on one store, killed now and then, against what they were told: see :mod:`tests.faults.soak`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.faults.soak import Done, misread, soak
from tests.support.stores import StoreFactory

SECONDS: Final = 4
DO: Final = ("record", "record_many", "read", "give", "withdraw", "erase", "step")


def test_four_processes_record_read_erase_and_compact_on_one_store(
    stores: StoreFactory, record_property: Callable[[str, object], None]
) -> None:
    soaked = soak(stores, SECONDS, seed=1)
    assert soaked.wrong == []
    assert set(DO) <= soaked.done.keys()
    assert soaked.errors.keys() <= {"StoreBusy"}
    assert soaked.killed
    record_property("operations side by side", sum(soaked.done.values()))
    record_property("operations that waited in vain", soaked.errors["StoreBusy"])


def _done(do: str, begun: int, ended: int, *numbers: int, said: object = None, acknowledged: bool = True) -> Done:
    return Done(do, "account", numbers, begun, ended, acknowledged, said, "")


RECORDED: Final = _done("record", 10, 20, 7, said="recorded")
ERASED: Final = _done("erase", 30, 40)

READINGS: Final = {
    "an event is shown as soon as it is acknowledged": ([RECORDED, _done("read", 21, 22, said=[7])], ""),
    "an acknowledged event is not shown": ([RECORDED, _done("read", 21, 22, said=[])], "not shown"),
    "an acknowledged event is nowhere": ([RECORDED, _done("read", 21, 22, said=None)], "not shown"),
    "an event is shown or not while it is recorded": ([RECORDED, _done("read", 15, 22, said=[])], ""),
    "an event is shown or not while it is erased": ([RECORDED, ERASED, _done("read", 25, 35, said=[7])], ""),
    "an erased event is gone": ([RECORDED, ERASED, _done("read", 41, 42, said=None)], ""),
    "an erased event is shown": ([RECORDED, ERASED, _done("read", 41, 42, said=[7])], "after they were destroyed"),
    "an erasure that was not acknowledged": (
        [RECORDED, _done("erase", 30, 40, acknowledged=False), _done("read", 41, 42, said=[7])],
        "",
    ),
    "an event recorded while it is erased": (
        [_done("record", 35, 50, 7, said="recorded"), ERASED, _done("read", 60, 61, said=[])],
        "",
    ),
    "an event recorded after an erasure is not shown": (
        [ERASED, _done("record", 45, 50, 7, said="recorded"), _done("read", 60, 61, said=[])],
        "not shown",
    ),
    "an event that was refused is not missed": (
        [_done("record", 10, 20, 7, said="no_consent"), _done("read", 21, 22, said=[])],
        "",
    ),
    "an event that nobody recorded": ([_done("read", 21, 22, said=[8])], "nobody recorded"),
}


@pytest.mark.parametrize("reading", READINGS)
def test_readings_are_judged_by_when_what_was_acknowledged(reading: str) -> None:
    done, wrong = READINGS[reading]
    found = misread(done)
    assert len(found) == bool(wrong)
    assert all(wrong in one for one in found)
