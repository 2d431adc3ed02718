"""Another process on the same store: it speaks JSON lines over its standard input and output.

Besides the commands of :mod:`tests.support.commands` it knows ``open`` and ``close``, and ``crash``: a child of its own
opens the store, carries out a command, and ends without any warning at a step of pending work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import consentprofile as cp
from tests.support.commands import Command, Json, execute
from tests.support.shapes import arrange_small
from tests.support.stores import SetClock

ROOT = Path(__file__).resolve().parents[2]
KILLED = 97


class Peer:
    """The near end: starts the process, and waits for an answer to each command."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.peer"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    @property
    def process_id(self) -> int:
        """The id of the process."""
        return self._process.pid

    def ask(self, command: Command, *, skip: int = 0) -> Json:
        """The answer to a command; so many answers that nobody has heard yet are passed over."""
        self.tell(command)
        for _ in range(skip):
            self.hear()
        return self.hear()

    def tell(self, command: Command) -> None:
        """Send a command without waiting."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Json:
        """The answer to the oldest command that was not answered."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the other process has ended")
        answer: Json = json.loads(line)
        return answer

    def open(self, path: Path, key: Path, now: int, *, wait: float = 5.0, capability: bool = False) -> None:
        """Open a store over there, closing the one before; ``key`` is a key file, or a capability."""
        request = {"path": str(path), "key": str(key), "now": now, "wait": wait, "capability": capability}
        answer = self.ask({"do": "open", **request})
        assert answer == {"answer": None}, answer

    def close_store(self) -> None:
        """Close the store over there."""
        assert self.ask({"do": "close"}) == {"answer": None}

    def crash(self, path: Path, key: Path, now: int, step: str, command: Command) -> bool:
        """Let a new process carry out the command and end at ``step``; whether it got there."""
        request = {"do": "crash", "path": str(path), "key": str(key), "now": now, "step": step, "command": command}
        answer = self.ask(request)
        assert isinstance(answer, dict)
        assert answer["answer"] in (0, KILLED), answer
        return answer["answer"] == KILLED

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self._process.kill()
        self._finish()

    def end(self) -> None:
        """Let the process come to its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._finish()

    def _finish(self) -> None:
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None and error is None:
            self.end()
        else:
            self.kill()


# ---- the far end --------------------------------------------------------------------------------


def _open(command: Mapping[str, object], clock: SetClock) -> cp.Store:
    wait = float(str(command.get("wait", 5.0)))
    named = str(command["key"])
    key = cp.Capability(named) if command.get("capability") else cp.KeyFile(named)
    return cp.Store.open(str(command["path"]), key=key, clock=clock, durability="relaxed", wait=wait)


def _crash(command: Mapping[str, object], clock: SetClock) -> int:
    child = os.fork()
    if child == 0:
        try:
            store = _open(command, clock)

            def observe(step: str) -> None:
                if step == command["step"]:
                    os._exit(KILLED)

            store._session.ground.pending._observe = observe
            inner = command["command"]
            assert isinstance(inner, dict)
            answer = execute(store, inner)
            store.close()
            os._exit(0 if isinstance(answer, dict) and "answer" in answer else 3)
        except BaseException:  # noqa: BLE001 - told by the exit code; a fork must not go on
            sys.excepthook(*sys.exc_info())
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def serve() -> None:
    """Answer commands until the input ends."""
    arrange_small()
    clock = SetClock()
    store: cp.Store | None = None
    for line in sys.stdin:
        command = json.loads(line)
        clock.second = command.pop("now", clock.second)
        answer: Json = {"answer": None}
        if command["do"] in ("open", "close"):
            if store is not None:
                store.close()
            store = _open(command, clock) if command["do"] == "open" else None
        elif command["do"] == "crash":
            answer = {"answer": _crash(command, clock)}
        else:
            assert store is not None
            answer = execute(store, command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    if store is not None:
        store.close()


if __name__ == "__main__":
    serve()
