"""The normative example of a policy, and what tests of policies share."""

from __future__ import annotations

import pytest

from consentprofile.errors import Fault, InvalidPolicy
from consentprofile.model.policy_file import read_policy

EXAMPLE = """\
format = 1
time_zone = "UTC"                                   # where days and months are cut
roles = ["support-agent", "marketer"]               # "app" and "officer" always exist

[controller]
name = "Example Shop GmbH"
contact = "privacy@shop.example"
jurisdiction = "DE"

[[notices]]
version = "2024-01"
language = "en"
address = "https://shop.example/privacy/2024-01"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

[fields]                                            # channel, platform, device are reserved names
channel = { enum = ["web", "app", "call-centre"] }
platform = { enum = ["desktop", "mobile", "tablet"] }
device = { token = true }
acquisition = { enum = ["organic", "paid_search", "email", "social", "direct"] }
topic = { enum = ["delivery", "refund", "bereavement"], sensitive = ["bereavement"] }
total = { amount = "EUR", max = 1_000_000 }         # minor units

[[kinds]]
names = ["login", "search", "product_view", "add_to_cart", "purchase", "support_chat"]
fields = ["channel", "platform", "device", "acquisition", "topic", "total"]

[purposes.support]
title = "Help you when you contact us"
dpv = "dpv:CustomerCare"
notice = "2024-01"
lifetime = "730 days"                               # consent ends by itself
retention = "12 months"                             # whole calendar months
evidence = "36 months"                              # proof of the decisions, after they end
readers = ["support-agent"]
precision = "second"                                # second, hour, day, month
keep = 10_000                                       # events a compartment, newest first
sensitive = ["topic.bereavement"]
collect = { "*" = ["channel", "platform", "device", "topic", "total"] }

[purposes.analytics]
title = "Understand how the shop is used, in numbers about many"
dpv = "dpv:ServiceUsageAnalytics"
notice = "2024-01"
lifetime = "395 days"
retention = "12 months"
evidence = "36 months"
readers = []                                        # nobody reads profiles here
release = { min_accounts = 10, round_to = 5, epsilon_per_year = 2.0, cadence = "7 days" }
precision = "second"
keep = 5_000
collect = { "*" = ["channel", "platform", "acquisition"] }

[purposes.marketing]
title = "Offers that fit what you bought"
dpv = "dpv:PersonalisedAdvertising"
notice = "2024-01"
lifetime = "395 days"
retention = "6 months"
evidence = "36 months"
readers = ["marketer"]
precision = "day"
keep = 1_000
gpc_objects = true                                  # Global Privacy Control is an objection to this
collect = { purchase = ["acquisition"], add_to_cart = ["acquisition"] }

[suppression]                                       # reason = purposes it switches off
deceased = ["*"]
do-not-contact = ["marketing"]
"""
"""The normative example of the design, verbatim; docs/policy.md shows it too."""

EVERY_TYPE = EXAMPLE.replace(
    "[[kinds]]",
    """\
rating = { integer = true, min = -2, max = 9_223_372_036_854_775_807, preference = true }
gift = { boolean = true }
newsletter = { boolean = true, preference = true }
size = { enum = ["S", "M", "Extra Large"], preference = true }

[[kinds]]
names = ["settings"]
fields = ["rating", "gift", "newsletter", "size"]

[[kinds]]""",
    1,
)


def faults_of(text: str) -> list[Fault]:
    """Every fault of a policy that is refused."""
    with pytest.raises(InvalidPolicy) as refusal:
        read_policy(text, "policy.toml")
    return list(refusal.value.faults)


def edited(old: str, new: str) -> str:
    """The example with the one place where ``old`` stands (or the first of several) changed to ``new``."""
    assert old in EXAMPLE
    return EXAMPLE.replace(old, new, 1)
