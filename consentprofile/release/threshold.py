"""Threshold protection: no figure about few accounts, and no two figures whose difference is about few accounts.

This is a heuristic. It stops the plain attacks (small cells, and differencing two releases); clever combinations of
three and more releases, and an attacker who controls accounts or knows most members of a cell, are not stopped by it.
Every manifest says so.

The rules, applied to each cell by :func:`settle`, ``k`` being the policy's ``min_accounts``:

1. **Fewer than k members: nothing**, always. Zero and suppressed look the same, and every declared key is listed, so
   the list of keys says nothing about anyone. Nothing either where members add amounts and one of them **dominates**:
   the largest is more than half of the whole (signs left aside), or all but the two largest make up less than 15 % of
   the largest, so that the second largest could estimate it too well.
2. **Near an earlier cell** (fewer than k accounts are members of one only, or add something else to the other): the
   earlier value again, also where that was "nothing". Whoever compares the two learns nothing about the few.
3. **Otherwise its own value**: what the members add up to, rounded.

Only a cell that got its value by rules 1 or 3 (``own``) is compared with later. A value given again is about the
members of the older cell, not about those of the newer one, so there is nothing to be differenced from the newer one.
That keeps figures true: each is about a set of members that is fewer than k accounts away. Comparing with copies too
would let a figure drift for ever, a few accounts at each release. The invariant: two figures of one purpose are about
the same members, or about members that differ by at least k accounts.

The rules look at members, not at names, so they hold across dimensions, filters and periods; cells of one release are
compared with one another as well, or one release "by kind" would tell what two releases filtered by kind do not.
Where several earlier cells are near, the earliest decides: the nearest would change with the account in question.

Rule 1 before rule 2, because giving an earlier figure to a cell below k would publish a cell of one member exactly if
that member was in the earlier one: a direct test of membership, where the fall of a figure to nothing says no more
than that a group is below k now, which any threshold says. The other direction is closed: from "nothing" up to k and
beyond it stays "nothing" until k accounts have changed.

An erased account has lost its pseudonym, so it counts as changed even where it comes back: cells seem further apart
than they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from consentprofile.model.policy import ReleaseRules
from consentprofile.release.cells import Cell, Counted
from consentprofile.release.kept import LedgerCell, Settled, kept
from consentprofile.release.measures.measure import COUNTED, Key, Part
from consentprofile.release.nearness import Nearness

if TYPE_CHECKING:
    from consentprofile.release.measures.measure import Numbers

_P_PERCENT = 15
"""What all but the two largest make up at least, in percent of the largest."""


class PublishedCell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A cell as it leaves the store. ``value`` None means suppressed or zero, and nobody can tell which."""

    key: Key
    value: int | None


class Protected(msgspec.Struct, frozen=True):
    """What protection made of a measure's cells, in the order of the rows: for the ledger, and for everybody."""

    ledger: Settled
    published: tuple[PublishedCell, ...]

    def __repr__(self) -> str:
        return "<Protected, content withheld>"


def protect(counted: Counted, rules: ReleaseRules, earlier: Iterable[Settled], *, min_accounts: int) -> Protected:
    """Settle what was ``counted`` under the policy's ``rules``, publish it under the specification's ``min_accounts``.

    ``earlier`` are the ledger's releases of the same purpose, oldest first; they are read once, one by one.
    """
    ledger = settle(counted, rules, earlier)
    return Protected(ledger=ledger, published=publish(ledger.cells, rules, min_accounts))


# ---- settling: what the policy's rules make of a cell -------------------------------------------


def settle(counted: Counted, rules: ReleaseRules, earlier: Iterable[Settled]) -> Settled:
    """Each cell with its value under the policy's rules (see the module), whatever stricter minimum was asked for."""
    nearness = Nearness(counted, rules.min_accounts)
    again = nearness.earliest(earlier)
    settled: list[LedgerCell] = []
    figures: list[int] = []
    for place, cell in enumerate(counted.cells):
        near = again.get(place)  # never for a cell below k
        if near is None and len(cell.members) >= rules.min_accounts:
            first = nearness.first(place, figures)
            near = None if first is None else settled[first]
        made = _own(cell, rules) if near is None else _again(cell, near)
        if made.own and made.value is not None:
            figures.append(place)
        settled.append(made)
    return Settled(counted.pseudonyms.tobytes(), tuple(settled))


