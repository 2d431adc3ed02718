"""Days, weeks and months are cut where the specification's zone cuts them, and only as finely as times are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import InvalidSpec
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from tests.release.plain import Cells
from tests.release.shop_policy import POLICY, SINCE, UNTIL, counted, event, people, spec, spec_text

HOUR, DAY = 3600, 86400


def cells(asked: ReleaseSpec, accounts: dict[int, Sequence[int]]) -> Cells:
    """The cells of accounts that logged in on a mobile at these times."""
    return counted(
        asked,
        {
            number: [event(at=at, platform="mobile", channel="web") for at in times]
            for number, times in accounts.items()
        },
    )


def test_months_weeks_and_days_are_listed_whole() -> None:
    assert spec(by='["month"]').keys == tuple((f"2024-0{month}",) for month in range(1, 7))
    weeks = spec(by='["week"]', from_="2024-12-25", until="2025-01-07").keys
    assert weeks == (("2024-W52",), ("2025-W01",), ("2025-W02",))
    assert spec(by='["day"]', from_="2024-02-28", until="2024-03-02").keys == (
        ("2024-02-28",),
        ("2024-02-29",),
        ("2024-03-01",),
    )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@given(at=st.integers(SINCE + DAY, UNTIL - DAY))
def test_an_event_lies_in_the_local_day_week_and_month(zone: str, at: int) -> None:
    local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone))
    year, week, _ = local.isocalendar()
    for unit, key in (("day", f"{local:%Y-%m-%d}"), ("week", f"{year}-W{week:02}"), ("month", f"{local:%Y-%m}")):
        found = cells(spec(by=f'["{unit}"]', zone=f'"{zone}"'), {1: [at]})
        assert [cell for cell, members in found.items() if members] == [(key,)]


def test_three_dimensions_are_columns_in_the_order_of_their_names() -> None:
    asked = spec(by='["platform", "month", "channel"]')
    assert asked.columns == ("channel", "month", "platform")
    found = cells(asked, {1: [SINCE, UNTIL - 1], 2: [SINCE]})
    assert found["web", "2024-01", "mobile"] == people(1, 2)
    assert found["web", "2024-06", "mobile"] == people(1)
    assert len(found) == 3 * 6 * 3


def test_an_account_counts_in_as_many_cells_as_the_specification_allows() -> None:
    days = [SINCE + day * DAY for day in range(60)]
    for most, text in ((16, None), (40, "40"), (60, "300")):
        found = cells(spec(by='["day"]', cells_per_account=text), {1: days})
        assert sum(map(len, found.values())) == most


# ---- one meaning, one form ----------------------------------------------------------------------


def test_zones_that_cut_alike_are_the_same_and_others_are_not() -> None:
    base = spec(by='["month"]', zone='"Europe/Berlin"')
    assert spec(by='["month"]', zone='"Europe/Vienna"').canonical == base.canonical
    # Paris and Tunis agree on both ends of these days, but not on all between.
    ends = {"by": '["day"]', "from_": "2024-01-01", "until": "2024-11-15"}
    paris, tunis = (spec(**ends, zone=f'"{zone}"') for zone in ("Europe/Paris", "Africa/Tunis"))
    assert paris.period == tunis.period
    assert paris.canonical != tunis.canonical
    assert paris.series == tunis.series


def test_the_manifest_tells_where_days_begin() -> None:
    terms = json.loads(spec(by='["day"]', zone='"Europe/Berlin"').canonical)
    assert terms["cuts"] == {"day": [["2024-01-01", HOUR], ["2024-04-01", 2 * HOUR]]}
    assert "cuts" not in json.loads(spec(zone='"Europe/Berlin"').canonical)


def test_the_bound_is_part_of_the_question_where_it_is_not_the_usual_one() -> None:
    by_page = {"by": '["page"]'}
    assert spec(**by_page, cells_per_account="16").canonical == spec(**by_page).canonical
    assert spec(**by_page, cells_per_account="17").series != spec(**by_page).series


@pytest.mark.parametrize("most", ["3", "4", "16", "1024"])
def test_a_bound_that_is_no_smaller_than_the_rows_makes_no_other_question(most: str) -> None:
    assert spec(by='["platform"]', cells_per_account=most).canonical == spec(by='["platform"]').canonical
    assert spec(by='["platform"]', cells_per_account="2").canonical != spec(by='["platform"]').canonical
    days = {"by": '["day"]', "until": "2024-01-08"}
    assert spec(**days, cells_per_account=most).series == spec(by='["day"]', cells_per_account=most).series


# ---- faults -------------------------------------------------------------------------------------

FAULTY = {
    "months of a zone that months are not kept in": (
        spec_text(purpose='"monthly"', by='["week"]'),
        "reach.toml: by",
        "does not tell where each day, week or month",
    ),
    "too many days": (
        spec_text(by='["day", "kind", "channel"]'),
        "reach.toml: by",
        "at most 1024 cells",
    ),
    "a bound of nothing": (spec_text(cells_per_account="0"), "reach.toml: cells_per_account", "from 1 to 1024"),
    "a bound without a limit": (spec_text(cells_per_account="1025"), "reach.toml: cells_per_account", "from 1 to 1024"),
    "a misspelt step": (spec_text(by='["wek"]'), "reach.toml: by", "did you mean 'week'?"),
}


@pytest.mark.parametrize(("text", "place", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(text: str, place: str, expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(text, "reach.toml", POLICY)
    assert [(fault.place, expected in fault.expected) for fault in refused.value.faults] == [(place, True)]


def test_months_that_are_kept_can_be_asked_for() -> None:
    assert spec(purpose='"monthly"', by='["month"]').columns == ("month",)
