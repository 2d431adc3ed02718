"""Retention: events whose months are over are never read; here they are destroyed, by a new key for what remains.

A compartment that holds events past its purpose's retention is opened under the gate, and what remains is sealed under
a new key of the same compartment, in memory. Under the writer lock the new key and the sealed rows are written, and the
old key is overwritten (a succession, :mod:`consentprofile.store.pending`), unless the compartment has changed since it
was opened; then it is opened again. The compartment's secret, its consent and its trail stay as they are, and whoever
has a copy of the old rows has noise.

Nothing within a month newly becomes past its retention, so a compartment gets a new key once a calendar month at most.
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.errors import CorruptRecord, DestructionStopped
from consentprofile.model import block
from consentprofile.model.plausibility import why_not_to_reseal
from consentprofile.store.ports import BLOCK, TRAIL, Keyring, Work
from consentprofile.tlog.leaf import KEY_ID, Draft, Operation
from consentprofile.usecases.account_keys import Changes
from consentprofile.usecases.session import Session

SLICE_SECONDS: Final = 0.002
"""How long the gate is held before it is passed on, but for what was begun."""

PAGE: Final = 256
NEIGHBOURS: Final = 8
"""Compartments whose blocks are fetched at once."""

UNIT: Final = 200
"""Blocks or trail entries that are opened, or events that are sealed in one block, before the time is looked at."""

TOGETHER: Final = 32
"""Compartments that get their new keys in one change of the keyring."""

ROWS_TOGETHER: Final = 600
"""Rows that the compartments of one change may hold before; a compartment with more is changed alone."""

TRIES: Final = 3
"""How often a compartment that changes meanwhile is opened again before the writer lock is held to open it."""


class RetentionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do: ``due`` of ``living`` compartments hold ``events`` past their retention, by purpose.

    ``emptied`` of these hold nothing else; their consent stays in force. ``damaged`` compartments cannot be opened, and
    are left as they are. ``stopped`` says why an unattended run would stop itself; None where it would not.
    """

    due: int
    emptied: int
    living: int
    events: int
    damaged: int
    purposes: dict[str, int]
    stopped: str | None


