"""Sealing blocks straight from the bytes of slots, as recording does: each key is opened for one block.

The same bytes as :class:`consentprofile.crypto.keys.SlotKey` makes, with less about them: what is bound to a wrapped
key are the bytes of the slot as they stand, and no object is made of a header. Cost, of slot, block and two digests:
about 8 microseconds, of which two thirds are the libraries that seal and hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, NoReturn, Self

from consentprofile.crypto.aead import KEY_BYTES, SealingKey, seal_once
from consentprofile.crypto.binding import RecordBinding, RecordType
from consentprofile.crypto.slots import HEADER, NO_KEY, NO_KEY_HERE, RECORD_BYTES, VERSION, Slot, SlotKind, decode
from consentprofile.crypto.tags import CompartmentSecret
from consentprofile.errors import DestroyedKey


class CompartmentSlot(NamedTuple):
    """The slot of a compartment, as recording reads it: the fields of :class:`SlotHeader` that it asks for.

    ``record`` are the 173 bytes as they stand in the keyring.
    """

    number: int
    state: int
    generation: int
    purpose: int
    terms: int
    since: int
    until: int
    record: bytes

    @classmethod
    def of(cls, tag: bytes, number: int, record: bytes) -> Self | None:
        """The slot behind its bytes; None where they are not those of a compartment of the account with this tag."""
        if len(record) != RECORD_BYTES:
            return None
        version, kind, state, generation, purpose, terms, since, until, own, _ = HEADER.unpack_from(record)
        if version != VERSION or kind != SlotKind.COMPARTMENT or own != tag:
            return None
        return cls(number, state, generation, purpose, terms, since, until, record)

    @property
    def key_held(self) -> bool:
        """Whether a key lives here."""
        return not self.record.endswith(NO_KEY)

    @property
    def slot(self) -> Slot:
        """The slot with all of its fields."""
        return decode(self.number, self.record)

    def __repr__(self) -> str:
        return f"<CompartmentSlot {self.number}>"


class BlockKey:
    """A compartment's key and secret, opened for one block: whoever has sealed it lets go of them.

    It cannot be printed, copied or pickled.
    """

    __slots__ = ("_associated", "_key", "secret")

    def __init__(self, opened: bytes, associated: bytes) -> None:
        self._key = opened[:KEY_BYTES]
        self._associated = associated
        self.secret = CompartmentSecret(opened[KEY_BYTES:])

    def seal(self, block: bytes, nonces: Iterator[bytes]) -> bytes:
        """Seal a block with the next of ``nonces`` (:func:`consentprofile.crypto.aead.nonces`)."""
        return seal_once(self._key, block, self._associated, nonces)

    def __repr__(self) -> str:
        return "<BlockKey, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")


class BlockSealer:
    """The key of one purpose, for sealing blocks of its compartments."""

    __slots__ = ("_block", "_key", "_wrapping")

    def __init__(self, store: bytes, wrapping: SealingKey, purpose: str) -> None:
        self._key = RecordBinding(store, RecordType.COMPARTMENT_KEY, purpose)
        self._block = RecordBinding(store, RecordType.BLOCK, purpose)
        self._wrapping = wrapping

    def open(self, slot: CompartmentSlot, terms: bytes) -> BlockKey:
        """The key that lives in the slot, for a block. ``terms`` are what binds it to those it was wrapped under.

        Raises :class:`DestroyedKey` for an empty slot, and :class:`CorruptRecord` if the slot, its header or the terms
        are not those that the key was wrapped with.
        """
        number, record = slot.number, slot.record
        if not slot.key_held:
            raise DestroyedKey(NO_KEY_HERE)
        bound = self._key.associate(number, slot.generation, record[: HEADER.size] + terms)
        opened = self._wrapping.open(record[HEADER.size :], bound)
        return BlockKey(opened, self._block.associate(number, slot.generation))

    def __repr__(self) -> str:
        return "<BlockSealer, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")
