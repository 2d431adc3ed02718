"""A crew of processes that count for one release: the near end.

A crew never decides anything and never fails: a stretch that a worker could not count, or took with it when it died, is
counted by whoever asked, who learns of any error himself.
"""

from __future__ import annotations

import logging
import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

import msgspec

from consentprofile.usecases.counting import Tally
from consentprofile.usecases.counting_wire import Setup, Stretch, answers
from consentprofile.usecases.worker_process import PATIENCE, WorkerProcess

AHEAD: Final = 2
"""Stretches that a worker may have before it, so that it need not wait for the next one."""

LOOK_ROUND: Final = 0.2
"""Seconds after which whoever waits for an answer looks whether the workers are still there."""

_logger: Final = logging.getLogger("consentprofile")


class _Worker:
    """A worker, and the stretches that are under way to it and back."""

    def __init__(self, setup: Setup, lock: int) -> None:
        self.process = WorkerProcess("counting_worker", setup, lock)
        self.under_way: deque[Stretch] = deque()
        self.since = time.monotonic()
        """When it was last heard of."""

    def send(self, stretch: Stretch) -> None:
        """Hand a stretch over."""
        if not self.under_way:
            self.since = time.monotonic()
        self.under_way.append(stretch)
        self.process.send(stretch)

    def answered(self) -> list[tuple[Stretch, Tally | None]]:
        """The stretches that have been answered."""
        try:
            found = [answers.decode(answer) for answer in self.process.turn(0.0)]
        except msgspec.MsgspecError:
            self.process.alive = False
            return []
        if found:
            self.since = time.monotonic()
        elif self.under_way and time.monotonic() - self.since > PATIENCE:
            self.process.alive = False
        return [(self.under_way.popleft(), None if one is None else one.tally) for one in found]


class CountingCrew:
    """Some workers, one for each setup; the descriptor is that of the alive lock."""

    def __init__(self, setups: Sequence[Setup], lock: int) -> None:
        self._workers: list[_Worker] = []
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

    def count(self, stretches: Iterable[Stretch], here: Callable[[Stretch], Tally]) -> Iterator[tuple[Stretch, Tally]]:
        """The tallies of all stretches as they come; ``here`` counts one where no worker can.

        A stretch that was not counted to its end is told as far as it was, and what is left of it comes next.
        """
        waiting = deque(stretches)
        while waiting or any(worker.under_way for worker in self._workers):
            for worker in self._workers:
                while waiting and worker.process.ready and len(worker.under_way) < AHEAD:
                    worker.send(waiting.popleft())
            if waiting and not any(worker.process.ready for worker in self._workers):
                stretch = waiting.popleft()  # workers take half a second to begin
                yield _told(stretch, here(stretch), waiting)
            else:
                select.select([worker.process.wire for worker in self._workers], [], [], LOOK_ROUND)
            for worker in list(self._workers):
                for stretch, tally in worker.answered():
                    yield _told(stretch, here(stretch) if tally is None else tally, waiting)
                if not worker.process.alive:
                    _logger.warning("a counting worker has ended before its time; the others count what it had")
                    waiting.extendleft(worker.under_way)
                    worker.process.end(at_once=True)
                    self._workers.remove(worker)

    def end(self) -> None:
        """End the workers and wait until they have ended. A second call does nothing."""
        for worker in self._workers:
            worker.process.end(at_once=bool(worker.under_way))
        self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()


def _told(stretch: Stretch, tally: Tally, waiting: deque[Stretch]) -> tuple[Stretch, Tally]:
    """What was counted of a stretch; the rest of it waits."""
    if tally.last < stretch.last:
        waiting.appendleft(Stretch(tally.last + 1, stretch.last))
    return Stretch(stretch.first, tally.last), tally
