"""Counting the compartments of a purpose that are in force, for a release.

Under the gate, slice by slice, keys are fetched, blocks opened, and keys put down again. What was opened is counted
when the gate has been passed on. Who was counted, and until when that may be, is remembered: before anything is
published, whoever has gone meanwhile is taken out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence, Sized
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.crypto.byte_rows import Rows
from consentprofile.crypto.compartments import CompartmentOpener
from consentprofile.crypto.slot_columns import SlotColumns
from consentprofile.crypto.slots import Slot
from consentprofile.model.profile import dedupe
from consentprofile.release.cells import Portion
from consentprofile.release.counting import Counting, Opened
from consentprofile.store.ports import Compartments, SealedBlock, Slice
from consentprofile.usecases.books import Books
from consentprofile.usecases.judging import Judge, Judged, Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

HELD: Final = 0.003
"""Seconds for which the gate is to be held for a slice."""
LONGEST: Final = 0.006
"""Seconds after which nothing more is opened in a slice, whatever it has fetched. What was begun is finished: an
account of 10,000 events takes a millisecond where its blocks were merged, and some 40 where each event is one."""
FIRST_SLICE, LARGEST_SLICE = 64, 1024
"""Compartments of the first slice, and of the largest: slices grow and shrink with the time that they take. The keys of
a slice are unwrapped together, those of the largest in 2 ms."""

PATIENCE: Final = 2.0
"""Seconds after which a stretch is handed back as far as it has come: so that progress is told, and whoever counts for
another process is not taken for dead, however many events accounts have."""

BATCH: Final = 4096
"""Compartments that are counted at once."""
BATCH_BYTES: Final = 8 << 20
"""Bytes of opened blocks that are counted at once, whatever compartments they are of."""

Gate = Callable[[], AbstractContextManager[Compartments]]
"""Holds the gate for one slice."""


class Tally(NamedTuple):
    """What was counted up to the slot ``last``, and for each pseudonym of it its compartment's slot and generation, and
    the second, UTC, at which its consent ends."""

    last: int
    portion: Portion
    slot: Integers
    generation: Integers
    until: Integers

    def __repr__(self) -> str:
        return "<Tally, content withheld>"


class _Part(NamedTuple):
    """What was opened of one slice: the slots, what holds for them, and their pseudonyms and blocks."""

    slots: SlotColumns
    judged: Judged
    pseudonyms: Rows
    counts: Integers
    """How many of the blocks are of each."""
    text: bytes
    """The blocks, end to end."""
    lengths: Integers
    """How many bytes of it are of each block."""


class Counter:
    """Counts compartments as they are opened."""

    def __init__(self, question: Question, books: Books, opener: CompartmentOpener) -> None:
        self._question = question
        self._books = books
        self._opener = opener
        self._judge = Judge(question, books)
        self._counting = Counting(question.spec)
        self._parts: list[_Part] = []
        """What was opened and is to be counted at once."""
        self._accounts = self._bytes = 0
        """How much that is."""
        _keep_memory()
        self._noted: list[tuple[Integers, Integers, Integers]] = []
        """Slot, generation and end of the accounts that have been counted, in the order in which they were."""

    def run(self, gate: Gate, first: int, last: int) -> int:
        """Count the compartments in the slots from ``first`` to ``last``, or as many of the first of them as can be in
        :data:`PATIENCE`; up to which slot that was."""
        most, end = FIRST_SLICE, time.monotonic() + PATIENCE
        while first <= last:
            with gate() as compartments:
                began = time.perf_counter()
                found = compartments.between(first, last, self._question.number, most)
                opened = self._open(found, began + LONGEST)
                taken = time.perf_counter() - began
            if not opened:
                first = last + 1
                break
            first = found.slots[opened - 1][0] + 1
            most = max(1, min(LARGEST_SLICE, 2 * opened, int(opened * HELD / taken)))
            if self._accounts >= BATCH or self._bytes >= BATCH_BYTES:
                self._count()
            if time.monotonic() > end:
                break
        self._count()
        return first - 1

    def tally(self, last: int) -> Tally:
        """What has been counted, up to the slot ``last``."""
        import numpy as np

        none = np.zeros(0, dtype=np.int64)
        slot, generation, until = map(np.concatenate, zip((none, none, none), *self._noted, strict=True))
        return Tally(last, self._counting.portion(), slot, generation, until)

    def _open(self, found: Slice, end: float) -> int:
        """Open what counts of a slice until ``end`` has passed, one compartment at least; how many were gone through.

        The caller holds the gate, and no key outlives the call.
        """
        slots = SlotColumns.of(found.slots)
        judged = self._judge.counted(slots)
        judged = judged.only(judged.told | judged.alone)
        if len(judged.place) < len(slots.number):
            slots = slots.only(judged.place)
        sealed, clock = _under_living_keys(slots, found.blocks), time.perf_counter
        pseudonyms, blocks = self._opener.open(slots, judged.bound, sealed, lambda: clock() <= end)
        opened, gone_through = len(pseudonyms), len(found.slots)
        if opened < len(sealed):
            gone_through = int(judged.place[opened])
            slots, judged = slots.only(slice(opened)), judged.first(opened)
        text = b"".join(blocks)
        self._parts.append(_Part(slots, judged, pseudonyms, _lengths(sealed[:opened]), text, _lengths(blocks)))
        self._accounts += opened
        self._bytes += len(text)
        return gone_through

    def _count(self) -> None:
        """Count what was opened since the last time, most of it at once."""
        import numpy as np

        if not self._parts:
            return
        parts, self._parts, self._accounts, self._bytes = self._parts, [], 0, 0
        every_slots, every_judged, pseudonyms, counts, texts, lengths = zip(*parts, strict=True)
        slots, judged = SlotColumns.together(every_slots), Judged.together(every_judged)
        opened = Opened(
            np.concatenate(pseudonyms),
            np.concatenate(counts),
            b"".join(texts),
            np.concatenate(lengths),
            judged.oldest,
            judged.keep,
            judged.alone,
        )
        left = self._counting.add_all(opened, self._books.history.policy, self._books.history.number)
        counted = np.ones(len(opened.counts), dtype=bool)
        counted[left] = False
        self._note(slots, judged, np.flatnonzero(counted))
        alone = [
            place
            for place, blocks in zip(left, opened.blocks(left), strict=True)
            if self._count_alone(opened.pseudonyms[place].tobytes(), blocks, slots.at(place))
        ]
        self._note(slots, judged, np.array(alone, dtype=np.int64))

    def _count_alone(self, pseudonym: bytes, blocks: Sequence[bytes], slot: Slot) -> bool:
        """Count one compartment event by event; whether its times tell what is asked."""
        books, question = self._books, self._question
        events = books.allowed(blocks, slot.header.terms, question.now)
        rules = books.rules(question.purpose, slot, events)
        if not self._judge.tells(rules.precision):
            return False
        self._counting.add(pseudonym, dedupe(events)[-rules.keep :])
        return True

    def _note(self, slots: SlotColumns, judged: Judged, places: Integers) -> None:
        self._noted.append((slots.number[places], slots.generation[places], judged.until[places]))


def _lengths(each: Sequence[Sized]) -> Integers:
    import numpy as np

    return np.fromiter(map(len, each), dtype=np.int64, count=len(each))


def _keep_memory() -> None:
    """Let the C library keep the memory of a batch until the next batch takes it.

    glibc gives what is free back to the system once that is more than twice the largest block it was ever given back.
    Without such a block, every batch would fetch its memory anew, page by page: one to two microseconds an account in a
    process that has just begun. Other libraries are not impressed, and no memory is used.
    """
    import numpy as np

    np.empty(BATCH_BYTES, dtype=np.uint8)


def _under_living_keys(slots: SlotColumns, blocks: Iterable[SealedBlock]) -> list[list[bytes]]:
    """For each of ``slots`` those of ``blocks`` that name it and its generation."""
    numbers = slots.number.tolist()
    living = dict(zip(numbers, slots.generation.tolist(), strict=True))
    sealed: dict[int, list[bytes]] = {number: [] for number in numbers}
    for slot, generation, one in blocks:
        if living.get(slot) == generation:
            sealed[slot].append(one)
    return list(sealed.values())
