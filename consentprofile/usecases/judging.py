"""Judging which compartments count in a release, by what their slots say and what their terms hold today.

Slots are judged as columns. Terms are few, so that what holds under each is found once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from consentprofile.crypto.byte_rows import Rows, joined
from consentprofile.crypto.slot_columns import SlotColumns
from consentprofile.model.consent import IN_FORCE, State
from consentprofile.model.declaration import may_release, may_spend
from consentprofile.model.policy import Precision, Purpose, ReleaseRules
from consentprofile.release.period import is_told
from consentprofile.release.spec import ReleaseSpec
from consentprofile.usecases.books import Books

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Truths = NDArray[np.bool_]

_BOUND_BYTES: Final = 32
"""What binds a key to its terms is a SHA-256."""

_NO_TERMS: Final = 1 << 32
"""Above every number of terms."""


class Question(NamedTuple):
    """What is counted: by which specification, of which purpose (its number in the keyring), as of which second UTC.

    ``suppressed`` are the reasons that are noted for accounts, by their tags.
    """

    spec: ReleaseSpec
    purpose: Purpose
    number: int
    now: int
    suppressed: Mapping[bytes, frozenset[str]]


class _Standing(NamedTuple):
    """What is to be known of consents under the same terms."""

    cut: int
    oldest: int
    keep: int
    released: bool
    """Whether they allow a release under these rules."""
    told: bool
    """Whether times as they are kept tell what is asked."""
    may_be_coarser: bool
    """Whether times of a renewed consent may have been kept more coarsely before."""
    bound: bytes
    """What binds a wrapped key to them."""


class _Standings(NamedTuple):
    """The same as columns."""

    cut: Integers
    oldest: Integers
    keep: Integers
    released: Truths
    told: Truths
    may_be_coarser: Truths
    bound: Rows

    @classmethod
    def of(cls, each: Sequence[_Standing]) -> Self:
        """A row for each."""
        import numpy as np

        cut, oldest, keep = (np.array([held[column] for held in each], dtype=np.int64) for column in range(3))
        released, told, coarser = (np.array([held[column] for held in each], dtype=bool) for column in range(3, 6))
        return cls(cut, oldest, keep, released, told, coarser, joined([held.bound for held in each], _BOUND_BYTES))


class Judged(NamedTuple):
    """Compartments that count, one element for each, and what holds for them.

    ``place`` is their place among the slots that were judged, rising; ``until`` the second, UTC, at which the consent
    ends; what is older than the second ``oldest`` does not count, and of the rest the newest ``keep``. ``told`` are
    those whose times tell what is asked, as they are kept; of those that are ``alone`` only the events can say.
    """

    place: Integers
    until: Integers
    oldest: Integers
    keep: Integers
    told: Truths
    alone: Truths
    bound: Rows

    @classmethod
    def together(cls, parts: Sequence[Judged]) -> Self:
        """The columns of all ``parts``, one at least, each with places among its own slots."""
        import numpy as np

        return cls._make(np.concatenate(columns) for columns in zip(*parts, strict=True))

    def only(self, kept: Truths) -> Judged:
        """Those that are kept."""
        return self if kept.all() else Judged._make(column[kept] for column in self)

    def first(self, number: int) -> Judged:
        """So many of the first."""
        return Judged._make(column[:number] for column in self)


class Judge:
    """Decides which compartments are counted."""

    def __init__(self, question: Question, books: Books) -> None:
        import numpy as np

        self._question = question
        self._books = books
        self._coarsest = books.history.coarsest(question.purpose.name)
        self._in_force = np.zeros(256, dtype=bool)
        self._in_force[list(IN_FORCE)] = True
        self._terms = np.array([_NO_TERMS])
        """The terms that were met, rising, and behind them a number that no terms have; below, a row for each."""
        self._standings = _Standings.of([])

    def counted(self, slots: SlotColumns) -> Judged:
        """Those of ``slots``, compartments of the purpose, that count.

        Whoever consented to stricter releases than this one is not counted in it. Raises :class:`CorruptRecord` for
        terms that are not there. Cost: some 0.2 microseconds each, where there are hundreds.
        """
        import numpy as np

        place = np.flatnonzero(self._in_force[slots.state] & slots.key_held)
        if len(place) < len(slots.number):
            slots = slots.only(place)
        held, until = self._under(slots.terms), slots.until
        counts = (until > held.cut + self._question.now) & held.released
        if self._question.suppressed:
            counts &= self._unsuppressed(slots)
        return Judged(
            place=place,
            until=until - held.cut,
            oldest=held.oldest,
            keep=held.keep,
            told=held.told,
            alone=held.may_be_coarser & (slots.state == State.RENEWED),
            bound=held.bound,
        ).only(counts)

    def tells(self, precision: Precision) -> bool:
        """Whether times as they are kept tell what is asked: what lies within the period, and in which order."""
        spec = self._question.spec
        if precision == "second":
            return True
        return not spec.measure.exact and is_told(self._books.history.calendar, precision, spec.instants)

    def _under(self, terms: Integers) -> _Standings:
        """What holds for each under its ``terms``. Raises :class:`CorruptRecord`."""
        import numpy as np

        row = np.searchsorted(self._terms, terms)
        if (self._terms[row] != terms).any():
            met = sorted({*self._terms.tolist(), *terms.tolist()} - {_NO_TERMS})
            self._standings = _Standings.of([self._standing(number) for number in met])
            self._terms = np.array([*met, _NO_TERMS])
            row = np.searchsorted(self._terms, terms)
        return _Standings._make(column[row] for column in self._standings)

    def _standing(self, terms: int) -> _Standing:
        """What holds under the terms of this number. Raises :class:`CorruptRecord`."""
        spec, held = self._question.spec, self._books.terms.held(terms)
        return _Standing(
            cut=held.cut,
            oldest=self._books.oldest(terms, self._question.now),
            keep=held.holds.keep,
            released=_may_count(spec, held.holds.release),
            told=self.tells(held.holds.precision),
            may_be_coarser=held.holds.precision != self._coarsest,
            bound=held.bound,
        )

    def _unsuppressed(self, slots: SlotColumns) -> Truths:
        """Whose account is not suppressed for any of the reasons that its terms heed."""
        import numpy as np

        noted, none = self._question.suppressed, frozenset[str]()
        terms = slots.terms.tolist()
        heeded = {number: self._books.terms.held(number).holds.reasons for number in set(terms)}
        free = (heeded[of].isdisjoint(noted.get(tag, none)) for tag, of in zip(slots.tags, terms, strict=True))
        return np.fromiter(free, dtype=bool, count=len(terms))


def _may_count(spec: ReleaseSpec, allowed: ReleaseRules | None) -> bool:
    """Whether what a consent allowed is no stricter than the rules of this release, under its kind of protection."""
    return may_spend(allowed, spec.rules) if spec.noise else may_release(allowed, spec.rules, spec.min_accounts)
