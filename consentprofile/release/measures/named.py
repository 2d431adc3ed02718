"""The measures by the names that specifications call them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from consentprofile.model.toml_reader import Reader
from consentprofile.release.measures.counts import Counts
from consentprofile.release.measures.frequency import Frequency
from consentprofile.release.measures.funnel import Funnel
from consentprofile.release.measures.means import Means
from consentprofile.release.measures.measure import Measure, Words
from consentprofile.release.measures.overlap import Overlap
from consentprofile.release.measures.reach import Reach
from consentprofile.release.measures.retention import Retention
from consentprofile.release.measures.segments import Segments
from consentprofile.release.measures.sums import Sums
from consentprofile.release.measures.time_to_next import TimeToNext
from consentprofile.release.measures.transitions import Transitions


class Read(Protocol):
    """What reads the terms of one measure; None, with faults noted in ``top``, where they cannot be read."""

    def __call__(self, top: Reader, words: Words | None) -> Measure | None:
        """``words`` is None where the purpose is faulty: then only what does not depend on it is judged."""


MEASURES: Final[Mapping[str, Read]] = {
    "reach": Reach.read,
    "counts": Counts.read,
    "sums": Sums.read,
    "means": Means.read,
    "overlap": Overlap.read,
    "frequency": Frequency.read,
    "funnel": Funnel.read,
    "retention": Retention.read,
    "transitions": Transitions.read,
    "time-to-next": TimeToNext.read,
    "segments": Segments.read,
}

TERMS: Final = (
    "every",
    "field",
    "first",
    "limit",
    "mode",
    "most",
    "next",
    "of",
    "order",
    "periods",
    "return",
    "segments",
    "start",
    "steps",
    "window",
)
"""Every term that some measure has of its own."""
