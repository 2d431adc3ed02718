"""What is recorded: made-up events of made-up accounts, the same in every run, and how much of it there is."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final, Literal, NamedTuple, Self, TypeAlias

from consentprofile import Act, Decision, Event

SEED: Final = 20240101
PURPOSE: Final = "support"
PURPOSES: Final = (PURPOSE, "analytics", "offers")
"""A store is measured with the first of them, or with all."""
NOTICE: Final = "2024-01"
ACTOR: Final = "support-agent:1"

CONSENTED: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""When everybody gives consent; the events follow within the span, in the order of time."""
SPAN: Final = timedelta(days=91)
_START: Final = int(CONSENTED.timestamp())
_SECONDS: Final = SPAN.total_seconds()
NOW: Final = datetime(2024, 4, 15, 12, tzinfo=UTC)
"""What the store's clock says while events are recorded and read."""

SESSIONS_CONSENTED: Final = datetime(2017, 1, 1, tzinfo=UTC)
SESSIONS_NOW: Final = datetime(2017, 12, 1, tzinfo=UTC)
"""The same two moments for the file of sessions, which is of 2017."""

KINDS: Final = ("login", "search", "product_view", "add_to_cart", "purchase")
CHANNELS: Final = ("web", "app", "store")
PLATFORMS: Final = ("desktop", "mobile", "tablet")
ACQUISITIONS: Final = ("organic", "paid_search", "email", "social", "direct")

_LONGEST_VISIT: Final = 7
"""Events of a visit, at most."""
_PAUSE: Final = (20, 600)
"""Seconds between two events of a visit: at least, and how many more at most."""
_GOES_ON: Final = 0.6
"""How often an event of a visit is followed by one of the next kind, rather than by one of any."""

_HEAD: Final = f"""
format = 1
time_zone = "UTC"
roles = ["support-agent"]

[controller]
name = "Benchmark"
contact = "privacy@shop.example"
jurisdiction = "DE"

[[notices]]
version = "{NOTICE}"
language = "en"
address = "https://shop.example/privacy/2024-01"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

[fields]
channel = {{ enum = {list(CHANNELS)} }}
platform = {{ enum = {list(PLATFORMS)} }}
device = {{ token = true }}
acquisition = {{ enum = {list(ACQUISITIONS)} }}

[[kinds]]
names = {list(KINDS)}
fields = ["channel", "platform", "device", "acquisition"]

""".replace("'", '"')

_PURPOSE: Final = f"""
[purposes.%s]
title = "Help you when you contact us"
dpv = "dpv:CustomerCare"
notice = "{NOTICE}"
lifetime = "730 days"
retention = "12 months"
evidence = "36 months"
readers = ["support-agent"]
release = {{ min_accounts = 10, round_to = 5, epsilon_per_year = 2.0, cadence = "7 days" }}
precision = "second"
keep = 10_000
collect = {{ "*" = ["channel", "platform", "device", "acquisition"] }}
"""


def policy(purposes: int = 1) -> str:
    """The policy with so many purposes, each of which collects every field of every kind."""
    return _HEAD + "".join(_PURPOSE % name for name in PURPOSES[:purposes])


REACH: Final = f"""
format = 1
name = "reach-by-platform"
purpose = "{PURPOSE}"
measure = "reach"
by = ["platform"]
from = 2024-01-01
until = 2024-04-01
zone = "UTC"

[protection]
kind = "threshold"
min_accounts = 10
"""

SESSIONS: Final = """
format = 1
account = "user_id"
kind = { value = "login" }
at = { column = "session_start_ms", format = "unix-milliseconds" }
ignore = ["session_id", "session_size", "environment", "os", "country", "region", "referrer"]

[fields]
channel = { value = "web" }
platform = { column = "device_group", values = { "1" = "desktop", "3" = "mobile", "4" = "tablet" } }
"""
"""The mapping of docs/import.md for the file of sessions."""


class Row(NamedTuple):
    """One event as the peers store it; ``at`` in seconds since 1970, UTC."""

    account: str
    kind: str
    at: int
    channel: str
    platform: str
    device: str
    id: str
    acquisition: str

    def event(self) -> Event:
        """The same event as the store takes it."""
        return Event(
            account=self.account,
            kind=self.kind,
            at=datetime.fromtimestamp(self.at, UTC),
            id=self.id,
            fields={
                "channel": self.channel,
                "platform": self.platform,
                "device": self.device,
                "acquisition": self.acquisition,
            },
        )


