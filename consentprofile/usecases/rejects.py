"""The file of rows that were not taken: where each stood and why, never what it said."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from consentprofile.errors import InputError

HEADER: Final = ("line", "reason")

_NDJSON_SUFFIXES: Final = frozenset({".ndjson", ".jsonl"})


class Rejects:
    """Writes one line for each refused row, into a file that is created with the first one, for its owner alone.

    NDJSON where the name ends in ``.ndjson`` or ``.jsonl``, CSV otherwise; columns ``line`` and ``reason``. With None
    for a path nothing is written, only counted. A file that is there already is never overwritten.

    Raises :class:`InputError` if there is such a file, or when it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.count = 0
        self._path = None if path is None else Path(path)
        self._file: TextIO | None = None
        if self._path is not None and os.path.lexists(self._path):
            raise InputError("the file for refused rows is there already; remove it or name another")
        if self._path is not None and not os.access(self._path.absolute().parent, os.W_OK | os.X_OK):
            raise InputError("the file for refused rows cannot be created: its folder is missing or not writable")

    def write(self, line: int, reason: str) -> None:
        """Note that the row that begins on ``line`` was refused."""
        self.count += 1
        if self._path is None:
            return
        try:
            if self._file is None:
                self._file = _create(self._path)
                if not self._ndjson:
                    csv.writer(self._file, lineterminator="\n").writerow(HEADER)
            if self._ndjson:
                self._file.write(json.dumps(dict(zip(HEADER, (line, reason), strict=True)), ensure_ascii=False) + "\n")
            else:
                csv.writer(self._file, lineterminator="\n").writerow((line, reason))
        except OSError as error:
            raise InputError(f"the file for refused rows cannot be written: {error.strerror}") from None

    @property
    def _ndjson(self) -> bool:
        return self._path is not None and self._path.suffix in _NDJSON_SUFFIXES

    def close(self) -> None:
        """Close the file, if there is one. Raises :class:`InputError` if its last lines cannot be written."""
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as error:
            raise InputError(f"the file for refused rows cannot be written: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _create(path: Path) -> TextIO:
    # O_EXCL also refuses a symbolic link that somebody put there meanwhile.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")
