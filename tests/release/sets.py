"""Cells as sets of pseudonyms: how tests write what was counted and settled, and how they look at it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from consentprofile.model.policy import ReleaseRules
from consentprofile.release import threshold
from consentprofile.release.cells import PSEUDONYM_BYTES, Cell, Counted
from consentprofile.release.kept import Settled, kept
from consentprofile.release.measures.measure import COUNTED, Key, Part
from consentprofile.release.threshold import Protected
from tests.release.plain import Cells, Members, PlainCell, Weighed, names, split


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


def as_plain(settled: Settled) -> tuple[PlainCell, ...]:
    """Settled cells with the pseudonyms of each."""
    pseudonyms = split(settled.joined)
    return tuple(
        PlainCell(
            cell.key,
            b"".join(pseudonyms[place] for place in settled.members(cell).tolist()),
            cell.value,
            cell.own,
            cell.limit,
            () if cell.amounts is None else tuple(cell.amounts.tolist()),
            cell.accounts,
        )
        for cell in settled.cells
    )


def as_settled(cells: Sequence[PlainCell]) -> Settled:
    """The cells of one release as the ledger keeps them."""
    pseudonyms = sorted({name for cell in cells for name in cell.members})
    place = {name: number for number, name in enumerate(pseudonyms)}
    made = []
    for cell in cells:
        members = np.array([place[name] for name in split(cell.pseudonyms)], dtype=np.uint32)
        amounts = np.array(cell.amounts, dtype=np.int64) if cell.amounts else None
        bare = kept(Cell(cell.key, Part("", cell.limit), members, amounts))
        made.append(msgspec.structs.replace(bare, value=cell.value, own=cell.own, accounts=cell.accounts))
    return Settled(b"".join(pseudonyms), tuple(made))


def settle(cells: Cells, rules: ReleaseRules, earlier: Iterable[PlainCell]) -> tuple[PlainCell, ...]:
    """What protection makes of these cells, after a release of the earlier ones."""
    return as_plain(threshold.settle(as_counted(cells), rules, iter([as_settled(tuple(earlier))])))


def protect(cells: Cells, rules: ReleaseRules, earlier: Iterable[PlainCell], *, min_accounts: int) -> Protected:
    """What leaves of these cells, and what is kept."""
    return threshold.protect(as_counted(cells), rules, iter([as_settled(tuple(earlier))]), min_accounts=min_accounts)
