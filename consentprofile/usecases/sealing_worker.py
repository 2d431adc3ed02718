"""The far end of :mod:`consentprofile.usecases.sealing_crew`: a process that seals what it is handed, and nothing else.

It reads the keyring for one parcel at a time, under the gate, as every reader does: whoever destroys a key waits until
the parcel is sealed. Each key is opened for one account, and everything opened is gone before the gate is passed on. It
ends when the other side has.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from consentprofile.crypto.purpose_keys import PurposeKeys
from consentprofile.errors import ConsentProfileError
from consentprofile.model.policy import Policy
from consentprofile.model.policy_history import PolicyHistory
from consentprofile.model.projection import Projector
from consentprofile.store.ports import Keyring, KeyringFile, Terms
from consentprofile.usecases.held_terms import TermsBook
from consentprofile.usecases.sealing import Sealer, seal_parcel
from consentprofile.usecases.sealing_rules import Rules
from consentprofile.usecases.sealing_wire import Setup, parcels, setups
from consentprofile.usecases.worker_process import frame
from consentprofile.usecases.worker_serving import serve


def main() -> None:
    """Serve the socket that is this process's standard input."""
    serve(lambda setup: _Desk(setups.decode(setup)).seal)


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

    def seal(self, task: bytes) -> bytearray:
        """The frame of the answer to a parcel."""
        parcel = parcels.decode(task)
        sealer = Sealer(self._rules, self._keys.sealer, parcel.now)
        try:
            if self._keyring is None:
                self._keyring = KeyringFile(self._directory)
            with self._keyring.reading() as self._read:
                return frame(seal_parcel(parcel, self._read, self._terms.held, sealer))
        except (ConsentProfileError, sqlite3.Error):
            return frame(None)

    def _load(self) -> dict[int, Terms]:
        return {} if self._read is None else self._read.all_terms()


if __name__ == "__main__":
    main()