class Batch(NamedTuple):
    """Rows in both forms, both made before anything is timed."""

    rows: Sequence[Row]
    events: Sequence[Event]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        """The batch of these rows."""
        return cls(rows, [row.event() for row in rows])


Order: TypeAlias = Literal["random", "zipf", "in order"]


class Source:
    """Makes rows. Two sources of the same seed make the same rows; ids never repeat within one source."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"{SEED} {seed}")
        self._name = f"{seed:02d}"
        self._made = 0

    def row(self, account: str, position: float) -> Row:
        """One event of ``account``, at ``position`` (0 to 1) of the span."""
        draw = self._random.random
        platform = PLATFORMS[int(draw() * 3)]
        kind = KINDS[int(draw() * 5)]
        return self._row(account, kind, _START + int(_SECONDS * position), CHANNELS[int(draw() * 3)], platform)

    def _row(self, account: str, kind: str, at: int, channel: str, platform: str) -> Row:
        self._made += 1
        acquisition = ACQUISITIONS[int(self._random.random() * 5)]
        name = f"e-{self._name}-{self._made:09d}"
        return Row(account, kind, at, channel, platform, f"{account}/{platform}", name, acquisition)

    def load(self, events: int, accounts: int, stretch: int, order: Order = "random") -> Iterator[list[Row]]:
        """``events`` rows of ``accounts`` accounts, ``stretch`` at a time, in the order of time or of accounts."""
        for start in range(0, events, stretch):
            yield [self._of(order, index, events, accounts) for index in range(start, min(start + stretch, events))]

    def _of(self, order: Order, index: int, events: int, accounts: int) -> Row:
        if order == "in order":
            # Account after account, the events of each over the whole span.
            place = index * accounts / events
            return self.row(account(int(place)), place - int(place))
        if order == "zipf":
            # The logarithm of the rank is uniform: the account of rank n comes up as 1 / n.
            return self.row(account(int(accounts ** self._random.random()) % accounts), index / events)
        return self.row(self.somebody(accounts), index / events)

    def visits(self, events: int, accounts: int, stretch: int) -> Iterator[list[Row]]:
        """The same as :meth:`load`, accounts in random order, but each comes for a visit of up to seven events.

        A visit is on one platform, over one channel, and goes from kind to kind. A stretch is in the order of time.
        """
        for start in range(0, events, stretch):
            count = min(stretch, events - start)
            rows: list[Row] = []
            while len(rows) < count:
                rows.extend(self._visit(self.somebody(accounts), (start + len(rows)) / events))
            yield sorted(rows[:count], key=attrgetter("at"))

    def _visit(self, account: str, position: float) -> Iterator[Row]:
        draw = self._random.random
        least, more = _PAUSE
        at = _START + int((_SECONDS - _LONGEST_VISIT * (least + more)) * position)
        channel, platform = CHANNELS[int(draw() * 3)], PLATFORMS[int(draw() * 3)]
        kind = 0
        for _ in range(1 + int(draw() * _LONGEST_VISIT)):
            yield self._row(account, KINDS[kind], at, channel, platform)
            at += least + int(draw() * more)
            kind = (kind + 1) % len(KINDS) if draw() < _GOES_ON else int(draw() * len(KINDS))

    def somebody(self, accounts: int) -> str:
        """One of the accounts of the load."""
        return account(int(self._random.random() * accounts))

    def scattered(self, accounts: Sequence[str], events: int) -> Iterator[Batch]:
        """``events`` for each account, one of each in a batch: they come to lie apart, as they do in real life."""
        for index in range(events):
            yield Batch.of([self.row(name, index / events) for name in accounts])


def account(number: int) -> str:
    """The id of an account of the load."""
    return f"acct-{number:08d}"


def special(kind: str, number: int) -> str:
    """The id of an account that is read, erased and so on, beside those of the load."""
    return f"{kind}-{number:08d}"


def consent_of(name: str, purposes: int = 1) -> Decision:
    """Consent to so many purposes, given under the notice in force."""
    return Decision(account=name, purposes=PURPOSES[:purposes], act=Act.GIVE, notice=NOTICE, method="signup form")


def withdrawal_of(name: str) -> Decision:
    """The withdrawal of the first purpose."""
    return Decision(account=name, purposes=PURPOSES[:1], act=Act.WITHDRAW)
