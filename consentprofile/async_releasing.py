"""The face of releases for asyncio, as a part of :class:`~consentprofile.async_client.AsyncStore`.

Each method is that of :class:`~consentprofile.releasing.Releasing`, carried out in a worker thread; what it promises
and raises is said there.
"""

from __future__ import annotations

from collections.abc import Sequence

from consentprofile.async_calls import Call, run
from consentprofile.consenting import PathLike
from consentprofile.release.derived import Also
from consentprofile.release.figures import Figures
from consentprofile.release.plan import ReleasePlan
from consentprofile.releasing import Releasing
from consentprofile.usecases import release as releases
from consentprofile.usecases.approval import ReleaseApproval
from consentprofile.usecases.budget import Budget
from consentprofile.usecases.census import Progress
from consentprofile.usecases.released import Released


class AsyncReleasing:
    """What leaves an open store in aggregate, for asyncio."""

    _store: Releasing

    async def release(
        self,
        spec: PathLike,
        out: PathLike,
        *,
        also: Sequence[Also] | None = (),
        actor: str = "officer:unnamed",
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> releases.Release:
        """As :meth:`Store.release`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(
            lambda: self._store.release(spec, out, also=also, actor=actor, workers=workers, progress=told)
        )

    async def plan_release(
        self,
        spec: PathLike,
        *,
        actor: str = "officer:unnamed",
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> ReleasePlan:
        """As :meth:`Store.plan_release`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._store.plan_release(spec, actor=actor, workers=workers, progress=told))

    async def budget(self, purpose: str) -> Budget:
        """As :meth:`Store.budget`."""
        return await run(lambda: self._store.budget(purpose))

    async def released(self) -> tuple[Released, ...]:
        """As :meth:`Store.released`."""
        return await run(self._store.released)

    async def approve_release(
        self, spec: PathLike, *, actor: str, reason: str | None = None, digest: str | None = None
    ) -> ReleaseApproval:
        """As :meth:`Store.approve_release`."""
        return await run(lambda: self._store.approve_release(spec, actor=actor, reason=reason, digest=digest))

    async def disapprove_release(self, number: int, *, actor: str, reason: str | None = None) -> ReleaseApproval:
        """As :meth:`Store.disapprove_release`."""
        return await run(lambda: self._store.disapprove_release(number, actor=actor, reason=reason))

    async def approvals(self, *, actor: str = "officer:unnamed") -> tuple[ReleaseApproval, ...]:
        """As :meth:`Store.approvals`."""
        return await run(lambda: self._store.approvals(actor=actor))

    async def figures(self, number: int, *, actor: str = "officer:unnamed") -> Figures:
        """As :meth:`Store.figures`."""
        return await run(lambda: self._store.figures(number, actor=actor))
