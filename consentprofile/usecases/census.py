"""A census: everybody who counts in a release, and who of them has gone before it is published."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from consentprofile.crypto.compartments import CompartmentOpener
from consentprofile.crypto.slot_columns import SlotColumns
from consentprofile.errors import InputError
from consentprofile.release.cells import PSEUDONYM_BYTES, Counted
from consentprofile.release.gathering import gathered
from consentprofile.release.spec import ReleaseSpec
from consentprofile.store.ports import Compartments
from consentprofile.usecases.collector import no_collector
from consentprofile.usecases.counting import LARGEST_SLICE, Counter, Tally
from consentprofile.usecases.counting_crew import CountingCrew
from consentprofile.usecases.counting_wire import Setup, Stretch
from consentprofile.usecases.judging import Judge, Question
from consentprofile.usecases.session import Session

if TYPE_CHECKING:
    from consentprofile.usecases.counting import Integers

MOST_WORKERS: Final = 64
MANY: Final = 100_000
"""As many slots are worth starting processes for, which begin in the time in which some 30,000 are read."""

Progress = Callable[[int, int], None]
"""Told how many slots of how many have been read. What it raises ends the counting, and nothing is left of it."""


class Standing(NamedTuple):
    """A census as it stands: who counts, as the keyring was after so many changes, and until which second, UTC."""

    counted: Counted
    changes: int
    until: int


class Census:
    """What was counted for one specification, and where each counted account stands in the keyring."""

    def __init__(self, spec: ReleaseSpec, tallies: list[Tally], changes: int) -> None:
        self._spec = spec
        self._tallies = tallies
        self._changes = changes
        """How often the keyring had changed when the counting began."""

    def __repr__(self) -> str:
        return "<Census, content withheld>"

    def standing(self, session: Session) -> Standing:
        """The census without those who have gone: whose key has been destroyed, who may not be counted any more.

        What it finds holds for as long as the keyring counts the same changes, and no longer than ``until``.
        """
        import numpy as np

        with session.ground.files.reading():
            now, changes = session.now(), session.ground.keyring.changes()
        if changes == self._changes:
            until = np.concatenate([tally.until for tally in self._tallies])
        else:
            until = self._until(session, now)
        gone = until <= now
        left = until[~gone]
        counted = gathered(self._spec, [tally.portion for tally in self._tallies], gone)
        return Standing(counted, changes, int(left.min()) if len(left) else now + 1)

    def _until(self, session: Session, now: int) -> Integers:
        """For each who was counted the second, UTC, at which the consent ends that stands at ``now``: a renewal may
        have moved it. 0 for everybody whose compartment is not found again as it was.
        """
        import numpy as np

        slot = np.concatenate([tally.slot for tally in self._tallies])
        generation = np.concatenate([tally.generation for tally in self._tallies])
        pseudonyms = np.concatenate([tally.portion.pseudonyms for tally in self._tallies])
        names = pseudonyms.view(np.uint8).reshape(len(slot), PSEUDONYM_BYTES)
        places = {number: place for place, number in enumerate(slot.tolist())}
        until = np.zeros(len(slot), dtype=np.int64)
        with _gate(session):
            question, opener = _question(session, self._spec, now), _opener(session, self._spec)
        judge = Judge(question, session.books)
        first, last = 1, int(slot.max(initial=0))
        while first <= last:
            with _gate(session) as compartments:
                found = compartments.slots(first, last, question.number, LARGEST_SLICE)
                slots = SlotColumns.of(found)
                judged = judge.counted(slots)
                slots = slots.only(judged.place)
                place = np.array([places.get(number, -1) for number in slots.number.tolist()], dtype=np.int64)
                same = place >= 0
                # A new key of the same compartment (retention) keeps its secret; a new consent has another.
                new = np.flatnonzero(same & (slots.generation != generation[place]))
                again = opener.pseudonyms(slots.only(new), judged.bound[new])
                same[new] = (again == names[place[new]]).all(axis=1)
                until[place[same]] = judged.until[same]
            if len(found) < LARGEST_SLICE:
                break
            first = found[-1][0] + 1
        return until


def take(
    session: Session, spec: ReleaseSpec, text: str, *, workers: int | None = None, progress: Progress | None = None
) -> Census:
    """Count every compartment of the purpose of ``spec``, read from ``text``, that is in force, slice by slice.

    ``workers`` other processes count beside this one; None stands for one fewer than there are processors where there
    is much to count. Raises :class:`InputError` for another number of workers than 0 to 64.
    """
    if workers is not None and not 0 <= workers <= MOST_WORKERS:
        raise InputError(f"there are 0 to {MOST_WORKERS} workers")
    with _gate(session) as compartments:
        changes, last = session.ground.keyring.changes(), compartments.last()
        question, opener = _question(session, spec, session.now()), _opener(session, spec)
    if workers is None:
        workers = min(_processors() - 1, MOST_WORKERS) if last >= MANY else 0

    def here(stretch: Stretch, look_round: Callable[[], object]) -> Tally:
        def gate() -> AbstractContextManager[Compartments]:
            look_round()
            return _gate(session)

        counter = Counter(question, session.books, opener)
        with no_collector():
            return counter.tally(counter.run(gate, stretch.first, stretch.last))

    setups = [_setup(session, question, text)] * workers if workers else []
    tallies, done = [], 0
    with CountingCrew(setups, session.ground.files.alive_descriptor) as crew, session.ground.scanning():
        for stretch, tally in crew.count(Stretch(1, last), here):
            tallies.append(tally)
            done += stretch.last - stretch.first + 1
            if progress is not None:
                progress(done, last)
    return Census(spec, tallies, changes)


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _gate(session: Session) -> Iterator[Compartments]:
    with session.ground.files.reading(), session.ground.keyring.snapshot():
        yield session.ground.compartments


def _question(session: Session, spec: ReleaseSpec, now: int) -> Question:
    tags = {tag for tag, _, _ in session.ground.keyring.suppressions()}
    suppressed: Mapping[bytes, frozenset[str]] = {tag: session.reasons(tag) for tag in tags}
    purpose = session.policy.purposes[spec.purpose]
    return Question(spec, purpose, session.purpose_numbers[spec.purpose], now, suppressed)


def _setup(session: Session, question: Question, text: str) -> Setup:
    """What a worker needs to count for the specification that was read from ``text``."""
    store, _ = session.ground.keyring.identity()
    return Setup(
        directory=str(session.ground.path.absolute()),
        store=store,
        policies={number: policy.text for number, policy in session.history.policies.items()},
        spec=text,
        number=question.number,
        key=session.keys.hand_over()[question.spec.purpose],
        now=question.now,
        suppressed={tag: tuple(sorted(reasons)) for tag, reasons in question.suppressed.items()},
    )


def _opener(session: Session, spec: ReleaseSpec) -> CompartmentOpener:
    store, _ = session.ground.keyring.identity()
    return CompartmentOpener(store, session.keys.require_purpose(spec.purpose), spec.purpose)
