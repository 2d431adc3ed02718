"""The face of upkeep for asyncio: :class:`AsyncUpkeep`, had as ``store.upkeep`` of an ``AsyncStore``.

Each method is that of :class:`~consentprofile.upkeep.Upkeep`, carried out in a worker thread; what it promises and
raises is said there.
"""

from __future__ import annotations

from collections.abc import Callable

from consentprofile.async_calls import Call, run
from consentprofile.upkeep import EVERY, Upkeep
from consentprofile.usecases import compaction, expiry, retention


class AsyncUpkeep:
    """What an open store needs done from time to time, for asyncio. Had as ``store.upkeep``."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    async def step(self) -> bool:
        """As :meth:`Upkeep.step`."""
        return await run(self._upkeep.step)

    async def compact(
        self, *, everything: bool = False, progress: Callable[[int], None] | None = None
    ) -> compaction.Compacted:
        """As :meth:`Upkeep.compact`. Cancelling it ends it after a slice; what was compacted by then stays."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._upkeep.compact(everything=everything, progress=told))

    async def plan_retention(self) -> retention.RetentionPlan:
        """As :meth:`Upkeep.plan_retention`."""
        return await run(self._upkeep.plan_retention)

    async def run_retention(
        self, *, attended: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> retention.Retained:
        """As :meth:`Upkeep.run_retention`. Cancelling it ends it between two slices; what is destroyed stays so."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._upkeep.run_retention(attended=attended, progress=told))

    async def plan_expiry(self) -> expiry.Expiry:
        """As :meth:`Upkeep.plan_expiry`."""
        return await run(self._upkeep.plan_expiry)

    async def expire_consents(self, *, attended: bool = False) -> expiry.Expiry:
        """As :meth:`Upkeep.expire_consents`."""
        return await run(lambda: self._upkeep.expire_consents(attended=attended))

    async def start(self, every: float = EVERY) -> None:
        """As :meth:`Upkeep.start`: a thread, not a task of the event loop."""
        await run(lambda: self._upkeep.start(every))

    async def stop(self) -> None:
        """As :meth:`Upkeep.stop`."""
        await run(self._upkeep.stop)

    def __repr__(self) -> str:
        return "<AsyncUpkeep>"
