"""The policy in plain words: it says what the policy does, in whole sentences, singular and plural right."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from consentprofile.model.policy import (
    AmountField,
    Collected,
    Kind,
    Policy,
    Purpose,
    ReleaseRules,
    Sensitive,
    TokenField,
)
from consentprofile.model.policy_file import read_policy
from consentprofile.model.policy_words import in_words

ROOT = Path(__file__).resolve().parents[2]
SHOP = read_policy((ROOT / "examples/shop/policy.toml").read_text("utf-8"), "policy.toml")


def only(purpose: Purpose, policy: Policy = SHOP) -> Policy:
    """The policy with this purpose alone."""
    return msgspec.structs.replace(policy, purpose_list=(purpose,), suppression_list=())


def changed(name: str, **changes: object) -> str:
    """The words of the shop's policy with one purpose alone, changed."""
    return in_words(only(msgspec.structs.replace(SHOP.purposes[name], **changes)))


def test_the_notice_names_who_why_how_long_and_for_whom() -> None:
    words = in_words(SHOP)
    for purpose in SHOP.purpose_list:
        assert f"### {purpose.title}\n" in words
        assert f"`{purpose.name}`" in words
        assert f"`{purpose.dpv}`" in words
    for said in [
        "Example Shop GmbH (DE) decides",
        "privacy@shop.example",
        "until 12 whole calendar months have passed after the month in which it happened",
        "until 6 whole calendar months have passed",
        "Your consent ends by itself after 730 days, unless you renew it.",
        "is destroyed 7 days later",
        "is kept for 36 months after they have ended",
        "can be read by the role support agent.",
        "Nobody reads what a single customer did.",
        "about at least 10 customers, and rounded to a multiple of 5.",
        "a privacy budget of epsilon 2 a year",
        "at most once every 7 days",
        "an amount of up to 10,000.00 EUR",
        "At most your newest 10,000 events are kept.",
        "One detail is sensitive: the topic “bereavement”.",
        "keeps events with it: topic “bereavement”.",
        "- **deceased** switches off every purpose.",
        "- **do not contact** switches off “Offers that fit what you bought”.",
        "Of each event of the kinds “purchase” and “add to cart”: when it happened, and its acquisition, if it has",
        "Other events are not kept.",
        SHOP.notice_list[0].sha256,
    ]:
        assert said in words


def test_only_the_purpose_that_heeds_the_signal_speaks_of_global_privacy_control() -> None:
    assert "Global Privacy Control" in changed("marketing")
    assert "Global Privacy Control" not in changed("marketing", gpc_objects=False)


def test_every_paragraph_and_item_ends_as_a_sentence_does() -> None:
    for line in in_words(SHOP).splitlines():
        if line and not line.startswith("#"):
            assert re.search(r"[.:;]$", line), line
            assert not re.search(r"  |\.\.|,,| ,| \.|\bNone\b|[{}]", line), line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"retention_months": 1}, "until 1 whole calendar month has passed"),
        ({"lifetime_days": 1}, "ends by itself after 1 day, unless"),
        ({"evidence_months": 1}, "is kept for 1 month after"),
        ({"grace_days": 1}, "is destroyed 1 day later"),
        ({"grace_days": 0}, "is due to be destroyed at once"),
        ({"keep": 1}, "Only your newest event is kept."),
        ({"readers": ("marketer", "support-agent")}, "by the roles marketer and support agent."),
        ({"readers": ("app",)}, "by our app."),
        ({"readers": ("marketer", "officer", "app")}, "by our app, our privacy officer and the role marketer."),
        ({"precision": "hour"}, "only the day and the hour are kept"),
        ({"precision": "month"}, "only the month is kept"),
        ({"release": None}, "in numbers about many.** Nothing."),
        (
            {
                "release": ReleaseRules(
                    min_accounts=10, round_to=5, cadence_days=7, rho_per_year=0.1, delta_per_year=1e-6
                )
            },
            "a privacy budget of rho 0.1 and delta 1e-06 a year",
        ),
        ({"collect": (Collected(kind="*", fields=()),)}, "Of every kind of event: only that it happened, and when."),
    ],
    ids=lambda case: "-".join(case) if isinstance(case, dict) else "",
)
def test_singular_plural_and_special_cases_read_right(changes: dict[str, object], said: str) -> None:
    assert said in changed("support", **changes)


def test_release_rules_read_right_without_rounding_and_without_a_budget() -> None:
    rules = SHOP.purposes["analytics"].release
    assert rules is not None
    bare = msgspec.structs.replace(rules, round_to=1, epsilon_per_year=None, cadence_days=1)
    words = changed("analytics", release=bare)
    assert "about at least 10 customers. The same question gets a new answer at most once a day." in words
    assert "epsilon" not in words
    assert "rounded" not in words


def test_an_approval_is_told_where_it_is_asked_for_and_nowhere_else() -> None:
    rules = SHOP.purposes["analytics"].release
    assert rules is not None
    told = "Our privacy officer approves each question before its numbers leave, and is not the one who asks it."
    assert told in changed("analytics", release=msgspec.structs.replace(rules, approval=True))
    assert "approve" not in changed("analytics")


def test_a_star_that_no_kind_is_left_for_is_not_spoken_of() -> None:
    named = tuple(Collected(kind=kind.name, fields=("channel",)) for kind in SHOP.kind_list)
    words = changed("support", collect=(*named, Collected(kind="*", fields=("channel",))))
    assert "every other kind" not in words
    assert "Other events are not kept" not in words


def test_a_policy_of_one_of_everything_reads_right() -> None:
    purpose = msgspec.structs.replace(
        SHOP.purposes["support"], collect=(Collected(kind="*", fields=("device",)),), sensitive=()
    )
    policy = msgspec.structs.replace(
        only(purpose), kind_list=(Kind(name="login", fields=("device",)),), field_list=(TokenField(name="device"),)
    )
    words = in_words(policy)
    assert "There is one kind of event that can be recorded: login." in words
    assert "Further details can only be this one:" in words
    assert "There is one purpose, and you decide freely whether you agree to it." in words
    assert "This is the text under which we ask for consent." in words
    assert "sensitive" not in words
    assert "switch" not in words


def test_several_sensitive_details_are_spoken_of_in_the_plural() -> None:
    topic = msgspec.structs.replace(SHOP.fields["topic"], sensitive=("refund", "bereavement"))
    fields = tuple(topic if field.name == "topic" else field for field in SHOP.field_list)
    needs = (Sensitive(field="topic", value="refund"), Sensitive(field="topic", value="bereavement"))
    purpose = msgspec.structs.replace(SHOP.purposes["support"], sensitive=needs)
    words = in_words(only(purpose, msgspec.structs.replace(SHOP, field_list=fields)))
    assert "Some details are sensitive: the topic “refund” or “bereavement”. An event with such a detail" in words
    assert "needs sensitive details and keeps events with them: topic “refund” and topic “bereavement”." in words


@pytest.mark.parametrize(
    ("currency", "maximum", "said"),
    [
        ("EUR", 99, "0.99 EUR"),
        ("JPY", 1_000_000, "1,000,000 JPY"),
        ("KWD", 1_005, "1.005 KWD"),
        ("CLF", 1, "0.0001 CLF"),
    ],
)
def test_amounts_are_shown_in_the_decimals_of_their_currency(currency: str, maximum: int, said: str) -> None:
    total = AmountField(name="total", currency=currency, maximum=maximum)
    fields = tuple(total if field.name == "total" else field for field in SHOP.field_list)
    assert f"an amount of up to {said}." in in_words(msgspec.structs.replace(SHOP, field_list=fields))
