"""The part of the face of a store that is about releases: aggregates that leave it, and what has left it before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from consentprofile.consenting import Consenting, PathLike
from consentprofile.release.derived import Also
from consentprofile.release.figures import Figures
from consentprofile.release.plan import ReleasePlan
from consentprofile.usecases import approval, budget, released
from consentprofile.usecases import release as releases
from consentprofile.usecases.approval import ReleaseApproval
from consentprofile.usecases.budget import Budget
from consentprofile.usecases.census import Progress
from consentprofile.usecases.declared_files import read_declared
from consentprofile.usecases.released import Released


class Releasing(Consenting):
    """An open store, as far as releases go: a base of :class:`~consentprofile.Store`, and no use by itself."""

    def release(
        self,
        spec: PathLike,
        out: PathLike,
        *,
        also: Sequence[Also] | None = (),
        actor: str = "officer:unnamed",
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> releases.Release:
        """Release the aggregate that the specification file asks for, into the folder ``out``.

        What was answered before is answered with the same bytes. ``also`` asks for ``"parquet"`` and ``"pictures"``
        beside it, made from these bytes; None is for whatever the installed extras can. ``actor`` is who asks: where
        the policy asks for an approval, another one than the officer who gave it. ``workers`` (0 to 64) other processes
        count beside this one, each with the key of the one purpose; None stands for one fewer than there are processors
        where there is much to count. What ``progress`` raises ends it, and nothing is left behind. Raises
        :class:`InvalidSpec`, :class:`ReleaseRefused`, :class:`InvalidActor`, :class:`RoleNotAllowed` for a role that
        the policy does not know, :class:`UnsupportedEnvironment` where an extra is missing.
        """
        path = Path(spec)
        text = read_declared(path, "release specification")
        return releases.release(
            self._session, text, path.name, Path(out), also=also, actor=actor, workers=workers, progress=progress
        )

    def plan_release(
        self,
        spec: PathLike,
        *,
        actor: str = "officer:unnamed",
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> ReleasePlan:
        """What that release would be and cost, never its figures: under a threshold, or with noise.

        ``actor`` is who asks, ``workers`` and ``progress`` are as for :meth:`release`, whose errors it raises, too.
        """
        path = Path(spec)
        text = read_declared(path, "release specification")
        return releases.plan(self._session, text, path.name, actor=actor, workers=workers, progress=progress)

    def budget(self, purpose: str) -> Budget:
        """The privacy budget of a purpose: what releases with differential privacy spent, and what is left.

        The ledger is opened whole for it, and the log skimmed. Raises :class:`UndeclaredPurpose`, :class:`InputError`
        for a purpose without a budget, :class:`BrokenLog`.
        """
        return budget.budget(self._session, purpose)

    def released(self) -> tuple[Released, ...]:
        """Every release that the ledger knows, oldest first: what was asked, when, by which role, without figures.

        The whole ledger is opened for it, and the log skimmed.
        """
        return released.released(self._session)

    def approve_release(
        self, spec: PathLike, *, actor: str, reason: str | None = None, digest: str | None = None
    ) -> ReleaseApproval:
        """Approve, as an officer, that exactly what the specification file asks for is released once, by somebody else.

        For policies that ask for it. It holds under the policy in force, until it is used or taken back; who has
        approved it already has, and nothing is written. ``actor`` is ``officer:name``; ``reason`` is kept, sealed.
        ``digest``, as :meth:`plan_release` tells it, makes sure that what was looked at is what is approved. Raises
        :class:`ReleaseRefused` where nothing is to be approved or the release would be refused for its period,
        :class:`RoleNotAllowed`, :class:`InvalidActor`, :class:`InvalidSpec`, :class:`InputError`, :class:`BrokenLog`.
        """
        path = Path(spec)
        text = read_declared(path, "release specification")
        return self._signed(approval.approve(self._session, text, path.name, actor=actor, reason=reason, digest=digest))

    def disapprove_release(self, number: int, *, actor: str, reason: str | None = None) -> ReleaseApproval:
        """Take back, as an officer, every approval of what was approved under this number; the one that had it.

        Raises :class:`InputError` where no approval stands under it, :class:`RoleNotAllowed`, :class:`InvalidActor`,
        :class:`BrokenLog`.
        """
        return self._signed(approval.disapprove(self._session, number, actor=actor, reason=reason))

    def approvals(self, *, actor: str = "officer:unnamed") -> tuple[ReleaseApproval, ...]:
        """The approvals that stand and were not used yet, oldest first.

        They name who gave them: where there are any, the look has its leaf and its entry in the actor book.
        """
        return approval.standing(self._session, actor=actor)

    def figures(self, number: int, *, actor: str = "officer:unnamed") -> Figures:
        """The figures of the release with this number, as it was answered.

        Reading them has its leaf and its entry in the actor book. Raises :class:`InputError` for a number that the
        ledger does not have, :class:`InvalidActor`, :class:`RoleNotAllowed` for a role that the policy does not know.
        """
        return self._signed(released.figures(self._session, number, actor=actor))
