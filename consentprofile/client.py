"""The face of the SDK: :class:`Store`.

Every method is a thin call of a use case. A store may be used by any number of threads; several processes may have it
open at once; a fork opens its own connections at first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from consentprofile.audit import Audit
from consentprofile.care import DEFAULT_WAIT, Care
from consentprofile.consenting import PathLike, named, source_of
from consentprofile.crypto.providers import KeyProvider, Passphrase
from consentprofile.model.event import Event, Outcome
from consentprofile.model.policy import Policy
from consentprofile.releasing import Releasing
from consentprofile.store.ports import Durability
from consentprofile.upkeep import Upkeep
from consentprofile.usecases import (
    access,
    capabilities,
    check,
    erasure,
    gathering,
    heads,
    importing,
    key_status,
    policies,
    reading,
    recording,
    retagging,
    rotation,
    session,
)
from consentprofile.usecases.certificates import IssuedCertificate
from consentprofile.usecases.declared_files import load_policy, name_of, read_declared
from consentprofile.usecases.row_files import Format
from consentprofile.usecases.session import Clock, Session, system_clock
from consentprofile.view import View


class Store(Releasing, Care):
    """An encrypted store of consented events. :meth:`create` or :meth:`open` one; close it, or use ``with``."""

    def __init__(self, opened: Session, gather: float = 0.0) -> None:
        super().__init__(opened)
        self._gathering = gathering.Gathering(gather)
        self._upkeep = Upkeep(lambda: self._session)

    # ---- opening and closing ---------------------------------------------------------------------

    @classmethod
    def create(
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
    ) -> Store:
        """Make a store at ``path`` and open it. It is there whole, or not at all.

        A :class:`KeyFile` that does not exist is made. ``origin`` names the audit log for outsiders, such as
        ``shop.example/consent-log``; without one it gets a random name. Raises :class:`InvalidPolicy`,
        :class:`StoreExists`, :class:`KeyUnavailable`, :class:`UnsupportedEnvironment`.
        """
        gathering.require_gather(gather)
        session.create(Path(path), load_policy(policy), key, clock, origin=origin)
        return cls.open(path, key=key, clock=clock, durability=durability, wait=wait, gather=gather)

    @classmethod
    def open(
        cls,
        path: PathLike,
        *,
        key: KeyProvider,
        policy: PathLike | Policy | None = None,
        clock: Clock = system_clock,
        durability: Durability = "full",
        wait: float = DEFAULT_WAIT,
        gather: float = 0.0,
    ) -> Store:
        """Open the store at ``path``, with its key or with a :class:`Capability`, which opens some purposes only.

        ``policy``, where given, must be the accepted one (:class:`PolicyChanged`). ``clock`` answers aware datetimes.
        ``durability`` is that of recording and of the leaves of reads: with ``"relaxed"`` a power cut may lose the last
        moments, never corrupt; consent, withdrawal and erasure are always durable when they return. ``wait`` bounds, in
        seconds, how long a call waits for other processes. Calls of :meth:`record` that come at the same time share a
        transaction; ``gather``, 0 to 0.05 seconds, is how long the first of them waits for the others, if there were
        others lately. Raises :class:`StoreNotFound`, :class:`WrongKey`, :class:`KeyUnavailable`,
        :class:`KeysRotated`, :class:`NewerFormat`, :class:`CorruptRecord`, :class:`StoreBusy`, :class:`InputError`.
        """
        gathering.require_gather(gather)
        opened = session.open_session(Path(path), key, clock, wait=wait, durability=durability)
        if policy is not None:
            try:
                session.require_same_policy(opened, load_policy(policy))
            except BaseException:
                opened.close()
                raise
        return cls(opened, gather)

    def close(self) -> None:
        """Sign the head of the log if it has grown, and close the files.

        A second call does nothing; every other call afterwards raises :class:`StoreClosed`. A log that does not extend
        its last head is not signed, which is logged. Raises :class:`StoreBusy`; the files are closed then, too.
        """
        if self._opened is not None:
            self._upkeep.stop()
            opened, self._opened = self._opened, None
            try:
                heads.checkpoint_if_grown(opened)
            finally:
                opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<Store, closed>" if self._opened is None else "<Store, open>"

    @property
    def policy(self) -> Policy:
        """The accepted policy."""
        return self._session.policy

    def plan_policy(self, policy: PathLike | Policy, *, ending: Sequence[str] = ()) -> policies.PolicyPlan:
        """What :meth:`apply_policy` would mean, change by change. Changes nothing. Raises :class:`InvalidPolicy`."""
        return policies.plan(self._session, load_policy(policy), ending=named(ending), name=name_of(policy))

    def apply_policy(
        self, policy: PathLike | Policy, *, key: KeyProvider, ending: Sequence[str] = ()
    ) -> policies.PolicyPlan:
        """Accept a changed policy and go by it: what narrows holds at once, what widens for those who consent to it.

        ``key`` is the store's, shown once more. A purpose that is left out ends, with every consent to it, and must be
        named in ``ending``. What is stored and not allowed any more is not read from now on; ``upkeep`` destroys it.
        Whoever else has the store open gets :class:`PolicyChanged` (or :class:`StoreClosed`, in another thread) and
        opens it again. Raises :class:`PolicyRefused`, :class:`InvalidPolicy`, :class:`WrongKey`; then nothing changed.
        """
        new = load_policy(policy)
        if policies.is_over(self._session):
            self._go_on(key)
        applied = policies.apply(self._session, new, key, ending=named(ending), name=name_of(policy))
        if applied.changes:
            self._go_on(key)
        return self._signed(applied)

    def _go_on(self, key: KeyProvider) -> None:
        """Go by the policy in force, with a session of its own."""
        before = self._session
        self._opened = policies.go_on(before, key)
        before.close()

    # ---- events ----------------------------------------------------------------------------------

    def record(self, event: Event) -> dict[str, Outcome]:
        """Record one event; for each declared purpose, whether it took it or why not.

        Raises :class:`InvalidEvent` or :class:`InvalidAccount` for what is malformed, undeclared or more than five
        minutes in the future; then nothing is recorded.
        """
        return self._gathering.record(self._session, event)

    def record_many(
        self,
        events: Iterable[Event],
        *,
        batch_size: int = recording.BATCH,
        progress: Callable[[int], None] | None = None,
        workers: int = 0,
    ) -> recording.Summary:
        """Record any iterable of events in bounded memory, ``batch_size`` of them a transaction.

        A bad event raises :class:`InvalidEvent` with its ``index`` and the ``committed`` count; its batch is void.
        ``workers`` (0 to 64) more processes seal meanwhile: worth it from some 10,000 events on, where a core is free.
        """
        return recording.record_many(self._session, events, batch_size=batch_size, progress=progress, workers=workers)

    def import_events(
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
        """Import events from a CSV or NDJSON file (or ``-``) through a mapping file. Repeating it adds nothing.

        ``workers`` is as for :meth:`record_many`.
        """
        return importing.import_events(
            self._session,
            source_of(source),
            read_declared(mapping, "mapping"),
            Path(mapping).name,
            format=format,
            rejects=None if rejects is None else Path(rejects),
            progress=progress,
            batch_size=batch_size,
            workers=workers,
        )

    def statistics(self) -> dict[str, dict[Outcome, int]]:
        """How often recording said what, for each purpose, since the store was made; it names no account."""
        return recording.statistics(self._session)

    @contextmanager
    def view(self, purpose: str, actor: str, reason: str | None = None) -> Iterator[View]:
        """Read access for one purpose and one actor (``role:name``).

        Raises :class:`UndeclaredPurpose` or :class:`RoleNotAllowed` on entering, each with a leaf of the refusal. The
        actor is asserted by the app, not authenticated.
        """
        with reading.view(self._session, purpose, actor, reason) as reader:
            yield View(reader)

    # ---- rights ----------------------------------------------------------------------------------

    def access(self, account: str, *, actor: str = "officer:unnamed", reason: str | None = None) -> access.Held:
        """Everything that the store holds about one account."""
        return self._signed(access.access(self._session, account, actor=actor, reason=reason))

    def erase(
        self, accounts: str | Sequence[str], *, reference: str | None = None, actor: str = "officer:unnamed"
    ) -> IssuedCertificate:
        """Destroy every key of one or more accounts before this returns. It cannot be undone.

        The proof of consent decisions stays until its own lifetime is over; suppressions stay. ``reference`` is the
        operator's own (a request number); only a salted commitment to it is kept. Raises :class:`InvalidAccount`.
        """
        return erasure.erase(self._session, named(accounts), reference=reference, actor=actor)

    def plan_erasure(self, accounts: str | Sequence[str]) -> erasure.ErasurePlan:
        """What :meth:`erase` would do, without doing it: how many accounts are known, how many keys would die."""
        return erasure.plan(self._session, named(accounts))

    # ---- audit and care --------------------------------------------------------------------------

    @property
    def audit(self) -> Audit:
        """The audit log: read it, verify it, prove it to outsiders."""
        return Audit(lambda: self._session)

    @property
    def upkeep(self) -> Upkeep:
        """What the store needs done from time to time: compaction, retention, expiry."""
        return self._upkeep

    def check(self, *, repair: bool = False, progress: Callable[[str], None] | None = None) -> check.Report:
        """Open everything that can be opened and compare everything that must agree."""
        return self._signed(check.check(self._session, repair=repair, progress=progress))

    def issue_capability(
        self,
        target: PathLike,
        purposes: str | Sequence[str],
        role: str,
        *,
        passphrase: Passphrase | None = None,
        actor: str = "officer:unnamed",
    ) -> capabilities.IssuedCapability:
        """Write a capability to a new file (mode 0600): whoever has it opens these purposes, in this role, no more.

        The role ``app`` records; any other reads where the policy names it among the readers. ``passphrase`` seals the
        keys in it. It ends when the keys are rotated, and not before. Raises :class:`UndeclaredPurpose`,
        :class:`RoleNotAllowed`, :class:`InputError`, :class:`KeyUnavailable`, :class:`StoreFault`.
        """
        issued = capabilities.issue(
            self._session, Path(target), named(purposes), role, passphrase=passphrase, actor=actor
        )
        return self._signed(issued)

    # ---- the key ---------------------------------------------------------------------------------

    def rotate_keys(self, key: KeyProvider, *, progress: rotation.Progress | None = None) -> rotation.Rotated:
        """Move the store to a new key, so that the old one, and every capability and keyring copy of its time, ends.

        ``key`` must bring a secret that was never used before: a new key file (made where it does not exist), variable
        or passphrase. No row of any account is touched. This store goes on under the new key; others that have it open
        get :class:`KeysRotated` and open it again. It works in slices while others go on; interrupted, it is carried
        on by :meth:`resume_rotation`. Back up keyring and data anew afterwards. Raises :class:`InputError` for the
        secret in force or while a rotation is unfinished, :class:`KeyUnavailable`; then nothing was changed.
        """
        return self._signed(rotation.rotate(self._session, key, progress=progress))

    @classmethod
    def retag(
        cls,
        path: PathLike,
        *,
        key: KeyProvider,
        new_key: KeyProvider | None = None,
        clock: Clock = system_clock,
        wait: float = DEFAULT_WAIT,
        progress: rotation.Progress | None = None,
    ) -> rotation.Rotated | None:
        """Rotate the keys of the store at ``path`` to ``new_key``, and give every account a new tag.

        For when it must end, too, that an old capability tells who is in the store. Nobody may have the store open
        meanwhile (:class:`StoreBusy`). Interrupted, the store opens no more until this is carried to its end: with
        ``key`` the new one, and no ``new_key``; None where there is nothing to carry on. Accounts whose id is lost keep
        their tag, and are counted in the answer. Raises as :meth:`rotate_keys`, and :class:`CorruptRecord` where the id
        of an account is not the one that its tag was made of; then nothing was changed.
        """
        return retagging.retag(Path(path), key, new_key, clock, wait=wait, progress=progress)

    def resume_rotation(self, *, progress: rotation.Progress | None = None) -> rotation.Rotated | None:
        """Carry an unfinished rotation to its end; None where there is none."""
        return self._signed(rotation.resume(self._session, progress=progress))

    def key_status(self) -> key_status.KeyStatus:
        """The epoch of the keys, and the shred horizon: from when on no old copy can bring back what was erased."""
        return key_status.status(self._session)
