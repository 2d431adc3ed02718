"""The slot: the fixed-size record in which a wrapped key lives and dies.

::

    version    u8 = 1        kind   u8  (1 compartment, 2 account, 3 evidence, 4 a key to come; 0 nobody's)
    state      u8            the consent state (model.consent.State); 0 where it has no meaning
    generation u64           counts the keys that were destroyed here; a sealed row names it
    purpose    u16           the purpose's number in the keyring; 0 where there is none
    terms      u32           the number of the terms that the consent was given under; 0 where there are none
    since      i64           the second the state began, UTC
    until      i64           the second the consent's lifetime is over, UTC; 0 where there is none
    tag        32 bytes      whose slot it is
    key id     16 bytes      random; it stands in the leaves of grant and destruction, and nowhere else
    wrapped    92 bytes      key ‖ secret (32 bytes each), sealed; all zero where no key lives

All 173 bytes are overwritten in place when a key dies: SQLite rewrites a row of unchanged size where it stands, and
keeps no older copy of it on any page. (Rows of changing size leave their old bytes in the gaps of pages, even with
``secure_delete``.) The header and the terms are bound into the sealed part. So nobody without the purpose's key can
stretch an expiry, change the terms, or point one account's tag at another's key.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

from consentprofile.crypto.aead import KEY_BYTES, OVERHEAD
from consentprofile.errors import CorruptRecord, DestroyedKey, QuarantinedRecord

VERSION: Final = 1
HEADER: Final = struct.Struct(">BBBQHIqq32s16s")
_FIELDS: Final = struct.Struct(">xBBQHIqq32s16s")  # the header as it is read: without its version
WRAPPED_BYTES: Final = 2 * KEY_BYTES + OVERHEAD
RECORD_BYTES: Final = HEADER.size + WRAPPED_BYTES
NO_KEY: Final = bytes(WRAPPED_BYTES)
NOBODY: Final = bytes(32)
NO_KEY_ID: Final = bytes(16)
NO_KEY_HERE: Final = "the key of this slot has been destroyed; what it sealed cannot be opened by anyone"
"""What whoever asks for the key of an empty slot is told."""


class SlotKind(IntEnum):
    """Whose key lives in a slot."""

    UNUSED = 0
    COMPARTMENT = 1
    ACCOUNT = 2
    EVIDENCE = 3
    TO_COME = 4
    """What a compartment's slot will hold once its old key is overwritten: it waits here, and opens there."""


LAST_KIND: Final = int(SlotKind.TO_COME)


class SlotHeader(NamedTuple):
    """What a slot says in the clear, and binds into its wrapped key."""

    kind: int
    state: int
    generation: int
    purpose: int = 0
    terms: int = 0
    since: int = 0
    until: int = 0
    tag: bytes = NOBODY
    key_id: bytes = NO_KEY_ID

    def encode(self) -> bytes:
        """The first 81 bytes of the slot."""
        return HEADER.pack(VERSION, *self)

    def succeeded(self, key_id: bytes) -> SlotHeader:
        """This slot under a new key of the same compartment: the next generation, another key id, all else the same."""
        return self._replace(generation=self.generation + 1, key_id=key_id)

    def vacated(self, *, state: int, since: int) -> SlotHeader:
        """This slot after its key has died: the next generation, no key id; who it belonged to and the state stay."""
        return self._replace(state=state, since=since, until=0, generation=self.generation + 1, key_id=NO_KEY_ID)


class Slot(NamedTuple):
    """A slot as it stands in the keyring."""

    number: int
    header: SlotHeader
    wrapped: bytes

    @property
    def key_held(self) -> bool:
        """Whether a key lives here."""
        return self.wrapped != NO_KEY

    @property
    def record(self) -> bytes:
        """The 173 bytes."""
        return self.header.encode() + self.wrapped


def header_of(record: bytes) -> SlotHeader:
    """The header of a slot, from its bytes. Raises :class:`CorruptRecord` for a wrong length or form."""
    if len(record) != RECORD_BYTES:
        raise CorruptRecord("a slot of the keyring has a wrong length; restore the keyring")
    header = SlotHeader._make(_FIELDS.unpack_from(record))
    if record[0] != VERSION or header[0] > LAST_KIND:
        raise CorruptRecord("a slot of the keyring is not of a known form; restore the keyring")
    return header


def decode(number: int, record: bytes) -> Slot:
    """The slot behind its bytes. Raises :class:`CorruptRecord` for a wrong length or form, or a key of nobody."""
    header, wrapped = header_of(record), record[HEADER.size :]
    if not header[0] and wrapped != NO_KEY:
        raise CorruptRecord("a slot of the keyring is not of a known form; restore the keyring")
    return Slot(number, header, wrapped)


def unused(generation: int = 0) -> SlotHeader:
    """The header of a slot that belongs to nobody."""
    return SlotHeader(SlotKind.UNUSED, 0, generation)


def require_alive(generation: int, slot: Slot | None) -> Slot:
    """Judge a sealed row by the slot that it names; the slot, whose key is alive.

    Raises :class:`QuarantinedRecord` for an unknown slot or a generation to come (the row is from elsewhere), and
    :class:`DestroyedKey` for an earlier generation or an empty slot (it can be purged).
    """
    if slot is None or generation > slot.header.generation:
        raise QuarantinedRecord(
            "a record names a slot or generation that the keyring has not reached; it was left alone"
        )
    if generation < slot.header.generation or not slot.key_held:
        raise DestroyedKey("the key of this record has been destroyed; what it sealed cannot be opened by anyone")
    return slot
