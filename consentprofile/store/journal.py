"""The destruction journal: one line for each key that was destroyed, so that a restored keyring can be told what had
died since it was copied.

A line is canonical JSON and a newline::

    {"generation":0,"hour":"2024-03-01T12:00:00Z","key_id":"<32 hex digits>","operation":"erased","slot":17}

``operation`` is that of the key's leaf in the audit log, or ``succeeded`` for a key whose place another one took. No
line says whose key it was; two lines with one slot say that both keys were of that slot. The file is only ever appended
to, under the writer lock, and a line is durable before the pending work that it is of is cleared. So a crash may repeat
a line, or tear the last one: repeated lines mean nothing, a torn one is cut by whoever writes next.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from consentprofile import canonical
from consentprofile.errors import CorruptRecord, StoreFault

JOURNAL: Final = "destroyed.journal"
"""The file, in the store's directory."""

SUCCEEDED: Final = "succeeded"
"""The operation of a key whose place another one took."""

_HOUR: Final = "%Y-%m-%dT%H:00:00Z"
_SECONDS_AN_HOUR: Final = 3600
_KEY_ID_BYTES: Final = 16


class Destruction(NamedTuple):
    """One key that was destroyed: where it lived, its random id, by what operation, and in which hour since 1970."""

    slot: int
    generation: int
    key_id: bytes
    operation: str
    hour: int


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    slot: int
    generation: int
    key_id: str
    operation: str
    hour: str


def encode(destruction: Destruction) -> bytes:
    """The line of a destroyed key."""
    slot, generation, key_id, operation, hour = destruction
    when = datetime.fromtimestamp(hour * _SECONDS_AN_HOUR, UTC).strftime(_HOUR)
    return canonical.json_bytes(_Line(slot, generation, key_id.hex(), operation, when)) + b"\n"


def decode(line: bytes) -> Destruction:
    """The destroyed key that a line, its newline included, tells of. Raises :class:`CorruptRecord` for any other."""
    try:
        told = msgspec.json.decode(line, type=_Line)
        second = int(datetime.strptime(told.hour, _HOUR).replace(tzinfo=UTC).timestamp())
        key_id = bytes.fromhex(told.key_id)
        found = Destruction(told.slot, told.generation, key_id, told.operation, second // _SECONDS_AN_HOUR)
    except (msgspec.MsgspecError, ValueError):
        raise _not_a_line() from None
    if len(key_id) != _KEY_ID_BYTES or min(found.slot, found.generation) < 0 or encode(found) != line:
        raise _not_a_line()
    return found


def read(path: Path) -> Iterator[Destruction]:
    """The destroyed keys of a journal, in order; nothing where there is no file. A torn last line is left out.

    Raises :class:`CorruptRecord` with the number of a line that is not one: what it told of would go unnoticed.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield decode(line)
                except CorruptRecord:
                    raise _not_a_line(number) from None
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreFault(f"the destruction journal cannot be read: {error.strerror}") from None


def _not_a_line(number: int | None = None) -> CorruptRecord:
    which = "a line" if number is None else f"line {number}"
    return CorruptRecord(f"{which} of the destruction journal is not one that was written there; take another copy")


class Journal:
    """The journal of one store."""

    def __init__(self, directory: Path) -> None:
        self.path: Final = directory / JOURNAL

    def note(self, destructions: Sequence[Destruction]) -> None:
        """Append a line for each, durable when it returns. The caller holds the writer lock.

        Raises :class:`StoreFault` where it cannot be written; then some lines may be there.
        """
        if not destructions:
            return
        try:
            self._append(b"".join(map(encode, destructions)))
        except OSError as error:
            raise StoreFault(
                f"dead keys stay dead, but the destruction journal cannot be written ({error.strerror}); put that "
                "right: it is finished with the next change"
            ) from None

    def _append(self, lines: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "not a regular file")
            if not status.st_size:
                self._settle_in_directory()
            _cut_torn_line(descriptor, status.st_size)
            while lines:
                lines = lines[os.write(descriptor, lines) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _settle_in_directory(self) -> None:
        """A file that has lines is there to stay: its name is durable before the first of them."""
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _cut_torn_line(descriptor: int, size: int) -> None:
    """Cut what stands after the last newline: a line that a crash has torn, which is about to be written again."""
    end = size
    while end:
        start = max(0, end - 4096)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
