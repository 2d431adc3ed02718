"""What the ledger keeps of a release with differential privacy: first its charge, then what was drawn for it.

It names nobody and holds no exact count: noise needs no memory of who was there. It is sealed all the same, for it says
what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.release.dp.accounting import Loss
from consentprofile.release.kept import Settled
from consentprofile.release.period import Period
from consentprofile.release.spec import ReleaseSpec

CHARGED: Final = 4
"""The format of these entries of the ledger."""

SALT_BYTES: Final = 32


class Charged(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What was charged, and when, in seconds since 1970-01-01T00:00:00Z."""

    second: int
    loss: Loss


class ChargedEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One release that was paid for. Without ``files`` nothing has been drawn for it that anybody has seen.

    The other fields are those of :class:`~consentprofile.release.ledger.LedgerEntry`, with the charge in the place of
    the cells.
    """

    format: int
    spec: bytes
    series: bytes
    purpose: str
    period: Period
    policy: bytes
    salt: bytes
    charged: Charged
    files: tuple[tuple[str, bytes], ...] = ()

    def __post_init__(self) -> None:
        names = [name for name, _ in self.files]
        if self.format != CHARGED or len(self.salt) != SALT_BYTES or names != sorted(set(names)):
            raise ValueError("not an entry of this format")

    def __repr__(self) -> str:
        return "<ChargedEntry, content withheld>"

    @property
    def digest(self) -> bytes:
        """What it is found by: SHA-256 of ``spec`` once it was answered; before, of its charge, so that nobody takes
        it for an answer."""
        return canonical.digest(self.spec if self.files else canonical.pack(["charged", self.spec]))

    @property
    def outline(self) -> ChargedEntry:
        """The entry as it is: there is nobody in it."""
        return self

    def settled(self) -> Settled:
        """No cells: nothing is to be held against later."""
        return Settled(b"", ())

    @property
    def published(self) -> dict[str, bytes]:
        """The files as they were handed out; none where they were not."""
        return dict(self.files)


def charge(spec: ReleaseSpec, loss: Loss, *, second: int, policy: bytes, salt: bytes) -> ChargedEntry:
    """The entry of a release that is paid for and not drawn yet."""
    return ChargedEntry(
        format=CHARGED,
        spec=spec.canonical,
        series=spec.series,
        purpose=spec.purpose,
        period=spec.period,
        policy=policy,
        salt=salt,
        charged=Charged(second, loss),
    )


def drawn(entry: ChargedEntry, *, policy: bytes, files: Mapping[str, bytes]) -> ChargedEntry:
    """The same entry with what was drawn for it, under the policy with this digest."""
    return msgspec.structs.replace(entry, policy=policy, files=tuple(sorted(files.items())))
