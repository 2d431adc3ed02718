"""The purpose keys of an epoch alone: what a process holds that seals events, and may do nothing else.

They open the keys of compartments whose slots somebody brings. They find no account, sign nothing, and open neither
evidence nor officer records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from consentprofile.crypto.aead import SealingKey
from consentprofile.crypto.block_sealing import BlockSealer
from consentprofile.errors import BeyondCapability


class PurposeKeys:
    """The opened purpose keys of one store, by purpose, as :meth:`EpochKeys.hand_over` gave them."""

    def __init__(self, store: bytes, keys: Mapping[str, bytes]) -> None:
        self._sealers = {name: BlockSealer(store, SealingKey(key), name) for name, key in keys.items()}

    def sealer(self, purpose: str) -> BlockSealer:
        """What seals blocks of a purpose. Raises :class:`BeyondCapability` for one whose key is not here."""
        found = self._sealers.get(purpose)
        if found is None:
            raise BeyondCapability(f"the keys at hand do not open the purpose {purpose!r}")
        return found

    def __repr__(self) -> str:
        return "<PurposeKeys, withheld>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")
