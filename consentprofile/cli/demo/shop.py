"""The example shop that ``demo`` works on: where its files are, and which customers it looks at, by rule."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import consentprofile as cp

PRESENT: Final = datetime(2024, 7, 1, tzinfo=UTC)
"""What the demo takes for the present."""

READ: Final = ("support", "marketing")
"""The purposes through which one customer is looked at."""

_FOUND: Final = "shop/policy.toml"


class Shop:
    """The files of the example shop, beside the package in a checkout, or inside it where it was installed."""

    def __init__(self) -> None:
        package = Path(cp.__file__).parent
        places = (package.parent / "examples", package / "_examples")
        folder = next((place for place in places if (place / _FOUND).is_file()), None)
        if folder is None:
            raise cp.UnreadableInput("the example shop is not installed; reinstall the package")
        self.policy: Final = folder / _FOUND
        self.consents: Final = folder / "shop" / "consents.csv"
        self.mapping: Final = folder / "shop" / "mapping.toml"
        self.reach: Final = folder / "shop" / "reach.toml"
        self.events: Final = folder / "data" / "ecom.csv.gz"


class Chosen(NamedTuple):
    """The customers that the demo looks at, and how many there are."""

    customers: tuple[str, ...]
    followed: str
    moves: int
    """How often the followed customer changed platform."""
    candidates: int
    """How many customers could have been followed."""
    erased: str


class _Customer(NamedTuple):
    name: str
    given: dict[str, datetime]
    events: list[tuple[datetime, str]]
    """(time, platform) of what happened after the consent to support, in the order of time."""

    @property
    def moves(self) -> int:
        return sum(one[1] != two[1] for one, two in pairwise(self.events))


def choose(shop: Shop, purposes: list[str], platforms: int) -> Chosen:
    """The customer to follow and the one to erase.

    Followed is, of those who consent to both purposes of :data:`READ` and used every platform, the one who moved
    between platforms most often; erased, of the others who consent to every purpose, the one with the most events.
    Ties are broken by name.
    """
    customers = _customers(shop)
    readers = [one for one in customers if one.given.keys() >= set(READ)]
    candidates = [one for one in readers if len({platform for _, platform in one.events}) == platforms]
    followed = min(candidates, key=lambda one: (-one.moves, one.name))
    everything = [one for one in customers if one.given.keys() >= set(purposes) and one is not followed]
    erased = min(everything, key=lambda one: (-len(one.events), one.name))
    names = tuple(one.name for one in customers)
    return Chosen(names, followed.name, followed.moves, len(candidates), erased.name)


def _customers(shop: Shop) -> list[_Customer]:
    given: dict[str, dict[str, datetime]] = defaultdict(dict)
    with shop.consents.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for purpose in row["purposes"].split():
                if row["act"] == "give":
                    given[row["account"]][purpose] = datetime.fromisoformat(row["at"])
                else:
                    given[row["account"]].pop(purpose, None)
    events: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    with gzip.open(shop.events, "rt", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
            if at >= given[row["user_id"]].get(READ[0], PRESENT):
                events[row["user_id"]].append((at, row["platform"]))
            else:
                events[row["user_id"]]
    return [_Customer(name, given[name], sorted(found)) for name, found in sorted(events.items())]
