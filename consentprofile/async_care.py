"""The face of care for asyncio, as a part of :class:`~consentprofile.async_client.AsyncStore`.

Each method is that of :class:`~consentprofile.care.Care`, carried out in a worker thread; what it promises and raises
is said there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from consentprofile.async_calls import Call, run
from consentprofile.care import DEFAULT_WAIT, Care
from consentprofile.consenting import PathLike
from consentprofile.crypto.providers import KeyProvider, Passphrase
from consentprofile.model.policy import Policy
from consentprofile.usecases.doctor import Diagnosis
from consentprofile.usecases.restore import Restored
from consentprofile.usecases.session import Clock, system_clock


class AsyncCare:
    """What keeps an open store safe, for asyncio."""

    _store: Care

    async def back_up(self, target: PathLike) -> None:
        """As :meth:`Store.back_up`."""
        await run(lambda: self._store.back_up(target))

    async def back_up_keyring(self, target: PathLike) -> None:
        """As :meth:`Store.back_up_keyring`."""
        await run(lambda: self._store.back_up_keyring(target))

    async def journal(self, since: datetime | None = None) -> bytes:
        """As :meth:`Store.journal`."""
        return await run(lambda: self._store.journal(since))

    async def write_recovery_copy(self, target: PathLike, *, key: KeyProvider, passphrase: Passphrase) -> None:
        """As :meth:`Store.write_recovery_copy`."""
        await run(lambda: self._store.write_recovery_copy(target, key=key, passphrase=passphrase))

    async def doctor(self, *, key_file: PathLike | None = None) -> Diagnosis:
        """As :meth:`Store.doctor`."""
        return await run(lambda: self._store.doctor(key_file=key_file))

    @classmethod
    async def restore(
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
        """As :meth:`Store.restore`. Cancelling it leaves the store as it was, or restored."""
        call = Call()
        told = call.telling(progress)
        return await call.run(
            lambda: Care.restore(
                path,
                key=key,
                data=data,
                keyring=keyring,
                journal=journal,
                policies=policies,
                accept_undone=accept_undone,
                clock=clock,
                wait=wait,
                progress=told,
            )
        )

    @classmethod
    async def plan_restore(
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
        """As :meth:`Store.plan_restore`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(
            lambda: Care.plan_restore(
                path,
                key=key,
                data=data,
                keyring=keyring,
                journal=journal,
                policies=policies,
                clock=clock,
                wait=wait,
                progress=told,
            )
        )
