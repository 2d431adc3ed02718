"""A small policy with release rules, and what a release needs: specifications, events, cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import numpy as np

from consentprofile.model.event import Recorded
from consentprofile.model.policy import Policy, ReleaseRules
from consentprofile.model.policy_file import read_policy
from consentprofile.release.cells import Counted
from consentprofile.release.counting import Counting
from consentprofile.release.gathering import gathered
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from tests.release.plain import Cells
from tests.release.sets import as_sets

POLICY_TEXT: Final = """
format = 1
time_zone = "UTC"
roles = ["marketer"]

[controller]
name = "Example Shop GmbH"
contact = "privacy@shop.example"
jurisdiction = "DE"

[[notices]]
version = "2024-01"
language = "en"
address = "https://shop.example/privacy/2024-01"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

[fields]
channel = { enum = ["web", "app", "call-centre"] }
platform = { enum = ["mobile", "desktop", "tablet"] }
device = { token = true }
accounts = { enum = ["one", "many"] }
topic = { enum = ["delivery", "bereavement"], sensitive = ["bereavement"] }
page = { enum = [PAGES] }
total = { amount = "EUR", max = 1_000_000 }
rating = { integer = true, min = -2, max = 5 }

[[kinds]]
names = ["login", "search", "purchase", "support_chat"]
fields = ["channel", "platform", "device", "accounts", "topic", "page", "total", "rating"]

[purposes.support]
title = "Help"
dpv = "dpv:CustomerCare"
notice = "2024-01"
lifetime = "730 days"
retention = "12 months"
evidence = "36 months"
readers = []
precision = "second"
keep = 10_000
collect = { "*" = ["channel"] }

[purposes.analytics]
title = "Numbers"
dpv = "dpv:ServiceUsageAnalytics"
notice = "2024-01"
lifetime = "395 days"
retention = "12 months"
evidence = "36 months"
readers = []
release = { min_accounts = 10, round_to = 5, cadence = "7 days" }
precision = "second"
keep = 5_000
[purposes.analytics.collect]
login = ["channel", "platform"]
search = ["page", "accounts"]
purchase = ["platform", "topic", "device", "total", "rating"]

[purposes.monthly]
title = "Coarse numbers"
dpv = "dpv:ServiceUsageAnalytics"
notice = "2024-01"
lifetime = "395 days"
retention = "12 months"
evidence = "36 months"
readers = []
release = { min_accounts = 10, round_to = 5, cadence = "7 days" }
precision = "month"
keep = 5_000
collect = { "*" = ["platform"] }
""".replace("PAGES", ", ".join(f'"p{number}"' for number in range(600)))

POLICY: Final[Policy] = read_policy(POLICY_TEXT, "policy.toml")

DEFAULT: Final[Mapping[str, str]] = {
    "format": "1",
    "name": '"reach"',
    "purpose": '"analytics"',
    "measure": '"reach"',
    "from": "2024-01-01",
    "until": "2024-07-01",
    "zone": '"UTC"',
    "protection": '{ kind = "threshold", min_accounts = 10 }',
}

SINCE: Final = 1_704_067_200
"""2024-01-01T00:00:00Z."""
UNTIL: Final = 1_719_792_000
"""2024-07-01T00:00:00Z."""


def spec_text(**changes: str | None) -> str:
    """A specification in TOML: the default, with ``changes`` (``from_`` for ``from``); None leaves a key out."""
    values = {**DEFAULT, **{key.rstrip("_"): value for key, value in changes.items()}}
    return "".join(f"{key} = {value}\n" for key, value in values.items() if value is not None)


def spec(**changes: str | None) -> ReleaseSpec:
    return read_spec(spec_text(**changes), "reach.toml", POLICY)


def rules(min_accounts: int = 10, round_to: int = 5) -> ReleaseRules:
    return ReleaseRules(min_accounts=min_accounts, round_to=round_to, cadence_days=7)


def event(kind: str = "login", at: int = SINCE, **fields: str | int) -> Recorded:
    return Recorded(at, kind, tuple(sorted(fields.items())), b"\0" * 16)


def name(number: int) -> bytes:
    """The pseudonym of a numbered account."""
    return number.to_bytes(16, "big")


def tallied(asked: ReleaseSpec, accounts: Mapping[int, Iterable[Recorded]], *, gone: Collection[int] = ()) -> Counted:
    """What these accounts come to, without those that have gone."""
    counting = Counting(asked)
    for number, events in accounts.items():
        counting.add(name(number), events)
    return gathered(asked, [counting.portion()], np.array([number in gone for number in accounts], dtype=bool))


def counted(asked: ReleaseSpec, accounts: Mapping[int, Iterable[Recorded]], *, gone: Collection[int] = ()) -> Cells:
    """The cells of these accounts, without those that have gone."""
    return as_sets(tallied(asked, accounts, gone=gone))


def people(*numbers: int) -> frozenset[bytes]:
    return frozenset(name(number) for number in numbers)
