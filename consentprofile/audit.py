"""The face of the audit log: :class:`Audit`, had as ``store.audit``; and what needs no store at all.

For auditors: everything here can be checked by somebody who trusts neither the store nor its operator.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from consentprofile.errors import UnreadableInput
from consentprofile.tlog import certificate as certificates
from consentprofile.tlog.certificate import Certificate, Statement, reference_matches
from consentprofile.tlog.note import parse_key
from consentprofile.usecases import audit, heads, proving, tracing, verifying
from consentprofile.usecases.certificates import certify_leaves
from consentprofile.usecases.session import Session
from consentprofile.usecases.tracing import Trace

OFFICER: Final = "officer:unnamed"

PathLike = str | os.PathLike[str]


class Audit:
    """The audit log of an open store. It holds no personal data; :meth:`account` and :meth:`actor` open the trail."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session

    @property
    def public_key(self) -> str:
        """What outsiders verify with: the verifier key of C2SP signed-note, ``origin+hash+base64``."""
        return heads.verifier_key(self._session()).encode()

    def log(self, start: int = 0) -> Iterator[audit.LogEntry]:
        """The leaves from sequence ``start`` on, in order, read in pages."""
        return audit.entries(self._session(), start)

    def verify(self, progress: Callable[[int], None] | None = None) -> verifying.LogHead:
        """Recompute and compare everything. Raises :class:`BrokenLog` with the first leaf that is wrong."""
        return verifying.verify(self._session(), progress)

    def extends(self, seen: bytes) -> int:
        """Show that the log extends the one whose signed checkpoint was ``seen`` earlier; how many leaves it had then.

        Raises :class:`ProofRefused`.
        """
        return proving.require_extends(self._session(), seen)

    def checkpoint(self) -> bytes:
        """The signed head of the log as it stands now, a C2SP checkpoint. One kept elsewhere finds any rewriting."""
        return heads.checkpoint(self._session()).note

    def prove(self, sequence: int) -> bytes:
        """A ``.tlog-proof`` file that leaf ``sequence`` is in the log. Raises :class:`InputError`."""
        return proving.prove(self._session(), sequence)

    def export(self, out: PathLike, progress: Callable[[int], None] | None = None) -> proving.Exported:
        """Write the log as C2SP tlog-tiles into the folder ``out``, or extend an earlier export there."""
        return proving.export(self._session(), Path(out), progress)

    def certificate(self, leaves: Sequence[int]) -> bytes:
        """The certificate over destruction leaves, once more: for one that was lost. Raises :class:`InputError`."""
        return certify_leaves(self._session(), leaves)

    def account(self, account: str, *, actor: str = OFFICER, reason: str | None = None) -> list[Trace]:
        """Who did what to an account, when and why, from its trail. Asking has a leaf and a trail entry itself."""
        return tracing.of_account(self._session(), account, actor=actor, reason=reason)

    def actor(
        self, name: str, *, actor: str = OFFICER, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Trace]:
        """What one actor (``role:name``) did and when, from the actor book, which knows no account.

        Asking has a leaf and an entry of the book itself.
        """
        return tracing.of_actor(self._session(), name, actor=actor, since=since, until=until)

    def __repr__(self) -> str:
        return "<Audit>"


def open_certificate(file: PathLike | bytes, public_key: str) -> Certificate:
    """The certificate in a file (or its bytes), once all of it is verified with the log's public key alone.

    Needs no store. Raises :class:`ProofRefused` for what does not hold, :class:`UnreadableInput` for no file.
    """
    if not isinstance(file, bytes):
        try:
            file = Path(file).read_bytes()
        except OSError as error:
            raise UnreadableInput(f"the certificate cannot be read: {error.strerror}") from None
    return certificates.open_certificate(file, parse_key(public_key))


__all__ = ["Audit", "Certificate", "Statement", "open_certificate", "reference_matches"]
