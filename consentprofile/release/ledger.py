"""The ledger of releases: what was asked, what was answered, and who stood behind it, as sealed by the store.

Once for each (canonical specification, period): the stored files answer every repetition, byte for byte, whatever has
changed since. A repetition that was computed anew, or refused because data had changed, would tell that somebody came
or went.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from consentprofile import canonical
from consentprofile.errors import CorruptRecord, ReleaseRefused
from consentprofile.release import ledger_before
from consentprofile.release.dp.entry import ChargedEntry
from consentprofile.release.kept import CONTRADICTION, Settled
from consentprofile.release.spec import NOT_ASKED, Period, ReleaseSpec

FORMAT: Final = 3
"""The format of entries that this version writes."""

FORMATS: Final = (ledger_before.COUNTED, ledger_before.WEIGHED, FORMAT)
"""Those that it reads."""

SALT_BYTES: Final = 32

MOST_BYTES: Final = 999_000_000
"""The longest entry: sealed, it has to fit into one value of SQLite, which ends at 10^9 bytes."""


class LedgerEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One release. It names members by pseudonym and holds exact counts: it is personal data, and is stored sealed.

    ``spec`` is the canonical specification, period included; ``series`` the digest of its question without period and
    protection; ``policy`` the policy's digest; ``salt`` that of the manifest's commitment; ``cells`` what was settled,
    left unread until :meth:`settled` is asked; ``files`` the published bytes, by name, sorted.
    """

    format: int
    spec: bytes
    series: bytes
    purpose: str
    period: Period
    policy: bytes
    salt: bytes
    cells: msgspec.Raw
    files: tuple[tuple[str, bytes], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.files]
        if self.format not in FORMATS or len(self.salt) != SALT_BYTES or names != sorted(set(names)):
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

    @property
    def outline(self) -> LedgerEntry:
        """The entry without its cells: what is needed to answer and to refuse, in little memory."""
        return msgspec.structs.replace(self, cells=_NO_CELLS)

    def settled(self) -> Settled:
        """The cells. :class:`CorruptRecord` where they contradict themselves; members are held to it when read."""
        cells = bytes(self.cells)
        return canonical.unpack(cells, Settled) if self.format == FORMAT else ledger_before.read(self.format, cells)


_NO_CELLS: Final = msgspec.Raw(canonical.pack(None))


def entry(
    spec: ReleaseSpec, *, policy: bytes, salt: bytes, settled: Settled, files: Mapping[str, bytes]
) -> LedgerEntry:
    """The ledger entry of a release; ``policy`` is the policy's digest, ``settled`` is :attr:`Protected.ledger`."""
    return LedgerEntry(
        format=FORMAT,
        spec=spec.canonical,
        series=spec.series,
        purpose=spec.purpose,
        period=spec.period,
        policy=policy,
        salt=salt,
        cells=msgspec.Raw(canonical.pack(settled)),
        files=tuple(sorted(files.items())),
    )


Entry: TypeAlias = LedgerEntry | ChargedEntry
"""An entry of either protection."""


def pack(value: Entry) -> bytes:
    """The canonical bytes of an entry, for sealing. :class:`ReleaseRefused` where they are too many to be kept."""
    data = canonical.pack(value)
    if len(data) > MOST_BYTES:
        raise ReleaseRefused(
            "the ledger cannot keep who is behind so many cells; ask for fewer of them, or of fewer accounts"
        )
    return data


def unpack(data: bytes) -> Entry:
    """The entry whose canonical bytes are ``data``, its cells unread; :class:`CorruptRecord` for anything else."""
    # The second byte is the format: a small number in an array of nine.
    value = canonical.unpack(data, ChargedEntry) if data[1:2] == b"\4" else canonical.unpack(data, LedgerEntry)
    if value.series != _series(value.spec):
        raise CorruptRecord(CONTRADICTION)
    return value


def _series(spec: bytes) -> bytes:
    try:
        terms = msgspec.json.decode(spec, type=dict[str, object])
    except msgspec.MsgspecError:
        raise CorruptRecord("a ledger entry holds no specification; run `consentprofile check`") from None
    question = {name: term for name, term in terms.items() if name not in NOT_ASKED}
    return canonical.digest(canonical.json_bytes(question))


# ---- looking up ---------------------------------------------------------------------------------


def asked(entries: Mapping[int, Entry], spec: ReleaseSpec) -> Iterator[tuple[int, Entry]]:
    """Number and entry of what this very specification was answered with, or was paid for it."""
    return ((number, found) for number, found in entries.items() if found.spec == spec.canonical)


def answer(entries: Mapping[int, Entry], spec: ReleaseSpec) -> tuple[int, dict[str, bytes]] | None:
    """The number and the files that this very specification was answered with, or None if it never was."""
    return next(((number, found.published) for number, found in asked(entries, spec) if found.files), None)


def charged(entries: Mapping[int, Entry], spec: ReleaseSpec) -> tuple[int, ChargedEntry] | None:
    """The number and the entry of what was paid for this very specification; None where nothing was."""
    return next(((number, found) for number, found in asked(entries, spec) if isinstance(found, ChargedEntry)), None)


def earlier_periods(entries: Iterable[Entry], spec: ReleaseSpec) -> list[Period]:
    """The periods in which the same question was answered, for :func:`~consentprofile.release.spec.check_period`.

    A period that was paid for under another specification is one of them; this one may still be answered.
    """
    others = (found for found in entries if found.files or found.spec != spec.canonical)
    return [found.period for found in others if found.series == spec.series]
