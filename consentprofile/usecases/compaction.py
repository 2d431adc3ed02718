"""Compaction: blocks are moved into sorted runs, runs merged, and the many small blocks of a compartment become few.

Nothing of this changes what anybody can read: no event is lost, and whoever reads meanwhile sees every event in one
place. It works in slices of a few milliseconds under the writer lock, each a transaction of its own, and any process
goes on where another one stopped. Blocks whose key has died are left out; what cannot be opened is moved as it is.

Small blocks are merged where a merge of runs brings :data:`FEW` or more of one compartment together, without those that
are as large as all the others: so an event is sealed anew a few times in its life, however long its compartment grows.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

from consentprofile.crypto.aead import TAG_BYTES
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.errors import ConsentProfileError, CorruptRecord
from consentprofile.model import block
from consentprofile.store.ports import Blocks, SealedBlock
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.session import Session

_logger: Final = logging.getLogger("consentprofile")

SLICE_SECONDS: Final = 0.001
"""How long a slice of upkeep goes on taking work. What was begun, the commit and a checkpoint come on top: mostly below
five milliseconds in all, not always."""

KEEP_UP_SECONDS: Final = 0.002
"""The same while much is recorded anyway: with shorter slices an event costs a tenth more."""

FEW: Final = 8
"""As many blocks of a compartment are merged when they meet."""

FULL_BYTES: Final = 16_384
"""A block as large as this is merged no more: some 300 events."""

MOVES: Final = 8
"""Blocks that ``record_many`` moves for each one that it adds: more than an event is ever moved, so it keeps up."""

UNIT: Final = 3
"""Packs of each run that are merged before the time is looked at; one, where every compartment is opened."""

TAIL_AT_ONCE: Final = 1_000
"""Blocks of the tail that are moved in one slice of compacting everything."""

PAGES_AT_ONCE: Final = 200
"""Free pages that are given back in one slice."""


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What compaction did: blocks moved; blocks merged, and sealed in their stead; blocks of dead keys left out."""

    moved: int = 0
    merged: int = 0
    sealed: int = 0
    dropped: int = 0


def step(session: Session) -> bool:
    """Do one slice of what is due; whether more is.

    Holds the writer lock for the slice, and does not take it where nothing is due. Raises :class:`StoreBusy`,
    :class:`CorruptRecord` for a pack that cannot be read.
    """
    if not is_due(session):
        return False
    _Slices(session).advance()
    return is_due(session)


def is_due(session: Session) -> bool:
    """Whether there is anything to compact. Takes no lock but the gate."""
    with session.ground.files.reading():
        return session.ground.blocks.is_due()


def keep_up(session: Session, added: int) -> None:
    """Move as many blocks as keeps the arrangement in shape after ``added`` new ones, slice by slice.

    The events are committed already, so what stops compaction must not reach whoever recorded them: they would do it
    again. It is logged; what is wrong with the store itself, the next transaction says.
    """
    slices, due = _Slices(session, keeps_up=True), MOVES * added
    try:
        while due > 0 and is_due(session):
            due -= max(1, slices.advance())
    except ConsentProfileError as error:
        _logger.warning("events are recorded, but compaction could not go on: %s", error)


def compact(session: Session, *, everything: bool = False, progress: Callable[[int], None] | None = None) -> Compacted:
    """Do all that is due, slice by slice; the writer lock is free between slices.

    With ``everything`` all blocks are brought into one run, those of a compartment merged, those whose key is dead left
    out, and free pages given back to the file system, whether or not anything is due: best for reading and for the size
    of the file, and as long as reading and writing all of it takes. ``progress`` is told how many blocks have been
    moved so far. Blocks recorded meanwhile may be left for the next time.
    """
    slices = _Slices(session, everything=everything, progress=progress)
    if everything:
        slices.gather()
    while is_due(session) or (everything and slices.is_merging()):
        slices.advance()
    if everything:
        slices.shrink()
    return slices.done


class _Slices:
    """Slices of compaction, each a transaction, and what they have done together."""

    def __init__(
        self,
        session: Session,
        *,
        everything: bool = False,
        progress: Callable[[int], None] | None = None,
        keeps_up: bool = False,
    ) -> None:
        self.done = Compacted()
        self._seconds = KEEP_UP_SECONDS if keeps_up else SLICE_SECONDS
        self._keeps_up = keeps_up
        self._session = session
        self._few = 1 if everything else FEW
        self._progress = progress

    def advance(self) -> int:
        """One slice of what is most urgent; how many blocks were moved."""
        end = time.monotonic() + self._seconds
        unit = 1 if self._few == 1 else UNIT
        return self._slice(lambda merging: self._blocks.advance(merging, lambda: time.monotonic() < end, unit))

    def gather(self) -> None:
        """Bring every block into runs that no merge reads or writes, and begin to merge them all."""
        while self.is_merging():
            self.advance()
        while self._slice(lambda _: self._blocks.move_tail(TAIL_AT_ONCE)):
            pass
        with self._transaction():
            self._blocks.begin_merging_all()

    def is_merging(self) -> bool:
        """Whether any merge is under way."""
        with self._session.ground.files.reading():
            return self._blocks.is_merging()

    def shrink(self) -> None:
        """Give the free pages of the file back."""
        more = True
        while more:
            with self._transaction():
                more = self._blocks.shrink(PAGES_AT_ONCE)

    @property
    def _blocks(self) -> Blocks:
        return self._session.ground.blocks

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A slice's own; where others may wait for it, its share of a checkpoint is kept short, too."""
        with self._session.ground.recording():
            yield
            if not self._keeps_up:
                self._session.ground.files.wal.slice_written()

    def _slice(self, work: Callable[[_Merging], int]) -> int:
        with self._transaction():
            merging = _Merging(self._session, self._few)
            moved = work(merging)
            merging.finish()
        self.done = Compacted(
            moved=self.done.moved + moved,
            merged=self.done.merged + merging.merged,
            sealed=self.done.sealed + merging.sealed,
            dropped=self.done.dropped + merging.dropped,
        )
        if self._progress is not None:
            self._progress(self.done.moved)
        return moved


