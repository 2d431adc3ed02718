"""Cells as the ledger keeps them, sealed: who is behind each figure, in few bytes, and what was made of it.

Members are kept as gaps between their places, amounts as what each adds; both read when asked for and not before, since
most cells of the ledger are passed over by their size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from consentprofile.errors import CorruptRecord
from consentprofile.release import varint
from consentprofile.release.cells import PSEUDONYM_BYTES, Cell
from consentprofile.release.measures.measure import Key

if TYPE_CHECKING:
    from consentprofile.release.cells import Places, Pseudonyms
    from consentprofile.release.measures.measure import Numbers

_MOST: Final = 2**32
"""More accounts than any ledger knows."""

CONTRADICTION: Final = "a ledger entry contradicts itself; run `consentprofile check`"


class LedgerCell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A cell as the ledger keeps it: exact, and never to be published.

    ``value`` is what the policy's rules made of it, None for nothing; ``own`` says that it was made of these members,
    and not given again from an earlier cell. Where members add amounts, ``limit`` is the most that one adds, and
    ``accounts`` the rounded number of accounts behind ``value``; else 1 and None.

    ``gaps`` are the members: for each the number of places that were passed over since the one before. ``added`` is
    what each of them adds: twice the amount, and of one below zero twice its size less one; empty where everybody adds
    one. Both are :mod:`~consentprofile.release.varint`. Equal cells have equal bytes.
    """

    key: Key
    value: int | None
    own: bool
    limit: int
    accounts: int | None
    gaps: bytes
    added: bytes

    def __repr__(self) -> str:
        return "<LedgerCell, content withheld>"

    @property
    def count(self) -> int:
        """The exact number of members."""
        return varint.count(self.gaps)

    @property
    def amounts(self) -> Numbers | None:
        """What each member adds, None where everybody adds one. :class:`CorruptRecord` for another form than above."""
        if not self.added:
            return None
        amounts = _decoded(self.added)
        amounts = amounts >> 1 ^ -(amounts & 1)
        if len(amounts) != self.count or (amounts == 1).all() or abs(amounts).max() > self.limit:
            raise CorruptRecord(CONTRADICTION)
        return amounts


def kept(cell: Cell) -> LedgerCell:
    """The cell without a value."""
    import numpy as np

    places = np.append(-1, cell.members.astype(np.int64))
    gaps = places[1:] - places[:-1] - 1
    added = b""
    if cell.amounts is not None and (cell.amounts != 1).any():
        added = varint.encode(cell.amounts << 1 ^ cell.amounts >> 63)
    return LedgerCell(cell.key, None, True, cell.part.limit, None, varint.encode(gaps), added)


class Settled(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The settled cells of a release, in the order of the rows, and the pseudonyms of all accounts behind them.

    ``joined`` are the pseudonyms, 16 bytes each, rising.
    """

    joined: bytes
    cells: tuple[LedgerCell, ...]

    def __post_init__(self) -> None:
        if len(self.joined) % PSEUDONYM_BYTES:
            raise ValueError("part of a pseudonym")

    def __repr__(self) -> str:
        return "<Settled, content withheld>"

    @property
    def pseudonyms(self) -> Pseudonyms:
        """The accounts behind the cells."""
        import numpy as np

        return np.frombuffer(self.joined, dtype=f"S{PSEUDONYM_BYTES}")

    def members(self, cell: LedgerCell) -> Places:
        """The places of a cell's members. :class:`CorruptRecord` where they are not as they should be."""
        import numpy as np

        gaps = _decoded(cell.gaps)
        if gaps.max(initial=0) >= _MOST or len(gaps) + int(gaps.sum()) > len(self.joined) // PSEUDONYM_BYTES:
            raise CorruptRecord(CONTRADICTION)
        return (np.cumsum(gaps + 1) - 1).astype(np.uint32)

    def verify(self) -> None:
        """Read everything. :class:`CorruptRecord` where it is not in its canonical form.

        That is: pseudonyms rise, each is of a member, each member has one, and an amount where there are amounts.
        """
        import numpy as np

        pseudonyms = self.pseudonyms
        behind = np.zeros(len(pseudonyms), dtype=bool)
        for cell in self.cells:
            behind[self.members(cell)] = True
            _ = cell.amounts
        if not (behind.all() and (pseudonyms[1:] > pseudonyms[:-1]).all()):
            raise CorruptRecord(CONTRADICTION)


def _decoded(data: bytes) -> Numbers:
    try:
        return varint.decode(data)
    except ValueError:
        raise CorruptRecord(CONTRADICTION) from None
