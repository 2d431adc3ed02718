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

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import msgspec

from consentprofile.model.policy import ReleaseRules
from consentprofile.release.cells import PSEUDONYM_BYTES, Counted
from consentprofile.release.measures.measure import COUNTED, Key, Part

_P_PERCENT = 15
"""What all but the two largest make up at least, in percent of the largest."""


class Weighed(NamedTuple):
    """Members that add different amounts, each within the limits of ``part``."""

    by_account: Mapping[bytes, int]
    part: Part


Members: TypeAlias = frozenset[bytes] | Weighed
"""The accounts behind a figure, by their pseudonyms. In a set, everybody adds one."""


def names(members: Members) -> Collection[bytes]:
    """The pseudonyms of the members."""
    return members.by_account.keys() if isinstance(members, Weighed) else members


def _sets(counted: Counted) -> Mapping[Key, Members]:
    whole = counted.pseudonyms.tobytes()
    pseudonyms = _split(whole)
    cells: dict[Key, Members] = {}
    for cell in counted.cells:
        members = [pseudonyms[place] for place in cell.members.tolist()]
        if cell.amounts is None:
            cells[cell.key] = frozenset(members)
        else:
            cells[cell.key] = Weighed(dict(zip(members, cell.amounts.tolist(), strict=True)), cell.part)
    return cells


class LedgerCell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A cell as the ledger keeps it, sealed: never to be published.

    ``pseudonyms`` are those of its members, 16 bytes each, sorted, joined. ``value`` is what the policy's rules made of
    it, None for nothing; ``own`` says that it was made of these members, and not given again from an earlier cell.

    Where members add amounts: ``limit`` is the most that one adds, ``amounts`` is what each of them adds, and
    ``accounts`` the rounded number of accounts behind ``value``. Where everybody adds one, they are 1, none and None.
    """

    key: Key
    pseudonyms: bytes
    value: int | None
    own: bool
    limit: int = 1
    amounts: tuple[int, ...] = ()
    accounts: int | None = None

    def __post_init__(self) -> None:
        members = _split(self.pseudonyms)
        if len(self.pseudonyms) % PSEUDONYM_BYTES or any(a >= b for a, b in pairwise(members)):
            raise ValueError("members are not distinct pseudonyms in order")
        if self.amounts and len(self.amounts) != len(members):
            raise ValueError("there is not an amount for each member")

    def __repr__(self) -> str:
        return "<LedgerCell, content withheld>"

    @property
    def count(self) -> int:
        """The exact number of members."""
        return len(self.pseudonyms) // PSEUDONYM_BYTES

    @property
    def members(self) -> frozenset[bytes]:
        """The pseudonyms."""
        return frozenset(_split(self.pseudonyms))

    @property
    def counted(self) -> tuple[Key, bytes, int | None, bool]:
        """The cell as it is kept where everybody adds one."""
        return self.key, self.pseudonyms, self.value, self.own

    @property
    def adds(self) -> tuple[int, ...]:
        """What each member adds, in the order of the pseudonyms."""
        return self.amounts or (1,) * self.count


class PublishedCell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A cell as it leaves the store. ``value`` None means suppressed or zero, and nobody can tell which."""

    key: Key
    value: int | None


class Protected(msgspec.Struct, frozen=True):
    """What protection made of a measure's cells, in the order of the rows: for the ledger, and for everybody."""

    ledger: tuple[LedgerCell, ...]
    published: tuple[PublishedCell, ...]

    def __repr__(self) -> str:
        return "<Protected, content withheld>"


def protect(counted: Counted, rules: ReleaseRules, earlier: Iterable[LedgerCell], *, min_accounts: int) -> Protected:
    """Settle what was ``counted`` under the policy's ``rules``, publish it under the specification's ``min_accounts``.

    ``earlier`` are the ledger's cells of the same purpose, of all releases, oldest first; they are read once.
    """
    ledger = settle(counted, rules, earlier)
    return Protected(ledger=ledger, published=publish(ledger, rules, min_accounts))


# ---- settling: what the policy's rules make of a cell -------------------------------------------


def settle(counted: Counted, rules: ReleaseRules, earlier: Iterable[LedgerCell]) -> tuple[LedgerCell, ...]:
    """Each cell with its value under the policy's rules (see the module), whatever stricter minimum was asked for."""
    least = rules.min_accounts
    cells = _sets(counted)
    given: dict[Key, LedgerCell] = {}
    by_size = sorted((count, key) for key, members in cells.items() if (count := len(names(members))) >= least)
    for cell in earlier:
        if cell.own:
            # Sizes that are k apart are members that are k apart: most of the ledger is passed over by its size.
            low = bisect_left(by_size, cell.count - least + 1, key=_size)
            high = bisect_right(by_size, cell.count + least - 1, key=_size)
            for _, key in by_size[low:high]:
                if key not in given and _near(cell, cells[key], least):
                    given[key] = cell
    settled: list[LedgerCell] = []
    figures: list[LedgerCell] = []
    for key, members in cells.items():
        near = given.get(key)  # never for a cell below k: none is in by_size
        if near is None and len(names(members)) >= least:
            near = next((figure for figure in figures if _near(figure, members, least)), None)
        cell = _own(key, members, rules) if near is None else _again(key, members, near)
        if cell.own and cell.value is not None:
            figures.append(cell)
        settled.append(cell)
    return tuple(settled)


def _own(key: Key, members: Members, rules: ReleaseRules) -> LedgerCell:
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


def _again(key: Key, members: Members, near: LedgerCell) -> LedgerCell:
    """The cell with the value of a near one; without any where that was made of larger amounts than its own allow.

    Such a value could be further off than this release says that its figures are.
    """
    cell = _kept(key, members)
    if near.value is None or near.limit > cell.limit:
        return msgspec.structs.replace(cell, own=False)
    accounts = None if not isinstance(members, Weighed) else near.value if near.accounts is None else near.accounts
    return msgspec.structs.replace(cell, own=False, value=near.value, accounts=accounts)


def _kept(key: Key, members: Members) -> LedgerCell:
    """The cell without a value."""
    ordered = sorted(names(members))
    if not isinstance(members, Weighed):
        return LedgerCell(key, b"".join(ordered), None, own=True)
    added = tuple(members.by_account[member] for member in ordered)
    return LedgerCell(key, b"".join(ordered), None, own=True, limit=members.part.limit, amounts=added)


def _is_dominated(amounts: Iterable[int]) -> bool:
    """Whether one account stands out so far that the figure would be about it (rule 1)."""
    sizes = sorted((abs(amount) for amount in amounts), reverse=True)
    whole = sum(sizes)
    return 2 * sizes[0] > whole or 100 * (whole - sum(sizes[:2])) < _P_PERCENT * sizes[0]


def _size(cell: tuple[int, Key]) -> int:
    return cell[0]


def _split(pseudonyms: bytes) -> list[bytes]:
    return [pseudonyms[at : at + PSEUDONYM_BYTES] for at in range(0, len(pseudonyms), PSEUDONYM_BYTES)]


def _near(cell: LedgerCell, members: Members, least: int) -> bool:
    """Whether fewer than ``least`` accounts are members of one only, or add something else to the other."""
    these, those = _split(cell.pseudonyms), names(members)
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
