"""Retention and narrowing: what may not be kept is never read; here it is destroyed, by a new key for what remains.

A compartment that holds events past its purpose's retention, or more of them than later policies have left of its
consent, is opened under the gate, and what remains is sealed under a new key of the same compartment, in memory
(:mod:`consentprofile.usecases.resealing`). Under the writer lock the new key and the sealed rows are written, and the
old key is overwritten (a succession, :mod:`consentprofile.store.pending`), unless the compartment has changed since it
was opened; then it is opened again. The compartment's secret, its consent and its trail stay as they are, and whoever
has a copy of the old rows has noise.

Nothing within a month newly becomes past its retention, so a compartment gets a new key once a calendar month at most,
and once more for each policy that narrows.
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from consentprofile.crypto.slots import SlotKind
from consentprofile.errors import CorruptRecord, DestructionStopped
from consentprofile.model.plausibility import why_not_to_reseal
from consentprofile.store.ports import BLOCK, Keyring, Work
from consentprofile.tlog.leaf import KEY_ID, Draft, Operation
from consentprofile.usecases.account_keys import Changes
from consentprofile.usecases.resealing import SLICE_SECONDS, UNIT, Compartment, go_through, may_be_due
from consentprofile.usecases.session import Session

PAGE: Final = 256
NEIGHBOURS: Final = 8
"""Compartments whose blocks are fetched at once."""

TOGETHER: Final = 20
"""Compartments that get their new keys in one change of the keyring."""

ROWS_TOGETHER: Final = 600
"""Rows that the compartments of one change may hold before; a compartment with more is changed alone."""

TRIES: Final = 3
"""How often a compartment that changes meanwhile is opened again before the writer lock is held to open it."""


class RetentionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do: ``due`` of ``living`` compartments hold more than they may, by purpose.

    Of these, ``events`` would be destroyed (past their retention, or not allowed any more by a policy accepted since)
    and ``narrowed`` would lose a part. ``emptied`` compartments hold nothing else; their consent stays in force.
    ``damaged`` compartments cannot be opened, and are left as they are. ``stopped`` says why an unattended run would
    stop itself; None where it would not.
    """

    due: int
    emptied: int
    living: int
    events: int
    damaged: int
    purposes: dict[str, int]
    stopped: str | None
    narrowed: int = 0


