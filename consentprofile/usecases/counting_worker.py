"""The far end of :mod:`consentprofile.usecases.counting_crew`: a process that counts for one release, and nothing else.

It holds the key of one purpose. It reads both files for itself, a slice at a time under the gate, as every reader does:
whoever destroys a key waits until the slice is over. It ends when the other side has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consentprofile.crypto.aead import SealingKey
from consentprofile.crypto.compartments import CompartmentOpener
from consentprofile.errors import ConsentProfileError
from consentprofile.model.policy import Policy
from consentprofile.model.policy_history import PolicyHistory
from consentprofile.model.projection import Projector
from consentprofile.release.spec_file import read_spec
from consentprofile.store.ports import CompartmentFiles, Compartments, Keyring, Terms
from consentprofile.usecases.books import Books
from consentprofile.usecases.counting import Counter
from consentprofile.usecases.counting_wire import Packed, Setup, setups, stretches
from consentprofile.usecases.held_terms import TermsBook
from consentprofile.usecases.judging import Question
from consentprofile.usecases.worker_process import frame
from consentprofile.usecases.worker_serving import serve


def main() -> None:
    """Serve the socket that is this process's standard input."""
    serve(lambda setup: _Desk(setups.decode(setup)).count)


class _Desk:
    """What a worker has at hand from one stretch to the next."""

    def __init__(self, setup: Setup) -> None:
        history = PolicyHistory({number: Policy.from_text(text) for number, text in setup.policies.items()})
        self._books = Books(history, TermsBook(history, Projector(history.policy), self._load))
        spec = read_spec(setup.spec, "specification", history.policy)
        suppressed = {tag: frozenset(reasons) for tag, reasons in setup.suppressed.items()}
        self._question = Question(spec, history.policy.purposes[spec.purpose], setup.number, setup.now, suppressed)
        self._opener = CompartmentOpener(setup.store, SealingKey(setup.key), spec.purpose)
        self._directory = Path(setup.directory)
        self._files: CompartmentFiles | None = None
        self._read: Keyring | None = None

    def count(self, task: bytes) -> bytearray:
        """The frame of the answer to a stretch."""
        stretch = stretches.decode(task)
        try:
            counter = Counter(self._question, self._books, self._opener)
            last = counter.run(self._gate, stretch.first, stretch.last)
            return frame(Packed.of(counter.tally(last)))
        except (ConsentProfileError, sqlite3.Error):
            return frame(None)

    @contextmanager
    def _gate(self) -> Iterator[Compartments]:
        if self._files is None:
            self._files = CompartmentFiles(self._directory)
        with self._files.reading() as (self._read, compartments):
            yield compartments

    def _load(self) -> dict[int, Terms]:
        return {} if self._read is None else self._read.all_terms()


if __name__ == "__main__":
    main()
