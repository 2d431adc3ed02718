"""The ledger of releases: what was asked, what was answered, and who stood behind it, as sealed by the store.

Once for each (canonical specification, period): the stored files answer every repetition, byte for byte, whatever has
changed since. A repetition that was computed anew, or refused because data had changed, would tell that somebody came
or went.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.errors import CorruptRecord
from consentprofile.release.spec import Period, ReleaseSpec
from consentprofile.release.threshold import LedgerCell

FORMAT: Final = 1
SALT_BYTES: Final = 32


class LedgerEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One release. It names members by pseudonym and holds exact counts: it is personal data, and is stored sealed.

    ``spec`` is the canonical specification, period included; ``series`` the digest of its question without period and
    protection; ``policy`` the policy's digest; ``salt`` that of the manifest's commitment; ``files`` the published
    bytes, by name, sorted.
    """

    format: int
    spec: bytes
    series: bytes
    purpose: str
    period: Period
    policy: bytes
    salt: bytes
    cells: tuple[LedgerCell, ...]
    files: tuple[tuple[str, bytes], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.files]
        if self.format != FORMAT or len(self.salt) != SALT_BYTES or names != sorted(set(names)):
            raise ValueError("not a ledger entry of this format")

    def __repr__(self) -> str:
        return "<LedgerEntry, content withheld>"

    @property
    def digest(self) -> bytes:
        """SHA-256 of ``spec``: what a repetition is found by."""
        return canonical.digest(self.spec)

    @property
    def published(self) -> dict[str, bytes]:
        """The files as they were handed out."""
        return dict(self.files)


def entry(
    spec: ReleaseSpec, *, policy: bytes, salt: bytes, cells: Iterable[LedgerCell], files: Mapping[str, bytes]
) -> LedgerEntry:
    """The ledger entry of a release; ``policy`` is the policy's digest, ``cells`` are :attr:`Protected.ledger`."""
    return LedgerEntry(
        format=FORMAT,
        spec=spec.canonical,
        series=spec.series,
        purpose=spec.purpose,
        period=spec.period,
        policy=policy,
        salt=salt,
        cells=tuple(cells),
        files=tuple(sorted(files.items())),
    )


def pack(value: LedgerEntry) -> bytes:
    """The canonical bytes of an entry, for sealing."""
    return canonical.pack(value)


def unpack(data: bytes) -> LedgerEntry:
    """The entry whose canonical bytes are ``data``; :class:`CorruptRecord` for anything else."""
    value = canonical.unpack(data, LedgerEntry)
    if value.series != _series(value.spec):
        raise CorruptRecord("a ledger entry contradicts itself; run `consentprofile check`")
    return value


def _series(spec: bytes) -> bytes:
    try:
        terms = msgspec.json.decode(spec, type=dict[str, object])
    except msgspec.MsgspecError:
        raise CorruptRecord("a ledger entry holds no specification; run `consentprofile check`") from None
    question = {name: terms[name] for name in ("format", "purpose", "measure", "by", "where") if name in terms}
    return canonical.digest(canonical.json_bytes(question))


# ---- looking up ---------------------------------------------------------------------------------


def answer(entries: Iterable[LedgerEntry], spec: ReleaseSpec) -> dict[str, bytes] | None:
    """The files that this very specification was answered with, or None if it never was."""
    return next((found.published for found in entries if found.spec == spec.canonical), None)


def earlier_periods(entries: Iterable[LedgerEntry], spec: ReleaseSpec) -> list[Period]:
    """The periods in which the same question was answered, for :func:`~consentprofile.release.spec.check_period`."""
    return [found.period for found in entries if found.series == spec.series]


def earlier_cells(entries: Iterable[LedgerEntry], purpose: str) -> Iterator[LedgerCell]:
    """Every cell released of ``purpose``, in the order of ``entries``: oldest first, as protection needs them."""
    for found in entries:
        if found.purpose == purpose:
            yield from found.cells
