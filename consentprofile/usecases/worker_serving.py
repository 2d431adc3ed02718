"""The far end of :mod:`consentprofile.usecases.worker_process`: serving one store's process until it has ended."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import Final

from consentprofile.usecases.worker_process import LENGTH, frame

LOOK_ROUND: Final = 1.0
"""Seconds after which an idle worker looks whether its store's process is still there. A process that this one forked
may hold the other end of the socket open beyond its death."""

PATIENCE: Final = 60.0
"""Seconds within which the other side takes an answer, or is taken for dead."""

Desk = Callable[[bytes], bytearray]
"""Answers a task with a frame."""


class _Gone(Exception):
    """The other side has ended."""


def serve(set_up: Callable[[bytes], Desk]) -> None:
    """Serve the socket that is this process's standard input: ``set_up`` is given the setup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the store's process, which ends its workers
    parent = os.getppid()
    with socket.socket(fileno=os.dup(0)) as wire:
        wire.settimeout(LOOK_ROUND)
        try:
            _serve(wire, parent, set_up)
        except (_Gone, OSError):
            return


def _serve(wire: socket.socket, parent: int, set_up: Callable[[bytes], Desk]) -> None:
    desk = set_up(_receive(wire, parent))
    # What is alive now stays so, and tasks leave no cycles: the collector would only walk through them.
    gc.freeze()
    gc.disable()
    wire.sendall(frame(True))
    while True:
        answer = desk(_receive(wire, parent))
        wire.settimeout(PATIENCE)
        wire.sendall(answer)
        wire.settimeout(LOOK_ROUND)


def _receive(wire: socket.socket, parent: int) -> bytes:
    (length,) = LENGTH.unpack(_exactly(wire, LENGTH.size, parent))
    return _exactly(wire, length, parent)


def _exactly(wire: socket.socket, count: int, parent: int) -> bytes:
    buffer = bytearray(count)
    view, done = memoryview(buffer), 0
    while done < count:
        try:
            taken = wire.recv_into(view[done:])
        except TimeoutError:
            if os.getppid() != parent:
                raise _Gone from None
            continue
        if not taken:
            raise _Gone
        done += taken
    return bytes(buffer)
