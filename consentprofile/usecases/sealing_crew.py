"""A crew of processes that seal beside the one that records: the near end.

Each worker (:mod:`consentprofile.usecases.worker_process`) is handed the policies and the purpose keys, and reads the
keyring for itself, under the gate.

A crew never decides anything and never fails: a parcel that a worker could not seal, or took with it when it died, is
handed back, and is sealed by whoever asked.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from types import TracebackType
from typing import Final, Self

import msgspec

from consentprofile.usecases.sealing import Parcel, Sealed
from consentprofile.usecases.sealing_wire import Setup, answers
from consentprofile.usecases.session import Session
from consentprofile.usecases.worker_process import PATIENCE, WorkerProcess

LEAST_AHEAD, AHEAD, MOST_AHEAD = 2, 8, 16
"""Parcels that a worker may have before it, at least, to begin with, and at most: what its socket holds both ways."""

LOOK_ROUND: Final = 0.2
"""Seconds after which whoever waits for a worker looks at the others."""

_logger: Final = logging.getLogger("consentprofile")


class Order:
    """The parcels of one batch that the crew was handed, and what came of them."""

    def __init__(self) -> None:
        self.under_way = 0
        self.sealed: list[Sealed] = []
        self.handed_back: list[Parcel] = []
        """Parcels that whoever handed them over has to seal."""


class _Worker:
    """A worker, and the parcels that are under way to it and back."""

    def __init__(self, setup: Setup, lock: int) -> None:
        self.process = WorkerProcess("sealing_worker", setup, lock)
        self.under_way: deque[tuple[Order, Parcel]] = deque()

    def send(self, order: Order, parcel: Parcel) -> None:
        """Hand a parcel over."""
        self.under_way.append((order, parcel))
        order.under_way += 1
        self.process.send(parcel)

    def turn(self, wait: float) -> list[Sealed | None]:
        """What has been answered, at the latest ``wait`` seconds from now."""
        try:
            return [answers.decode(answer) for answer in self.process.turn(wait)]
        except msgspec.MsgspecError:
            self.process.alive = False
            return []

    def end(self) -> None:
        """End the process."""
        self.process.end(at_once=bool(self.under_way))


class Crew:
    """The workers of one call of ``record_many``. Not for use by two threads."""

    def __init__(self, session: Session, workers: int) -> None:
        self._workers: list[_Worker] = []
        self._ahead = AHEAD
        if not workers:
            return
        with session.ground.files.reading():
            store, _ = session.ground.keyring.identity()
            lock = session.ground.files.alive_descriptor
        setup = Setup(
            str(session.ground.path.absolute()),
            store,
            {number: policy.text for number, policy in session.history.policies.items()},
            session.purposes,
            session.keys.hand_over(),
        )
        try:
            for _ in range(workers):
                self._workers.append(_Worker(setup, lock))
        except OSError as error:
            _logger.warning("a sealing worker could not be started: %s", error.strerror)

    @property
    def processes(self) -> list[int]:
        """The ids of the workers' processes, those that have ended left out."""
        return [worker.process.process.pid for worker in self._workers if worker.process.alive]

    def hand(self, order: Order, parcel: Parcel) -> bool:
        """Hand a parcel to the worker with the least before it; False where none is free, or ready yet.

        A worker may have one more before it from when it is found to have run dry, which it has while its store's
        process wrote and merged, and one fewer from when that had to wait for it: so both are always at work.
        """
        self._turn(0.0)
        ready = [worker for worker in self._workers if worker.process.ready]
        worker = min(ready, key=lambda one: len(one.under_way), default=None)
        if worker is None or len(worker.under_way) >= self._ahead:
            return False
        if not worker.under_way:
            self._ahead = min(self._ahead + 1, MOST_AHEAD)
        worker.send(order, parcel)
        return True

    def gather(self, order: Order) -> None:
        """Wait until nothing of the order is under way any more."""
        self._turn(0.0)
        if order.under_way:
            self._ahead = max(self._ahead - 1, LEAST_AHEAD)
        waited_since, before = time.monotonic(), order.under_way
        while order.under_way:
            self._turn(LOOK_ROUND)
            if order.under_way < before:
                waited_since, before = time.monotonic(), order.under_way
            elif time.monotonic() - waited_since > PATIENCE:
                for worker in self._workers:
                    worker.process.alive = worker.process.alive and not worker.under_way
                self._turn(0.0)

    def _turn(self, wait: float) -> None:
        for worker in list(self._workers):
            self._listen(worker, wait if worker.under_way else 0.0)

    def _listen(self, worker: _Worker, wait: float) -> None:
        for answer in worker.turn(wait) if worker.process.alive else ():
            order, parcel = worker.under_way.popleft()
            order.under_way -= 1
            if answer is None:
                order.handed_back.append(parcel)
            else:
                order.sealed.append(answer)
        if not worker.process.alive:
            _logger.warning("a sealing worker has ended before its time; its events are sealed without it")
            for order, parcel in worker.under_way:
                order.under_way -= 1
                order.handed_back.append(parcel)
            worker.end()
            worker.under_way.clear()
            self._workers.remove(worker)

    def end(self) -> None:
        """End the workers and wait until they have ended. A second call does nothing."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
