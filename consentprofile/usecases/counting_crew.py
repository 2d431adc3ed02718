"""A crew of processes that count for one release, this one among them: the near end.

A crew never decides anything and never fails: a stretch that a worker could not count, or took with it when it died, is
counted by whoever asked, who learns of any error himself. Meanwhile he counts like the others, and looks round between
two slices.
"""

from __future__ import annotations

import logging
import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec

from consentprofile.usecases.counting import Tally
from consentprofile.usecases.counting_wire import Setup, Stretch, answers
from consentprofile.usecases.stretches import Stretches
from consentprofile.usecases.worker_process import PATIENCE, WorkerProcess

AHEAD: Final = 2
"""Stretches that a worker may have before it, so that it need not wait for the next one."""

LOOK_ROUND: Final = 0.2
"""Seconds after which whoever waits for an answer looks whether the workers are still there."""

Here = Callable[[Stretch, Callable[[], object]], Tally]
"""Counts a stretch in this process, and calls what it is given from time to time, never under the gate."""

_logger: Final = logging.getLogger("consentprofile")


class _Worker:
    """A worker, and the stretches that are under way to it and back."""

    def __init__(self, setup: Setup, lock: int) -> None:
        self.process = WorkerProcess("counting_worker", setup, lock)
        self.under_way: deque[Stretch] = deque()
        self._since = time.monotonic()
        """When it began to owe an answer, or was last heard of after that."""

    def send(self, stretch: Stretch) -> None:
        """Hand a stretch over."""
        if not self.under_way:
            self._since = time.monotonic()
        self.under_way.append(stretch)
        self.process.send(stretch)

    def answered(self) -> list[tuple[Stretch, Tally | None]]:
        """The stretches that have been answered. What came while nobody looked counts as heard now."""
        before = self.process.heard
        try:
            found = [answers.decode(answer) for answer in self.process.turn(0.0)]
        except msgspec.MsgspecError:
            self.process.alive = False
            return []
        if self.process.heard != before:
            self._since = time.monotonic()
        elif self.under_way and time.monotonic() - self._since > PATIENCE:
            self.process.alive = False
        return [(self.under_way.popleft(), None if one is None else one.tally) for one in found]


class CountingCrew:
    """Some workers, one for each setup; the descriptor is that of the alive lock."""

    def __init__(self, setups: Sequence[Setup], lock: int) -> None:
        self._workers: list[_Worker] = []
        self._waiting = Stretches()
        self._tallies: deque[tuple[Stretch, Tally]] = deque()
        """What has been answered, and not been told yet."""
        self._handed_back: deque[Stretch] = deque()
        """What a worker could not count."""
        try:
            for setup in setups:
                self._workers.append(_Worker(setup, lock))
        except OSError as error:
            _logger.warning("a counting worker could not be started: %s", error.strerror)
        except BaseException:  # Ctrl-C: those that were started are not left behind
            self.end()
            raise

    @property
    def processes(self) -> list[int]:
        """The ids of the workers' processes, those that have ended left out."""
        return [worker.process.process.pid for worker in self._workers if worker.process.alive]

    def count(self, whole: Stretch, here: Here) -> Iterator[tuple[Stretch, Tally]]:
        """The tallies of all slots of ``whole``, in any order, as they come; to be called once.

        A stretch that was not counted to its end is told as far as it was, and what is left of it comes later.
        """
        self._waiting.put_back([whole])
        while self._look_round() or self._under_way():
            if self._tallies:
                yield self._told(*self._tallies.popleft())
            elif self._handed_back or self._waiting:
                stretch = self._handed_back.popleft() if self._handed_back else self._take()
                yield self._told(stretch, here(stretch, self._look_round))
            else:
                select.select([worker.process.wire for worker in self._workers], [], [], LOOK_ROUND)

    def _under_way(self) -> bool:
        return any(worker.under_way for worker in self._workers)

    def _take(self) -> Stretch:
        return self._waiting.take(len(self._workers) + 1)

    def _look_round(self) -> bool:
        """Take what has been answered and hand out what workers can take, without waiting; whether there is anything
        to be told or counted here."""
        for worker in list(self._workers):
            for stretch, tally in worker.answered():
                if tally is None:
                    self._handed_back.append(stretch)
                else:
                    self._tallies.append((stretch, tally))
            if not worker.process.alive:
                _logger.warning("a counting worker has ended before its time; the others count what it had")
                self._waiting.put_back(worker.under_way)
                worker.process.end(at_once=True)
                self._workers.remove(worker)
        for before in range(AHEAD):
            for worker in self._workers:
                if self._waiting and worker.process.ready and len(worker.under_way) == before:
                    worker.send(self._take())
        return bool(self._tallies or self._handed_back or self._waiting)

    def _told(self, stretch: Stretch, tally: Tally) -> tuple[Stretch, Tally]:
        """What was counted of a stretch; the rest of it waits."""
        if tally.last < stretch.last:
            self._waiting.put_back([Stretch(tally.last + 1, stretch.last)])
        return Stretch(stretch.first, tally.last), tally

    def end(self) -> None:
        """End the workers and wait until they have ended: they only read. A second call does nothing."""
        for worker in self._workers:
            worker.process.end(at_once=True)
        self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
