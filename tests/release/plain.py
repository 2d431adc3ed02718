"""Settling in plain Python over sets: what the arrays of the package are held against."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import msgspec

from consentprofile.model.policy import ReleaseRules
from consentprofile.release.cells import PSEUDONYM_BYTES
from consentprofile.release.measures.measure import Key, Part
from consentprofile.release.threshold import rounded

_P_PERCENT = 15


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
    """Pseudonyms that were joined."""
    return [pseudonyms[at : at + PSEUDONYM_BYTES] for at in range(0, len(pseudonyms), PSEUDONYM_BYTES)]


class PlainCell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A settled cell, as :class:`~consentprofile.release.kept.LedgerCell` with every member's pseudonym, joined."""

    key: Key
    pseudonyms: bytes
    value: int | None
    own: bool
    limit: int = 1
    amounts: tuple[int, ...] = ()
    accounts: int | None = None

    def __post_init__(self) -> None:
        members = split(self.pseudonyms)
        if len(self.pseudonyms) % PSEUDONYM_BYTES or any(a >= b for a, b in pairwise(members)):
            raise ValueError("members are not distinct pseudonyms in order")
        if self.amounts and len(self.amounts) != len(members):
            raise ValueError("there is not an amount for each member")

    def __repr__(self) -> str:
        return "<PlainCell, content withheld>"

    @property
    def count(self) -> int:
        """The exact number of members."""
        return len(self.pseudonyms) // PSEUDONYM_BYTES

    @property
    def members(self) -> frozenset[bytes]:
        """The pseudonyms."""
        return frozenset(split(self.pseudonyms))

    @property
    def adds(self) -> tuple[int, ...]:
        """What each member adds, in the order of the pseudonyms."""
        return self.amounts or (1,) * self.count


def settle(cells: Cells, rules: ReleaseRules, earlier: Iterable[PlainCell]) -> tuple[PlainCell, ...]:
    """Each cell with its value under the policy's rules."""
    least = rules.min_accounts
    given: dict[Key, PlainCell] = {}
    by_size = sorted((count, key) for key, members in cells.items() if (count := len(names(members))) >= least)
    for cell in earlier:
        if cell.own:
            # Sizes that are k apart are members that are k apart: most of the ledger is passed over by its size.
            low = bisect_left(by_size, cell.count - least + 1, key=_size)
            high = bisect_right(by_size, cell.count + least - 1, key=_size)
            for _, key in by_size[low:high]:
                if key not in given and _near(cell, cells[key], least):
                    given[key] = cell
    settled: list[PlainCell] = []
    figures: list[PlainCell] = []
    for key, members in cells.items():
        near = given.get(key)  # never for a cell below k: none is in by_size
        if near is None and len(names(members)) >= least:
            near = next((figure for figure in figures if _near(figure, members, least)), None)
        cell = _own(key, members, rules) if near is None else _again(key, members, near)
        if cell.own and cell.value is not None:
            figures.append(cell)
        settled.append(cell)
    return tuple(settled)


def _own(key: Key, members: Members, rules: ReleaseRules) -> PlainCell:
    """The cell with the value that its members make, if it may have one."""
    cell = _kept(key, members)
    if cell.count < rules.min_accounts:
        return cell
    if not isinstance(members, Weighed):
        return msgspec.structs.replace(cell, value=rounded(cell.count, rules))
    if _is_dominated(cell.adds):
        return cell
    value = rounded(sum(cell.adds), rules, members.part)
    return msgspec.structs.replace(cell, value=value, accounts=rounded(cell.count, rules))


def _again(key: Key, members: Members, near: PlainCell) -> PlainCell:
    """The cell with the value of a near one; without any where that was made of larger amounts than its own allow.

    Such a value could be further off than this release says that its figures are.
    """
    cell = _kept(key, members)
    if near.value is None or near.limit > cell.limit:
        return msgspec.structs.replace(cell, own=False)
    accounts = None if not isinstance(members, Weighed) else near.value if near.accounts is None else near.accounts
    return msgspec.structs.replace(cell, own=False, value=near.value, accounts=accounts)


def _kept(key: Key, members: Members) -> PlainCell:
    """The cell without a value."""
    ordered = sorted(names(members))
    if not isinstance(members, Weighed):
        return PlainCell(key, b"".join(ordered), None, own=True)
    added = tuple(members.by_account[member] for member in ordered)
    return PlainCell(key, b"".join(ordered), None, own=True, limit=members.part.limit, amounts=added)


def _is_dominated(amounts: Iterable[int]) -> bool:
    """Whether one account stands out so far that the figure would be about it (rule 1)."""
    sizes = sorted((abs(amount) for amount in amounts), reverse=True)
    whole = sum(sizes)
    return 2 * sizes[0] > whole or 100 * (whole - sum(sizes[:2])) < _P_PERCENT * sizes[0]


def _size(cell: tuple[int, Key]) -> int:
    return cell[0]


def _near(cell: PlainCell, members: Members, least: int) -> bool:
    """Whether fewer than ``least`` accounts are members of one only, or add something else to the other."""
    these, those = split(cell.pseudonyms), names(members)
    # With m of these missing there, len(those) - (len(these) - m) of those are missing here.
    difference = len(those) - len(these)
    if abs(difference) >= least:
        return False
    for member in these:
        if member not in those:
            difference += 2
            if difference >= least:
                return False
    if not cell.amounts and not isinstance(members, Weighed):
        return True
    there = members.by_account if isinstance(members, Weighed) else dict.fromkeys(members, 1)
    changed = (there.get(member, added) != added for member, added in zip(these, cell.adds, strict=True))
    return difference + sum(changed) < least
