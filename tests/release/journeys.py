"""Random journeys of a few accounts: events that often fall on the same second, each with an id of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.model.event import Recorded
from consentprofile.release.spec import ReleaseSpec
from tests.release.plain import Cells
from tests.release.shop_policy import SINCE, counted, name

Accounts: TypeAlias = Mapping[int, list[Recorded]]

KINDS = ("login", "search", "purchase")
PLATFORMS = ("mobile", "desktop", "tablet")


@st.composite
def journeys(draw: st.DrawFn, step: int = 600, longest: int = 40) -> Accounts:
    """Up to eight accounts; times are ``step`` seconds apart, or none at all."""
    said = st.tuples(
        st.integers(-2, longest),
        st.sampled_from(KINDS),
        st.sampled_from((*PLATFORMS, "")),
        st.sampled_from(("web", "app")),
    )
    accounts = draw(st.dictionaries(st.integers(0, 10**6), st.lists(said, max_size=14), max_size=8))
    return {
        number: [
            Recorded(
                SINCE + at * step,
                kind,
                (("channel", channel), *((("platform", platform),) if platform else ())),
                canonical.digest(canonical.pack((number, place)))[:16],
            )
            for place, (at, kind, platform, channel) in enumerate(events)
        ]
        for number, events in accounts.items()
    }


def in_order(asked: ReleaseSpec, accounts: Accounts) -> dict[bytes, list[Recorded]]:
    """What the measure may look at: of each account the events in the period, by (time, id)."""
    period = asked.period
    return {
        name(number): sorted(
            (event for event in events if period.since <= event.at < period.until),
            key=lambda event: (event.at, event.id),
        )
        for number, events in accounts.items()
    }


def members(asked: ReleaseSpec, accounts: Accounts) -> dict[tuple[str, ...], frozenset[bytes]]:
    """The cells that anybody is in."""
    cells: Cells = counted(asked, accounts)
    assert tuple(cells) == asked.keys
    return {key: found for key, found in cells.items() if isinstance(found, frozenset) and found}


def gathered(pairs: Sequence[tuple[tuple[str, ...], bytes]]) -> dict[tuple[str, ...], frozenset[bytes]]:
    """Pairs of key and account as cells."""
    keys = {key for key, _ in pairs}
    return {key: frozenset(account for other, account in pairs if other == key) for key in keys}
