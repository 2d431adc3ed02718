"""Opening the compartments of one purpose one after the other, as releases do: keys come and go, none is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from consentprofile.crypto.aead import KEY_BYTES, SealingKey, open_all
from consentprofile.crypto.binding import RecordBinding, RecordType
from consentprofile.crypto.slots import HEADER
from consentprofile.crypto.tags import CompartmentSecret


class CompartmentOpener:
    """The key of one purpose, for opening what it wraps straight from the bytes of slots."""

    __slots__ = ("_block", "_key", "_wrapping")

    def __init__(self, store: bytes, wrapping: SealingKey, purpose: str) -> None:
        self._key = RecordBinding(store, RecordType.COMPARTMENT_KEY, purpose)
        self._block = RecordBinding(store, RecordType.BLOCK, purpose)
        self._wrapping = wrapping

    def open(
        self, slot: int, record: bytes, generation: int, terms: bytes, blocks: Iterable[bytes]
    ) -> tuple[bytes, list[bytes]]:
        """The pseudonym of the compartment in this slot, whose ``record`` has a key, and its blocks, opened.

        ``terms`` is what binds the key to its terms. Raises :class:`CorruptRecord`. Cost: about 5 microseconds with
        one block.
        """
        associated = self._key.associate(slot, generation, record[: HEADER.size] + terms)
        opened = self._wrapping.open(record[HEADER.size :], associated)
        plain = open_all(opened[:KEY_BYTES], blocks, self._block.associate(slot, generation))
        return CompartmentSecret(opened[KEY_BYTES:]).member(), plain

    def __repr__(self) -> str:
        return "<CompartmentOpener, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")
