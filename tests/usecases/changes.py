"""Changes of the policy of a scene, said in few words."""

from __future__ import annotations

from typing import Final

import consentprofile as cp
from consentprofile.model.policy_file import read_policy
from tests.usecases.scene import POLICY, Scene

LATER: Final = "2025-01"
"""A notice that nobody was shown before."""

NOTICE: Final = f"""
[[notices]]
version = "{LATER}"
language = "en"
address = "https://shop.example/privacy/{LATER}"
sha256 = "{"5" * 64}"

[fields]"""

KEPT: Final = '"*" = ["channel", "platform", "device", "topic", "total", "rating", "gift", "language"]'
FEWER: Final = (KEPT, '"*" = ["channel", "platform", "device", "topic"]')
"""Support keeps four fields instead of eight: that narrows."""

READER: Final = ('readers = ["support-agent"]', 'readers = ["support-agent", "planner"]')
"""Planners read support: that widens."""

ANALYTICS: Final = """
[purposes.analytics]
title = "Count"
dpv = "dpv:ServiceUsageAnalytics"
notice = "2024-01"
lifetime = "365 days"
retention = "3 months"
evidence = "6 months"
readers = ["planner"]
precision = "second"
keep = 1_000
collect = { login = ["platform"] }

[suppression]"""


def edited(*edits: tuple[str, str], text: str = POLICY) -> str:
    """The text of a policy with some places changed."""
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def asking_anew(purpose: str, *edits: tuple[str, str], text: str = POLICY) -> str:
    """The text of a policy with some places changed, which asks for consent to ``purpose`` under a new notice."""
    text = edited(*edits, text=text)
    if LATER not in text:
        text = edited(("\n[fields]", NOTICE), text=text)
    head, section, rest = text.partition(f"[purposes.{purpose}]\n")
    assert section
    return head + section + rest.replace('notice = "', f'notice = "{LATER}" # ', 1)


def apply(scene: Scene, text: str, *ending: str) -> cp.PolicyPlan:
    """Let the store of a scene obey a policy."""
    return scene.store.apply_policy(read_policy(text, "policy.toml"), key=scene.key, ending=ending)
