"""What a store and its sealing workers say to each other: frames over one socket that has no name.

A frame is its length (``u32``, big-endian) and MessagePack. The store says a :class:`Setup` once, then one
:class:`Parcel` after the other; the worker answers ``true`` when it is ready, and for each parcel, in order, a
:class:`Sealed`, or ``nil`` where it could not: then the store does the parcel itself and learns why. So no error
crosses, and nothing personal with it.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from consentprofile.model.withheld import Withheld
from consentprofile.usecases.sealing import Parcel, Sealed

LENGTH: Final = struct.Struct(">I")


class Setup(Withheld, frozen=True, array_like=True):
    """What a worker holds: the policies, and the purpose keys. No root, index, signing, officer or import key.

    ``directory`` is where the keyring lies, ``store`` the store's id.
    """

    directory: str
    store: bytes
    policies: dict[int, bytes]
    purposes: dict[str, int]
    keys: dict[str, bytes]


_encoder: Final = msgspec.msgpack.Encoder()
parcels: Final = msgspec.msgpack.Decoder(Parcel)
setups: Final = msgspec.msgpack.Decoder(Setup)
answers: Final = msgspec.msgpack.Decoder(bool | Sealed | None)


def frame(value: object) -> bytearray:
    """The bytes of a frame."""
    buffer = bytearray(LENGTH.size)
    _encoder.encode_into(value, buffer, LENGTH.size)
    LENGTH.pack_into(buffer, 0, len(buffer) - LENGTH.size)
    return buffer
