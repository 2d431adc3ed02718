"""Other processes: what is measured from outside, or alone. The roles they play are in :mod:`benchmarks.roles`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

ROOT: Final = Path(__file__).resolve().parents[1]

T = TypeVar("T")


def start(role: str, task: msgspec.Struct, *, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a process that plays ``role``. It prints what it has to say, line by line, and waits for what it reads."""
    command = [sys.executable, "-m", "benchmarks.roles", role, msgspec.json.encode(task).decode()]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def answer(process: subprocess.Popen[str], kind: type[T]) -> T:
    """The next line that a process prints. Raises :class:`RuntimeError` for one that has failed."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process of the benchmark ended with {process.wait()}")
    return msgspec.json.decode(line, type=kind)


def tell(process: subprocess.Popen[str]) -> None:
    """Let a process go on that waits to be told."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str]) -> None:
    """Wait for a process that has nothing more to say. Raises :class:`RuntimeError` for one that has failed."""
    process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"a process of the benchmark ended with {process.returncode}")


def play(role: str, task: msgspec.Struct, kind: type[T], *, environment: Mapping[str, str] | None = None) -> T:
    """Start a process, hear its one answer, and wait for its end."""
    with start(role, task, environment=environment) as process:
        found = answer(process, kind)
        end(process)
    return found


def say(answer: object) -> None:
    """Print a line that :func:`answer` of the other process reads."""
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


class Listener(Generic[T]):
    """Hears the next line of a process in a thread, while this one does something else until then."""

    def __init__(self, process: subprocess.Popen[str], kind: type[T]) -> None:
        self.done = threading.Event()
        self._process = process
        self._kind = kind
        self._found: list[T] = []
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        try:
            self._found.append(answer(self._process, self._kind))
        finally:
            self.done.set()

    def result(self) -> T:
        """What was heard. Raises :class:`RuntimeError` where nothing was."""
        self._thread.join()
        if not self._found:
            raise RuntimeError("a process of the benchmark has failed")
        return self._found[0]


# ---- memory --------------------------------------------------------------------------------------


def peak_kib(pid: int | str = "self") -> int:
    """The most memory that a process has had resident, in KiB; 0 where it cannot be told. Linux."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0
    # (Linux hands the peak of the process that started this one on to getrusage, so that would not do.)
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def children(pid: int) -> list[int]:
    """The processes that this one has started and that still run. Linux."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except OSError:
        return []
    return [int(child) for child in found.split()]


class Watch:
    """Looks at the memory of this process's children, ten times a second; the sum of their peaks, KiB."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.peak = max(self.peak, sum(map(peak_kib, children(os.getpid()))))

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def drop_pages(folder: Path) -> bool:
    """Have the system forget the pages of the closed files in ``folder``; False where it cannot be asked to."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)  # (a page that is not written back yet stays)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    return True
