"""Reading a policy: the normative example is accepted verbatim and means what it says; so is what is unusual."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from consentprofile.model.policy import (
    AmountField,
    BooleanField,
    Collected,
    EnumField,
    IntegerField,
    Policy,
    ReleaseRules,
    Sensitive,
    TokenField,
)
from consentprofile.model.policy_file import read_policy
from consentprofile.model.toml_reader import Reader
from tests.model.normative_policy import EVERY_TYPE, EXAMPLE, edited

ROOT = Path(__file__).resolve().parents[2]


ASKING = ('cadence = "7 days"', 'cadence = "7 days", approval = true')
NOT_ASKING = ('cadence = "7 days"', 'cadence = "7 days", approval = false')


def test_a_policy_that_asks_for_no_approval_is_the_one_from_before_there_was_such_a_rule() -> None:
    plain = read_policy(EXAMPLE, "policy.toml")
    assert b"approval" not in plain.text
    assert read_policy(edited(*NOT_ASKING), "policy.toml").digest == plain.digest
    asking = read_policy(edited(*ASKING), "policy.toml")
    assert asking.digest != plain.digest
    assert Policy.from_text(asking.text) == asking
    for policy, asks in ((plain, False), (asking, True)):
        rules = policy.purposes["analytics"].release
        assert rules is not None
        assert rules.asks_approval is asks


def test_the_normative_example_is_accepted_verbatim_and_means_what_it_says() -> None:
    policy = read_policy(EXAMPLE, "policy.toml")
    assert policy.time_zone == "UTC"
    assert policy.all_roles == {"app", "officer", "support-agent", "marketer"}
    assert policy.controller.jurisdiction == "DE"
    assert list(policy.notices) == ["2024-01"]
    assert list(policy.fields) == ["channel", "platform", "device", "acquisition", "topic", "total"]
    assert policy.fields["channel"] == EnumField(name="channel", values=("web", "app", "call-centre"))
    assert policy.fields["device"] == TokenField(name="device")
    assert policy.fields["total"] == AmountField(name="total", currency="EUR", maximum=1_000_000)
    assert list(policy.kinds) == ["login", "search", "product_view", "add_to_cart", "purchase", "support_chat"]
    assert policy.kinds["login"].fields == tuple(policy.fields)

    support, analytics, marketing = policy.purpose_list
    assert (support.lifetime_days, support.retention_months, support.evidence_months) == (730, 12, 36)
    assert (support.readers, support.precision, support.keep) == (("support-agent",), "second", 10_000)
    assert support.sensitive == (Sensitive(field="topic", value="bereavement"),)
    assert support.collected("search") == ("channel", "platform", "device", "topic", "total")
    assert (support.release, support.gpc_objects, support.grace_days) == (None, False, 7)
    assert analytics.readers == ()
    assert analytics.release == ReleaseRules(min_accounts=10, round_to=5, cadence_days=7, epsilon_per_year=2.0)
    assert (marketing.precision, marketing.gpc_objects) == ("day", True)
    assert marketing.collect == (
        Collected(kind="purchase", fields=("acquisition",)),
        Collected(kind="add_to_cart", fields=("acquisition",)),
    )
    assert marketing.collected("login") is None
    assert policy.suppressions == {
        "deceased": ("support", "analytics", "marketing"),
        "do-not-contact": ("marketing",),
    }


def test_the_documentation_shows_the_normative_example_verbatim() -> None:
    assert f"```toml\n{EXAMPLE}```" in (ROOT / "docs/policy.md").read_text("utf-8")


def test_the_documentation_names_every_key_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    reading = Reader.raw

    def raw(self: Reader, key: str, expected: str, *, optional: bool = False) -> object | None:
        asked.add(key)
        return reading(self, key, expected, optional=optional)

    monkeypatch.setattr(Reader, "raw", raw)
    policy = read_policy(EVERY_TYPE, "policy.toml")
    chosen = {"*", *policy.fields, *policy.kinds, *policy.purposes, *policy.suppressions}
    documented = (ROOT / "docs/policy.md").read_text("utf-8").replace(EXAMPLE, "")
    missing = [key for key in asked - chosen if not re.search(rf"[`\[{{ ,]{re.escape(key)}[`\] =.]", documented)]
    assert missing == []
    assert len(asked - chosen) > 30


def test_a_policy_is_the_same_after_its_canonical_text() -> None:
    policy = read_policy(EXAMPLE, "policy.toml")
    again = Policy.from_text(policy.text)
    assert again == policy
    assert again.digest == policy.digest


def test_comments_and_white_space_are_not_part_of_the_policy_but_order_is() -> None:
    policy = read_policy(EXAMPLE, "policy.toml")
    bare = re.sub(r" +#.*", "", EXAMPLE).replace("\n", "\n\n")
    assert read_policy(bare, "other.toml").digest == policy.digest
    assert read_policy(edited('"web", "app"', '"app", "web"'), "policy.toml").digest != policy.digest


def test_every_type_of_field_is_read() -> None:
    fields = read_policy(EVERY_TYPE, "policy.toml").fields
    assert fields["rating"] == IntegerField(name="rating", minimum=-2, maximum=2**63 - 1, preference=True)
    assert fields["gift"] == BooleanField(name="gift")
    assert fields["newsletter"] == BooleanField(name="newsletter", preference=True)
    assert fields["size"] == EnumField(name="size", values=("S", "M", "Extra Large"), preference=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('time_zone = "UTC"', 'time_zone = "Europe/Berlin"'),
        ('readers = ["support-agent"]', 'readers = ["app", "officer"]'),
        ('lifetime = "730 days"', 'lifetime = "1 day"'),
        ('retention = "12 months"', 'retention = "1 month"\ngrace = "0 days"'),
        ("keep = 10_000", "keep = 1_000_000"),
        ("min_accounts = 10, round_to = 5, epsilon_per_year = 2.0", "min_accounts = 3, round_to = 1"),
        ('purchase = ["acquisition"]', "purchase = []"),
        ('jurisdiction = "DE"', 'jurisdiction = "US-CA"'),
        ('language = "en"', 'language = "zh-Hant-TW"'),
        ('dpv = "dpv:CustomerCare"', 'dpv = "sector-retail:X"'),
        ('deceased = ["*"]\ndo-not-contact = ["marketing"]\n', ""),
    ],
)
def test_what_is_merely_unusual_is_accepted(old: str, new: str) -> None:
    policy = read_policy(edited(old, new), "policy.toml")
    assert Policy.from_text(policy.text) == policy


def test_the_smallest_policy_needs_no_roles_fields_or_suppression() -> None:
    policy = read_policy(
        """\
