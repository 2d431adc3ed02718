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


class Adder:
    """Adds to counts, and remembers what came out: mostly the next recording adds to that, and decodes nothing."""

    __slots__ = ("_newest",)

    def __init__(self) -> None:
        # Bytes and what they say, replaced as one and never changed: threads may race to do so.
        self._newest: tuple[bytes, dict[tuple[str, str], int]] = NOTHING, {}

    def add(self, counts: bytes, more: Mapping[tuple[str, K], int]) -> bytes:
        """The bytes of both together. Raises :class:`CorruptRecord`."""
        newest, known = self._newest
        total: dict[tuple[str, str], int] = dict(known) if newest == counts else decode(counts)
        for key, count in more.items():
            total[key] = total.get(key, 0) + count
        added = encode(total)
        self._newest = added, total
        return added
