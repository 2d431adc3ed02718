"""Batches of ``record_many``: sealed before the writer lock is asked for, and settled under it.

A batch is checked, cut into parcels, and sealed parcel by parcel under the gate, here or by the crew, as the keyring
stands then. So the writer lock is held for writing only, and any number of processes seal at the same time.

What makes that safe is :meth:`Batch.settle`, under the writer lock, where nobody changes the keyring: what was sealed
is written if not one transaction has changed the keyring since, no consent that it relies on has ended, and no month
has begun. Otherwise the whole batch is sealed anew there. So whatever is written was in force when it was written
(law 1), and a key is open under the gate only, which a destroyer passes before it returns (law 3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from consentprofile.model.event import Event, Outcome
from consentprofile.store.ports import SealedRow
from consentprofile.usecases.collector import no_collector
from consentprofile.usecases.sealing import (
    Account,
    Counts,
    Parcel,
    Sealed,
    Suppressed,
    accept_many,
    offered,
    seal_parcel,
    sealer,
    suppressed_of,
)
from consentprofile.usecases.sealing_crew import Crew, Order
from consentprofile.usecases.session import Session

T = TypeVar("T")

CHUNK: Final = 250
"""Events that are checked, and then sealed, together: what is touched again soon is still in the processor's cache."""

PARCEL: Final = 125
"""Blocks that a parcel makes at the most, the events of one account counted each: about 3 ms under the gate."""


class Batch:
    """The events of one transaction on their way."""

    def __init__(self, session: Session, events: Sequence[Event], committed: int, crew: Crew) -> None:
        """Check the events, which follow on ``committed`` others, and seal them with the crew.

        Raises :class:`InvalidEvent`, :class:`CorruptRecord`.
        """
        self.events: Final = len(events)
        self._session = session
        # Kept for the rare case that it is done again. What is made of them is not kept: the collector of cycles would
        # walk through it.
        self._events = events
        with session.ground.files.reading(), session.ground.keyring.snapshot():
            self._now = session.now()
            self._changes = session.ground.keyring.changes()
            anybody_suppressed = session.ground.keyring.has_suppressions()
        self._order = Order()
        self._sealed: list[Sealed] = []
        limit = max(1, PARCEL // len(session.policy.purposes))
        with no_collector():
            for start in range(0, len(events), CHUNK):
                some = events[start : start + CHUNK]
                accepted = accept_many(session, some, self._now, first=committed + start, committed=committed)
                for accounts in _parcels(accepted, limit):
                    parcel = Parcel(self._now, accounts, self._suppressed(accounts) if anybody_suppressed else {})
                    if not crew.hand(self._order, parcel):
                        self._seal(parcel)

    def _suppressed(self, accounts: list[Account]) -> Suppressed:
        with self._session.ground.files.reading(), self._session.ground.keyring.snapshot():
            return suppressed_of(self._session, accounts)

    def _seal(self, parcel: Parcel) -> None:
        session = self._session
        with session.ground.files.reading(), session.ground.keyring.snapshot():
            sealing = sealer(session, self._now)
            self._sealed.append(seal_parcel(parcel, session.ground.keyring, session.held, sealing))

    def gather(self, crew: Crew) -> None:
        """Wait for what the crew still has before it, and seal what it hands back. Raises :class:`CorruptRecord`."""
        crew.gather(self._order)
        self._sealed += self._order.sealed
        for parcel in self._order.handed_back:
            self._seal(parcel)

    def settle(self) -> tuple[list[SealedRow], Counts, int]:
        """The blocks to write, how often each purpose said what, and the second of it all, UTC.

        The caller holds the writer lock, and one state of the keyring. Raises :class:`CorruptRecord`.
        """
        session = self._session
        now = max(self._now, session.now())
        if not self._is_still_true(now):
            with no_collector():
                accounts = accept_many(session, self._events, now, first=0, committed=0)
                anew = sealer(session, now)
                return anew.seal(offered(session, accounts, now)), anew.counts, now
        rows: list[SealedRow] = []
        counts: Counter[tuple[str, Outcome]] = Counter()
        for sealed in self._sealed:
            rows += sealed.rows
            for purpose, outcome, count in sealed.counts:
                counts[purpose, outcome] += count
        return rows, counts, now

    def _is_still_true(self, now: int) -> bool:
        """Whether everything would be sealed in the same way now."""
        calendar = self._session.calendar
        changes = self._session.ground.keyring.changes()
        return (
            changes == self._changes
            and all(sealed.changes == changes and now < sealed.until for sealed in self._sealed)
            and calendar.month(now) == calendar.month(self._now)
        )


def batches(session: Session, source: Iterator[Event], size: int, crew: Crew) -> Iterator[Batch]:
    """The events of ``source`` in batches of ``size``, each checked and sealed when it is asked for."""
    position = 0
    while events := list(islice(source, size)):
        yield Batch(session, events, position, crew)
        position += len(events)


def one_ahead(source: Iterable[T], crew: Crew) -> Iterator[T]:
    """The batches, each handed out when the crew has the next one before it.

    Where a batch fails, those before it are handed out first.
    """
    waiting: T | None = None
    try:
        for batch in source:
            if waiting is not None:
                yield waiting
            waiting = batch
            if not crew.processes:
                waiting = None
                yield batch
    except Exception:
        if waiting is not None:
            yield waiting
        raise
    if waiting is not None:
        yield waiting


def _parcels(accounts: Sequence[Account], limit: int) -> Iterator[list[Account]]:
    """The accounts in parcels of up to ``limit`` events; one that has more of them is divided."""
    parcel: list[Account] = []
    room = limit
    for account in accounts:
        for part in (account,) if len(account[1]) <= limit else _divided(account, limit):
            events = len(part[1])
            if events > room:
                yield parcel
                parcel, room = [], limit
            parcel.append(part)
            room -= events
    if parcel:
        yield parcel


def _divided(account: Account, limit: int) -> Iterator[Account]:
    tag, entries = account
    for start in range(0, len(entries), limit):
        yield tag, entries[start : start + limit]
