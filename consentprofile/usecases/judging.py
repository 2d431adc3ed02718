"""Judging which compartments count in a release, by what their slots say and what their terms hold today.

Slots are judged as columns. Terms are few, so that what holds under each is found once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    reasons: frozenset[str]


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
        self._standings: dict[int, _Standing] = {}
        self._in_force = np.zeros(256, dtype=bool)
        self._in_force[list(IN_FORCE)] = True

    def counted(self, slots: SlotColumns) -> Judged:
        """Those of ``slots``, compartments of the purpose, that count.

        Whoever consented to stricter releases than this one is not counted in it. Raises :class:`CorruptRecord` for
        terms that are not there. Cost: some 0.3 microseconds each, where there are a hundred.
        """
        import numpy as np

        place = np.flatnonzero(self._in_force[slots.state] & slots.key_held)
        if len(place) < len(slots.number):
            slots = slots.only(place)
        numbers, which = np.unique(slots.terms, return_inverse=True)
        standings = [self._standing(number) for number in numbers.tolist()]

        def numbered(said: Iterable[int]) -> Integers:
            return np.fromiter(said, dtype=np.int64, count=len(standings))[which]

        def true(said: Iterable[bool]) -> Truths:
            return np.fromiter(said, dtype=bool, count=len(standings))[which]

        until, cut = slots.until, numbered(held.cut for held in standings)
        counts = (until > cut + self._question.now) & true(held.released for held in standings)
        if self._question.suppressed:
            counts &= self._unsuppressed(slots.tags, [standings[one].reasons for one in which.tolist()])
        found = Judged(
            place=place,
            until=until - cut,
            oldest=numbered(held.oldest for held in standings),
            keep=numbered(held.keep for held in standings),
            told=true(held.told for held in standings),
            alone=true(held.may_be_coarser for held in standings) & (slots.state == State.RENEWED),
            bound=joined([held.bound for held in standings], _BOUND_BYTES)[which],
        )
        return found.only(counts)

    def tells(self, precision: Precision) -> bool:
        """Whether times as they are kept tell what is asked: what lies within the period, and in which order."""
        spec = self._question.spec
        if precision == "second":
            return True
        return not spec.measure.exact and is_told(self._books.history.calendar, precision, spec.instants)

    def _standing(self, terms: int) -> _Standing:
        """What holds under the terms of this number. Raises :class:`CorruptRecord`."""
        found = self._standings.get(terms)
        if found is None:
            spec, held = self._question.spec, self._books.terms.held(terms)
            found = self._standings[terms] = _Standing(
                cut=held.cut,
                oldest=self._books.oldest(terms, self._question.now),
                keep=held.holds.keep,
                released=_may_count(spec, held.holds.release),
                told=self.tells(held.holds.precision),
                may_be_coarser=held.holds.precision != self._coarsest,
                bound=held.bound,
                reasons=held.holds.reasons,
            )
        return found

    def _unsuppressed(self, tags: Sequence[bytes], reasons: Sequence[frozenset[str]]) -> Truths:
        """Whose account is not suppressed for any of the reasons that its terms heed."""
        import numpy as np

        noted = self._question.suppressed
        heeded = (tag in noted and not of.isdisjoint(noted[tag]) for tag, of in zip(tags, reasons, strict=True))
        return ~np.fromiter(heeded, dtype=bool, count=len(tags))


def _may_count(spec: ReleaseSpec, allowed: ReleaseRules | None) -> bool:
    """Whether what a consent allowed is no stricter than the rules of this release, under its kind of protection."""
    return may_spend(allowed, spec.rules) if spec.noise else may_release(allowed, spec.rules, spec.min_accounts)
