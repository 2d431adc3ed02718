"""A process that works beside the one that has the store open, as that one sees it.

It is handed what it needs over a socket that has no name; nothing of that is in its arguments, its environment or a
file. It inherits the descriptor of the alive lock, so that nobody replaces the store's files under it, should its
store's process die.

What the two say to each other are frames: a length (``u32``, big-endian) and as many bytes. The store's process says a
setup once, then one task after the other; the worker answers ``true`` (MessagePack) when it is ready, then each task in
its order.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec

LENGTH: Final = struct.Struct(">I")

PATIENCE: Final = 30.0
"""Seconds without any answer after which a worker is taken for dead."""

START: Final = """
import sys
from types import ModuleType
package = sys.modules["consentprofile"] = ModuleType("consentprofile")
package.__path__ = [sys.argv[1]]
sys.path[:] = sys.argv[2:]
from consentprofile.usecases import {0} as work
work.main()
"""
"""The package's own face is passed by: it imports all that a store can do, which takes longer than everything that a
worker needs."""
PACKAGE: Final = str(Path(__file__).absolute().parents[1])
_PASSED_ON: Final = frozenset(
    {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONTZPATH"}
)
"""The environment that a worker sees. Everything else stays here: a key provider may have its secret there."""
_CALM: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""What is set there: numpy would start threads for products of matrices, of which there are none."""
_BUFFER: Final = 1 << 18

_encoder: Final = msgspec.msgpack.Encoder()
_READY: Final = _encoder.encode(True)


def frame(value: object) -> bytearray:
    """The bytes of a frame around the MessagePack of ``value``."""
    buffer = bytearray(LENGTH.size)
    _encoder.encode_into(value, buffer, LENGTH.size)
    LENGTH.pack_into(buffer, 0, len(buffer) - LENGTH.size)
    return buffer


class WorkerProcess:
    """One worker: the module of its program in this package, its setup, and the descriptor of the alive lock."""

    def __init__(self, program: str, setup: object, lock: int) -> None:
        self.wire, far = socket.socketpair()
        with far, ExitStack() as undo:
            undo.callback(self.wire.close)
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, with a program of our own
                [sys.executable, "-P", "-c", START.format(program), PACKAGE, *sys.path],
                stdin=far.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(lock,),
                env={name: value for name, value in os.environ.items() if name in _PASSED_ON} | _CALM,
            )
            undo.pop_all()
        self.wire.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self.wire.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self.ready = False
        self.alive = True
        """False when it has ended, or what it says makes no sense."""
        self.heard = 0
        """How many bytes it has said."""
        self._unsent = memoryview(frame(setup))
        self._received = bytearray()

    def send(self, task: object) -> None:
        """Hand a task over. What does not fit into the socket now is sent by :meth:`turn`."""
        framed = frame(task)
        self._unsent = memoryview(bytes(self._unsent) + framed) if self._unsent else memoryview(framed)
        try:
            self._push()
        except OSError:
            self.alive = False

    def turn(self, wait: float) -> list[bytes]:
        """Send what is to be sent, and the answers that have come, at the latest ``wait`` seconds from now."""
        try:
            if wait:
                select.select([self.wire], [self.wire] if self._unsent else [], [], wait)
            self._push()
            self._pull()
        except (OSError, EOFError):
            self.alive = False
            return []
        found = self._answers()
        if found and not self.ready:
            self.ready = found.pop(0) == _READY
            self.alive = self.ready
        return found

    def _push(self) -> None:
        with suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self.wire.send(self._unsent) :]

    def _pull(self) -> None:
        with suppress(BlockingIOError):
            while taken := self.wire.recv(_BUFFER):
                self._received += taken
                self.heard += len(taken)
            raise EOFError

    def _answers(self) -> list[bytes]:
        found: list[bytes] = []
        received, at = self._received, 0
        while len(received) >= at + LENGTH.size:
            (length,) = LENGTH.unpack_from(received, at)
            if len(received) < at + LENGTH.size + length:
                break
            at += LENGTH.size + length
            found.append(bytes(received[at - length : at]))
        del received[:at]
        return found

    def end(self, *, at_once: bool) -> None:
        """End the process, and wait until it has: what it had open is gone then.

        ``at_once``: it need not come to the end of what nobody waits for.
        """
        self.alive = False
        self.wire.close()
        if at_once or not self.ready:
            self.process.kill()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
