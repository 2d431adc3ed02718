"""The actor book: who did what when, without any account. One place seals its entries, and one opens them.

An entry stands beside the leaf with its sequence. It is sealed under the officer key. Where a capability opened the
store there is no officer key, and it is sealed under the key of a purpose that is at hand, bound to that purpose: so
a service leaves its trace in a book that it cannot read. Whoever has the key of the store opens both kinds.

A holder of a purpose's key could write whatever it likes under it. So what such an entry may tell is bounded: of a read
for that purpose, or of a refusal; anything else is no entry.
"""

from __future__ import annotations

from typing import Final

from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import EpochKeys
from consentprofile.errors import CorruptRecord
from consentprofile.model.withheld import Withheld
from consentprofile.tlog.leaf import Operation

OFFICER: Final = ""
"""The purpose to which an entry under the officer key is bound."""


class BookEntry(Withheld, frozen=True, array_like=True):
    """Who did what, at which second (UTC), for which purpose (``""`` for none) and why (``""`` for no reason)."""

    second: int
    role: str
    name: str
    operation: str
    purpose: str
    reason: str


class ApprovalEntry(BookEntry, frozen=True, array_like=True):
    """An officer approves a release, or takes that back: under which policy (its digest), and which specification.

    ``specification`` is canonical JSON. The entry is what an approval is judged by: only the key of the store seals
    one, and it opens beside its own leaf, in its own store, alone.
    """

    policy: bytes
    specification: bytes


OF_APPROVALS: Final = frozenset({Operation.RELEASE_APPROVED, Operation.RELEASE_DISAPPROVED})
"""Operations whose entries are :class:`ApprovalEntry`."""

_LONGER: Final = b"\x98"
"""What the bytes of an :class:`ApprovalEntry` begin with: an array of eight."""


def seal_entry(keys: EpochKeys, sequence: int, entry: BookEntry) -> bytes:
    """Seal the entry beside the leaf with this sequence.

    Raises :class:`BeyondCapability` where no officer key is at hand and the entry is not one that a capability writes.
    """
    plain = canonical.pack(entry)
    if keys.officer is not None:
        return keys.seal_record(RecordType.ACTOR_BOOK, sequence, plain)
    under = entry.purpose if entry.purpose in keys.purposes else keys.purposes[0]
    if not _may_tell(under, entry):
        keys.require_officer()
    return keys.seal_record(RecordType.ACTOR_BOOK, sequence, plain, purpose=under)


def open_entry(keys: EpochKeys, sequence: int, sealed: bytes) -> BookEntry:
    """The entry beside the leaf with this sequence, whichever of its two kinds it is of.

    Takes the officer key, which opens most entries at once; the others are tried under the key of each purpose. Raises
    :class:`CorruptRecord`, and :class:`BeyondCapability` without the officer key.
    """
    for under in (OFFICER, *keys.purposes):
        try:
            plain = keys.open_record(RecordType.ACTOR_BOOK, sequence, sealed, purpose=under)
        except CorruptRecord:
            continue
        entry = _entry(plain)
        if under != OFFICER and not _may_tell(under, entry):
            break
        return entry
    raise CorruptRecord("an entry of the actor book does not authenticate; run `consentprofile check`")


def renew_entry(keys: EpochKeys, sequence: int, sealed: bytes) -> bytes | None:
    """The entry, of either kind, sealed in this epoch where it was sealed in the one before; None where it is already.

    Raises :class:`CorruptRecord` for one that no key opens.
    """
    for under in (OFFICER, *keys.purposes):
        try:
            return keys.renew_record(RecordType.ACTOR_BOOK, sequence, sealed, purpose=under)
        except CorruptRecord:
            continue
    raise CorruptRecord("an entry of the actor book does not authenticate; run `consentprofile check`")


def _entry(plain: bytes) -> BookEntry:
    entry = canonical.unpack(plain, ApprovalEntry if plain.startswith(_LONGER) else BookEntry)
    if isinstance(entry, ApprovalEntry) != (entry.operation in OF_APPROVALS):
        raise CorruptRecord("an entry of the actor book does not fit its operation; run `consentprofile check`")
    return entry


def _may_tell(purpose: str, entry: BookEntry) -> bool:
    """Whether an entry may stand under the key of ``purpose``."""
    if entry.operation == Operation.READ:
        return entry.purpose == purpose
    return entry.operation == Operation.READ_REFUSED