class Retained(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: compartments that were resealed, by purpose, and how many of them hold no event any more.

    ``events`` were destroyed, repeated recordings of one event counted each. ``damaged`` compartments could not be
    opened and are as they were; `consentprofile check` tells more.
    """

    resealed: int
    emptied: int
    events: int
    damaged: int
    purposes: dict[str, int]


def plan(session: Session) -> RetentionPlan:
    """What :func:`run` would do now. Opens every compartment whose consent is old enough, in slices; changes nothing.

    Cost: about 4 microseconds for each block.
    """
    return _find(session)[0]


def run(session: Session, *, attended: bool = False, progress: Callable[[int, int], None] | None = None) -> Retained:
    """Destroy the events that are past their retention. ``progress`` is told how many compartments are done, of how
    many.

    Raises :class:`DestructionStopped` before anything is destroyed where that is implausible, unless ``attended``: a
    person has seen the plan and means it. Where it ends early, what is done is done; run it again.
    """
    found, due = _find(session)
    if found.stopped is not None and not attended:
        raise DestructionStopped(f"{found.stopped}; look at the clock, then run it attended if you mean it")
    oldest = _oldest(session, session.now())
    queue = deque((number, 0) for number in due)
    done: list[_Compartment] = []
    emptied = events = 0
    purposes: dict[str, int] = {}
    while queue:
        tries = queue[0][1]
        if tries < TRIES:
            done, changed = _change(session, queue, oldest)
        else:
            with session.ground.writing():  # it changes all the time: now it stands still
                done, changed = _change(session, deque([queue.popleft()]), oldest)
        queue.extend((number, tries + 1) for number in changed)
        for one in done:
            emptied += not one.kept
            events += one.past
            purposes[one.purpose] = purposes.get(one.purpose, 0) + 1
        if progress is not None:
            progress(len(due) - len(queue), len(due))
    return Retained(
        resealed=sum(purposes.values()), emptied=emptied, events=events, damaged=found.damaged, purposes=purposes
    )


# ---- what is due ------------------------------------------------------------------------------------


def _oldest(session: Session, now: int) -> dict[int, int]:
    """The first second that is still kept, by the number of the purpose."""
    return {
        session.purpose_numbers[name]: session.calendar.kept_from(now, purpose.retention_months)
        for name, purpose in session.policy.purposes.items()
    }


def _may_be_due(slot: Slot | None, oldest: Mapping[int, int]) -> bool:
    """Whether a slot is a compartment that may hold events past retention: none is older than its consent."""
    if slot is None or slot.header.kind != SlotKind.COMPARTMENT or not slot.key_held:
        return False
    return slot.header.since < oldest.get(slot.header.purpose, slot.header.since)


def _find(session: Session) -> tuple[RetentionPlan, array[int]]:
    """The plan, and the numbers of the slots that are due."""
    session.keys.require_officer()
    ground, after, living = session.ground, 0, 0
    with ground.files.reading():
        newest = ground.log.hour() * 3600
        now = session.now()
    oldest = _oldest(session, now)
    tally = _Tally()
    while True:
        with ground.files.reading(), ground.keyring.snapshot():
            slots = ground.keyring.iterate(after, PAGE)
        if not slots:
            break
        after = slots[-1].number
        living += sum(slot.header.kind == SlotKind.COMPARTMENT and slot.key_held for slot in slots)
        _look(session, deque(slot.number for slot in slots if _may_be_due(slot, oldest)), oldest, tally)
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
    )
    return found, tally.due


class _Tally:
    """What a pass over the compartments has found so far."""

    def __init__(self) -> None:
        self.due = array("Q")
        self.emptied = self.events = self.damaged = 0
        self.purposes: dict[str, int] = {}

    def add(self, compartment: _Compartment) -> None:
        """Count a compartment whose blocks have all been opened."""
        if compartment.past:
            self.due.append(compartment.slot.number)
            self.emptied += not compartment.kept
            self.events += compartment.past
            self.purposes[compartment.purpose] = self.purposes.get(compartment.purpose, 0) + 1


def _look(session: Session, numbers: deque[int], oldest: Mapping[int, int], tally: _Tally) -> None:
    """Open compartments, the blocks of neighbours fetched together; those with many blocks by themselves."""
    ground, large = session.ground, []
    while numbers:
        with ground.files.reading(), ground.keyring.snapshot():
            end, going_on = time.monotonic() + SLICE_SECONDS, True
            while numbers and going_on:
                some = [numbers.popleft() for _ in range(min(NEIGHBOURS, len(numbers)))]
                blocks = ground.rows(BLOCK).between(some[0], some[-1])
                for number in some:
                    slot = ground.keyring.slot(number)
                    if slot is None or not _may_be_due(slot, oldest):
                        continue
                    compartment = _Compartment(
                        session, slot, oldest, blocks.get((number, slot.header.generation), []), []
                    )
                    if len(compartment.blocks) > UNIT:
                        large.append(number)
                        continue
                    try:
                        compartment.open_some(compartment.unwrap())
                    except CorruptRecord:
                        tally.damaged += 1
                    else:
                        tally.add(compartment)
                going_on = time.monotonic() < end
    for number in large:
        try:
            found = _go_through(session, number, oldest, reseal=False)
        except CorruptRecord:
            tally.damaged += 1
        else:
            if found is not None:
                tally.add(found)


# ---- one compartment --------------------------------------------------------------------------------


class _Compartment:
    """A compartment on its way to a new key. Between two slices no key of it is open."""

    def __init__(
        self, session: Session, slot: Slot, oldest: Mapping[int, int], blocks: list[bytes], trail: list[bytes]
    ) -> None:
        self._session = session
        self._oldest = oldest[slot.header.purpose]
        self.slot = slot
        self.purpose = session.purpose_names[slot.header.purpose]
        self.blocks = blocks
        self.trail = trail
        self.past = self.kept = 0
        self._opened = self._moved = 0
        self._remaining: dict[int, list[block.Packed]] = {}
        self.successor: Slot | None = None
        self.rows: list[tuple[str, int, int, bytes]] = []

    def unwrap(self, slot: Slot | None = None) -> SlotKey:
        """The key that lives in the slot, or in its successor."""
        terms = self._session.bound(self.slot.header.terms)
        return self._session.keys.unwrap(slot or self.slot, purpose=self.purpose, terms=terms)

    @property
    def is_opened(self) -> bool:
        """Whether every block has been opened."""
        return self._opened >= len(self.blocks)

    def open_some(self, key: SlotKey) -> None:
        """Open the next blocks, and put aside what remains."""
        some = self.blocks[self._opened : self._opened + UNIT]
        for plain in key.open_all(RecordType.BLOCK, some):
            opened = block.decode(plain)
            codebook = self._session.codebook(opened.policy)
            for packed in opened.events:
                if packed[1] < self._oldest:  # type: ignore[operator]  # the second element is the time
                    self.past += 1
                else:
                    self.kept += 1
                    self._remaining.setdefault(opened.policy, []).append(codebook.plain(packed, opened.tokens))
        self._opened += UNIT

    def reseal_some(self, key: SlotKey) -> bool:
        """Seal the next events or trail entries that remain under the new key; whether there may be more."""
        if self.successor is None:
            terms = self._session.bound(self.slot.header.terms)
            succeeding = self._session.keys.succeed(self.slot, random_bytes(16), purpose=self.purpose, terms=terms)
            self.successor = succeeding[0]
        successor = self.unwrap(self.successor)
        for policy, events in self._remaining.items():
            if events:
                plain = block.encode(policy, events[:UNIT])
                del events[:UNIT]
                self._add(BLOCK, successor, successor.seal(RecordType.BLOCK, plain))
                return True
        for plain in key.open_all(RecordType.TRAIL, self.trail[self._moved : self._moved + UNIT]):
            self._add(TRAIL, successor, successor.seal(RecordType.TRAIL, plain))
        self._moved += UNIT
        return self._moved < len(self.trail)

    def _add(self, table: str, key: SlotKey, sealed: bytes) -> None:
        self.rows.append((table, key.slot, key.generation, sealed))

    def is_unchanged(self, session: Session) -> bool:
        """Whether the compartment still holds the rows that were opened."""
        number, generation = self.slot.number, self.slot.header.generation
        return (
            session.ground.rows(BLOCK).of(number, generation) == self.blocks
            and session.ground.rows(TRAIL).of(number, generation) == self.trail
        )


def _go_through(session: Session, number: int, oldest: Mapping[int, int], *, reseal: bool) -> _Compartment | None:
    """Open a compartment, and ``reseal`` what remains where anything is past retention, slice by slice under the gate.

    None where there is nothing to be done.
    """
    ground, compartment = session.ground, None
    while True:
        with ground.files.reading(), ground.keyring.snapshot():
            end = time.monotonic() + SLICE_SECONDS
            slot = ground.keyring.slot(number)
            if slot is None or not _may_be_due(slot, oldest):
                return None
            if compartment is None or compartment.slot != slot:
                blocks = ground.rows(BLOCK).of(number, slot.header.generation)
                trail = ground.rows(TRAIL).of(number, slot.header.generation) if reseal else []
                compartment = _Compartment(session, slot, oldest, blocks, trail)
            key, more, going_on = compartment.unwrap(), True, True
            while more and going_on:
                if not compartment.is_opened:
                    compartment.open_some(key)
                elif not compartment.past:
                    return None
                else:
                    more = reseal and compartment.reseal_some(key)
                going_on = time.monotonic() < end
            del key
            if not more:
                return compartment


# ---- new keys for some ------------------------------------------------------------------------------


def _change(
    session: Session, queue: deque[tuple[int, int]], oldest: Mapping[int, int]
) -> tuple[list[_Compartment], list[int]]:
    """Give new keys to compartments from the head of the queue: those that have them, and those to be tried again."""
    with session.ground.files.reading():
        size = session.ground.log.size()
    taken: list[_Compartment] = []
    rows, tries = 0, queue[0][1]
    while queue and queue[0][1] == tries and len(taken) < TOGETHER and rows < ROWS_TOGETHER:
        try:
            compartment = _go_through(session, queue.popleft()[0], oldest, reseal=True)
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


def _leaves(succeeded: Sequence[_Compartment], second: int) -> list[Draft]:
    """One leaf for each new key and one for each old one, both in the order of their random ids.

    So nobody can tell which took the place of which, nor in how many months a compartment was active.
    """
    granted, destroyed = [], []
    for one in succeeded:
        if one.successor is not None:
            granted.append((one.successor.header.key_id, one.purpose))
            destroyed.append((one.slot.header.key_id, one.purpose))
    return [
        Draft(operation, second, purpose, "", ((KEY_ID, key_id),))
        for operation, keys in ((Operation.RESEALED, granted), (Operation.RETENTION_APPLIED, destroyed))
        for key_id, purpose in sorted(keys)
    ]
