"""A store whose accounts are counted in short stretches, by workers that are there from the start."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

import numpy as np
import pytest

from consentprofile.release.spec_file import read_spec
from consentprofile.usecases import census, stretches
from consentprofile.usecases.census import Census, Standing
from consentprofile.usecases.counting import Tally
from consentprofile.usecases.counting_crew import CountingCrew, Here
from consentprofile.usecases.counting_wire import Stretch
from consentprofile.usecases.session import Session
from tests.usecases.test_release import SPEC

PEOPLE = 38
"""The accounts of :func:`populated`."""
ACCOUNTS = tuple(f"acct-{number}" for number in range(1, PEOPLE + 1))

SECONDS = 20.0


class ReadyCrew(CountingCrew):
    """A crew whose workers are ready from the start."""

    began: Collection[int] = ()

    def count(self, whole: Stretch, here: Here) -> Iterator[tuple[Stretch, Tally]]:
        until = time.monotonic() + SECONDS
        while not all(worker.process.ready for worker in self._workers) and time.monotonic() < until:
            for worker in self._workers:
                worker.process.turn(0.1)
        type(self).began = self.processes
        return super().count(whole, here)


def taken(session: Session, *, workers: int = 0, text: str = SPEC) -> Census:
    return census.take(session, read_spec(text, "reach.toml", session.policy), text, workers=workers)


def people(standing: Standing) -> int:
    return len(standing.counted.pseudonyms)


def same(one: Standing, other: Standing) -> bool:
    """Whether two censuses have the same accounts in the same cells."""
    pairs = zip(one.counted.cells, other.counted.cells, strict=True)
    return bool((one.counted.pseudonyms == other.counted.pseudonyms).all()) and all(
        np.array_equal(left.members, right.members) for left, right in pairs
    )


def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven slots each at most, and workers that are there from the start."""
    monkeypatch.setattr(stretches, "LONGEST", 7)
    monkeypatch.setattr(census, "CountingCrew", ReadyCrew)
    monkeypatch.setattr(ReadyCrew, "began", ())
