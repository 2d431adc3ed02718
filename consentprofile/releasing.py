"""The part of the face of a store that is about releases: aggregates that leave it, and what has left it before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from consentprofile.consenting import Consenting, PathLike
from consentprofile.release.derived import Also
from consentprofile.release.figures import Figures
from consentprofile.release.plan import ReleasePlan
from consentprofile.usecases import release as releases
from consentprofile.usecases import released
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
        progress: releases.Progress | None = None,
    ) -> releases.Release:
        """Release the aggregate that the specification file asks for, into the folder ``out``.

        What was answered before is answered with the same bytes. ``also`` asks for ``"parquet"`` and ``"pictures"``
        beside it, made from these bytes; None is for whatever the installed extras can. Raises :class:`InvalidSpec`,
        :class:`ReleaseRefused`, :class:`UnsupportedEnvironment` where an extra is missing.
        """
        path = Path(spec)
        text = read_declared(path, "release specification")
        return self._signed(releases.release(self._session, text, path.name, Path(out), also=also, progress=progress))

    def plan_release(self, spec: PathLike, *, progress: releases.Progress | None = None) -> ReleasePlan:
        """What that release would be and cost, never its figures."""
        path = Path(spec)
        return releases.plan(self._session, read_declared(path, "release specification"), path.name, progress=progress)

    def released(self) -> tuple[Released, ...]:
        """Every release that the ledger knows, oldest first: what was asked, without figures.

        The whole ledger is opened for it.
        """
        return released.released(self._session)

    def figures(self, number: int) -> Figures:
        """The figures of the release with this number, as it was answered; reading them has its leaf.

        Raises :class:`InputError` for a number that the ledger does not have.
        """
        return self._signed(released.figures(self._session, number))
