"""A leaf: one entry of the audit log. It holds no personal data, so that the log stays whole after every erasure.

A leaf is the canonical MessagePack array of

1. version, 1
2. sequence, from 0
3. time: whole hours since 1970-01-01T00:00:00Z, rounded down
4. operation, a word of :class:`Operation`
5. purpose, or ``""``
6. role of the actor, or ``""``
7. digest of the policy in force, 32 bytes
8. facts: an array of (name, value) pairs, values integers or bytes, in the order that the operation gives them

Key ids stand in the leaves of grants and destructions only, so that nobody can chain one person's consent, records and
reads. A commitment is a salted digest whose salt lies in the sealed trail.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from consentprofile import canonical
from consentprofile.errors import CorruptRecord

VERSION: Final = 1

Fact: TypeAlias = tuple[str, int | bytes]


class Operation(StrEnum):
    """What happened."""

    STORE_CREATED = "store-created"
    POLICY_ACCEPTED = "policy-accepted"
    CONSENT_GIVEN = "consent-given"
    CONSENT_RENEWED = "consent-renewed"
    CONSENT_REFUSED = "consent-refused"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    CONSENT_INVALIDATED = "consent-invalidated"
    CONSENT_EXPIRED = "consent-expired"
    RESEALED = "resealed"
    RETENTION_APPLIED = "retention-applied"
    NARROWING_APPLIED = "narrowing-applied"
    CONSENT_READ = "consent-read"
    RECORDED = "recorded"
    COMPACTED = "compacted"
    READ = "read"
    READ_REFUSED = "read-refused"
    SUPPRESSED = "suppressed"
    SUPPRESSION_LIFTED = "suppression-lifted"
    ERASED = "erased"
    ACCESSED = "accessed"
    AUDIT_READ = "audit-read"
    RELEASE_READ = "release-read"
    RELEASED = "released"
    BUDGET_CHARGED = "budget-charged"
    RELEASE_PLANNED = "release-planned"
    RELEASE_APPROVED = "release-approved"
    RELEASE_DISAPPROVED = "release-disapproved"
    REPAIRED = "repaired"
    KEYRING_BACKED_UP = "keyring-backed-up"
    CAPABILITY_ISSUED = "capability-issued"
    BACKED_UP = "backed-up"
    KEYS_ROTATED = "keys-rotated"
    EPOCH_CLOSED = "epoch-closed"
    RECOVERY_COPIED = "recovery-copied"
    RESTORED = "restored"
    KEY_GONE = "key-gone"
    KEY_FOUND = "key-found"
    LINEAGE_BEGUN = "lineage-begun"


KEY_ID: Final = "key-id"
"""The fact of a grant or a destruction that says which key: 16 random bytes."""

GRANTS: Final = frozenset({Operation.CONSENT_GIVEN, Operation.RESEALED, Operation.KEY_FOUND})
"""Operations whose key id is that of a key that came. The key of any other operation that names one has gone."""


class Draft(msgspec.Struct, frozen=True, array_like=True):
    """A leaf before it has a place in the log. ``second`` is when it happened, UTC; the leaf keeps the hour."""

    operation: str
    second: int
    purpose: str = ""
    role: str = ""
    facts: tuple[Fact, ...] = ()


class Leaf(msgspec.Struct, frozen=True, array_like=True):
    """One entry of the audit log."""

    version: int
    sequence: int
    hour: int
    operation: str
    purpose: str
    role: str
    policy: bytes
    facts: tuple[Fact, ...]

    def encode(self) -> bytes:
        """The bytes that are hashed."""
        return canonical.pack(self)


def decode(data: bytes) -> Leaf:
    """The leaf behind its bytes.

    Raises :class:`consentprofile.errors.CorruptRecord` for what is not canonical, or of another version.
    """
    leaf = canonical.unpack(data, Leaf)
    if leaf.version != VERSION:
        raise CorruptRecord("a leaf is not of the version that its format describes; run `consentprofile check`")
    return leaf
