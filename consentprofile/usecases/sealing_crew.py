"""A crew of processes that seal beside the one that records: the near end.

Each worker is handed the policies and the purpose keys over a socket that has no name; nothing of that is in its
arguments, its environment or a file. It reads the keyring for itself, under the gate. It inherits the descriptor of the
alive lock, so that nobody replaces the store's files under it, should its store's process die.

A crew never decides anything and never fails: a parcel that a worker could not seal, or took with it when it died, is
handed back, and is sealed by whoever asked.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Final, Self

import msgspec

from consentprofile.usecases.sealing import Parcel, Sealed
from consentprofile.usecases.sealing_wire import LENGTH, Setup, answers, frame
from consentprofile.usecases.session import Session

AHEAD: Final = 8
"""Parcels that a worker may have before it: it must not idle while its store's process writes."""

LOOK_ROUND: Final = 0.2
"""Seconds after which whoever waits for a worker looks at the others."""

PATIENCE: Final = 30.0
"""Seconds without any answer after which a worker is taken for dead."""

_START: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from consentprofile.usecases import sealing_worker as w; w.main()"
)
_PASSED_ON: Final = frozenset(
    {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONTZPATH"}
)
"""The environment that a worker sees. Everything else stays here: a key provider may have its secret there."""
_BUFFER: Final = 1 << 18

_logger: Final = logging.getLogger("consentprofile")


class Order:
    """The parcels of one batch that the crew was handed, and what came of them."""

    def __init__(self) -> None:
        self.under_way = 0
        self.sealed: list[Sealed] = []
        self.handed_back: list[Parcel] = []
        """Parcels that whoever handed them over has to seal."""


class _Worker:
    """One worker process, as its store's process sees it."""

    def __init__(self, setup: Setup, lock: int) -> None:
        self.wire, far = socket.socketpair()
        with far, ExitStack() as undo:
            undo.callback(self.wire.close)
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, with a program of our own
                [sys.executable, "-P", "-c", _START, *sys.path],
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(lock,),
                env={name: value for name, value in os.environ.items() if name in _PASSED_ON},
            )
            undo.pop_all()
        self.wire.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self.wire.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self.ready = False
        self.alive = True
        self.under_way: deque[tuple[Order, Parcel]] = deque()
        self._unsent = memoryview(frame(setup))
        self._received = bytearray()

    def send(self, order: Order, parcel: Parcel) -> None:
        """Hand a parcel over. What does not fit into the socket now is sent by :meth:`turn`."""
        self.under_way.append((order, parcel))
        order.under_way += 1
        self._unsent = memoryview(bytes(self._unsent) + frame(parcel)) if self._unsent else memoryview(frame(parcel))
        try:
            self._push()
        except OSError:
            self.alive = False

    def turn(self, wait: float) -> list[Sealed | bool | None]:
        """Send what is to be sent, and what has been answered, at the latest ``wait`` seconds from now."""
        try:
            if wait:
                select.select([self.wire], [self.wire] if self._unsent else [], [], wait)
            self._push()
            self._pull()
            return self._answers()
        except (OSError, EOFError, msgspec.MsgspecError):
            self.alive = False
            return []

    def _push(self) -> None:
        with suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self.wire.send(self._unsent) :]

    def _pull(self) -> None:
        with suppress(BlockingIOError):
            while taken := self.wire.recv(_BUFFER):
                self._received += taken
            raise EOFError

    def _answers(self) -> list[Sealed | bool | None]:
        found: list[Sealed | bool | None] = []
        received, at = self._received, 0
        while len(received) >= at + LENGTH.size:
            (length,) = LENGTH.unpack_from(received, at)
            if len(received) < at + LENGTH.size + length:
                break
            at += LENGTH.size + length
            found.append(answers.decode(received[at - length : at]))
        del received[:at]
        return found

    def end(self) -> None:
        """End the process, and wait until it has: what it had open is gone then."""
        self.alive = False
        self.wire.close()
        if self.under_way or not self.ready:
            self.process.kill()  # it need not come to the end of what nobody waits for
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Crew:
    """The workers of one call of ``record_many``. Not for use by two threads."""

    def __init__(self, session: Session, workers: int) -> None:
        self._workers: list[_Worker] = []
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
        return [worker.process.pid for worker in self._workers if worker.alive]

    def hand(self, order: Order, parcel: Parcel) -> bool:
        """Hand a parcel to the worker with the least before it; False where none is free, or ready yet."""
        self._turn(0.0)
        free = [worker for worker in self._workers if worker.ready and len(worker.under_way) < AHEAD]
        if not free:
            return False
        worker = min(free, key=lambda one: len(one.under_way))
        worker.send(order, parcel)
        return True

    def gather(self, order: Order) -> None:
        """Wait until nothing of the order is under way any more."""
        waited_since, before = time.monotonic(), order.under_way
        while order.under_way:
            self._turn(LOOK_ROUND)
            if order.under_way < before:
                waited_since, before = time.monotonic(), order.under_way
            elif time.monotonic() - waited_since > PATIENCE:
                for worker in self._workers:
                    worker.alive = worker.alive and not worker.under_way
                self._turn(0.0)

    def _turn(self, wait: float) -> None:
        for worker in list(self._workers):
            self._listen(worker, wait if worker.under_way else 0.0)

    def _listen(self, worker: _Worker, wait: float) -> None:
        for answer in worker.turn(wait) if worker.alive else ():
            if isinstance(answer, bool):
                worker.ready = True
                continue
            order, parcel = worker.under_way.popleft()
            order.under_way -= 1
            if answer is None:
                order.handed_back.append(parcel)
            else:
                order.sealed.append(answer)
        if not worker.alive:
            _logger.warning("a sealing worker has ended before its time; its events are sealed without it")
            for order, parcel in worker.under_way:
                order.under_way -= 1
                order.handed_back.append(parcel)
            worker.end()
            worker.under_way.clear()
            self._workers.remove(worker)

    def wait_until_ready(self, seconds: float = PATIENCE) -> bool:
        """Wait until every worker can be handed something; whether all can."""
        until = time.monotonic() + seconds
        while not all(worker.ready for worker in self._workers) and time.monotonic() < until:
            for worker in list(self._workers):
                self._listen(worker, LOOK_ROUND)
        return all(worker.ready for worker in self._workers)

    def end(self) -> None:
        """End the workers and wait until they have ended. A second call does nothing."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
