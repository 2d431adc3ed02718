"""A specification is refused with every fault at its place, and has one canonical form."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consentprofile.errors import InvalidSpec, ReleaseRefused
from consentprofile.model.calendar import Calendar
from consentprofile.release.spec import Period, check_period
from consentprofile.release.spec_file import read_spec
from tests.release.shop_policy import POLICY, SINCE, UNTIL, spec, spec_text

DAY = 86400

FAULTY = {
    "not TOML": ("format =", "reach.toml", "is not TOML"),
    "another format": (spec_text(format="2"), "reach.toml: format", "from 1 to 1"),
    "no name": (spec_text(name=None), "reach.toml: name", "is missing"),
    "an unknown purpose": (spec_text(purpose='"analytic"'), "reach.toml: purpose", "did you mean 'analytics'?"),
    "a purpose without release rules": (spec_text(purpose='"support"'), "reach.toml: purpose", "no release rules"),
    "an unknown measure": (spec_text(measure='"rech"'), "reach.toml: measure", "did you mean 'reach'?"),
    "an unknown dimension": (spec_text(by='["platfrom"]'), "reach.toml: by", "did you mean 'platform'?"),
    "a token as a dimension": (spec_text(by='["device"]'), "reach.toml: by", "is neither 'kind' nor an enum field"),
    "a dimension that reads as the figures": (spec_text(by='["accounts"]'), "reach.toml: by", "column of its own"),
    "a dimension twice": (spec_text(by='["kind", "kind"]'), "reach.toml: by", "twice"),
    "four dimensions": (spec_text(by='["kind", "channel", "platform", "week"]'), "reach.toml: by", "at most 3"),
    "too many cells": (spec_text(by='["page", "kind"]'), "reach.toml: by", "at most 1024 cells"),
    "a time instead of a day": (spec_text(from_="2024-01-01T00:00:00Z"), "reach.toml: from", "a day"),
    "a text instead of a day": (spec_text(until='"2024-07-01"'), "reach.toml: until", "a day"),
    "a day before time": (spec_text(from_="1969-12-31"), "reach.toml: from", "from 1970 to 2999"),
    "an empty period": (spec_text(until="2024-01-01"), "reach.toml: until", "a day after 'from'"),
    "a period backwards": (spec_text(until="2023-01-01"), "reach.toml: until", "a day after 'from'"),
    "an unknown zone": (spec_text(zone='"Europe/Berln"'), "reach.toml: zone", "did you mean 'Europe/Berlin'?"),
    "a zone of this machine": (spec_text(zone='"localtime"'), "reach.toml: zone", "known on this machine"),
    "a filter on a field not collected": (spec_text(where="{ device = ['d'] }"), "reach.toml: where.device", "neither"),
    "a filter on a kind not collected": (
        spec_text(where="{ kind = ['support_chat'] }"),
        "reach.toml: where.kind",
        "'support_chat' is not a declared value",
    ),
    "a filter on an undeclared value": (
        spec_text(where="{ platform = ['tv'] }"),
        "reach.toml: where.platform",
        "'tv' is not a declared value",
    ),
    "a filter on a sensitive value not named": (
        spec_text(where="{ topic = ['bereavement'] }"),
        "reach.toml: where.topic",
        "'bereavement' is not a declared value",
    ),
    "an empty filter": (spec_text(where="{ kind = [] }"), "reach.toml: where.kind", "a list of values"),
    "no protection": (spec_text(protection=None), "reach.toml: protection", "is missing"),
    "an unknown protection": (spec_text(protection="{ kind = 'none' }"), "reach.toml: protection.kind", "threshold"),
    "fewer accounts than the policy's": (
        spec_text(protection="{ kind = 'threshold', min_accounts = 9 }"),
        "reach.toml: protection.min_accounts",
        "from 10 to",
    ),
    "an unknown key": (spec_text(filter="1"), "reach.toml: filter", "is not known here"),
    "an unknown key of protection": (
        spec_text(protection="{ kind = 'threshold', round_to = 1 }"),
        "reach.toml: protection.round_to",
        "is not known here",
    ),
    "a period inside a step of the precision": (
        spec_text(purpose='"monthly"', from_="2024-01-02"),
        "reach.toml: from",
        "keeps times to the month in UTC",
    ),
    "a period cut in another zone than months are": (
        spec_text(purpose='"monthly"', zone='"Europe/Berlin"'),
        "reach.toml: until",
        "keeps times to the month in UTC",
    ),
}


@pytest.mark.parametrize(("text", "place", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(text: str, place: str, expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(text, "reach.toml", POLICY)
    assert any(fault.place == place and expected in fault.expected for fault in refused.value.faults)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec("format = 3\nmeasure = 'x'\nby = ['x']\nwhere = 1\n", "reach.toml", POLICY)
    places = {fault.place.removeprefix("reach.toml: ") for fault in refused.value.faults}
    assert places == {"format", "name", "measure", "purpose", "where", "from", "until", "zone", "protection"}


def test_a_specification_says_what_the_file_says() -> None:
    read = spec(by='["platform"]', where="{ kind = ['purchase', 'login'] }", protection="{ kind = 'threshold' }")
    assert read.name == "reach"
    assert read.columns == ("platform",)
    assert read.keys == (("mobile",), ("desktop",), ("tablet",))
    assert read.where == (("kind", ("login", "purchase")),)
    assert read.period == Period(SINCE, UNTIL)
    assert read.min_accounts == 10
    assert read.bound == 3


def test_days_begin_in_the_zone_of_the_specification() -> None:
    berlin = spec(zone='"Europe/Berlin"')
    assert berlin.period == Period(SINCE - 3600, UNTIL - 7200)


def test_a_dimension_lists_only_what_its_filter_lets_through() -> None:
    assert spec(by='["platform"]', where="{ platform = ['tablet', 'mobile'] }").keys == (("mobile",), ("tablet",))


def test_a_sensitive_value_that_the_purpose_does_not_name_is_no_key() -> None:
    assert spec(by='["topic"]').keys == (("delivery",),)


def test_an_account_counts_in_at_most_sixteen_cells() -> None:
    assert spec(by='["page"]').bound == 16


BASE = {"by": '["kind", "channel"]', "where": "{ kind = ['search', 'login'], platform = ['mobile', 'desktop'] }"}

SAME = {
    "another name": {"name": '"something else"'},
    "dimensions the other way round": {"by": '["channel", "kind"]'},
    "filter values the other way round": {"where": "{ platform = ['desktop', 'mobile'], kind = ['login', 'search'] }"},
    "a filter that names every value": {"where": BASE["where"][:-2] + ", channel = ['app', 'call-centre', 'web'] }"},
    "another zone with the same instants": {"zone": '"Etc/UTC"'},
    "the policy's minimum left out": {"protection": "{ kind = 'threshold' }"},
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_specifications_that_mean_the_same_are_the_same(change: dict[str, str | None]) -> None:
    base, variant = spec(**BASE), spec(**{**BASE, **change})
    assert variant.canonical == base.canonical
    assert (variant.digest, variant.series, variant.keys) == (base.digest, base.series, base.keys)


OTHER = {
    "another dimension": {"by": '["kind"]'},
    "another filter": {"where": "{ kind = ['search'] }"},
    "another period": {"until": "2024-06-01"},
    "another zone": {"zone": '"Europe/Berlin"'},
    "another minimum": {"protection": "{ kind = 'threshold', min_accounts = 11 }"},
}


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_specifications_that_mean_something_else_differ(change: dict[str, str | None]) -> None:
    assert spec(**{**BASE, **change}).canonical != spec(**BASE).canonical


@pytest.mark.parametrize("change", ["another period", "another zone", "another minimum"])
def test_period_and_protection_do_not_make_another_series(change: str) -> None:
    assert spec(**{**BASE, **OTHER[change]}).series == spec(**BASE).series


@given(st.permutations(["kind", "platform"]), st.permutations(["login", "search"]), st.text("abc ", min_size=1))
def test_spelling_makes_no_difference(by: list[str], kinds: list[str], name: str) -> None:
    variant = spec(by=str(by), where=f"{{ kind = {kinds} }}", name=f'"{name}"')
    assert variant.canonical == spec(by="['kind', 'platform']", where="{ kind = ['login', 'search'] }").canonical


# ---- the period ---------------------------------------------------------------------------------


def check(now: int, *earlier: Period, **changes: str | None) -> None:
    check_period(spec(**changes), POLICY, Calendar("UTC"), now, earlier)


def days(first: int, last: int) -> Period:
    return Period(SINCE + first * DAY, SINCE + last * DAY)


@pytest.mark.parametrize(("now", "message"), [(SINCE, "has not begun"), (SINCE + 1, "still open"), (UNTIL - 1, "open")])
def test_a_period_that_is_not_over_is_refused(now: int, message: str) -> None:
    with pytest.raises(ReleaseRefused, match=message):
        check(now)


def test_a_period_is_over_at_its_end() -> None:
    check(UNTIL)


def test_a_period_that_retention_has_cut_is_refused() -> None:
    calendar = Calendar("UTC")
    february_2025 = calendar.month_start(2025 * 12 + 1)
    check(february_2025 - 1)
    with pytest.raises(ReleaseRefused, match="oldest month"):
        check(february_2025)


ALLOWED = {
    "the first": (),
    "the next period": (days(-182, 0),),
    "a window moved by the cadence": (Period(SINCE - 7 * DAY, UNTIL - 7 * DAY),),
    "a growing window": (Period(SINCE, UNTIL - 7 * DAY),),
    "moved over a change of clocks": (Period(SINCE - 7 * DAY + 3600, UNTIL - 7 * DAY + 3600),),
}
TOO_CLOSE = {
    "ends a day earlier": Period(SINCE, UNTIL - DAY),
    "ends six days later": Period(SINCE, UNTIL + 6 * DAY),
    "begins a day later": Period(SINCE + DAY, UNTIL),
    "moved by a day": Period(SINCE - DAY, UNTIL - DAY),
    "one end far, the other near": Period(SINCE - DAY, UNTIL - 30 * DAY),
    "the same days in another zone": Period(SINCE - 3600, UNTIL - 3600),
}


@pytest.mark.parametrize("earlier", ALLOWED.values(), ids=ALLOWED)
def test_a_period_at_the_cadence_is_allowed(earlier: tuple[Period, ...]) -> None:
    check(UNTIL, *earlier)


@pytest.mark.parametrize("earlier", TOO_CLOSE.values(), ids=TOO_CLOSE)
def test_an_attack_by_shifting_the_period_is_refused(earlier: Period) -> None:
    with pytest.raises(ReleaseRefused, match="cadence"):
        check(UNTIL, days(-300, -200), earlier)


def test_the_same_period_under_another_protection_is_refused() -> None:
    with pytest.raises(ReleaseRefused, match="another protection"):
        check(UNTIL, Period(SINCE, UNTIL))


@given(st.integers(-400, 400), st.integers(1, 300), st.integers(-20, 20), st.integers(-20, 20))
def test_refusal_is_mutual(start: int, length: int, first: int, last: int) -> None:
    """If a period may not follow another, the other may not follow it either."""
    later = length + last
    assume(first < later)
    periods = [(start, start + length), (start + first, start + later)]

    def refused(one: tuple[int, int], other: tuple[int, int]) -> bool:
        begin, end = (date(2024, 1, 1) + timedelta(days=day) for day in one)
        asked = spec(from_=begin.isoformat(), until=end.isoformat())
        try:
            check_period(asked, POLICY, Calendar("UTC"), asked.period.until, [days(*other)])
        except ReleaseRefused as error:
            return "oldest month" not in str(error)
        return False

    assert refused(*periods) == refused(periods[1], periods[0])
