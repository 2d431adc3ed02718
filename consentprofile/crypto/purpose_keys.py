"""The purpose keys of an epoch alone: what a process holds that seals events, and may do nothing else.

They open the keys of compartments whose slots somebody brings. They find no account, sign nothing, and open neither
evidence nor officer records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from consentprofile.crypto.aead import SealingKey
from consentprofile.crypto.binding import Binding
from consentprofile.crypto.keys import SlotKey, open_slot
from consentprofile.crypto.slots import Slot
from consentprofile.errors import BeyondCapability


class PurposeKeys:
    """The opened purpose keys of one store, by purpose, as :meth:`EpochKeys.hand_over` gave them."""

    def __init__(self, store: bytes, keys: Mapping[str, bytes]) -> None:
        self._binding = Binding(store)
        self._keys = {name: SealingKey(key) for name, key in keys.items()}

    def unwrap(self, slot: Slot, *, purpose: str, terms: bytes) -> SlotKey:
        """The compartment key that lives in the slot.

        Raises :class:`BeyondCapability` for a purpose whose key is not here, else as :meth:`EpochKeys.unwrap`.
        """
        wrapping = self._keys.get(purpose)
        if wrapping is None:
            raise BeyondCapability(f"the keys at hand do not open the purpose {purpose!r}")
        opened = open_slot(self._binding, wrapping, slot, purpose, terms)
        return SlotKey(self._binding, slot.number, slot.header.generation, purpose, opened)

    def __repr__(self) -> str:
        return "<PurposeKeys, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")
