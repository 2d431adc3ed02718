"""The far end of :mod:`consentprofile.usecases.sealing_crew`: a process that seals what it is handed, and nothing else.

It reads the keyring for one parcel at a time, under the gate, as every reader does: whoever destroys a key waits until
the parcel is sealed. Each key is opened for one account, and everything opened is gone before the gate is passed on. It
ends when the other side has.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sqlite3
from pathlib import Path
from typing import Final

from consentprofile.crypto.purpose_keys import PurposeKeys
from consentprofile.errors import ConsentProfileError
from consentprofile.model.policy import Policy
from consentprofile.model.policy_history import PolicyHistory
from consentprofile.model.projection import Projector
from consentprofile.store.ports import Keyring, KeyringFile, Terms
from consentprofile.usecases.held_terms import TermsBook
from consentprofile.usecases.sealing import Parcel, Rules, Sealer, seal_parcel
from consentprofile.usecases.sealing_wire import LENGTH, Setup, frame, parcels, setups

LOOK_ROUND: Final = 1.0
"""Seconds after which an idle worker looks whether its store's process is still there. A process that this one forked
may hold the other end of the socket open beyond its death."""

PATIENCE: Final = 60.0
"""Seconds within which the other side takes an answer, or is taken for dead."""


class _Gone(Exception):
    """The other side has ended."""


def main() -> None:
    """Serve the socket that is this process's standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the store's process, which ends its workers
    parent = os.getppid()
    with socket.socket(fileno=os.dup(0)) as wire:
        wire.settimeout(LOOK_ROUND)
        try:
            _serve(wire, parent)
        except (_Gone, OSError):
            return


def _serve(wire: socket.socket, parent: int) -> None:
    desk = _Desk(setups.decode(_receive(wire, parent)))
    # What is alive now stays so, and parcels leave no cycles: the collector would only walk through them.
    gc.freeze()
    gc.disable()
    wire.sendall(frame(True))
    while True:
        answer = desk.seal(parcels.decode(_receive(wire, parent)))
        wire.settimeout(PATIENCE)
        wire.sendall(answer)
        wire.settimeout(LOOK_ROUND)


class _Desk:
    """What a worker has at hand from one parcel to the next."""

    def __init__(self, setup: Setup) -> None:
        history = PolicyHistory({number: Policy.from_text(text) for number, text in setup.policies.items()})
        projector = Projector(history.policy)
        self._rules = Rules(history.policy, history.number, projector, history.calendar, setup.purposes)
        self._terms = TermsBook(history, projector, self._load)
        self._keys = PurposeKeys(setup.store, setup.keys)
        self._directory = Path(setup.directory)
        self._keyring: KeyringFile | None = None
        self._read: Keyring | None = None

    def seal(self, parcel: Parcel) -> bytearray:
        """The frame of the answer to a parcel."""
        sealer = Sealer(self._rules, self._keys.unwrap, parcel.now)
        try:
            if self._keyring is None:
                self._keyring = KeyringFile(self._directory)
            with self._keyring.reading() as self._read:
                return frame(seal_parcel(parcel, self._read, self._terms.held, sealer))
        except (ConsentProfileError, sqlite3.Error):
            return frame(None)

    def _load(self) -> dict[int, Terms]:
        return {} if self._read is None else self._read.all_terms()


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


if __name__ == "__main__":
    main()
