"""Gathering: calls of ``record`` that come at the same time share one transaction, and so one wait for the disk.

Each caller checks its own event and queues it. The first in an empty queue leads: when the transaction before has
ended, it takes the writer lock, then everything that is queued by then, and records it together. The others wait for
their own outcome, or for their own copy of the error that undid the transaction. A lone caller, who finds nobody queued
and every lock free, has no need of the queue.

A checked event says kinds and fields in the numbers of its session's policy. So a leader takes the calls of its own
session only, and the first of another, where the policy was changed meanwhile, leads next.

What is relied on: whoever holds ``_leading`` may take what is queued, and settles all it has taken before it lets go.
So a call that is not settled although nobody leads, and that is not queued either, was taken by a leader that was
interrupted; and whoever waits longer than :data:`PATIENCE` finds out by asking to lead, which is never wrong.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final

from consentprofile.errors import InputError, StoreFault
from consentprofile.model.event import Event, Outcome
from consentprofile.usecases import recording
from consentprofile.usecases.sealing import Accepted
from consentprofile.usecases.session import Session

LONGEST_GATHER: Final = 0.05
"""Seconds that a leader can be told to wait for company."""

PATIENCE: Final = 1.0
"""Seconds after which a waiting call looks for itself whether anybody leads."""


class _Call:
    """One call of ``record`` on its way: what it records, and what came of it."""

    error: BaseException | None = None
    settled = False
    woken: threading.Lock | None = None
    """Held until this call is settled or is to lead; None for a call that leads from the beginning."""

    def __init__(self, session: Session, accepted: Accepted) -> None:
        self.session = session
        self.accepted = accepted
        self.outcomes: dict[str, Outcome] = {}

    def settle(self, outcomes: dict[str, Outcome], error: BaseException | None = None) -> None:
        self.outcomes, self.error, self.settled = outcomes, error, True
        if self.woken is not None:
            self.wake()

    def wake(self) -> None:
        if self.woken is not None and self.woken.locked():
            self.woken.release()


class Gathering:
    """What the calls of ``record`` of one open store share. For any number of threads; a fork begins anew."""

    def __init__(self, gather: float = 0.0) -> None:
        self._gather = gather
        self._begin()
        _gatherings.add(self)

    def _begin(self) -> None:
        # Both can be taken twice by one thread: a signal handler may record while the code it interrupted does.
        self._mutex = threading.RLock()
        self._leading = threading.RLock()
        self._queue: list[_Call] = []
        self._expected = 1
        self._wanted = 0
        self._company = threading.Lock()
        self._company.acquire()

    def record(self, session: Session, event: Event) -> dict[str, Outcome]:
        """Record one event; the outcome for each declared purpose. Returns when it is as durable as the store says.

        Raises :class:`InvalidEvent` or :class:`InvalidAccount` and records nothing for an event that cannot be taken.
        Raises :class:`StoreFault` also where the call that led was interrupted; then it is not known whether the event
        was recorded, and repeating it is safe where it has an id. Another caller's event never makes this one fail.
        """
        accepted = recording.check(session, event)
        outcomes = self._record_alone(session, accepted)
        if outcomes is not None:
            return outcomes
        call = _Call(session, accepted)
        woken = self._queue_up(call)
        # Who is woken unsettled is the next to lead; who has waited too long looks for itself.
        if woken is None or not (woken.acquire(timeout=PATIENCE) and call.settled):
            self._lead(call)
        if call.error is not None:
            raise call.error
        return call.outcomes

    def _record_alone(self, session: Session, accepted: Accepted) -> dict[str, Outcome] | None:
        """Record an event for which nobody has to be waited for; None where somebody has."""
        # A leader stands in the queue until it holds the lock: so where both are free, nobody leads.
        if self._queue or (self._gather and self._expected > 1):
            return None
        with session.ground.files.writing_at_once() as held:
            outcomes = recording.record_together(session, [accepted])[0] if held else None
        if outcomes is not None:
            self._expected = 1 + len(self._queue)
        return outcomes

    def _queue_up(self, call: _Call) -> threading.Lock | None:
        """Queue a call; what it waits for, or None where it is the first and leads."""
        with self._mutex:
            queue = self._queue
            if queue:
                call.woken = threading.Lock()
                call.woken.acquire()
            queue.append(call)
            if self._wanted and len(queue) >= self._wanted:
                self._wanted = 0
                if self._company.locked():
                    self._company.release()
        return call.woken

    def _take(self, session: Session) -> list[_Call]:
        """Take what is queued of a session; the first that is left is to lead."""
        with self._mutex:
            if len(self._queue) == 1 and self._queue[0].session is session:
                taken, self._queue = self._queue, []
                return taken
            taken = [one for one in self._queue if one.session is session]
            self._queue = [one for one in self._queue if one.session is not session]
            if self._queue:
                self._queue[0].wake()
        return taken

    def _lead(self, call: _Call) -> None:
        session = call.session
        taken: list[_Call] = []
        try:
            with self._leading:
                if call.settled:
                    return
                if self._gather and self._expected > 1:
                    self._await_company()
                with session.ground.files.writing():  # who queues while the lock is waited for comes along
                    taken = self._take(session)
                    outcomes = recording.record_together(session, [one.accepted for one in taken])
                # Those who have just been served, and those who queued meanwhile, may soon be back together.
                self._expected = len(taken) + len(self._queue)
                for one, outcome in zip(taken, outcomes, strict=True):
                    one.settle(outcome)
                if not call.settled:
                    raise _interrupted()
        except Exception as error:
            # Where even the writer lock was not to be had, nobody who waits would fare better.
            for one in taken or self._take(session):
                if one is not call and not one.settled:
                    one.settle({}, _own(error))
            raise
        except BaseException:
            self._abandon(call, taken)
            raise

    def _abandon(self, call: _Call, taken: list[_Call]) -> None:
        """The leader was interrupted: what it took is settled, and the next in the queue leads."""
        for one in taken:
            if one is not call and not one.settled:
                one.settle({}, _interrupted())
        with self._mutex:
            if call in self._queue:
                self._queue.remove(call)
                if self._queue:
                    self._queue[0].wake()

    def _await_company(self) -> None:
        """Wait for as many calls as there were lately, at most the time to gather."""
        with self._mutex:
            if len(self._queue) >= self._expected:
                return
            self._wanted = self._expected
        if not self._company.acquire(timeout=self._gather):
            with self._mutex:
                self._wanted = 0
                self._company.acquire(blocking=False)  # they may have come just now


def require_gather(gather: float) -> float:
    """The time to gather, in seconds. Raises :class:`InputError` outside 0 to :data:`LONGEST_GATHER`."""
    if isinstance(gather, bool) or not isinstance(gather, int | float) or not 0 <= gather <= LONGEST_GATHER:
        raise InputError(f"gather is a number of seconds from 0 to {LONGEST_GATHER:g}")
    return float(gather)


def _own(error: Exception) -> Exception:
    """The same error as an instance of its own: two threads that raise one instance would mix their tracebacks."""
    kind = type(error)
    own = kind.__new__(kind, *error.args)
    own.__dict__.update(error.__dict__)
    return own


def _interrupted() -> StoreFault:
    return StoreFault(
        "the call that recorded this event among others was interrupted, so it is not known whether it was recorded; "
        "an event with an id can be recorded again"
    )


_gatherings: weakref.WeakSet[Gathering] = weakref.WeakSet()


def _begin_anew() -> None:
    # The threads that held the locks, led or waited do not exist in a forked child.
    for gathering in list(_gatherings):
        gathering._begin()


os.register_at_fork(after_in_child=_begin_anew)
