"""What every measure is: terms of a specification that turn events into bins, each account in a bounded number of them.

A measure is pure, and knows neither protection nor store. It is handed the events of a batch of accounts as arrays, and
answers who counts where and with how much (:class:`Bins`). Curves, rates and sums over bins are made afterwards, out of
the published figures alone (:meth:`Measure.derived`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol, TypeAlias

from consentprofile.model.policy import AmountField, IntegerField
from consentprofile.release.period import Unit, Zoned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers: TypeAlias = NDArray[np.int64]
    Truths: TypeAlias = NDArray[np.bool_]

KIND: Final = "kind"
"""The dimension that every purpose has: the kind of the event."""

ACCOUNTS: Final = "accounts"
"""The column of figures that count accounts."""

Key: TypeAlias = tuple[str, ...]
"""What a cell is about: one value for each column that is no figure. ``()`` is the total."""

Figure: TypeAlias = int | float | None
"""None means suppressed or zero, and nobody can tell which."""


class Part(NamedTuple):
    """A figure of a cell that is protected by itself; one account adds ``least`` to ``limit`` to it."""

    name: str
    limit: int = 1
    least: int = 1

    @property
    def counts(self) -> bool:
        """Whether it counts accounts: everybody adds one."""
        return self.name == ACCOUNTS

    @property
    def span(self) -> int:
        """The most that it changes by where one account comes, goes, or does something else."""
        return self.limit - min(0, self.least)


SUM: Final = "sum"
UNION: Final = "union"
"""How rows make up their margin: as a sum, or, where an account can be in several, as a union."""

COUNTED: Final = (Part(ACCOUNTS),)
"""The part of cells that count accounts: everybody in it adds one."""


class Events(NamedTuple):
    """Events of a batch of accounts, one element for each: those in the period that pass the filters, and no others.

    ``account`` is the account's place in the batch, rising; within an account events are in order of (time, id). ``at``
    is in seconds since 1970-01-01T00:00:00Z. ``cell`` is the place of the event's values among the combinations of the
    dimensions asked for, -1 where one is missing, and 0 without dimensions. ``codes`` are places in the vocabularies of
    the purpose, -1 for none; ``values`` are numbers as stored, and only events that have them are there.
    """

    account: Numbers
    at: Numbers
    cell: Numbers
    codes: Mapping[str, Numbers]
    values: Mapping[str, Numbers]


class Bins(NamedTuple):
    """Who counts where: pairs of an account's place in the batch and a cell's, each pair once, by account.

    A cell's place is (place among the dimensions) x (number of the measure's own keys) + (place among these).
    ``amounts`` has an array for each part; None where everybody adds one.
    """

    account: Numbers
    cell: Numbers
    amounts: tuple[Numbers, ...] | None = None


class Words(NamedTuple):
    """What a specification may speak of: the vocabularies and numbers that the purpose collects, its filters, its time.

    ``enums`` has every value that the purpose keeps, ``kind`` included; ``where`` the filters, values sorted. ``zoned``
    is None where the period is faulty.
    """

    enums: Mapping[str, tuple[str, ...]]
    numbers: Mapping[str, AmountField | IntegerField]
    where: Mapping[str, tuple[str, ...]]
    zoned: Zoned | None

    def listed(self, name: str) -> tuple[str, ...]:
        """The values of an enum that its filter lets through, in the order of the policy."""
        let_through = self.where.get(name)
        values = self.enums[name]
        return values if let_through is None else tuple(value for value in values if value in let_through)

    def places(self, name: str, values: Iterable[str]) -> tuple[int, ...]:
        """The places of values in the vocabulary of an enum, which are the codes of events."""
        vocabulary = self.enums[name]
        return tuple(vocabulary.index(value) for value in values)

    def names_all(self, name: str) -> bool:
        """Whether the filter on ``name`` lets every value through."""
        return set(self.where[name]) == set(self.enums[name])


class Measure(Protocol):
    """The terms of one measure, as read from a specification. Values: equal terms, equal measures."""

    name: ClassVar[str]
    dimensions: ClassVar[int]
    """The most dimensions that it can be broken down by."""
    exact: ClassVar[bool]
    """Whether it needs the order of events: a purpose that keeps times to the second."""

    margin: ClassVar[str | None]
    """How its rows make up their margins, :data:`SUM` or :data:`UNION`; None where it has none."""

    @property
    def terms(self) -> dict[str, object]:
        """The canonical terms that are its own; part of what is asked."""

    @property
    def unit(self) -> Unit | None:
        """The step of time that it cuts the period into, if it does."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns of codes and values that it reads."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Its own columns, after the dimensions."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every key of its own columns, in the order of the rows; ``((),)`` without any."""

    @property
    def bound(self) -> int | None:
        """The most cells that one account can be in, whatever the specification says; None where it may say."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The figures that are protected."""

    @property
    def figures(self) -> tuple[str, ...]:
        """The columns of the published figures."""

    def bins(self, events: Events) -> Bins:
        """Who counts where."""

    def derived(self, cells: Mapping[Key, tuple[int | None, ...]]) -> Mapping[Key, tuple[Figure, ...]]:
        """The published figures of each key, from the protected parts of all of them."""

    def whole(self, figure: int | None) -> tuple[Figure, ...]:
        """The published figures of a margin, from its one protected part."""
