"""What a store and its sealing workers say to each other, in frames (:mod:`consentprofile.usecases.worker_process`).

The store says a :class:`Setup` once, then one :class:`Parcel` after the other; the worker answers each, in order, by a
:class:`Sealed`, or ``nil`` where it could not: then the store does the parcel itself and learns why. So no error
crosses, and nothing personal with it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from consentprofile.model.withheld import Withheld
from consentprofile.usecases.sealing import Parcel, Sealed


class Setup(Withheld, frozen=True, array_like=True):
    """What a worker holds: the policies, and the purpose keys. No root, index, signing, officer or import key.

    ``directory`` is where the keyring lies, ``store`` the store's id.
    """

    directory: str
    store: bytes
    policies: dict[int, bytes]
    purposes: dict[str, int]
    keys: dict[str, bytes]


parcels: Final = msgspec.msgpack.Decoder(Parcel)
setups: Final = msgspec.msgpack.Decoder(Setup)
answers: Final = msgspec.msgpack.Decoder(Sealed | None)
