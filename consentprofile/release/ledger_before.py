"""Ledger entries of the formats 1 and 2, as earlier versions wrote them: each cell with its members' pseudonyms."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from consentprofile import canonical
from consentprofile.errors import CorruptRecord
from consentprofile.release.cells import PSEUDONYM_BYTES, Cell
from consentprofile.release.kept import CONTRADICTION, Settled, kept
from consentprofile.release.measures.measure import ACCOUNTS, Key, Part

COUNTED: Final = 1
"""The format of entries in which everybody adds one to a cell."""
WEIGHED: Final = 2
"""The format of entries whose cells say what each member adds."""

_Amount = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]


class _Cell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A cell of format 1: its members' pseudonyms, 16 bytes each, sorted, joined."""

    key: Key
    pseudonyms: bytes
    value: int | None
    own: bool


class _WeighedCell(_Cell, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A cell of format 2; ``amounts`` in the order of the pseudonyms, none where everybody adds one."""

    limit: int
    amounts: tuple[_Amount, ...]
    accounts: int | None


def read(form: int, cells: bytes) -> Settled:
    """The ``cells`` of an entry of this format. :class:`CorruptRecord` for what contradicts itself."""
    import numpy as np

    found: tuple[_Cell, ...]
    if form == COUNTED:
        found = canonical.unpack(cells, tuple[_Cell, ...])
    else:
        found = canonical.unpack(cells, tuple[_WeighedCell, ...])
    if any(len(cell.pseudonyms) % PSEUDONYM_BYTES for cell in found):
        raise CorruptRecord(CONTRADICTION)
    named = [np.frombuffer(cell.pseudonyms, dtype=f"S{PSEUDONYM_BYTES}") for cell in found]
    pseudonyms = np.unique(np.concatenate(named)) if named else np.array([], dtype=f"S{PSEUDONYM_BYTES}")
    settled = []
    for cell, names in zip(found, named, strict=True):
        limit, amounts, accounts = 1, None, None
        if isinstance(cell, _WeighedCell):
            limit, accounts = cell.limit, cell.accounts
            amounts = np.array(cell.amounts, dtype=np.int64) if cell.amounts else None
        if not (names[1:] > names[:-1]).all() or (amounts is not None and len(amounts) != len(names)):
            raise CorruptRecord(CONTRADICTION)
        members = np.searchsorted(pseudonyms, names).astype(np.uint32)
        bare = kept(Cell(cell.key, Part(ACCOUNTS, limit), members, amounts))
        settled.append(msgspec.structs.replace(bare, value=cell.value, own=cell.own, accounts=accounts))
    return Settled(pseudonyms.tobytes(), tuple(settled))
