"""Reading a policy: whatever makes no sense is refused, every fault at its place, and nothing else is blamed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import Fault, InvalidPolicy
from consentprofile.model import policy_fields, policy_file
from consentprofile.model.policy import Policy
from consentprofile.model.policy_file import read_policy
from tests.model.normative_policy import EXAMPLE, edited, faults_of

ROOT = Path(__file__).resolve().parents[2]

MONTHS = "expected whole calendar months, such as '12 months'"
DAYS = "expected whole days, such as '30 days'"
NAME = "expected a name of lowercase letters, digits, _ and -, at most 64 characters"

REFUSED: dict[str, tuple[str, str, str, str]] = {
    # what: (as it stands, as it is changed, the place of the only fault, a part of what is expected there)
    "newer format": ("format = 1", "format = 2", "format", "from 1 to 1"),
    "no format": ("format = 1", "", "format", "is missing"),
    "format as text": ("format = 1", 'format = "1"', "format", "from 1 to 1"),
    "zone misspelt": ('"UTC"', '"Europe/Berlim"', "time_zone", "did you mean 'Europe/Berlin'?"),
    "zone in another case": ('"UTC"', '"europe/berlin"', "time_zone", "did you mean 'Europe/Berlin'?"),
    "zone of the machine": ('"UTC"', '"localtime"', "time_zone", "expected a time zone"),
    "zone by path": ('"UTC"', '"../etc/passwd"', "time_zone", "expected a time zone"),
    "zone with leap seconds": ('"UTC"', '"right/UTC"', "time_zone", "expected a time zone"),
    "zone that is a folder": ('"UTC"', '"Europe"', "time_zone", "expected a time zone"),
    "built-in role": ('"marketer"]', '"marketer", "officer"]', "roles", "'officer' always exists"),
    "role not a name": ('"marketer"]', '"marketer", "Big Boss"]', "roles", f"'Big Boss': {NAME}"),
    "role twice": ('"marketer"]', '"marketer", "marketer"]', "roles", "names 'marketer' twice"),
    "roles not a list": (
        'roles = ["support-agent", "marketer"]',
        'roles = "marketer"',
        "roles",
        "a list of role names",
    ),
    "unknown key at the top": ("[controller]", "[controler]\n[controller]", "controler", "is not known here"),
    "no controller name": ('name = "Example Shop GmbH"', "", "controller.name", "is missing"),
    "controller of spaces": ('"Example Shop GmbH"', '"  "', "controller.name", "the name of who decides"),
    "controller with a line feed": ('"Example Shop GmbH"', '"A\\nB"', "controller.name", "the name of who decides"),
    "country in words": ('"DE"', '"Germany"', "controller.jurisdiction", "a country code"),
    "notice version with a space": ('version = "2024-01"', 'version = "2024 01"', "notices[1].version", "a version"),
    "language in words": ('"en"', '"English"', "notices[1].language", "a language tag"),
    "address with a space": ("https://shop.example/privacy", "https://shop example", "notices[1].address", "spaces"),
    "digest too short": ("9f86d08", "9f86d0", "notices[1].sha256", "64 hex digits"),
    "digest in capitals": ("9f86d08", "9F86D08", "notices[1].sha256", "64 hex digits"),
    "digest with more behind": ('0f00a08"', '0f00a08\\n"', "notices[1].sha256", "64 hex digits"),
    "no notice": (EXAMPLE[EXAMPLE.index("[[notices]]") : EXAMPLE.index("[fields]")], "", "notices", "is missing"),
    "unknown key in a notice": ('language = "en"', 'language = "en"\nurl = "x"', "notices[1].url", "is not known here"),
    "field name in capitals": ("total = {", "Extra = { token = true }\ntotal = {", "fields.Extra", NAME),
    "no type": ("device = { token = true }", "device = {}", "fields.device", "exactly one of enum, integer, amount"),
    "two types": ("{ token = true }", "{ token = true, boolean = true }", "fields.device", "exactly one of"),
    "a field that is a list": (
        '{ enum = ["desktop", "mobile", "tablet"] }',
        '["desktop"]',
        "fields.platform",
        "a field",
    ),
    "channel as a boolean": (
        'channel = { enum = ["web", "app", "call-centre"] }',
        "channel = { boolean = true }",
        "fields.channel",
        "reserved name; expected its type to be enum",
    ),
    "device as an enum": ("{ token = true }", '{ enum = ["d"] }', "fields.device", "expected its type to be token"),
    "token that is false": ("{ token = true }", "{ token = false }", "fields.device.token", "expected true"),
    "no values": ('enum = ["web", "app", "call-centre"]', "enum = []", "fields.channel.enum", "a list of values"),
    "value twice": ('["web", "app"', '["web", "web"', "fields.channel.enum", "names 'web' twice"),
    "value of a number": ('["web", "app"', '["web", 1', "fields.channel.enum", "a list of values"),
    "value with an edge space": ('["web", "app"', '["web", "app "', "fields.channel.enum", "no space at either end"),
    "value too long": ('["web", "app"', f'["web", "{"a" * 65}"', "fields.channel.enum", "1 to 64 characters"),
    "sensitive value unknown": (
        'sensitive = ["bereavement"]',
        'sensitive = ["bereavement", "refunds"]',
        "fields.topic.sensitive",
        "'refunds' is not a value of this enum; did you mean 'refund'?",
    ),
    "preference on an amount": (
        "max = 1_000_000 }",
        "max = 1, preference = true }",
        "fields.total.preference",
        "known",
    ),
    "currency in words": ('amount = "EUR"', 'amount = "euro"', "fields.total.amount", "a currency code"),
    "amount without a bound": (", max = 1_000_000 }", " }", "fields.total.max", "is missing"),
    "amount of nothing": ("max = 1_000_000", "max = 0", "fields.total.max", "from 1 to"),
    "amount beyond 64 bits": ("max = 1_000_000", f"max = {2**63}", "fields.total.max", "from 1 to"),
    "kind twice": ('"purchase", "support', '"purchase", "login", "support', "kinds[1].names", "names 'login' twice"),
    "kind in two tables": (
        "[purposes.support]",
        '[[kinds]]\nnames = ["login"]\nfields = []\n[purposes.support]',
        "kinds[2].names",
        "'login' is declared twice",
    ),
    "kind with a space": (
        '"search", ',
        '"search", "Order Completed", ',
        "kinds[1].names",
        f"'Order Completed': {NAME}",
    ),
    "kind carries an unknown field": (
        '"topic", "total"]\n\n',
        '"topic", "total", "tota"]\n\n',
        "kinds[1].fields",
        "'tota'",
    ),
    "no fields of a kind": (
        'fields = ["channel", "platform", "device", "acquisition", "topic", "total"]',
        "",
        "kinds[1].fields",
        "is missing; expected a list of declared fields, possibly empty",
    ),
    "purpose not a name": ("[purposes.analytics]", "[purposes.'A b']", 'purposes."A b"', NAME),
    "no title": ('title = "Help you when you contact us"', "", "purposes.support.title", "is missing"),
    "title too long": ("Help you when", "Help " * 50, "purposes.support.title", "at most 200 characters"),
    "dpv without a prefix": ('"dpv:CustomerCare"', '"CustomerCare"', "purposes.support.dpv", "Data Privacy Vocabulary"),
    "notice not declared": (
        'notice = "2024-01"',
        'notice = "2024-02"',
        "purposes.support.notice",
        "did you mean '2024-01'",
    ),
    "lifetime in months": ('"730 days"', '"24 months"', "purposes.support.lifetime", DAYS),
    "lifetime of nothing": ('"730 days"', '"0 days"', "purposes.support.lifetime", "from 1 to 36500"),
    "lifetime as a number": ('"730 days"', "730", "purposes.support.lifetime", DAYS),
    "retention in days": ('retention = "12 months"', 'retention = "365 days"', "purposes.support.retention", MONTHS),
    "retention of half a month": (
        'retention = "12 months"',
        'retention = "0.5 months"',
        "purposes.support.retention",
        MONTHS,
    ),
    "retention missing": ('retention = "12 months"', "", "purposes.support.retention", f"is missing; {MONTHS}"),
    "evidence for ever": ('evidence = "36 months"', 'evidence = "for ever"', "purposes.support.evidence", MONTHS),
    "grace too long": ("keep = 10_000", 'keep = 1\ngrace = "366 days"', "purposes.support.grace", "from 0 to 365"),
    "reader not declared": ('["support-agent"]', '["suport-agent"]', "purposes.support.readers", "'support-agent'?"),
    "readers not a list": (
        'readers = ["support-agent"]',
        'readers = "app"',
        "purposes.support.readers",
        "a list of roles",
    ),
    "precision unknown": ('"second"  ', '"minute"  ', "purposes.support.precision", "one of second, hour, day, month"),
    "keep nothing": ("keep = 10_000", "keep = 0", "purposes.support.keep", "from 1 to 1000000"),
    "keep too much": ("keep = 10_000", "keep = 1_000_001", "purposes.support.keep", "from 1 to 1000000"),
    "keep true": ("keep = 10_000", "keep = true", "purposes.support.keep", "from 1 to 1000000"),
    "sensitive value not sensitive": (
        'sensitive = ["topic.bereavement"]',
        'sensitive = ["topic.refund"]',
        "purposes.support.sensitive",
        "'topic.refund' is not declared as sensitive",
    ),
    "sensitive without the field": (
        '["topic.bereavement"]',
        '["bereavement"]',
        "purposes.support.sensitive",
        "did you mean 'topic.bereavement'?",
    ),
    "collect nothing": (
        'collect = { "*" = ["channel", "platform", "device", "topic", "total"] }',
        "collect = {}",
        "purposes.support.collect",
        "at least one kind",
    ),
    "collect an unknown kind": ("{ purchase =", "{ purchases =", "purposes.marketing.collect.purchases", "'purchase'?"),
    "collect an unknown field": (
        '"topic", "total"] }',
        '"topic", "tota"] }',
        'purposes.support.collect."*"',
        "'total'?",
    ),
    "collect a field twice": ('"topic", "total"] }', '"topic", "topic"] }', 'purposes.support.collect."*"', "twice"),
    "collect a field of no such kind": (
        "[purposes.support]",
        '[[kinds]]\nnames = ["ping"]\nfields = []\n[purposes.extra]\ntitle = "T"\ndpv = "dpv:X"\nnotice = "2024-01"\n'
        'lifetime = "1 day"\nretention = "1 month"\nevidence = "1 month"\nreaders = []\nprecision = "day"\nkeep = 1\n'
        'collect = { ping = ["total"] }\n[purposes.support]',
        "purposes.extra.collect.ping",
        "'total' is not a field of this kind",
    ),
    "star of a field no kind has": (
        '"topic", "total"]\n\n',
        '"topic"]\n\n',
        'purposes.support.collect."*"',
        "'total' is not a field of any kind",
    ),
    "misspelt rule": ("readers = [] ", "readers = []\nreaderz = []", "purposes.analytics.readerz", "is not known here"),
    "release about two": ("min_accounts = 10", "min_accounts = 2", "purposes.analytics.release.min_accounts", "from 3"),
    "release rounded to nothing": ("round_to = 5", "round_to = 0", "purposes.analytics.release.round_to", "from 1"),
    "release in months": ('"7 days"', '"1 month"', "purposes.analytics.release.cadence", DAYS),
    "release without a cadence": (', cadence = "7 days"', "", "purposes.analytics.release.cadence", "is missing"),
    "budget of nothing": ("= 2.0", "= 0.0", "purposes.analytics.release.epsilon_per_year", "above zero"),
    "budget without end": ("= 2.0", "= inf", "purposes.analytics.release.epsilon_per_year", "above zero"),
    "budget in two currencies": (
        "= 2.0",
        "= 2.0, rho_per_year = 0.1",
        "purposes.analytics.release.rho_per_year",
        "in one of them",
    ),
    "delta without a budget": (
        "epsilon_per_year = 2.0",
        "delta_per_year = 1e-6",
        "purposes.analytics.release.delta_per_year",
        "belongs to a budget",
    ),
    "delta that protects nobody": (
        "= 2.0",
        "= 2.0, delta_per_year = 0.01",
        "purposes.analytics.release.delta_per_year",
        "at most 0.001",
    ),
    "release misspelt": ("round_to = 5", "round_to = 5, delta = 1", "purposes.analytics.release.delta", "is not known"),
    "approval by name": (
        '"7 days" }',
        '"7 days", approval = "officer" }',
        "purposes.analytics.release.approval",
        "true or false",
    ),
    "gpc in words": ("gpc_objects = true", 'gpc_objects = "yes"', "purposes.marketing.gpc_objects", "true or false"),
    "suppression of no purpose": ('= ["marketing"]', "= []", "suppression.do-not-contact", "a list of purposes"),
    "suppression of an unknown purpose": (
        '= ["marketing"]',
        '= ["marketin"]',
        "suppression.do-not-contact",
        "'marketing'?",
    ),
    "suppression of all and one": ('["*"]', '["*", "support"]', "suppression.deceased", "'*' alone"),
    "reason not a name": ("deceased =", "Deceased =", "suppression.Deceased", NAME),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_fault_is_refused_at_its_place(what: str) -> None:
    old, new, place, expected = REFUSED[what]
    (fault,) = faults_of(edited(old, new))
    assert fault.place == f"policy.toml: {place}"
    assert expected in fault.expected


def test_every_fault_of_a_file_is_told_at_once() -> None:
    text = EXAMPLE
    for what in ("zone misspelt", "country in words", "two types", "retention in days", "release about two"):
        text = text.replace(*REFUSED[what][:2], 1)
    faults = faults_of(text)
    assert [fault.place for fault in faults] == [
        "policy.toml: time_zone",
        "policy.toml: controller.jurisdiction",
        "policy.toml: fields.device",
        "policy.toml: purposes.support.retention",
        "policy.toml: purposes.analytics.release.min_accounts",
    ]
    with pytest.raises(
        InvalidPolicy, match=r"the policy has 5 faults:\n  policy.toml: time_zone: expected a time zone"
    ):
        read_policy(text, "policy.toml")


def test_the_documentation_shows_a_refusal_as_it_is_told() -> None:
    text = edited('retention = "12 months"', 'retention = "1 year"').replace("readers = [", "readres = [", 1)
    with pytest.raises(InvalidPolicy) as refusal:
        read_policy(text, "policy.toml")
    assert f"```text\n{refusal.value}\n```" in (ROOT / "docs/policy.md").read_text("utf-8")


def test_an_empty_file_is_told_everything_that_it_lacks() -> None:
    assert {fault.place for fault in faults_of("")} == {
        f"policy.toml: {key}" for key in ("format", "time_zone", "controller", "notices", "kinds", "purposes")
    }


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("kinds = []", {"kinds"}),
        ("kinds = 3", {"kinds"}),
        ("[purposes]", {"purposes"}),
        ("purposes = []", {"purposes"}),
        ("[purposes]\nsupport = 3\n[suppression]\nx = ['support']", {"purposes.support"}),
        ("fields = 3", {"fields"}),
        ("suppression = 3", {"suppression"}),
        ("roles = 3", {"roles"}),
    ],
)
def test_a_part_of_the_wrong_shape_is_one_fault_and_causes_no_others(text: str, places: set[str]) -> None:
    lacking = {"format", "time_zone", "controller", "notices", "kinds", "purposes"}
    found = [fault.place.removeprefix("policy.toml: ") for fault in faults_of(text)]
    assert len(found) == len(set(found))
    assert set(found) == {key for key in lacking if not text.startswith(f"[{key}]")} | places


def test_a_notice_version_is_declared_once() -> None:
    notice = EXAMPLE[EXAMPLE.index("[[notices]]") : EXAMPLE.index("[fields]")]
    (fault,) = faults_of(EXAMPLE.replace(notice, notice * 2))
    assert fault == Fault("policy.toml: notices[2].version", "'2024-01' is declared twice")


INTEGERS = {
    "no bounds": ("integer = true", {"min", "max"}),
    "upside down": ("integer = true, min = 2, max = 1", {"max"}),
    "not true": ("integer = { min = 0, max = 1 }", {"integer", "min", "max"}),
    "below 64 bits": (f"integer = true, min = {-(2**63) - 1}, max = 0", {"min"}),
    "a fraction": ("integer = true, min = 0, max = 1.5", {"max"}),
    "sensitive": ("integer = true, min = 0, max = 1, sensitive = [1]", {"sensitive"}),
}


@pytest.mark.parametrize("what", INTEGERS)
def test_an_integer_needs_two_bounds_within_64_bits(what: str) -> None:
    declared, places = INTEGERS[what]
    found = faults_of(edited("total = {", f"n = {{ {declared} }}\ntotal = {{"))
    assert {fault.place for fault in found} == {f"policy.toml: fields.n.{key}" for key in places}


LIMITS = {
    "roles": ("roles = [", "roles = [%s, ", policy_file.MAXIMUM_ROLES - 2, '"r%d"', ", ", "roles"),
    "fields": (
        "total = {",
        "%s\ntotal = {",
        policy_fields.MAXIMUM_FIELDS - 6,
        "f%d = { token = true }",
        "\n",
        "fields",
    ),
    "kinds": ('names = ["login"', 'names = [%s, "login"', policy_fields.MAXIMUM_KINDS - 6, '"k%d"', ", ", "kinds"),
    "values": (
        '["delivery"',
        '[%s, "delivery"',
        policy_fields.MAXIMUM_ENUM_VALUES - 3,
        '"v%d"',
        ", ",
        "fields.topic.enum",
    ),
    "reasons": ("deceased =", "%s\ndeceased =", policy_file.MAXIMUM_REASONS - 2, "r%d = ['*']", "\n", "suppression"),
}


@pytest.mark.parametrize("what", LIMITS)
def test_as_many_as_the_limit_are_accepted_and_one_more_is_refused(what: str) -> None:
    old, new, room, item, separator, place = LIMITS[what]
    read_policy(edited(old, new % separator.join(item % number for number in range(room))), "policy.toml")
    (fault,) = faults_of(edited(old, new % separator.join(item % number for number in range(room + 1))))
    assert fault.place == f"policy.toml: {place}"
    assert fault.expected.startswith("expected at most")


def test_more_purposes_than_the_limit_are_refused() -> None:
    marketing = EXAMPLE[EXAMPLE.index("[purposes.marketing]") : EXAMPLE.index("[suppression]")]
    more = [marketing.replace("purposes.marketing", f"purposes.p{number}") for number in range(62)]
    read_policy(EXAMPLE + "".join(more[:61]), "policy.toml")
    (fault,) = faults_of(EXAMPLE + "".join(more))
    assert fault == Fault("policy.toml: purposes", "expected at most 64 purposes, found 65")


def test_a_text_beyond_one_mebibyte_is_refused() -> None:
    (fault,) = faults_of(EXAMPLE + "#" * 2**20)
    assert fault == Fault("policy.toml", "is larger than 1 MiB")


def test_a_text_that_is_not_toml_is_refused_with_its_line() -> None:
    (fault,) = faults_of("format = 1\n???")
    assert fault.place == "policy.toml"
    assert "line 2" in fault.expected


LINES = EXAMPLE.splitlines()
VALUES = st.sampled_from(
    ["1", "-1", "true", '""', '"x"', "[]", "{}", "[1]", '["x"]', "[[]]", "[{}]", "inf", "nan", "1979-05-27", "9" * 30]
)


@given(st.integers(0, len(LINES) - 1), VALUES | st.none())
def test_whatever_one_line_is_changed_to_the_policy_is_read_or_refused(line: int, value: str | None) -> None:
    """No change of one value, and no line left out, gets past as an exception of another kind."""
    key = LINES[line].partition("=")[0]
    changed = [] if value is None else [f"{key}= {value}"]
    try:
        policy = read_policy("\n".join([*LINES[:line], *changed, *LINES[line + 1 :]]), "policy.toml")
    except InvalidPolicy as refusal:
        places = [fault.place for fault in refusal.faults]
    else:
        assert Policy.from_text(policy.text) == policy
        return
    assert places
    assert all(place.startswith("policy.toml") for place in places)
