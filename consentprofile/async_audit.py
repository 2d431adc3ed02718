"""The face of the audit log for asyncio: :class:`AsyncAudit`, had as ``store.audit`` of an ``AsyncStore``.

Each method is that of :class:`~consentprofile.audit.Audit`, carried out in a worker thread; what it promises and raises
is said there. ``log`` and ``actor`` are async iterators, which fetch a page at a time. (So ``actor`` leaves its trace
with the first page, not before.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

from consentprofile.async_calls import Call, run
from consentprofile.audit import OFFICER, Audit, PathLike
from consentprofile.usecases import audit, proving, verifying
from consentprofile.usecases.tracing import Trace

PAGE: Final = 1_000
"""Leaves of the log, or entries of the actor book, that are fetched at a time."""


class AsyncAudit:
    """The audit log of an open store, for asyncio. Had as ``store.audit``."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @property
    def public_key(self) -> str:
        """As :attr:`Audit.public_key`."""
        return self._audit.public_key

    async def log(self, start: int = 0) -> AsyncIterator[audit.LogEntry]:
        """As :meth:`Audit.log`, as an async iterator."""
        leaves = self._audit.log(start)
        while page := await run(lambda: list(islice(leaves, PAGE))):
            for leaf in page:
                yield leaf

    async def verify(self, progress: Callable[[int], None] | None = None) -> verifying.LogHead:
        """As :meth:`Audit.verify`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._audit.verify(told))

    async def extends(self, seen: bytes) -> int:
        """As :meth:`Audit.extends`."""
        return await run(lambda: self._audit.extends(seen))

    async def checkpoint(self) -> bytes:
        """As :meth:`Audit.checkpoint`."""
        return await run(self._audit.checkpoint)

    async def prove(self, sequence: int) -> bytes:
        """As :meth:`Audit.prove`."""
        return await run(lambda: self._audit.prove(sequence))

    async def export(self, out: PathLike, progress: Callable[[int], None] | None = None) -> proving.Exported:
        """As :meth:`Audit.export`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._audit.export(out, told))

    async def certificate(self, leaves: Sequence[int]) -> bytes:
        """As :meth:`Audit.certificate`."""
        return await run(lambda: self._audit.certificate(leaves))

    async def account(self, account: str, *, actor: str = OFFICER, reason: str | None = None) -> list[Trace]:
        """As :meth:`Audit.account`."""
        return await run(lambda: self._audit.account(account, actor=actor, reason=reason))

    async def actor(
        self, name: str, *, actor: str = OFFICER, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[Trace]:
        """As :meth:`Audit.actor`, as an async iterator."""
        traces = await run(lambda: self._audit.actor(name, actor=actor, since=since, until=until))
        while page := await run(lambda: list(islice(traces, PAGE))):
            for trace in page:
                yield trace

    def __repr__(self) -> str:
        return "<AsyncAudit>"