format = 1
time_zone = "UTC"
controller = { name = "A", contact = "B", jurisdiction = "DE" }
notices = [{ version = "1", language = "en", address = "a:b", sha256 = "%s" }]
kinds = [{ names = ["login"], fields = [] }]
[purposes.p]
title = "T"
dpv = "dpv:X"
notice = "1"
lifetime = "1 day"
retention = "1 month"
evidence = "1 month"
readers = []
precision = "month"
keep = 1
collect = { login = [] }
"""
        % ("0" * 64),
        "policy.toml",
    )
    assert (policy.roles, policy.field_list, policy.suppression_list) == ((), (), ())
    assert policy.purposes["p"].collected("login") == ()


def test_a_budget_is_kept_in_rho_and_a_policy_without_one_keeps_its_text() -> None:
    """What came later is no part of a policy that does not use it: its digest, which stores keep, stays as it was."""
    text = edited("epsilon_per_year = 2.0", "rho_per_year = 0.1, delta_per_year = 1e-6")
    rho = read_policy(text, "policy.toml")
    rules = rho.purposes["analytics"].release
    assert rules is not None
    assert rules.budget == ("rho", 0.1, 1e-6)
    assert Policy.from_text(rho.text) == rho
    before = read_policy(EXAMPLE, "policy.toml")
    assert b"rho_per_year" not in before.text
    assert b"delta_per_year" not in before.text
