"""Cells as sets of pseudonyms: how tests write them, and how they look at what was counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from consentprofile.model.policy import ReleaseRules
from consentprofile.release import threshold
from consentprofile.release.cells import PSEUDONYM_BYTES, Cell, Counted
from consentprofile.release.measures.measure import COUNTED, Key, Part
from consentprofile.release.threshold import LedgerCell, Protected


class Weighed(NamedTuple):
    """Members that add different amounts, each within the limits of ``part``."""

    by_account: Mapping[bytes, int]
    part: Part


Members: TypeAlias = frozenset[bytes] | Weighed
"""The accounts behind a figure, by their pseudonyms. In a set, everybody adds one."""

Cells: TypeAlias = Mapping[Key, Members]
"""The members of every declared cell, empty ones included, in the order of the rows."""


def names(members: Members) -> Collection[bytes]:
    """The pseudonyms of the members."""
    return members.by_account.keys() if isinstance(members, Weighed) else members


def split(pseudonyms: bytes) -> list[bytes]:
    return [pseudonyms[at : at + PSEUDONYM_BYTES] for at in range(0, len(pseudonyms), PSEUDONYM_BYTES)]


def as_sets(counted: Counted) -> Cells:
    """What was counted, cell by cell."""
    pseudonyms = split(counted.pseudonyms.tobytes())
    cells: dict[Key, Members] = {}
    for cell in counted.cells:
        members = [pseudonyms[place] for place in cell.members.tolist()]
        if cell.amounts is None:
            cells[cell.key] = frozenset(members)
        else:
            cells[cell.key] = Weighed(dict(zip(members, cell.amounts.tolist(), strict=True)), cell.part)
    return cells


def as_counted(cells: Cells) -> Counted:
    """These cells as counting answers them."""
    pseudonyms = sorted({name for members in cells.values() for name in names(members)})
    place = {name: number for number, name in enumerate(pseudonyms)}
    made = []
    for key, members in cells.items():
        ordered = sorted(names(members))
        places = np.array([place[name] for name in ordered], dtype=np.uint32)
        if isinstance(members, Weighed):
            amounts = np.array([members.by_account[name] for name in ordered], dtype=np.int64)
            made.append(Cell(key, members.part, places, amounts))
        else:
            made.append(Cell(key, COUNTED[0], places, None))
    return Counted(np.array(pseudonyms, dtype=f"S{PSEUDONYM_BYTES}"), tuple(made))


def settle(cells: Cells, rules: ReleaseRules, earlier: Iterable[LedgerCell]) -> tuple[LedgerCell, ...]:
    """What protection makes of these cells."""
    return threshold.settle(as_counted(cells), rules, earlier)


def protect(cells: Cells, rules: ReleaseRules, earlier: Iterable[LedgerCell], *, min_accounts: int) -> Protected:
    """What leaves of these cells, and what is kept."""
    return threshold.protect(as_counted(cells), rules, earlier, min_accounts=min_accounts)
