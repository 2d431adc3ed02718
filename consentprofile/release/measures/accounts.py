"""What measures that count accounts have in common unless they say otherwise: one figure, no terms of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import msgspec

from consentprofile.release.measures.measure import COUNTED, Figure, Key, Part
from consentprofile.release.period import Unit


class AccountMeasure(msgspec.Struct, frozen=True):
    """A measure whose cells are sets of accounts."""

    dimensions: ClassVar[int] = 0
    exact: ClassVar[bool] = False
    margin: ClassVar[str | None] = None

    @property
    def terms(self) -> dict[str, object]:
        """None."""
        return {}

    @property
    def unit(self) -> Unit | None:
        """None."""
        return None

    @property
    def fields(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def keys(self) -> tuple[Key, ...]:
        """One, without columns."""
        return ((),)

    @property
    def bound(self) -> int | None:
        """One: an account counts in one bin."""
        return 1

    @property
    def parts(self) -> tuple[Part, ...]:
        """The accounts."""
        return COUNTED

    @property
    def figures(self) -> tuple[str, ...]:
        """The parts, as they are."""
        return tuple(part.name for part in self.parts)

    def derived(self, cells: Mapping[Key, tuple[int | None, ...]]) -> Mapping[Key, tuple[Figure, ...]]:
        """The parts, as they are."""
        return cells

    def whole(self, figure: int | None) -> tuple[Figure, ...]:
        """Sums over rows, too, are the margin itself."""
        return (figure,) * len(self.figures)


class CellMeasure(AccountMeasure, frozen=True):
    """A measure of what lies in each cell of up to three dimensions; how many cells count, the specification says."""

    dimensions: ClassVar[int] = 3

    @property
    def bound(self) -> int | None:
        """As the specification says."""
        return None


def total(values: Iterable[int | None]) -> int | None:
    """The sum of published figures: too small where some are suppressed, and None where all of them are."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def from_here_on(values: Sequence[int | None]) -> list[int | None]:
    """For each of the ``values`` the :func:`total` of it and all that follow."""
    return [total(values[place:]) for place in range(len(values))]
