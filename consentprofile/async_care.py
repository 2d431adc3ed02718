"""The face of care for asyncio, as a part of :class:`~consentprofile.async_client.AsyncStore`.

Each method is that of :class:`~consentprofile.care.Care`, carried out in a worker thread; what it promises and raises
is said there.
"""

from __future__ import annotations

from datetime import datetime

from consentprofile.async_calls import run
from consentprofile.care import Care
from consentprofile.consenting import PathLike


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
