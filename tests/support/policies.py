"""A policy small enough to follow by hand, in which every rule that recording and reading know has a case."""

from __future__ import annotations

from functools import cache
from typing import Final

from consentprofile import Policy
from consentprofile.model.policy_file import read_policy

NOTICE: Final = "2024-02"
SUPERSEDED: Final = "2024-01"

TEXT: Final = f"""
format = 1
time_zone = "Europe/Berlin"
roles = ["agent", "marketer"]

[controller]
name = "Example Shop GmbH"
contact = "privacy@shop.example"
jurisdiction = "DE"

[[notices]]
version = "{SUPERSEDED}"
language = "en"
address = "https://shop.example/privacy/{SUPERSEDED}"
sha256 = "{"1" * 64}"

[[notices]]
version = "{NOTICE}"
language = "en"
address = "https://shop.example/privacy/{NOTICE}"
sha256 = "{"2" * 64}"

[fields]
channel = {{ enum = ["web", "app"] }}
platform = {{ enum = ["desktop", "mobile"] }}
device = {{ token = true }}
topic = {{ enum = ["delivery", "bereavement"], sensitive = ["bereavement"] }}
total = {{ amount = "EUR", max = 1_000 }}

[[kinds]]
names = ["login"]
fields = ["channel", "platform", "device"]

[[kinds]]
names = ["purchase"]
fields = ["channel", "device", "total"]

[[kinds]]
names = ["chat"]
fields = ["channel", "topic"]

[purposes.support]
title = "Help you"
dpv = "dpv:CustomerCare"
notice = "{NOTICE}"
lifetime = "200 days"
retention = "2 months"
evidence = "1200 months"
readers = ["agent"]
precision = "second"
keep = 10_000
sensitive = ["topic.bereavement"]
collect = {{ "*" = ["channel", "platform", "device", "topic", "total"] }}

[purposes.analytics]
title = "Count"
dpv = "dpv:ServiceUsageAnalytics"
notice = "{NOTICE}"
lifetime = "10 days"
retention = "1 month"
evidence = "1200 months"
readers = ["agent"]
precision = "hour"
keep = 4
collect = {{ "*" = ["channel", "platform"] }}
release = {{ min_accounts = 3, round_to = 5, cadence = "7 days", approval = true, epsilon_per_year = 1 }}

[purposes.marketing]
title = "Offers"
dpv = "dpv:PersonalisedAdvertising"
notice = "{NOTICE}"
lifetime = "400 days"
retention = "1 month"
evidence = "1200 months"
readers = ["marketer"]
precision = "day"
keep = 100
collect = {{ purchase = ["channel", "total"] }}

[suppression]
deceased = ["*"]
quiet = ["marketing"]
"""

NARROWINGS: Final = (
    ("support", "platform", '"*" = ["channel", "platform", "device"', '"*" = ["channel", "device"'),
    ("analytics", "channel", '"*" = ["channel", "platform"]', '"*" = ["platform"]'),
    ("marketing", "total", 'purchase = ["channel", "total"]', 'purchase = ["channel"]'),
)
"""Changes that narrow, one upon the other: the purpose, the field that it keeps no longer, and what is edited."""

PURPOSES: Final = ("support", "analytics", "marketing")
READERS: Final = {"support": "agent:7", "analytics": "agent:7", "marketing": "marketer:3"}
"""An actor for each purpose who may read it."""


@cache
def narrowed_policy(steps: int) -> Policy:
    """The policy above after so many of its narrowings."""
    text = TEXT
    for _, _, old, new in NARROWINGS[:steps]:
        assert old in text
        text = text.replace(old, new, 1)
    return read_policy(text, "policy.toml")


@cache
def small_policy() -> Policy:
    """The policy above."""
    return read_policy(TEXT, "policy.toml")
