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
from consentprofile.release.spec import NOT_ASKED, Key, Period, ReleaseSpec
from consentprofile.release.threshold import LedgerCell

COUNTED: Final = 1
"""The format of entries in which everybody adds one to a cell."""
WEIGHED: Final = 2
"""The format of entries whose cells say what each member adds."""

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
        if self.format != WEIGHED and any(cell.limit != 1 or cell.amounts for cell in self.cells):
            raise ValueError("amounts in an entry without amounts")
        if self.format not in (COUNTED, WEIGHED) or len(self.salt) != SALT_BYTES or names != sorted(set(names)):
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
        format=COUNTED if all(part.counts for part in spec.measure.parts) else WEIGHED,
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
    if value.format == WEIGHED:
        return canonical.pack(value)
    cells = [cell.counted for cell in value.cells]
    return canonical.pack([cells if name == "cells" else getattr(value, name) for name in value.__struct_fields__])


class _Counted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An entry of the format :data:`COUNTED`, whose cells have four elements."""

    format: int
    spec: bytes
    series: bytes
    purpose: str
    period: Period
    policy: bytes
    salt: bytes
    cells: tuple[tuple[Key, bytes, int | None, bool], ...]
    files: tuple[tuple[str, bytes], ...]

    def entry(self) -> LedgerEntry:
        """The entry. Raises ``ValueError`` for one that contradicts itself."""
        if self.format != COUNTED:
            raise ValueError("not an entry of this format")
        said = {name: getattr(self, name) for name in self.__struct_fields__}
        return LedgerEntry(**said | {"cells": tuple(LedgerCell(*cell) for cell in self.cells)})


def unpack(data: bytes) -> LedgerEntry:
    """The entry whose canonical bytes are ``data``; :class:`CorruptRecord` for anything else."""
    try:
        # The second byte is the format: a small number in an array of nine.
        value = canonical.unpack(data, LedgerEntry) if data[1:2] == b"\2" else canonical.unpack(data, _Counted).entry()
    except ValueError:
        raise CorruptRecord("a ledger entry contradicts itself; run `consentprofile check`") from None
    if value.series != _series(value.spec):
        raise CorruptRecord("a ledger entry contradicts itself; run `consentprofile check`")
    return value


def _series(spec: bytes) -> bytes:
    try:
        terms = msgspec.json.decode(spec, type=dict[str, object])
    except msgspec.MsgspecError:
        raise CorruptRecord("a ledger entry holds no specification; run `consentprofile check`") from None
    question = {name: term for name, term in terms.items() if name not in NOT_ASKED}
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
