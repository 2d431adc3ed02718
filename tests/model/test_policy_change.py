"""Every element of a policy is judged: what narrows, what widens, what means nothing, and what is refused."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import pytest
from hypothesis import given

from consentprofile.model import policy as elements
from consentprofile.model.change import NARROWING, NEUTRAL, REFUSED, WIDENING, ChangeKind, PolicyChange
from consentprofile.model.policy import Frozen, Policy
from consentprofile.model.policy_change import SAME, compare, faults
from consentprofile.model.policy_file import read_policy
from tests.model.normative_policy import EVERY_TYPE
from tests.model.policy_variants import policies

BASE: Final = EVERY_TYPE.replace(
    '[[notices]]\nversion = "2024-01"',
    f'[[notices]]\nversion = "2023-01"\nlanguage = "en"\naddress = "https://shop.example"\nsha256 = "{"1" * 64}"\n\n'
    '[[notices]]\nversion = "2024-01"',
)
NOTICE: Final = f'[[notices]]\nversion = "2025-01"\nlanguage = "en"\naddress = "https://a"\nsha256 = "{"2" * 64}"\n\n'
SUPPORT: Final = 'collect = { "*" = ["channel", "platform", "device", "topic", "total"] }'


class Edit(NamedTuple):
    """One place of the policy changed: the element, the texts, and what that is, where."""

    element: str
    old: str
    new: str
    kind: ChangeKind
    where: str


EDITS: Final = (
    Edit("Policy.time_zone", 'time_zone = "UTC"', 'time_zone = "Europe/Berlin"', REFUSED, "time_zone"),
    Edit("Policy.roles", '["support-agent", "marketer"]', '["support-agent", "marketer", "x"]', NEUTRAL, "roles"),
    Edit("Controller.name", "Example Shop GmbH", "Example Shop AG", NEUTRAL, "controller.name"),
    Edit("Controller.contact", "privacy@shop.example", "dpo@shop.example", NEUTRAL, "controller.contact"),
    Edit("Controller.jurisdiction", 'jurisdiction = "DE"', 'jurisdiction = "AT"', NEUTRAL, "controller.jurisdiction"),
    Edit("Policy.notice_list", "[fields]", NOTICE + "[fields]", NEUTRAL, "notices"),
    Edit("Notice.version", 'version = "2023-01"', 'version = "2022-01"', NEUTRAL, "notices"),
    Edit("Notice.language", 'language = "en"', 'language = "de"', NEUTRAL, "notices.2023-01.language"),
    Edit("Notice.address", '"https://shop.example"', '"https://a"', NEUTRAL, "notices.2023-01.address"),
    Edit("Notice.sha256", "1" * 64, "3" * 64, REFUSED, "notices.2023-01.sha256"),
    Edit("Policy.field_list", "gift = { boolean = true }", "gift = { boolean = true }\nnew = { boolean = true }",
         NEUTRAL, "fields"),
    Edit("EnumField.name", "acquisition = {", "acquired = {", NEUTRAL, "fields"),
    Edit("EnumField.values", '"desktop", "mobile", "tablet"', '"desktop", "mobile", "tablet", "tv"', NEUTRAL,
         "fields.platform.enum"),
    Edit("EnumField.values", '"desktop", "mobile", "tablet"', '"desktop", "mobile"', NARROWING, "fields.platform.enum"),
    Edit("EnumField.sensitive", 'sensitive = ["bereavement"] }', 'sensitive = ["refund", "bereavement"] }', NARROWING,
         "purposes.support.sensitive"),
    Edit("EnumField.preference", '"Extra Large"], preference = true', '"Extra Large"]', NEUTRAL,
         "fields.size.preference"),
    Edit("IntegerField.name", "rating = {", "rated = {", NEUTRAL, "fields"),
    Edit("IntegerField.minimum", "min = -2", "min = -3", NEUTRAL, "fields.rating.min"),
    Edit("IntegerField.maximum", "max = 9_223_372_036_854_775_807", "max = 5", NEUTRAL, "fields.rating.max"),
    Edit("IntegerField.preference", "807, preference = true", "807", NEUTRAL, "fields.rating.preference"),
    Edit("AmountField.name", "total = {", "sum = {", NARROWING, "purposes.support.collect"),
    Edit("AmountField.currency", 'amount = "EUR"', 'amount = "USD"', REFUSED, "fields.total"),
    Edit("AmountField.maximum", "max = 1_000_000", "max = 1_000", NARROWING, "fields.total.max"),
    Edit("AmountField.maximum", "max = 1_000_000", "max = 2_000_000", NEUTRAL, "fields.total.max"),
    Edit("BooleanField.name", "gift = {", "present = {", NEUTRAL, "fields"),
    Edit("BooleanField.preference", "newsletter = { boolean = true, preference = true }",
         "newsletter = { boolean = true }", NEUTRAL, "fields.newsletter.preference"),
    Edit("TokenField.name", "device = { token = true }", "device = { token = true }\nphone = { token = true }", NEUTRAL,
         "fields"),
    Edit("Policy.kind_list", 'names = ["settings"]', 'names = ["settings", "other"]', WIDENING,
         "purposes.support.collect"),
    Edit("Kind.name", 'names = ["settings"]', 'names = ["options"]', WIDENING, "purposes.analytics.collect"),
    Edit("Kind.fields", 'fields = ["rating", "gift", ', 'fields = ["rating", "gift", "total", ', WIDENING,
         "purposes.support.collect"),
    Edit("Policy.purpose_list", "[purposes.marketing]", "[purposes.offers]", NARROWING, "purposes.marketing"),
    Edit("Purpose.name", "[purposes.marketing]", "[purposes.offers]", NEUTRAL, "purposes.offers"),
    Edit("Purpose.title", "Help you when you contact us", "Help you", WIDENING, "purposes.support.title"),
    Edit("Purpose.dpv", "dpv:CustomerCare", "dpv:Marketing", WIDENING, "purposes.support.dpv"),
    Edit("Purpose.notice", 'notice = "2024-01"\nlifetime = "730 days"', 'notice = "2023-01"\nlifetime = "730 days"',
         REFUSED, "purposes.support.notice"),
    Edit("Purpose.lifetime_days", "730 days", "731 days", WIDENING, "purposes.support.lifetime"),
    Edit("Purpose.lifetime_days", "730 days", "729 days", NARROWING, "purposes.support.lifetime"),
    Edit("Purpose.retention_months", "12 months", "13 months", WIDENING, "purposes.support.retention"),
    Edit("Purpose.retention_months", "12 months", "11 months", NARROWING, "purposes.support.retention"),
    Edit("Purpose.evidence_months", "36 months", "48 months", NEUTRAL, "purposes.support.evidence"),
    Edit("Purpose.readers", 'readers = ["support-agent"]', 'readers = ["support-agent", "app"]', WIDENING,
         "purposes.support.readers"),
    Edit("Purpose.readers", 'readers = ["support-agent"]', "readers = []", NARROWING, "purposes.support.readers"),
    Edit("Purpose.precision", 'precision = "day"', 'precision = "hour"', WIDENING, "purposes.marketing.precision"),
    Edit("Purpose.precision", 'precision = "day"', 'precision = "month"', NARROWING, "purposes.marketing.precision"),
    Edit("Purpose.keep", "keep = 10_000", "keep = 20_000", WIDENING, "purposes.support.keep"),
    Edit("Purpose.keep", "keep = 10_000", "keep = 100", NARROWING, "purposes.support.keep"),
    Edit("Purpose.collect", SUPPORT, 'collect = { "*" = ["channel"] }', NARROWING, "purposes.support.collect"),
    Edit("Collected.kind", 'collect = { purchase = ["acquisition"],', 'collect = { search = ["acquisition"],', WIDENING,
         "purposes.marketing.collect"),
    Edit("Collected.fields", 'purchase = ["acquisition"]', 'purchase = ["acquisition", "total"]', WIDENING,
         "purposes.marketing.collect"),
    Edit("Purpose.sensitive", 'sensitive = ["topic.bereavement"]', "", NARROWING, "purposes.support.sensitive"),
    Edit("Sensitive.field", "readers = []", 'readers = []\nsensitive = ["topic.bereavement"]', WIDENING,
         "purposes.analytics.sensitive"),
    Edit("Sensitive.value", "readers = []", 'readers = []\nsensitive = ["topic.bereavement"]', WIDENING,
         "purposes.analytics.sensitive"),
    Edit("Purpose.release", 'precision = "day"', 'precision = "day"\nrelease = { min_accounts = 10, round_to = 5, '
         'cadence = "7 days" }', WIDENING, "purposes.marketing.release"),
    Edit("ReleaseRules.min_accounts", "min_accounts = 10", "min_accounts = 9", WIDENING,
         "purposes.analytics.release.min_accounts"),
    Edit("ReleaseRules.round_to", "round_to = 5", "round_to = 10", NARROWING, "purposes.analytics.release.round_to"),
    Edit("ReleaseRules.cadence_days", 'cadence = "7 days"', 'cadence = "1 days"', WIDENING,
         "purposes.analytics.release.cadence"),
    Edit("ReleaseRules.epsilon_per_year", ", epsilon_per_year = 2.0", "", NARROWING,
         "purposes.analytics.release.epsilon_per_year"),
    Edit("ReleaseRules.rho_per_year", "epsilon_per_year = 2.0", "rho_per_year = 0.1", WIDENING,
         "purposes.analytics.release.rho_per_year"),
    Edit("ReleaseRules.delta_per_year", "epsilon_per_year = 2.0", "epsilon_per_year = 2.0, delta_per_year = 1e-6",
         WIDENING, "purposes.analytics.release.delta_per_year"),
    Edit("ReleaseRules.approval", 'cadence = "7 days"', 'cadence = "7 days", approval = true', NARROWING,
         "purposes.analytics.release.approval"),
    Edit("Purpose.gpc_objects", "gpc_objects = true", "gpc_objects = false", WIDENING,
         "purposes.marketing.gpc_objects"),
    Edit("Purpose.grace_days", 'lifetime = "730 days"', 'lifetime = "730 days"\ngrace = "8 days"', WIDENING,
         "purposes.support.grace"),
    Edit("Policy.suppression_list", "[suppression]", '[suppression]\nmoved = ["support"]', NARROWING,
         "suppression.moved"),
    Edit("Suppression.reason", "do-not-contact =", "quiet =", WIDENING, "suppression.do-not-contact"),
    Edit("Suppression.purposes", 'deceased = ["*"]', 'deceased = ["support", "marketing"]', WIDENING,
         "suppression.deceased"),
)  # fmt: skip


def edited(old: str, new: str) -> Policy:
    """The policy with one place changed; a field or purpose with another name has it wherever it is named."""
    assert old in BASE
    text = BASE.replace(old, new, 1)
    name, other = old.partition(" ")[0], new.partition(" ")[0]
    if old.endswith("= {") and name != other:
        text = text.replace(f'"{name}"', f'"{other}"')
    if new == "[purposes.offers]":
        text = text.replace('["marketing"]', '["offers"]')
    return read_policy(text, "policy.toml")


BEFORE: Final = read_policy(BASE, "policy.toml")


@pytest.mark.parametrize("edit", EDITS, ids=[f"{edit.element} {edit.kind}" for edit in EDITS])
def test_every_element_is_judged(edit: Edit) -> None:
    found = compare([BEFORE], edited(edit.old, edit.new))
    assert (edit.kind, edit.where) in {(change.kind, change.where) for change in found}, found
    assert all(change.words for change in found)
    assert all(bool(change.purpose) == (change.kind in (NARROWING, WIDENING)) for change in found)


def test_no_element_of_a_policy_is_forgotten() -> None:
    """Whoever adds an element to the policy says here, and in the comparison, what changing it means."""
    structs = [one for one in vars(elements).values() if isinstance(one, type) and issubclass(one, Frozen)]
    every = {f"{one.__name__}.{field.name}" for one in structs for field in msgspec.structs.fields(one)}
    assert len(every) > 40
    assert every - {edit.element for edit in EDITS} == {"Policy.format", "Policy.controller"}
    changed = msgspec.structs.replace(BEFORE, format=2)
    assert [change.kind for change in compare([BEFORE], changed)] == [REFUSED]


@given(policies(1), policies(2))
def test_whatever_differs_is_a_change(one: Policy, two: Policy) -> None:
    assert compare([one], two)
    assert compare([one], one) == ()


def test_order_alone_means_nothing() -> None:
    reordered = edited('["desktop", "mobile", "tablet"]', '["tablet", "mobile", "desktop"]')
    assert compare([BEFORE], reordered) == (PolicyChange(NEUTRAL, "policy", SAME),)


def test_a_new_kind_under_a_star_is_more_than_was_consented_to() -> None:
    found = compare([BEFORE], edited('names = ["settings"]', 'names = ["settings", "other"]'))
    assert [(change.kind, change.purpose) for change in found if change.kind is WIDENING] == [
        (WIDENING, "support"),
        (WIDENING, "analytics"),
    ]


# ---- over several policies ------------------------------------------------------------------------


def test_what_was_shown_once_cannot_ask_for_more() -> None:
    """Neither the notice in force, nor an older one, nor one that was only listed."""
    wider = edited("12 months", "13 months")
    (fault,) = faults(compare([BEFORE], wider), [BEFORE], wider, (), "policy.toml")
    assert fault.place == "policy.toml: purposes.support.retention"
    assert "needs a new version at purposes.support.notice" in fault.expected
    asked = BASE.replace("[fields]", NOTICE + "[fields]", 1)
    listed = read_policy(asked, "policy.toml")
    later = read_policy(
        asked.replace("12 months", "13 months", 1).replace('notice = "2024-01"', 'notice = "2025-01"', 1), "p"
    )
    assert faults(compare([BEFORE], later), [BEFORE], later, (), "p") == []
    assert faults(compare([BEFORE, listed], later), [BEFORE, listed], later, (), "p") != []


def test_a_policy_comes_into_force_once() -> None:
    other = edited("privacy@shop.example", "dpo@shop.example")
    assert REFUSED in {change.kind for change in compare([BEFORE, other], BEFORE)}


def test_a_field_never_changes_its_meaning_not_even_after_it_was_gone() -> None:
    gone = edited("gift = {", "present = {")
    back = read_policy(BASE.replace("gift = { boolean = true }", "gift = { integer = true, min = 0, max = 1 }"), "p")
    assert "fields.gift" in {change.where for change in compare([BEFORE, gone], back) if change.kind is REFUSED}


def test_a_purpose_that_has_ended_does_not_come_back() -> None:
    ended = edited("[purposes.marketing]", "[purposes.offers]")
    both = read_policy(BASE + "\n[purposes.offers]\n" + BASE.split("[purposes.marketing]\n")[1].split("\n\n")[0], "p")
    assert "purposes.marketing" in {change.where for change in compare([BEFORE, ended], both) if change.kind is REFUSED}


def test_an_end_has_to_be_meant() -> None:
    ended = edited("[purposes.marketing]", "[purposes.offers]")
    changes = compare([BEFORE], ended)
    assert [fault.place for fault in faults(changes, [BEFORE], ended, (), "p")] == ["p: purposes.marketing"]
    assert faults(changes, [BEFORE], ended, ("marketing",), "p") == []
    assert len(faults(changes, [BEFORE], ended, ("marketing", "support"), "p")) == 1


def test_notices_stay_in_the_order_of_time() -> None:
    first, second = (part.split("\n\n")[0] for part in BASE.split("[[notices]]\n")[1:3])
    swapped = BASE.replace(first, "FIRST").replace(second, first).replace("FIRST", second)
    assert "notices" in {
        change.where for change in compare([BEFORE], read_policy(swapped, "p")) if change.kind is REFUSED
    }
