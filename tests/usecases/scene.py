"""What tests of the use cases share: a policy with everything in it, a clock that can be set, and a store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import consentprofile as cp
from consentprofile.model.event import Value
from consentprofile.model.policy_file import read_policy

POLICY = """\
format = 1
time_zone = "Europe/Berlin"
roles = ["support-agent", "marketer", "planner"]

[controller]
name = "Example Shop GmbH"
contact = "privacy@shop.example"
jurisdiction = "DE"

[[notices]]
version = "2023-01"
language = "en"
address = "https://shop.example/privacy/2023-01"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

[[notices]]
version = "2024-01"
language = "en"
address = "https://shop.example/privacy/2024-01"
sha256 = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"

[fields]
channel = { enum = ["web", "app", "call-centre"] }
platform = { enum = ["desktop", "mobile", "tablet"] }
device = { token = true }
acquisition = { enum = ["organic", "email"] }
topic = { enum = ["delivery", "bereavement"], sensitive = ["bereavement"] }
total = { amount = "EUR", max = 1_000 }
rating = { integer = true, min = -2, max = 5 }
gift = { boolean = true }
language = { enum = ["de", "en"], preference = true }

[[kinds]]
names = ["login", "purchase", "support_chat"]
fields = ["channel", "platform", "device", "acquisition", "topic", "total", "rating", "gift", "language"]

[[kinds]]
names = ["logout"]
fields = ["channel"]

[purposes.support]
title = "Help you when you contact us"
dpv = "dpv:CustomerCare"
notice = "2024-01"
lifetime = "365 days"
retention = "3 months"
evidence = "6 months"
readers = ["support-agent"]
precision = "second"
keep = 1_000
sensitive = ["topic.bereavement"]
collect = { "*" = ["channel", "platform", "device", "topic", "total", "rating", "gift", "language"], logout = [] }

[purposes.marketing]
title = "Offers that fit what you bought"
dpv = "dpv:PersonalisedAdvertising"
notice = "2024-01"
lifetime = "100 days"
grace = "10 days"
retention = "2 months"
evidence = "1 months"
readers = ["marketer"]
precision = "day"
keep = 3
collect = { purchase = ["device", "acquisition"] }

[purposes.planning]
title = "Know how many come when"
dpv = "dpv:ServiceUsageAnalytics"
notice = "2023-01"
lifetime = "365 days"
retention = "3 months"
evidence = "6 months"
readers = ["planner"]
precision = "hour"
keep = 1_000
collect = { login = ["platform"] }
release = { min_accounts = 3, round_to = 5, cadence = "7 days" }

[suppression]
deceased = ["*"]
do-not-contact = ["marketing"]
"""

PURPOSES = ("support", "marketing", "planning")
NOW = datetime(2024, 3, 15, 12, 30, 45, tzinfo=UTC)
NEW, OLD = "2024-01", "2023-01"
"""The notice in force for support and marketing, and the one that it superseded."""

ACCOUNT = "acct-17"
AGENT = "support-agent:17"
READERS = {"support": AGENT, "marketing": "marketer:3", "planning": "planner:1"}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **amount: float) -> None:
        """Move by days, hours and so on."""
        self.now += timedelta(**amount)


class Scene:
    """A store with its clock, and what tests do with it over and over."""

    def __init__(self, folder: Path, text: str = POLICY) -> None:
        self.folder = folder
        self.clock = Clock()
        self.key = cp.KeyFile(folder / "key")
        self.store = cp.Store.create(
            folder / "store", policy=read_policy(text, "policy.toml"), key=self.key, clock=self.clock
        )

    def reopen(self) -> None:
        """Close the store and open it again."""
        self.store.close()
        self.store = cp.Store.open(self.folder / "store", key=self.key, clock=self.clock)

    def give(self, *purposes: str, account: str = ACCOUNT) -> None:
        """Give consent under the notice in force of each purpose; to support where none is named."""
        for purpose in purposes or ("support",):
            notice = self.store.policy.purposes[purpose].notice
            self.store.give_consent(account, [purpose], notice=notice, method="signup form")

    def state(self, purpose: str = "support", account: str = ACCOUNT) -> cp.Consent:
        """What stands."""
        return self.store.consents(account)[purpose]

    def profile(self, purpose: str = "support", account: str = ACCOUNT) -> cp.Profile | None:
        """The profile, read by somebody who may."""
        with self.store.view(purpose, READERS[purpose]) as view:
            return view.profile(account)

    def events(self, purpose: str = "support", account: str = ACCOUNT) -> list[cp.StoredEvent] | None:
        """The events, read by somebody who may."""
        with self.store.view(purpose, READERS[purpose]) as view:
            return view.events(account)

    def leaves(self) -> list[cp.LogEntry]:
        """The whole log."""
        return list(self.store.audit.log())

    def key_ids(self, *operations: str) -> list[str]:
        """The key ids in the leaves of these operations, in order."""
        return [str(leaf.facts["key-id"]) for leaf in self.leaves() if leaf.operation in operations]

    def decisions(self, *rows: str, name: str = "consents.csv") -> Path:
        """A file of decisions: ``at,account,act,purposes,notice,method``."""
        path = self.folder / name
        path.write_text("at,account,act,purposes,notice,method\n" + "".join(row + "\n" for row in rows))
        return path


def event(
    kind: str = "login",
    *,
    at: datetime = NOW,
    id: str | None = None,
    account: str = ACCOUNT,
    named: Mapping[str, Value] | None = None,
    **fields: Value,
) -> cp.Event:
    """An event of the usual account; ``named`` holds fields whose names a test has in a variable."""
    return cp.Event(account=account, kind=kind, at=at, id=id, fields={**fields, **(named or {})})


def history(consent: cp.Consent) -> list[tuple[str, str]]:
    """The acts of the evidence, and the states they led to."""
    return [(entry.act, entry.state) for entry in consent.history]