def _own(cell: Cell, rules: ReleaseRules) -> LedgerCell:
    """The cell with the value that its members make, if it may have one."""
    made, count = kept(cell), len(cell.members)
    if count < rules.min_accounts:
        return made
    if cell.amounts is None:
        return msgspec.structs.replace(made, value=rounded(count, rules))
    if _is_dominated(cell.amounts):
        return made
    value = rounded(int(cell.amounts.sum()), rules, cell.part)
    return msgspec.structs.replace(made, value=value, accounts=rounded(count, rules))


def _again(cell: Cell, near: LedgerCell) -> LedgerCell:
    """The cell with the value of a near one; without any where that was made of larger amounts than its own allow.

    Such a value could be further off than this release says that its figures are.
    """
    made = kept(cell)
    if near.value is None or near.limit > cell.part.limit:
        return msgspec.structs.replace(made, own=False)
    accounts = None if cell.amounts is None else near.value if near.accounts is None else near.accounts
    return msgspec.structs.replace(made, own=False, value=near.value, accounts=accounts)


def _is_dominated(amounts: Numbers) -> bool:
    """Whether one account stands out so far that the figure would be about it (rule 1)."""
    import numpy as np

    sizes = abs(amounts)
    whole = int(sizes.sum())
    second, first = np.partition(sizes, -2)[-2:].tolist()
    return bool(2 * first > whole or 100 * (whole - first - second) < _P_PERCENT * first)


# ---- rounding -----------------------------------------------------------------------------------


def rounded(total: int, rules: ReleaseRules, part: Part = COUNTED[0]) -> int:
    """``total``, of at least k accounts, to the nearest multiple of the part's step, ties down.

    But not below the first multiple from the smallest total on that k accounts can have.

    What a figure gives away is how few totals it can stand for. Ties go down, not to even, because to even with a
    ``round_to`` of 2 every other figure would stand for one count alone; and where k is no multiple, the counts from k
    on join the first figure above it, or with k = 12 and steps of 5 the figure 10 would mean "exactly 12". So every
    figure stands for at least ``round_to // 2 + 1`` counts, and never for a number of accounts below k.
    """
    by = step(rules, part)
    nearest = -((by - 2 * total) // (2 * by)) * by
    return nearest if part.least <= 0 else max(nearest, _first(rules, part))


def step(rules: ReleaseRules, part: Part) -> int:
    """What figures of this part are multiples of: ``round_to``, and never less than one account can add."""
    return max(rules.round_to, part.limit)


def fewest(value: int, rules: ReleaseRules) -> int:
    """The smallest number of accounts that is rounded to ``value``."""
    return rules.min_accounts if value == _first(rules) else value - (rules.round_to - 1) // 2


def largest_error(rules: ReleaseRules, part: Part = COUNTED[0]) -> int:
    """How far a figure can be from the exact total: by rounding, and by being given again."""
    rounding = step(rules, part) // 2
    if part.least > 0:
        rounding = max(rounding, _first(rules, part) - rules.min_accounts * part.least)
    return rounding + (rules.min_accounts - 1) * part.span


def _first(rules: ReleaseRules, part: Part = COUNTED[0]) -> int:
    """The smallest figure: the first multiple of the step from k times the least that an account adds on."""
    by = step(rules, part)
    return -(-rules.min_accounts * part.least // by) * by


# ---- publishing ---------------------------------------------------------------------------------


def publish(ledger: Iterable[LedgerCell], rules: ReleaseRules, min_accounts: int) -> tuple[PublishedCell, ...]:
    """What leaves: the settled values, without those that may stand for fewer than ``min_accounts`` accounts.

    A stricter minimum hides figures by looking at rounded numbers of accounts alone. Held against the exact counts,
    minimums of 10, 11, 12 ... would spell out each count by the first that hides it.
    """
    return tuple(PublishedCell(cell.key, cell.value if _stands(cell, rules, min_accounts) else None) for cell in ledger)


def _stands(cell: LedgerCell, rules: ReleaseRules, min_accounts: int) -> bool:
    accounts = cell.value if cell.accounts is None else cell.accounts
    return accounts is not None and fewest(accounts, rules) >= min_accounts
