"""How often recording said what, for each purpose, as it stands beside the head of the log: no account is in it.

Canonical MessagePack ``[[purpose, outcome, count], ...]``, ascending. It lies in the row that every recording changes
anyway, so that counting costs no page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from consentprofile import canonical
from consentprofile.errors import CorruptRecord

NOTHING: Final = canonical.pack([])

K = TypeVar("K", bound=str)


def decode(counts: bytes) -> dict[tuple[str, str], int]:
    """Every count, by purpose and outcome. Raises :class:`CorruptRecord`."""
    rows = canonical.unpack(counts, list[tuple[str, str, int]])
    found = {(purpose, outcome): count for purpose, outcome, count in rows}
    if encode(found) != counts:
        raise CorruptRecord("the counts of recording are not in their canonical form; run `consentprofile check`")
    return found


def encode(counts: Mapping[tuple[str, str], int]) -> bytes:
    """The bytes of ``counts``."""
    return canonical.pack([(purpose, outcome, counts[purpose, outcome]) for purpose, outcome in sorted(counts)])


def add(counts: bytes, more: Mapping[tuple[str, K], int]) -> bytes:
    """The bytes of both together. Raises :class:`CorruptRecord`."""
    total = decode(counts)
    for key, count in more.items():
        total[key] = total.get(key, 0) + count
    return encode(total)
