"""One compartment on its way to a new key: what is opened, what remains of it, and what that is sealed in.

What remains is what its terms leave of it today: no event past retention, and of what was recorded under an earlier
policy only what every policy since allows. It follows from the events, the terms and the clock, and from nothing else.
"""

from __future__ import annotations

import time
from typing import Final

from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.slots import Slot, SlotKind
from consentprofile.model import block
from consentprofile.model.profile import dedupe
from consentprofile.store.ports import BLOCK, TRAIL
from consentprofile.usecases.session import Session

SLICE_SECONDS: Final = 0.002
"""How long the gate is held before it is passed on, but for what was begun."""

UNIT: Final = 200
"""Blocks or trail entries that are opened, or events that are sealed in one block, before the time is looked at."""


def may_be_due(session: Session, slot: Slot | None, now: int) -> bool:
    """Whether a slot is a compartment that may hold more than it may.

    No event is older than its consent, and none says more than it may where no later policy narrows the purpose.
    """
    if slot is None or slot.header.kind != SlotKind.COMPARTMENT or not slot.key_held:
        return False
    held = session.held(slot.header.terms)
    if session.history.has_ended(held.purpose):
        return False  # its key is destroyed, as that of a consent that is over
    if slot.header.since < session.calendar.kept_from(now, held.holds.retention_months):
        return True
    return session.history.may_be_narrowed(held.purpose, held.given_under)


class Compartment:
    """A compartment on its way to a new key. Between two slices no key of it is open."""

    def __init__(self, session: Session, slot: Slot, now: int, blocks: list[bytes], trail: list[bytes]) -> None:
        self._session = session
        self._keep = session.held(slot.header.terms).holds.keep
        months = session.held(slot.header.terms).holds.retention_months
        self._oldest = session.calendar.kept_from(now, months)
        self.slot = slot
        self.purpose = session.purpose_names[slot.header.purpose]
        self.blocks = blocks
        self.trail = trail
        self.past = 0
        """Events past their retention."""
        self.dropped = 0
        """Events of which nothing is left by a policy that was accepted since."""
        self.narrowed = 0
        """Events that lose a part by such a policy."""
        self.kept = 0
        """Events that remain, repeated recordings of one event counted each, as for the others."""
        self._opened = self._moved = 0
        self._is_trimmed = True
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

    @property
    def is_judged(self) -> bool:
        """Whether it is known what remains."""
        return self.is_opened and self._is_trimmed

    @property
    def is_due(self) -> bool:
        """Whether it holds anything that it may not."""
        return bool(self.past or self.dropped or self.narrowed)

    def open_some(self, key: SlotKey) -> None:
        """Open the next blocks, and put aside what remains."""
        session, some = self._session, self.blocks[self._opened : self._opened + UNIT]
        for plain in key.open_all(RecordType.BLOCK, some):
            opened = block.decode(plain)
            codebook = session.codebook(opened.policy)
            recoding = session.terms_book.recoding(self.slot.header.terms, opened.policy)
            if recoding is not None:
                self._is_trimmed = False
            for packed in opened.events:
                if packed[1] < self._oldest:  # type: ignore[operator]  # the second element is the time
                    self.past += 1
                    continue
                event = codebook.plain(packed, opened.tokens)
                left = event if recoding is None else recoding.event(event)
                if left is None:
                    self.dropped += 1
                    continue
                self.kept += 1
                if recoding is not None:
                    self.narrowed += recoding.narrows(event, left)
                said_in = opened.policy if recoding is None else session.policy_number
                self._remaining.setdefault(said_in, []).append(left)
        self._opened += UNIT

    def trim(self) -> None:
        """Drop all but the newest events, where a later policy keeps fewer. Needs no key, and no lock."""
        if self._is_trimmed or not self.is_opened:
            return
        self._is_trimmed = True
        if self.kept <= self._keep:
            return
        codebook = self._session.codebook
        read = [event for policy, events in self._remaining.items() for event in codebook(policy).read_all(events)]
        newest = {event.id for event in dedupe(read)[-self._keep :]}
        for policy, events in self._remaining.items():
            kept = [event for event in events if event[0] in newest]
            self.dropped += len(events) - len(kept)
            self.kept -= len(events) - len(kept)
            self._remaining[policy] = kept

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


def go_through(session: Session, number: int, now: int, *, reseal: bool) -> Compartment | None:
    """Open a compartment, and ``reseal`` what remains where it holds more than it may, slice by slice under the gate.

    None where there is nothing to be done.
    """
    ground, compartment = session.ground, None
    while True:
        if compartment is not None:
            compartment.trim()
        with ground.files.reading(), ground.keyring.snapshot():
            end = time.monotonic() + SLICE_SECONDS
            slot = ground.keyring.slot(number)
            if slot is None or not may_be_due(session, slot, now):
                return None
            if compartment is None or compartment.slot != slot:
                blocks = ground.rows(BLOCK).of(number, slot.header.generation)
                trail = ground.rows(TRAIL).of(number, slot.header.generation) if reseal else []
                compartment = Compartment(session, slot, now, blocks, trail)
            key, more, going_on = compartment.unwrap(), True, True
            while more and going_on:
                if not compartment.is_opened:
                    compartment.open_some(key)
                elif not compartment.is_judged:
                    break
                elif not compartment.is_due:
                    return None
                else:
                    more = reseal and compartment.reseal_some(key)
                going_on = time.monotonic() < end
            del key
            if not more:
                return compartment
