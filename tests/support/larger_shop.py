"""A shop of many made-up accounts, for the policy of the example shop: always the same ones for the same seed.

An account has a platform of its own, and one in four another one besides. It comes now and then, mostly seldom, and
walks from the home page towards a purchase, with some way back, until it has enough of it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from random import Random
from typing import Final

from consentprofile.model.event import Recorded

FIRST: Final = date(2024, 5, 4)
DAYS: Final = 58
"""From 4 May until 30 June: four weeks before the month that is released, and the month."""

SEED: Final = 2024

_WAY: Final = (
    "home", "catalog", "product_view", "add_to_cart", "cart", "shipping_details", "payment_details", "purchase",
)  # fmt: skip
_ASIDE: Final = ("search", "review_page", "wishlist_add", "support_chat", "promo_page")
_PLATFORMS: Final = ("mobile",) * 11 + ("desktop",) * 7 + ("tablet",) * 2

Days = list[dict[int, list[Recorded]]]
"""Day by day from :data:`FIRST` on: the events of each account that came, in order of time."""


def larger_shop(accounts: int, seed: int = SEED) -> Days:
    """The events of so many accounts, some 18 for each."""
    random = Random(seed)  # a made-up shop needs no secrets
    days: Days = [{} for _ in range(DAYS)]
    start = int(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).timestamp())
    for account in range(accounts):
        own = random.choice(_PLATFORMS)
        other = random.choice(_PLATFORMS) if random.random() < 0.25 else own
        for _ in range(1 + int(random.expovariate(1 / 2.5))):
            day = random.randrange(DAYS)
            at = start + day * 86_400 + random.randrange(80_000)
            platform = own if random.random() < 0.6 else other
            visit = days[day].setdefault(account, [])
            visit += _visit(random, at, platform)
    return days


def _visit(random: Random, at: int, platform: str) -> list[Recorded]:
    """The events of one session."""
    fields = (("channel", "web"), ("platform", platform))
    place = 0
    found: list[Recorded] = []
    while place < len(_WAY) and len(found) < 20:
        kind = random.choice(_ASIDE) if random.random() < 0.15 else _WAY[place]
        found.append(Recorded(at, kind, fields, random.randbytes(16)))
        at += random.randrange(5, 240)
        place += random.choice((-1, 0, 1, 1, 1)) if random.random() < 0.85 else len(_WAY)
        place = max(0, place)
    return found