class Retained(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: compartments that were resealed, by purpose, and how many of them hold no event any more.

    ``events`` were destroyed, repeated recordings of one event counted each, and ``narrowed`` lost a part. ``damaged``
    compartments could not be opened and are as they were; `consentprofile check` tells more.
    """

    resealed: int
    emptied: int
    events: int
    damaged: int
    purposes: dict[str, int]
    narrowed: int = 0


def plan(session: Session) -> RetentionPlan:
    """What :func:`run` would do now. Opens every compartment whose consent is old enough, in slices; changes nothing.

    Cost: about 4 microseconds for each block.
    """
    return _find(session)[0]


def run(session: Session, *, attended: bool = False, progress: Callable[[int, int], None] | None = None) -> Retained:
    """Destroy what may not be kept any more. ``progress`` is told how many compartments are done, of how
    many.

    Raises :class:`DestructionStopped` before anything is destroyed where that is implausible, unless ``attended``: a
    person has seen the plan and means it. Where it ends early, what is done is done; run it again.
    """
    found, due = _find(session)
    if found.stopped is not None and not attended:
        raise DestructionStopped(f"{found.stopped}; look at the clock, then run it attended if you mean it")
    now = session.now()
    queue = deque((number, 0) for number in due)
    done: list[Compartment] = []
    emptied = events = narrowed = 0
    purposes: dict[str, int] = {}
    while queue:
        tries = queue[0][1]
        if tries < TRIES:
            done, changed = _change(session, queue, now)
        else:
            with session.ground.writing():  # it changes all the time: now it stands still
                done, changed = _change(session, deque([queue.popleft()]), now)
        queue.extend((number, tries + 1) for number in changed)
        for one in done:
            emptied += not one.kept
            events += one.past + one.dropped
            narrowed += one.narrowed
            purposes[one.purpose] = purposes.get(one.purpose, 0) + 1
        if progress is not None:
            progress(len(due) - len(queue), len(due))
    return Retained(
        resealed=sum(purposes.values()),
        emptied=emptied,
        events=events,
        damaged=found.damaged,
        purposes=purposes,
        narrowed=narrowed,
    )


# ---- what is due ------------------------------------------------------------------------------------


def _find(session: Session) -> tuple[RetentionPlan, array[int]]:
    """The plan, and the numbers of the slots that are due."""
    session.keys.require_officer()
    ground, after, living = session.ground, 0, 0
    with ground.files.reading():
        newest = ground.log.hour() * 3600
        now = session.now()
    tally = _Tally()
    while True:
        with ground.files.reading(), ground.keyring.snapshot():
            slots = ground.keyring.iterate(after, PAGE)
        if not slots:
            break
        after = slots[-1].number
        living += sum(slot.header.kind == SlotKind.COMPARTMENT and slot.key_held for slot in slots)
        _look(session, deque(slot.number for slot in slots if may_be_due(session, slot, now)), now, tally)
    due = len(tally.due)
    stopped = why_not_to_reseal(due=due, emptied=tally.emptied, living=living, idle_seconds=now - newest)
    found = RetentionPlan(
        due=due,
        emptied=tally.emptied,
        living=living,
        events=tally.events,
        damaged=tally.damaged,
        purposes=tally.purposes,
        stopped=stopped,
        narrowed=tally.narrowed,
    )
    return found, tally.due


class _Tally:
    """What a pass over the compartments has found so far."""

    def __init__(self) -> None:
        self.due = array("Q")
        self.emptied = self.events = self.narrowed = self.damaged = 0
        self.purposes: dict[str, int] = {}

    def add(self, compartment: Compartment) -> None:
        """Count a compartment of which it is known what remains."""
        if compartment.is_due:
            self.due.append(compartment.slot.number)
            self.emptied += not compartment.kept
            self.events += compartment.past + compartment.dropped
            self.narrowed += compartment.narrowed
            self.purposes[compartment.purpose] = self.purposes.get(compartment.purpose, 0) + 1


def _look(session: Session, numbers: deque[int], now: int, tally: _Tally) -> None:
    """Open compartments, the blocks of neighbours fetched together; those with many blocks by themselves."""
    ground, large = session.ground, []
    while numbers:
        opened: list[Compartment] = []
        with ground.files.reading(), ground.keyring.snapshot():
            end, going_on = time.monotonic() + SLICE_SECONDS, True
            while numbers and going_on:
                some = [numbers.popleft() for _ in range(min(NEIGHBOURS, len(numbers)))]
                for compartment in _neighbours(session, some, now):
                    if len(compartment.blocks) > UNIT:
                        large.append(compartment.slot.number)
                        continue
                    try:
                        compartment.open_some(compartment.unwrap())
                    except CorruptRecord:
                        tally.damaged += 1
                    else:
                        opened.append(compartment)
                going_on = time.monotonic() < end
        for compartment in opened:
            compartment.trim()
            tally.add(compartment)
    for number in large:
        try:
            whole = go_through(session, number, now, reseal=False)
        except CorruptRecord:
            tally.damaged += 1
        else:
            if whole is not None:
                tally.add(whole)


def _neighbours(session: Session, numbers: Sequence[int], now: int) -> Iterator[Compartment]:
    """The compartments among some slots in order that may be due, with their blocks and nothing opened."""
    ground = session.ground
    blocks = ground.rows(BLOCK).between(numbers[0], numbers[-1])
    for number in numbers:
        slot = ground.keyring.slot(number)
        if slot is not None and may_be_due(session, slot, now):
            yield Compartment(session, slot, now, blocks.get((number, slot.header.generation), []), [])


# ---- new keys for some ------------------------------------------------------------------------------


def _change(session: Session, queue: deque[tuple[int, int]], now: int) -> tuple[list[Compartment], list[int]]:
    """Give new keys to compartments from the head of the queue: those that have them, and those to be tried again."""
    with session.ground.files.reading():
        size = session.ground.log.size()
    taken: list[Compartment] = []
    rows, tries = 0, queue[0][1]
    while queue and queue[0][1] == tries and len(taken) < TOGETHER and rows < ROWS_TOGETHER:
        try:
            compartment = go_through(session, queue.popleft()[0], now, reseal=True)
        except CorruptRecord:
            continue  # it was sound when the plan was made: the next one counts it
        if compartment is not None:
            taken.append(compartment)
            rows += len(compartment.blocks) + len(compartment.trail)
    changed: list[int] = []
    if not taken:
        return [], []
    with session.ground.writing():
        # Nothing happens to a compartment without a leaf: where the log has not grown, none has changed.
        quiet = session.ground.log.size() == size

        def change(keyring: Keyring) -> Work:
            changed.clear()
            changes = Changes(session, session.now())
            for one in taken:
                if keyring.slot(one.slot.number) != one.slot or not (quiet or one.is_unchanged(session)):
                    changed.append(one.slot.number)
                elif one.successor is not None:
                    changes.successions.append((one.slot.number, *keyring.await_succession(one.successor)))
                    changes.rows += one.rows
            succeeded = [one for one in taken if one.slot.number not in changed]
            changes.leaves = _leaves(succeeded, changes.now)
            return changes.work()

        session.ground.pending.begin_succession(change)
    more = True
    while more:  # from here on anybody could finish it; the writer lock is free between the steps
        with session.ground.files.writing():
            more = session.ground.pending.advance()
    return [one for one in taken if one.slot.number not in changed], changed


def _leaves(succeeded: Sequence[Compartment], second: int) -> list[Draft]:
    """One leaf for each new key and one for each old one, each sort in the order of their random ids.

    So nobody can tell which took the place of which, nor in how many months a compartment was active.
    """
    granted: list[tuple[bytes, str]] = []
    retention: list[tuple[bytes, str]] = []
    narrowing: list[tuple[bytes, str]] = []
    for one in succeeded:
        if one.successor is not None:
            granted.append((one.successor.header.key_id, one.purpose))
            (retention if one.past else narrowing).append((one.slot.header.key_id, one.purpose))
    return [
        Draft(operation, second, purpose, "", ((KEY_ID, key_id),))
        for operation, keys in (
            (Operation.RESEALED, granted),
            (Operation.RETENTION_APPLIED, retention),
            (Operation.NARROWING_APPLIED, narrowing),
        )
        for key_id, purpose in sorted(keys)
    ]
