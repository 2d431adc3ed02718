"""Overlap: which sets of platforms, or of channels, accounts use; each account counts in exactly one set."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar, Final

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.accounts import AccountMeasure, total
from consentprofile.release.measures.arrays import placed, starts
from consentprofile.release.measures.measure import ACCOUNTS, SUM, Bins, Events, Figure, Key, Words

PLACES: Final = ("platform", "channel")
LARGEST_SET: Final = 8
JOINT: Final = " + "
"""What stands between the values of a set."""


class Overlap(AccountMeasure, frozen=True):
    """``values`` are those of the field ``of`` that the filter lets through; ``codes`` their places in its vocabulary.

    A set is exclusive: these values and no others. How many accounts use at least the values of a set is the sum over
    all sets that contain it.
    """

    of: str
    values: tuple[str, ...]
    codes: tuple[int, ...]

    name: ClassVar[str] = "overlap"
    margin: ClassVar[str | None] = SUM

    @classmethod
    def read(cls, top: Reader, words: Words | None) -> Overlap | None:
        """The field: ``platform`` or ``channel``."""
        of = top.choice("of", PLACES)
        if of is None or words is None:
            return None
        if of not in words.enums:
            top.fault("of", f"this purpose does not collect the field {of}")
            return None
        values = words.listed(of)
        top.at_most("of", len(values), LARGEST_SET, f"values; let fewer of them through by where.{of}")
        if any(JOINT in value for value in values):
            top.fault("of", f"a value of this field has {JOINT!r} in it, which stands between the values of a set")
        return cls(of, values[:LARGEST_SET], words.places(of, values[:LARGEST_SET]))

    @property
    def terms(self) -> dict[str, object]:
        """The field."""
        return {"of": self.of}

    @property
    def fields(self) -> tuple[str, ...]:
        """The field."""
        return (self.of,)

    @property
    def columns(self) -> tuple[str, ...]:
        """The set, its values joined."""
        return (f"{self.of}s",)

    @property
    def sets(self) -> tuple[frozenset[int], ...]:
        """Every set but the empty one, small ones first, as places in ``values``."""
        places = range(len(self.values))
        return tuple(frozenset(found) for size in range(1, len(places) + 1) for found in combinations(places, size))

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every set by its values."""
        return tuple((JOINT.join(self.values[place] for place in sorted(found)),) for found in self.sets)

    @property
    def figures(self) -> tuple[str, ...]:
        """The accounts that use just these, and those that use these and perhaps others."""
        return (ACCOUNTS, "at_least")

    def bins(self, events: Events) -> Bins:
        """The set of an account."""
        import numpy as np

        place = placed(self.codes, events.codes[self.of])
        account, bit = events.account[place >= 0], np.left_shift(1, place[place >= 0])
        first = starts(account)
        used = np.bitwise_or.reduceat(bit, first) if len(first) else bit
        rank = np.zeros(1 << len(self.values), dtype=np.int64)
        rank[[sum(1 << place for place in found) for found in self.sets]] = np.arange(len(self.sets))
        return Bins(account[first], rank[used])

    def derived(self, cells: Mapping[Key, tuple[int | None, ...]]) -> Mapping[Key, tuple[Figure, ...]]:
        """Each set, and the sum over the sets that contain it, of the figures that are shown."""
        shown = {found: cells[key][0] for found, key in zip(self.sets, self.keys, strict=True)}
        return {
            key: (shown[found], total(value for other, value in shown.items() if found <= other))
            for found, key in zip(self.sets, self.keys, strict=True)
        }
