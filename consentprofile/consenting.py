"""The part of the face of a store that is about consent: what people decided, noted, ended and looked up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from consentprofile.errors import StoreClosed
from consentprofile.model.consent import Act, Consent, Decision
from consentprofile.usecases import consent, heads, importing, suppression
from consentprofile.usecases.certificates import IssuedCertificate
from consentprofile.usecases.row_files import Format
from consentprofile.usecases.session import Session

PathLike = str | os.PathLike[str]
T = TypeVar("T")

DECISIONS: Final = 1_000
"""Decisions that ``give_consents`` carries out in one change."""


class Consenting:
    """An open store, as far as consent goes: the base of :class:`~consentprofile.Store`, and no use by itself."""

    def __init__(self, opened: Session) -> None:
        self._opened: Session | None = opened

    @property
    def _session(self) -> Session:
        if self._opened is None:
            raise StoreClosed("the store is closed; open it again")
        return self._opened

    def _signed(self, done: T) -> T:
        """What an officer did is signed for before it is answered: a head of the log that covers it."""
        heads.checkpoint_if_grown(self._session)
        return done

    def give_consent(self, account: str, purposes: Sequence[str], *, notice: str, method: str) -> dict[str, Consent]:
        """Note that the person gave consent now, having been shown ``notice``; what stands afterwards, by purpose.

        ``method`` says how, in the controller's words; it is sealed as evidence. Durable when it returns. Raises
        :class:`InvalidDecision` (superseded or unknown notice), :class:`UndeclaredPurpose`, :class:`InvalidAccount`.
        """
        return self._decide(account, purposes, Act.GIVE, notice, method)

    def refuse_consent(
        self, account: str, purposes: Sequence[str], *, notice: str | None = None, method: str | None = None
    ) -> dict[str, Consent]:
        """Note that the person said no. Where consent was in force, it is withdrawn."""
        return self._decide(account, purposes, Act.REFUSE, notice, method)

    def renew_consent(
        self, account: str, purposes: Sequence[str], *, notice: str, method: str | None = None
    ) -> dict[str, Consent]:
        """Let the lifetime of consents in force begin anew, under the notice in force; others stay as they are."""
        return self._decide(account, purposes, Act.RENEW, notice, method)

    def withdraw_consent(
        self, account: str, purposes: Sequence[str], *, method: str | None = None
    ) -> IssuedCertificate:
        """Withdraw consent: the keys of these compartments are destroyed before this returns.

        The certificate proves it; its ``consents`` say what stands afterwards, by purpose.
        """
        return self._end(account, purposes, Act.WITHDRAW, method, "app")

    def invalidate_consent(
        self, account: str, purposes: Sequence[str], *, method: str | None = None
    ) -> IssuedCertificate:
        """Declare, as an officer, that a consent was never valid; its key is destroyed before this returns."""
        return self._end(account, purposes, Act.INVALIDATE, method, "officer")

    def _end(self, account: str, purposes: Sequence[str], act: Act, method: str | None, role: str) -> IssuedCertificate:
        decision = Decision(account=account, purposes=named(purposes), act=act, method=method)
        return consent.end(self._session, decision, role=role)

    def _decide(
        self, account: str, purposes: Sequence[str], act: Act, notice: str | None, method: str | None
    ) -> dict[str, Consent]:
        decision = Decision(account=account, purposes=named(purposes), act=act, notice=notice, method=method)
        return consent.decide(self._session, [decision]).answers[0]

    def give_consents(self, decisions: Iterable[Decision], *, progress: Callable[[int], None] | None = None) -> int:
        """Carry out any iterable of decisions, of any act, in batches and in order; how many of them changed something.

        A bad decision raises :class:`InvalidDecision` and voids its own batch; earlier batches stay.
        """
        source, done, changed = iter(decisions), 0, 0
        while batch := list(islice(source, DECISIONS)):
            answers = consent.decide(self._session, batch).answers
            changed += sum(any(one.changed for one in answer.values()) for answer in answers)
            done += len(batch)
            if progress is not None:
                progress(done)
        return changed

    def consents(self, account: str) -> dict[str, Consent]:
        """What stands for an account, for every declared purpose, with the evidence of how it came to stand."""
        return consent.consents(self._session, account)

    def import_consents(
        self,
        source: PathLike,
        *,
        format: Format | None = None,
        rejects: PathLike | None = None,
        progress: importing.Progress | None = None,
    ) -> importing.Imported:
        """Import decisions from a CSV or NDJSON file (or ``-``), each judged by the notice of its time."""
        out = None if rejects is None else Path(rejects)
        return importing.import_decisions(
            self._session, source_of(source), format=format, rejects=out, progress=progress
        )

    def suppress(self, account: str, reason: str, *, actor: str = "officer:unnamed") -> bool:
        """Switch off, for one account, the purposes that the policy names under ``reason``; whether that is new."""
        return self._signed(suppression.suppress(self._session, account, reason, actor=actor))

    def lift_suppression(self, account: str, reason: str, *, actor: str = "officer:unnamed") -> bool:
        """Take a suppression back; whether there was one."""
        return self._signed(suppression.lift_suppression(self._session, account, reason, actor=actor))


def named(names: str | Sequence[str]) -> tuple[str, ...]:
    """One name, or several."""
    return (names,) if isinstance(names, str) else tuple(names)


def source_of(source: PathLike) -> str | Path:
    """Where rows come from: a file, or ``-`` for standard input."""
    return "-" if source == "-" else Path(source)
