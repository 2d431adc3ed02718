"""The face of the SDK for asyncio: :class:`AsyncStore` and :class:`AsyncView`.

Each method is that of :class:`~consentprofile.client.Store`, carried out in a worker thread of the event loop; what it
promises and raises is said there. Three things are said here:

- **An await ends when its call has ended**, also where it is cancelled: then no lock of the store is held on its behalf
  and nothing goes on behind the caller's back. So a cancellation may wait for a transaction, or for the lock of another
  process (at most the store's ``wait``). Long work stops between two batches or
  slices; what was committed by then stays.
- Calls of one store take turns, as those of threads do. Waiting is done by worker threads, never by the event loop.
- Callbacks (``progress``) and iterables are called and consumed in the worker thread, not in the event loop's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from consentprofile.async_audit import AsyncAudit
from consentprofile.async_calls import Call, Closing, run
from consentprofile.async_care import AsyncCare
from consentprofile.async_releasing import AsyncReleasing
from consentprofile.async_upkeep import AsyncUpkeep
from consentprofile.care import DEFAULT_WAIT
from consentprofile.client import Store
from consentprofile.consenting import PathLike
from consentprofile.crypto.providers import KeyProvider, Passphrase
from consentprofile.model.consent import Consent, Decision
from consentprofile.model.event import Event, Outcome
from consentprofile.model.policy import Policy
from consentprofile.model.profile import Profile
from consentprofile.store.ports import Durability
from consentprofile.usecases import (
    access,
    capabilities,
    check,
    erasure,
    importing,
    key_status,
    policies,
    reading,
    recording,
    rotation,
)
from consentprofile.usecases.certificates import IssuedCertificate
from consentprofile.usecases.row_files import Format
from consentprofile.usecases.session import Clock, system_clock
from consentprofile.view import View


class AsyncView:
    """Read access bound to one purpose and one actor. Made by :meth:`AsyncStore.view`."""

    def __init__(self, view: View) -> None:
        self._view = view

    @property
    def purpose(self) -> str:
        """The purpose that is read."""
        return self._view.purpose

    async def profile(self, account: str) -> Profile | None:
        """As :meth:`View.profile`."""
        return await run(lambda: self._view.profile(account))

    async def events(self, account: str) -> list[reading.StoredEvent] | None:
        """As :meth:`View.events`."""
        return await run(lambda: self._view.events(account))

    def __repr__(self) -> str:
        return f"<AsyncView of {self.purpose!r}>"


class AsyncStore(AsyncReleasing, AsyncCare):
    """A store for asyncio, with the methods of :class:`Store`: ``async with await AsyncStore.open(...) as store``."""

    def __init__(self, store: Store) -> None:
        self._store: Store = store

    # ---- opening and closing ---------------------------------------------------------------------

    @classmethod
    async def create(
        cls,
        path: PathLike,
        *,
        policy: PathLike | Policy,
        key: KeyProvider,
        clock: Clock = system_clock,
        durability: Durability = "full",
        wait: float = DEFAULT_WAIT,
        gather: float = 0.0,
        origin: str | None = None,
    ) -> AsyncStore:
        """As :meth:`Store.create`. A store that was made while the await was cancelled stays, and is closed."""

        def made() -> Store:
            return Store.create(
                path,
                policy=policy,
                key=key,
                clock=clock,
                durability=durability,
                wait=wait,
                gather=gather,
                origin=origin,
            )

        return cls(await Call().run(made, Store.close))

    @classmethod
    async def open(
        cls,
        path: PathLike,
        *,
        key: KeyProvider,
        policy: PathLike | Policy | None = None,
        clock: Clock = system_clock,
        durability: Durability = "full",
        wait: float = DEFAULT_WAIT,
        gather: float = 0.0,
    ) -> AsyncStore:
        """As :meth:`Store.open`."""

        def opened() -> Store:
            return Store.open(
                path, key=key, policy=policy, clock=clock, durability=durability, wait=wait, gather=gather
            )

        return cls(await Call().run(opened, Store.close))

    async def close(self) -> None:
        """As :meth:`Store.close`; it is carried out even where the await is cancelled."""
        await Closing().run(self._store.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self._store).replace("Store", "AsyncStore", 1)

    @property
    def policy(self) -> Policy:
        """The accepted policy."""
        return self._store.policy

    async def plan_policy(self, policy: PathLike | Policy, *, ending: Sequence[str] = ()) -> policies.PolicyPlan:
        """As :meth:`Store.plan_policy`."""
        return await run(lambda: self._store.plan_policy(policy, ending=ending))

    async def apply_policy(
        self, policy: PathLike | Policy, *, key: KeyProvider, ending: Sequence[str] = ()
    ) -> policies.PolicyPlan:
        """As :meth:`Store.apply_policy`."""
        return await run(lambda: self._store.apply_policy(policy, key=key, ending=ending))

    # ---- consent ---------------------------------------------------------------------------------

    async def give_consent(
        self, account: str, purposes: Sequence[str], *, notice: str, method: str
    ) -> dict[str, Consent]:
        """As :meth:`Store.give_consent`."""
        return await run(lambda: self._store.give_consent(account, purposes, notice=notice, method=method))

    async def refuse_consent(
        self, account: str, purposes: Sequence[str], *, notice: str | None = None, method: str | None = None
    ) -> dict[str, Consent]:
        """As :meth:`Store.refuse_consent`."""
        return await run(lambda: self._store.refuse_consent(account, purposes, notice=notice, method=method))

    async def renew_consent(
        self, account: str, purposes: Sequence[str], *, notice: str, method: str | None = None
    ) -> dict[str, Consent]:
        """As :meth:`Store.renew_consent`."""
        return await run(lambda: self._store.renew_consent(account, purposes, notice=notice, method=method))

    async def withdraw_consent(
        self, account: str, purposes: Sequence[str], *, method: str | None = None
    ) -> IssuedCertificate:
        """As :meth:`Store.withdraw_consent`."""
        return await run(lambda: self._store.withdraw_consent(account, purposes, method=method))

    async def invalidate_consent(
        self, account: str, purposes: Sequence[str], *, method: str | None = None
    ) -> IssuedCertificate:
        """As :meth:`Store.invalidate_consent`."""
        return await run(lambda: self._store.invalidate_consent(account, purposes, method=method))

    async def give_consents(
        self, decisions: Iterable[Decision], *, progress: Callable[[int], None] | None = None
    ) -> int:
        """As :meth:`Store.give_consents`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._store.give_consents(call.source(decisions), progress=told))

    async def consents(self, account: str) -> dict[str, Consent]:
        """As :meth:`Store.consents`."""
        return await run(lambda: self._store.consents(account))

    async def import_consents(
        self,
        source: PathLike,
        *,
        format: Format | None = None,
        rejects: PathLike | None = None,
        progress: importing.Progress | None = None,
    ) -> importing.Imported:
        """As :meth:`Store.import_consents`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(
            lambda: self._store.import_consents(source, format=format, rejects=rejects, progress=told)
        )

    async def suppress(self, account: str, reason: str, *, actor: str = "officer:unnamed") -> bool:
        """As :meth:`Store.suppress`."""
        return await run(lambda: self._store.suppress(account, reason, actor=actor))

    async def lift_suppression(self, account: str, reason: str, *, actor: str = "officer:unnamed") -> bool:
        """As :meth:`Store.lift_suppression`."""
        return await run(lambda: self._store.lift_suppression(account, reason, actor=actor))

    # ---- events ----------------------------------------------------------------------------------

    async def record(self, event: Event) -> dict[str, Outcome]:
        """As :meth:`Store.record`."""
        return await run(lambda: self._store.record(event))

    async def record_many(
        self,
        events: Iterable[Event],
        *,
        batch_size: int = recording.BATCH,
        progress: Callable[[int], None] | None = None,
        workers: int = 0,
    ) -> recording.Summary:
        """As :meth:`Store.record_many`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(
            lambda: self._store.record_many(call.source(events), batch_size=batch_size, progress=told, workers=workers)
        )

    async def import_events(
        self,
        source: PathLike,
        *,
        mapping: PathLike,
        format: Format | None = None,
        rejects: PathLike | None = None,
        progress: importing.Progress | None = None,
        batch_size: int = recording.BATCH,
        workers: int = 0,
    ) -> importing.Imported:
        """As :meth:`Store.import_events`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(
            lambda: self._store.import_events(
                source,
                mapping=mapping,
                format=format,
                rejects=rejects,
                progress=told,
                batch_size=batch_size,
                workers=workers,
            )
        )

    async def statistics(self) -> dict[str, dict[Outcome, int]]:
        """As :meth:`Store.statistics`."""
        return await run(self._store.statistics)

    @asynccontextmanager
    async def view(self, purpose: str, actor: str, reason: str | None = None) -> AsyncIterator[AsyncView]:
        """As :meth:`Store.view`: ``async with store.view("support", "support-agent:17") as view``."""
        with ExitStack() as entered:
            yield AsyncView(await run(lambda: entered.enter_context(self._store.view(purpose, actor, reason))))

    # ---- rights ----------------------------------------------------------------------------------

    async def access(self, account: str, *, actor: str = "officer:unnamed", reason: str | None = None) -> access.Held:
        """As :meth:`Store.access`."""
        return await run(lambda: self._store.access(account, actor=actor, reason=reason))

    async def erase(
        self, accounts: str | Sequence[str], *, reference: str | None = None, actor: str = "officer:unnamed"
    ) -> IssuedCertificate:
        """As :meth:`Store.erase`."""
        return await run(lambda: self._store.erase(accounts, reference=reference, actor=actor))

    async def plan_erasure(self, accounts: str | Sequence[str]) -> erasure.ErasurePlan:
        """As :meth:`Store.plan_erasure`."""
        return await run(lambda: self._store.plan_erasure(accounts))

    # ---- audit and care --------------------------------------------------------------------------

    @property
    def audit(self) -> AsyncAudit:
        """The audit log, as :attr:`Store.audit`."""
        return AsyncAudit(self._store.audit)

    @property
    def upkeep(self) -> AsyncUpkeep:
        """As :attr:`Store.upkeep`."""
        return AsyncUpkeep(self._store.upkeep)

    async def check(self, *, repair: bool = False, progress: Callable[[str], None] | None = None) -> check.Report:
        """As :meth:`Store.check`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._store.check(repair=repair, progress=told))

    async def issue_capability(
        self,
        target: PathLike,
        purposes: str | Sequence[str],
        role: str,
        *,
        passphrase: Passphrase | None = None,
        actor: str = "officer:unnamed",
    ) -> capabilities.IssuedCapability:
        """As :meth:`Store.issue_capability`."""
        return await run(
            lambda: self._store.issue_capability(target, purposes, role, passphrase=passphrase, actor=actor)
        )

    # ---- the key ---------------------------------------------------------------------------------

    async def rotate_keys(self, key: KeyProvider, *, progress: rotation.Progress | None = None) -> rotation.Rotated:
        """As :meth:`Store.rotate_keys`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._store.rotate_keys(key, progress=told))

    @classmethod
    async def retag(
        cls,
        path: PathLike,
        *,
        key: KeyProvider,
        new_key: KeyProvider | None = None,
        clock: Clock = system_clock,
        wait: float = DEFAULT_WAIT,
        progress: rotation.Progress | None = None,
    ) -> rotation.Rotated | None:
        """As :meth:`Store.retag`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(
            lambda: Store.retag(path, key=key, new_key=new_key, clock=clock, wait=wait, progress=told)
        )

    async def resume_rotation(self, *, progress: rotation.Progress | None = None) -> rotation.Rotated | None:
        """As :meth:`Store.resume_rotation`."""
        call = Call()
        told = call.telling(progress)
        return await call.run(lambda: self._store.resume_rotation(progress=told))

    async def key_status(self) -> key_status.KeyStatus:
        """As :meth:`Store.key_status`."""
        return await run(self._store.key_status)
