"""Canonical bytes: one value, one encoding; what would not encode to the same bytes is refused.

Binary records are MessagePack arrays (https://github.com/msgpack/msgpack/blob/master/spec.md) in their smallest form,
fields in a fixed order, no maps. Texts (policies, manifests, release specifications) are JSON with sorted keys,
no insignificant white space, and UTF-8 unescaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from functools import lru_cache
from typing import TypeVar, cast

import msgspec

from consentprofile.errors import CorruptRecord

T = TypeVar("T")

_packer = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder(order="sorted")


def pack(value: object) -> bytes:
    """The canonical MessagePack bytes of ``value``: array-like Structs, lists, numbers, texts, bytes, booleans."""
    return _packer.encode(value)


@lru_cache(maxsize=64)
def _decoder(kind: Hashable) -> msgspec.msgpack.Decoder[object]:
    return msgspec.msgpack.Decoder(kind)


def unpack(data: bytes, kind: type[T]) -> T:
    """The value of type ``kind`` whose canonical bytes are ``data``.

    Raises :class:`CorruptRecord` for anything else: other shapes, longer forms of the same number, trailing bytes.
    """
    try:
        value = cast(T, _decoder(cast(Hashable, kind)).decode(data))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CorruptRecord(
            "a record is not of the shape that its format describes; run `consentprofile check`"
        ) from None
    if _packer.encode(value) != data:
        raise CorruptRecord("a record is not in its canonical form; run `consentprofile check`")
    return value


def json_bytes(value: object) -> bytes:
    """The canonical JSON bytes of ``value``."""
    return _json.encode(value)


def digest(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()
