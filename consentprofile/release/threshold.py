"""Threshold protection: no figure about few accounts, and no two figures whose difference is about few accounts.

This is a heuristic. It stops the plain attacks (small cells, and differencing two releases); clever combinations of
three and more releases, and an attacker who controls accounts or knows most members of a cell, are not stopped by it.
Every manifest says so.

The rules, applied to each cell by :func:`settle`, ``k`` being the policy's ``min_accounts``:

1. **Fewer than k members: nothing**, always. Zero and suppressed look the same, and every declared key is listed, so
   the list of keys says nothing about anyone.
2. **Near an earlier cell** (the members of both differ by fewer than k accounts, in sum of both directions): the
   earlier value again, also where that was "nothing". Whoever compares the two learns nothing about the few.
3. **Otherwise its own value**: the members counted and rounded.

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
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from consentprofile.model.policy import ReleaseRules
from consentprofile.release.measures.reach import PSEUDONYM_BYTES, Cells
from consentprofile.release.spec import Key


class LedgerCell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A cell as the ledger keeps it, sealed: never to be published.

    ``pseudonyms`` are those of its members, 16 bytes each, sorted, joined. ``value`` is what the policy's rules made of
    it, None for nothing; ``own`` says that it was made of these members, and not given again from an earlier cell.
    """

    key: Key
    pseudonyms: bytes
    value: int | None
    own: bool

    def __post_init__(self) -> None:
        names = _split(self.pseudonyms)
        if len(self.pseudonyms) % PSEUDONYM_BYTES or any(a >= b for a, b in pairwise(names)):
            raise ValueError("members are not distinct pseudonyms in order")

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


def protect(cells: Cells, rules: ReleaseRules, earlier: Iterable[LedgerCell], *, min_accounts: int) -> Protected:
    """Settle ``cells`` under the policy's ``rules`` and publish them under the specification's ``min_accounts``.

    ``earlier`` are the ledger's cells of the same purpose, of all releases, oldest first; they are read once.
    """
    ledger = settle(cells, rules, earlier)
    return Protected(ledger=ledger, published=publish(ledger, rules, min_accounts))


# ---- settling: what the policy's rules make of a cell -------------------------------------------


def settle(cells: Cells, rules: ReleaseRules, earlier: Iterable[LedgerCell]) -> tuple[LedgerCell, ...]:
    """Each cell with its value under the policy's rules (see the module), whatever stricter minimum was asked for."""
    least = rules.min_accounts
    given: dict[Key, int | None] = {}
    by_size = sorted((len(members), key) for key, members in cells.items() if len(members) >= least)
    for cell in earlier:
        if cell.own:
            # Sizes that are k apart are members that are k apart: most of the ledger is passed over by its size.
            low = bisect_left(by_size, cell.count - least + 1, key=_size)
            high = bisect_right(by_size, cell.count + least - 1, key=_size)
            for _, key in by_size[low:high]:
                if key not in given and _near(_split(cell.pseudonyms), cells[key], least):
                    given[key] = cell.value
    settled: list[LedgerCell] = []
    figures: list[tuple[frozenset[bytes], int]] = []
    for key, members in cells.items():
        own = key not in given
        value = given.get(key)  # never of a cell below k: none is in by_size
        if own and len(members) >= least:
            same = (figure for others, figure in figures if _near(others, members, least))
            if (again := next(same, None)) is not None:
                own, value = False, again
            else:
                value = rounded(len(members), rules)
                figures.append((members, value))
        settled.append(LedgerCell(key, b"".join(sorted(members)), value, own))
    return tuple(settled)


def _size(cell: tuple[int, Key]) -> int:
    return cell[0]


def _split(pseudonyms: bytes) -> list[bytes]:
    return [pseudonyms[at : at + PSEUDONYM_BYTES] for at in range(0, len(pseudonyms), PSEUDONYM_BYTES)]


def _near(these: Sequence[bytes] | frozenset[bytes], those: frozenset[bytes], least: int) -> bool:
    """Whether the members differ by fewer than ``least`` accounts, those only here and those only there together."""
    # With m of these missing there, len(those) - (len(these) - m) of those are missing here.
    difference = len(those) - len(these)
    if abs(difference) >= least:
        return False
    for member in these:
        if member not in those:
            difference += 2
            if difference >= least:
                return False
    return True


# ---- rounding -----------------------------------------------------------------------------------


def rounded(count: int, rules: ReleaseRules) -> int:
    """``count``, at least k, to the nearest multiple of ``round_to``, ties down, but not below the first from k on.

    What a figure gives away is how few counts it can stand for. Ties go down, not to even, because to even with a
    ``round_to`` of 2 every other figure would stand for one count alone; and where k is no multiple, the counts from k
    on join the first figure above it, or with k = 12 and steps of 5 the figure 10 would mean "exactly 12". So every
    figure stands for at least ``round_to // 2 + 1`` counts, and never for a number of accounts below k.
    """
    nearest = -((rules.round_to - 2 * count) // (2 * rules.round_to)) * rules.round_to
    return max(nearest, _first(rules))


def fewest(value: int, rules: ReleaseRules) -> int:
    """The smallest count that is rounded to ``value``."""
    return rules.min_accounts if value == _first(rules) else value - (rules.round_to - 1) // 2


def largest_error(rules: ReleaseRules) -> int:
    """How far a figure can be from the exact count, in accounts: by rounding, and by being given again."""
    rounding = max(rules.round_to // 2, _first(rules) - rules.min_accounts)
    return rounding + rules.min_accounts - 1


def _first(rules: ReleaseRules) -> int:
    """The smallest figure: the first multiple of ``round_to`` from k on."""
    return -(-rules.min_accounts // rules.round_to) * rules.round_to


# ---- publishing ---------------------------------------------------------------------------------


def publish(ledger: Iterable[LedgerCell], rules: ReleaseRules, min_accounts: int) -> tuple[PublishedCell, ...]:
    """What leaves: the settled values, without those that may stand for fewer than ``min_accounts`` accounts.

    A stricter minimum hides figures by looking at the figures alone. Held against the exact counts, minimums of
    10, 11, 12 ... would spell out each count by the first that hides it.
    """
    return tuple(
        PublishedCell(cell.key, None if cell.value is None or fewest(cell.value, rules) < min_accounts else cell.value)
        for cell in ledger
    )
