"""The face of care: what keeps a store safe, as a part of :class:`~consentprofile.client.Store`.

Backups of the data and of the keyring, apart from each other; and the journal of destroyed keys, which a restored
keyring is told.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from consentprofile.consenting import Consenting, PathLike
from consentprofile.usecases import backup


class Care(Consenting):
    """An open store, as far as its safety goes: a base of :class:`~consentprofile.Store`, and no use by itself."""

    def back_up(self, target: PathLike) -> None:
        """Copy the data to a new file (mode 0600), while others go on. Without the keyring it is noise.

        What is withdrawn or erased later is gone from the copy, too. Raises :class:`InputError` where there is a file
        already, :class:`StoreFault` where none can be written.
        """
        backup.back_up(self._session, Path(target))
        self._signed(None)

    def back_up_keyring(self, target: PathLike) -> None:
        """Copy the keyring to a new file (mode 0600). Keep it apart from data backups, and for a short time."""
        backup.back_up_keyring(self._session, Path(target))
        self._signed(None)

    def journal(self, since: datetime | None = None) -> bytes:
        """The journal of destroyed keys, from the hour of ``since`` on: a line of JSON for each, and no people.

        Ship it off the machine as often as you can: a keyring that is restored from a backup is told by it which keys
        had died since. Raises :class:`InputError` for a time without a zone.
        """
        return backup.journal(self._session, since)
