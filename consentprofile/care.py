"""The face of care: what keeps a store safe, as a part of :class:`~consentprofile.client.Store`.

Backups of the data and of the keyring, apart from each other; and the journal of destroyed keys, which a restored
keyring is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from consentprofile.consenting import Consenting, PathLike
from consentprofile.crypto.providers import KeyProvider, Passphrase
from consentprofile.model.policy import Policy
from consentprofile.usecases import backup, doctor, recovery
from consentprofile.usecases import restore as restoring
from consentprofile.usecases.declared_files import load_policy
from consentprofile.usecases.doctor import Diagnosis
from consentprofile.usecases.recovery import RecoveredKey
from consentprofile.usecases.restore import Restored, Sources
from consentprofile.usecases.session import Clock, system_clock

DEFAULT_WAIT: Final = 5.0
"""Seconds that a call waits for another process before it raises :class:`StoreBusy`."""


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

    def write_recovery_copy(self, target: PathLike, *, key: KeyProvider, passphrase: Passphrase) -> None:
        """Seal the key that this store opens with under a long passphrase, in a new file (mode 0600).

        :func:`recover_key` makes the key file again from it, should it be lost. It is one more copy of the key, and
        counts for the shred horizon. ``key`` is what the store was opened with. Raises :class:`WrongKey`,
        :class:`KeyUnavailable` for a passphrase of fewer than 20 characters, :class:`InputError`, :class:`KeysRotated`.
        """
        recovery.write_recovery_copy(self._session, Path(target), key, passphrase)
        self._signed(None)

    def doctor(self, *, key_file: PathLike | None = None) -> Diagnosis:
        """What around the store is not as it should be, with what to do: places and who may read them, copies, clock.

        It needs no key. ``key_file`` is looked at, too, never opened. Cost: about a microsecond a leaf.
        """
        session = self._session
        key = None if key_file is None else Path(key_file)
        return doctor.examine_open(session.ground, key, session.by_the_clock())

    # ---- restoring -------------------------------------------------------------------------------

    @classmethod
    def restore(
        cls,
        path: PathLike,
        *,
        key: KeyProvider,
        data: PathLike | None = None,
        keyring: PathLike | None = None,
        journal: PathLike | None = None,
        policies: Sequence[PathLike | Policy] = (),
        accept_undone: bool = False,
        clock: Clock = system_clock,
        wait: float = DEFAULT_WAIT,
        progress: Callable[[str], None] | None = None,
    ) -> Restored:
        """Restore the store at ``path`` from copies of its data, of its keyring, or of both. Nobody may have it open.

        What was withdrawn or erased stays so, and what was given since the data was copied stays given. A keyring that
        is older than what has happened is told by the store's own log, or by the ``journal`` of destroyed keys, which
        had died since; where there is neither, ``accept_undone`` says that what they did may be undone. ``policies``
        are those that were accepted since the data was copied, where the store's own data is gone.

        The store is the old one or the new one, whole, whatever interrupts it. Raises :class:`RestoreRefused` where it
        would undo or lose more than it saves, :class:`WrongKey`, :class:`CorruptRecord`, :class:`StoreBusy`,
        :class:`UnreadableInput`, :class:`InputError`.
        """
        found = _sources(data, keyring, journal, policies)
        return restoring.restore(
            Path(path), key, clock, found, wait=wait, accept_undone=accept_undone, progress=progress
        )

    @classmethod
    def plan_restore(
        cls,
        path: PathLike,
        *,
        key: KeyProvider,
        data: PathLike | None = None,
        keyring: PathLike | None = None,
        journal: PathLike | None = None,
        policies: Sequence[PathLike | Policy] = (),
        clock: Clock = system_clock,
        wait: float = DEFAULT_WAIT,
        progress: Callable[[str], None] | None = None,
    ) -> Restored:
        """What :meth:`restore` would do, without doing it; it takes as long, and as much room."""
        found = _sources(data, keyring, journal, policies)
        return restoring.restore(Path(path), key, clock, found, wait=wait, dry_run=True, progress=progress)


def _sources(
    data: PathLike | None, keyring: PathLike | None, journal: PathLike | None, policies: Sequence[PathLike | Policy]
) -> Sources:
    return Sources(
        data=None if data is None else Path(data),
        keyring=None if keyring is None else Path(keyring),
        journal=None if journal is None else Path(journal),
        policies=tuple(load_policy(policy) for policy in policies),
    )


def recover_key(file: PathLike, key_file: PathLike, *, passphrase: Passphrase) -> RecoveredKey:
    """Make a new key file (mode 0600) from a recovery copy. It needs no store.

    Its line is also what the environment variable held, where the key came from one. Raises :class:`WrongKey` for
    another passphrase, :class:`KeyUnavailable` for no usable copy, :class:`InputError` where there is a file already.
    """
    return recovery.recover_key(Path(file), Path(key_file), passphrase)


def examine(
    path: PathLike, *, key_file: PathLike | None = None, clock: Clock = system_clock, wait: float = DEFAULT_WAIT
) -> Diagnosis:
    """As :meth:`Store.doctor`, of a store that is not open, without its key. Raises :class:`StoreNotFound`."""
    return doctor.examine(Path(path), None if key_file is None else Path(key_file), clock, wait=wait)
