"""Counting the compartments of a purpose that are in force, for a release.

Under the gate, slice by slice, keys are fetched, blocks opened, and keys put down again. What was opened is counted
when the gate has been passed on. Who was counted, and until when that may be, is remembered: before anything is
published, whoever has gone meanwhile is taken out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.crypto.compartments import CompartmentOpener
from consentprofile.crypto.slots import HEADER, NO_KEY, Slot, SlotHeader
from consentprofile.model.consent import IN_FORCE, State
from consentprofile.model.declaration import may_release, may_spend
from consentprofile.model.policy import Precision, Purpose, ReleaseRules
from consentprofile.model.profile import dedupe
from consentprofile.release.cells import Portion
from consentprofile.release.counting import Counting, Opened
from consentprofile.release.period import is_told
from consentprofile.release.spec import ReleaseSpec
from consentprofile.store.ports import Compartment, Compartments
from consentprofile.usecases.books import Books

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

HELD: Final = 0.003
"""Seconds for which the gate is to be held for a slice."""
LONGEST: Final = 0.006
"""Seconds after which nothing more is opened in a slice, whatever it has fetched. What was begun is finished: an
account of 10,000 events takes a millisecond where its blocks were merged, and some 40 where each event is one."""
FIRST_SLICE, LARGEST_SLICE = 64, 1024
"""Compartments of the first slice, and of the largest: slices grow and shrink with the time that they take."""

PATIENCE: Final = 2.0
"""Seconds after which a stretch is handed back as far as it has come: so that progress is told, and whoever counts for
another process is not taken for dead, however many events accounts have."""

BATCH: Final = 4096
"""Compartments that are counted at once."""
BATCH_BYTES: Final = 8 << 20
"""Bytes of opened blocks that are counted at once, whatever compartments they are of."""

_IN_FORCE: Final = frozenset(int(state) for state in IN_FORCE)

Gate = Callable[[], AbstractContextManager[Compartments]]
"""Holds the gate for one slice."""


class Question(NamedTuple):
    """What is counted: by which specification, of which purpose (its number in the keyring), as of which second UTC.

    ``suppressed`` are the reasons that are noted for accounts, by their tags.
    """

    spec: ReleaseSpec
    purpose: Purpose
    number: int
    now: int
    suppressed: Mapping[bytes, frozenset[str]]


class Tally(NamedTuple):
    """What was counted up to the slot ``last``, and for each pseudonym of it its compartment's slot and generation, and
    the second, UTC, at which its consent ends."""

    last: int
    portion: Portion
    slot: Integers
    generation: Integers
    until: Integers

    def __repr__(self) -> str:
        return "<Tally, content withheld>"


class _Standing(NamedTuple):
    """What is to be known of consents under the same terms."""

    bound: bytes
    cut: int
    oldest: int
    keep: int
    released: bool
    """Whether they allow a release under these rules."""
    told: bool
    """Whether times as they are kept tell what is asked."""
    may_be_coarser: bool
    """Whether times of a renewed consent may have been kept more coarsely before."""
    reasons: frozenset[str]


def _may_count(spec: ReleaseSpec, allowed: ReleaseRules | None) -> bool:
    """Whether what a consent allowed is no stricter than the rules of this release, under its kind of protection."""
    return may_spend(allowed, spec.rules) if spec.noise else may_release(allowed, spec.rules, spec.min_accounts)


class Judge:
    """Decides which compartments are counted."""

    def __init__(self, question: Question, books: Books) -> None:
        self._question = question
        self._books = books
        self._coarsest = books.history.coarsest(question.purpose.name)
        self._standings: dict[int, _Standing] = {}

    def standing(self, terms: int) -> _Standing:
        """What holds under the terms of this number. Raises :class:`CorruptRecord`."""
        found = self._standings.get(terms)
        if found is None:
            spec, held = self._question.spec, self._books.terms.held(terms)
            found = self._standings[terms] = _Standing(
                bound=held.bound,
                cut=held.cut,
                oldest=self._books.oldest(terms, self._question.now),
                keep=held.holds.keep,
                released=_may_count(spec, held.holds.release),
                told=self.tells(held.holds.precision),
                may_be_coarser=held.holds.precision != self._coarsest,
                reasons=held.holds.reasons,
            )
        return found

    def tells(self, precision: Precision) -> bool:
        """Whether times as they are kept tell what is asked: what lies within the period, and in which order."""
        spec = self._question.spec
        if precision == "second":
            return True
        return not spec.measure.exact and is_told(self._books.history.calendar, precision, spec.instants)

    def counted(self, header: SlotHeader, record: bytes) -> _Standing | None:
        """What holds for the compartment of the purpose in a slot of these bytes, with this header; None where it is
        not counted.

        Whoever consented to stricter releases than this one is not counted in it.
        """
        if header.state not in _IN_FORCE or record.endswith(NO_KEY):
            return None
        standing, (_, _, _, now, suppressed) = self.standing(header.terms), self._question
        if now >= header.until - standing.cut or not standing.released:
            return None
        if header.tag in suppressed and not standing.reasons.isdisjoint(suppressed[header.tag]):
            return None
        return standing


class Counter:
    """Counts compartments as they are opened."""

    def __init__(self, question: Question, books: Books, opener: CompartmentOpener) -> None:
        self._question = question
        self._books = books
        self._opener = opener
        self._judge = Judge(question, books)
        self._counting = Counting(question.spec)
        self._opened: list[Opened] = []
        """What was opened and is to be counted at once, and below, in the same order, where it was found."""
        self._found: list[Compartment] = []
        self._alone: list[tuple[Opened, Compartment]] = []
        """What was opened and takes its events to tell what rules hold for it."""
        self._bytes = 0
        self._slots: list[int] = []
        """Those of the accounts that have been counted, in the order in which they were, and below, what else is told
        of them."""
        self._generations: list[int] = []
        self._until: list[int] = []

    def run(self, gate: Gate, first: int, last: int) -> int:
        """Count the compartments in the slots from ``first`` to ``last``, or as many of the first of them as can be in
        :data:`PATIENCE`; up to which slot that was."""
        most, end = FIRST_SLICE, time.monotonic() + PATIENCE
        while first <= last:
            with gate() as compartments:
                began = time.perf_counter()
                found = compartments.between(first, last, self._question.number, most)
                opened = self._open(found, began + LONGEST)
                taken = time.perf_counter() - began
            if not found:
                first = last + 1
                break
            first = found[opened - 1].slot + 1
            most = max(1, min(LARGEST_SLICE, 2 * opened, int(opened * HELD / taken)))
            if len(self._opened) + len(self._alone) >= BATCH or self._bytes >= BATCH_BYTES:
                self._count()
            if time.monotonic() > end:
                break
        self._count()
        return first - 1

    def tally(self, last: int) -> Tally:
        """What has been counted, up to the slot ``last``."""
        import numpy as np

        slot, generation, until = (
            np.array(told, dtype=np.int64) for told in (self._slots, self._generations, self._until)
        )
        return Tally(last, self._counting.portion(), slot, generation, until)

    def _open(self, compartments: Sequence[Compartment], end: float) -> int:
        """Open what counts, until ``end`` has passed; how many compartments were gone through. The caller holds the
        gate, and no key outlives the call."""
        counted, unseal, clock = self._judge.counted, self._opener.open, time.perf_counter
        for number, compartment in enumerate(compartments):
            if number and clock() > end:
                return number
            slot, header, record, blocks = compartment
            standing = counted(header, record)
            if standing is None:
                continue
            alone = standing.may_be_coarser and header.state == State.RENEWED
            if not (standing.told or alone):
                continue
            pseudonym, plain = unseal(slot, record, header.generation, standing.bound, blocks)
            self._bytes += sum(map(len, plain))
            opened = Opened(pseudonym, plain, standing.oldest, standing.keep)
            if alone:
                self._alone.append((opened, compartment))
            else:
                self._opened.append(opened)
                self._found.append(compartment)
        return len(compartments)

    def _count(self) -> None:
        """Count what was opened since the last time, most of it at once."""
        opened, found, alone = self._opened, self._found, self._alone
        self._opened, self._found, self._alone, self._bytes = [], [], [], 0
        history = self._books.history
        left = self._counting.add_all(opened, history.policy, history.number)
        alone += [(opened[number], found[number]) for number in left]
        for number in reversed(left):
            del found[number]
        self._note(found)
        for one, compartment in alone:
            self._count_alone(one, compartment)

    def _count_alone(self, opened: Opened, compartment: Compartment) -> None:
        slot, header, record, _ = compartment
        books, question = self._books, self._question
        events = books.allowed(opened.blocks, header.terms, question.now)
        rules = books.rules(question.purpose, Slot(slot, header, record[HEADER.size :]), events)
        if self._judge.tells(rules.precision):
            self._counting.add(opened.pseudonym, dedupe(events)[-rules.keep :])
            self._note((compartment,))

    def _note(self, counted: Sequence[Compartment]) -> None:
        standing = self._judge.standing
        self._slots += [one.slot for one in counted]
        self._generations += [one.header.generation for one in counted]
        self._until += [one.header.until - standing(one.header.terms).cut for one in counted]