class _Merging:
    """Merges the blocks of a compartment where ``few`` or more of them meet. Lives under the writer lock."""

    def __init__(self, session: Session, few: int) -> None:
        self._session = session
        self._few = few
        self._now = session.now()
        self._names = {number: name for name, number in session.purposes.items()}
        self._commitment = hashlib.sha256()
        self.merged = self.sealed = self.dropped = 0

    def __call__(self, blocks: list[SealedBlock]) -> Sequence[SealedBlock]:
        slots = [slot for slot, _, _ in blocks]
        chosen = {slot for slot, other in zip(slots, slots[self._few - 1 :], strict=False) if slot == other}
        if not chosen:
            return blocks
        result: list[SealedBlock] = []
        for number, group in groupby(blocks, itemgetter(0)):
            if number in chosen:
                result += self._judge(number, list(group))
            else:
                result += group
        return result

    def finish(self) -> None:
        """Leave a leaf where anything was sealed anew."""
        if self.merged:
            facts = (("merged", self.merged), ("blocks", self.sealed), ("commitment", self._commitment.digest()))
            draft = Draft(Operation.COMPACTED, self._now, "", "", facts)
            self._session.ground.log.append((draft,), self._session.policy.digest)

    def _judge(self, number: int, group: list[SealedBlock]) -> list[SealedBlock]:
        slot = self._session.ground.keyring.slot(number)
        if slot is None:
            return group
        generation = slot.header.generation if slot.key_held else slot.header.generation + 1
        alive = [one for one in group if one[1] >= generation]
        self.dropped += len(group) - len(alive)
        mine = [one for one in alive if one[1] == generation]
        if slot.header.kind != SlotKind.COMPARTMENT or not self._session.is_in_force(slot, self._now):
            return alive
        if slot.header.purpose not in self._names:
            return alive  # a capability moves what it cannot open, as it is
        chosen = _small(mine, everything=self._few == 1)
        if len(chosen) < 2:
            return alive
        try:
            key = self._unwrap(slot)
            sealed = [key.seal(RecordType.BLOCK, plain) for plain in self._merge(key, chosen)]
        except CorruptRecord:
            return alive  # not ours to judge: reading it says so, and `check` finds it
        self.merged += len(chosen)
        self.sealed += len(sealed)
        for one in sealed:
            self._commitment.update(one[-TAG_BYTES:])
        kept = set(chosen)
        rest = [one for one in alive if one not in kept]
        return sorted([*rest, *((number, generation, one) for one in sealed)])

    def _unwrap(self, slot: Slot) -> SlotKey:
        purpose = self._names[slot.header.purpose]
        return self._session.keys.unwrap(slot, purpose=purpose, terms=self._session.bound(slot.header.terms))

    def _merge(self, key: SlotKey, chosen: Sequence[SealedBlock]) -> Iterator[bytes]:
        """The plaintexts that take the place of ``chosen``: events by policy, in the order of time, copies dropped."""
        events: dict[int, dict[tuple[object, ...], block.Packed]] = {}
        for plain in key.open_all(RecordType.BLOCK, [sealed for _, _, sealed in chosen]):
            opened = block.decode(plain)
            codebook = self._session.codebook(opened.policy)
            distinct = events.setdefault(opened.policy, {})
            for packed in opened.events:
                event = codebook.plain(packed, opened.tokens)
                distinct[tuple(event)] = event
        for policy, distinct in events.items():
            yield from _cut(policy, sorted(distinct.values(), key=itemgetter(1, 0)))


def _cut(policy: int, events: list[block.Packed]) -> Iterator[bytes]:
    """Blocks of ``events``, none much larger than twice what is full."""
    plain = block.encode(policy, events)
    if len(plain) <= 2 * FULL_BYTES or len(events) == 1:
        yield plain
        return
    middle = len(events) // 2
    yield from _cut(policy, events[:middle])
    yield from _cut(policy, events[middle:])


def _small(blocks: list[SealedBlock], *, everything: bool) -> list[SealedBlock]:
    """The blocks that are merged: none that is full, and none that is as large as all smaller ones together."""
    rest = sorted((one for one in blocks if len(one[2]) < FULL_BYTES), key=lambda one: -len(one[2]))
    if everything:
        return rest
    total = sum(len(sealed) for _, _, sealed in rest)
    for index, (_, _, sealed) in enumerate(rest):
        if len(sealed) * 2 <= total:
            return rest[index:]
        total -= len(sealed)
    return []
