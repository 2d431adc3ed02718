"""A mapping is refused as a whole with every fault at its place, or turns each row into one event or one refusal."""

from __future__ import annotations

import csv
import gzip
import hmac
import pickle
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.errors import InputError, InvalidMapping
from consentprofile.model.event import Event
from consentprofile.model.mapping import RowMapping, RowRefused, content_bytes, read_mapping
from consentprofile.model.policy import (
    AmountField,
    BooleanField,
    Collected,
    Controller,
    EnumField,
    IntegerField,
    Kind,
    Notice,
    Policy,
    Purpose,
    TokenField,
)

SHOP_KINDS: Final = (
    "home catalog search product_view compare promo_page filter_results wishlist_add add_to_cart cart shipping_details "
    "payment_details purchase account_page review_page support_chat error_page payment_error checkout_bug"
).split()
FIELDS: Final = ("channel", "platform", "device", "acquisition", "pages", "member")
POLICY: Final = Policy(
    format=1,
    time_zone="UTC",
    roles=(),
    controller=Controller(name="Example Shop GmbH", contact="privacy@shop.example", jurisdiction="DE"),
    notice_list=(Notice(version="2024-01", language="en", address="https://shop.example/p", sha256="0" * 64),),
    field_list=(
        EnumField(name="channel", values=("web", "app")),
        EnumField(name="platform", values=("desktop", "mobile", "tablet")),
        TokenField(name="device"),
        EnumField(name="acquisition", values=("organic", "paid_search", "email", "social", "direct")),
        IntegerField(name="pages", minimum=-5, maximum=100),
        BooleanField(name="member"),
        AmountField(name="total", currency="EUR", maximum=1_000_000),
        BooleanField(name="orphan"),
    ),
    kind_list=(
        Kind(name="login", fields=FIELDS),
        *(Kind(name=name, fields=FIELDS) for name in SHOP_KINDS if name != "purchase"),
        Kind(name="purchase", fields=(*FIELDS, "total")),
        Kind(name="bare", fields=()),
    ),
    purpose_list=(
        Purpose(
            name="support",
            title="Help you",
            dpv="dpv:CustomerCare",
            notice="2024-01",
            lifetime_days=730,
            retention_months=12,
            evidence_months=36,
            readers=(),
            precision="second",
            keep=100,
            collect=(Collected(kind="*", fields=("channel",)),),
        ),
    ),
)

ROOT: Final = Path(__file__).resolve().parents[2]
SHOP, SESSIONS = re.findall(
    r"```toml\n(format = 1\n.*?)```", (ROOT / "docs" / "import.md").read_text("utf-8"), re.DOTALL
)
"""The two whole mappings of the reference: what it shows is what is tested."""

SHOP_COLUMNS: Final = (
    "user_id,session_id,event,timestamp,platform,acquisition_channel,user_cohort,user_lifecycle".split(",")
)
SHOP_ROW: Final = "user_0000,sess_1,home,2024-03-13 10:21:14,desktop,email,2024-01,returning".split(",")


def derive(content: bytes) -> str:
    return hmac.digest(b"a secret of the store", content, "sha256").hex()


def mapped(text: str) -> RowMapping:
    return read_mapping(text, "m.toml", POLICY)


def table(fields: str, *, at: str = '{ column = "t", format = "iso8601" }', kind: str = '"k"', more: str = "") -> str:
    return f'format = 1\naccount = "a"\nkind = {kind}\nat = {at}\n{more}\n[fields]\n{fields}\n'


def event(mapping: RowMapping, **cells: str) -> Event:
    return mapping.compile(tuple(cells), derive)(tuple(cells.values()))


def refusal(mapping: RowMapping, **cells: str) -> str:
    with pytest.raises(RowRefused) as caught:
        event(mapping, **cells)
    return caught.value.reason


# ---- the file -----------------------------------------------------------------------------------

ONE_FIELD: Final = 'platform = { column = "p" }'
BAD_MAPPINGS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("not TOML", "format =", "m.toml", "is not TOML"),
    ("no format", table("").replace("format = 1\n", "", 1), "m.toml: format", "is missing"),
    ("a newer format", table("").replace("format = 1", "format = 2", 1), "m.toml: format", "from 1 to 1"),
    ("no account", table("").replace('account = "a"\n', ""), "m.toml: account", "is missing"),
    ("no kind", table("").replace('kind = "k"\n', ""), "m.toml: kind", "is missing"),
    ("kind is a number", table("", kind="7"), "m.toml: kind", "expected the name of a column"),
    ("unknown constant kind", table("", kind='{ value = "logn" }'), "m.toml: kind.value", "did you mean 'login'"),
    ("kind table says more", table("", kind='{ value = "login", x = 1 }'), "m.toml: kind.x", "not known here"),
    ("unknown rename", table("", more='kinds = { Anmeldung = "log-in" }'), "m.toml: kinds.Anmeldung", "one of"),
    (
        "renames of a constant kind",
        table("", kind='{ value = "login" }', more='kinds = { x = "login" }'),
        "m.toml: kinds",
        "the kind is constant",
    ),
    ("at is a text", table("", at='"t"'), "m.toml: at", "expected a table"),
    ("at without column", table("", at='{ format = "iso8601" }'), "m.toml: at.column", "is missing"),
    ("at without format", table("", at='{ column = "t" }'), "m.toml: at.format", "is missing"),
    ("a format that is none", table("", at='{ column = "t", format = "ISO" }'), "m.toml: at.format", "year, month"),
    ("no day", table("", at='{ column = "t", format = "%Y-%m", zone = "UTC" }'), "m.toml: at.format", "and day"),
    ("unknown directive", table("", at='{ column = "t", format = "%Y-%m-%d %Q" }'), "m.toml: at.format", "expected"),
    ("zone names", table("", at='{ column = "t", format = "%Y-%m-%d %Z" }'), "m.toml: at.format", "ambiguous"),
    ("no zone", table("", at='{ column = "t", format = "%Y-%m-%d %H:%M" }'), "m.toml: at.zone", "is missing"),
    (
        "zone and offset",
        table("", at='{ column = "t", format = "%Y-%m-%d %H:%M %z", zone = "UTC" }'),
        "m.toml: at.zone",
        "own offset",
    ),
    (
        "zone and unix",
        table("", at='{ column = "t", format = "unix-seconds", zone = "UTC" }'),
        "m.toml: at.zone",
        "own",
    ),
    (
        "unknown zone",
        table("", at='{ column = "t", format = "iso8601", zone = "Mars" }'),
        "m.toml: at.zone",
        "known on",
    ),
    ("zone by path", table("", at='{column="t",format="iso8601",zone="../UTC"}'), "m.toml: at.zone", "known on"),
    ("an id that is none", table("", more='id = "content"'), "m.toml: id", "content+occurrence"),
    ("id without column", table("", more="id = { }"), "m.toml: id.column", "is missing"),
    ("ignored and mapped", table("", more='ignore = ["t"]'), "m.toml: ignore", "is mapped already, under at"),
    ("ignored twice", table("", more='ignore = ["x", "x"]'), "m.toml: ignore", "twice"),
    ("undeclared field", table('platfrom = { column = "p" }'), "m.toml: fields.platfrom", "did you mean 'platform'"),
    ("field is a text", table('platform = "p"'), "m.toml: fields.platform", "expected a table"),
    ("neither", table("platform = { }"), "m.toml: fields.platform.column", "exactly one"),
    ("both", table('platform = { column = "p", value = "mobile" }'), "m.toml: fields.platform.column", "exactly one"),
    ("no such value", table('platform = { value = "tv" }'), "m.toml: fields.platform.value", "one of desktop"),
    ("out of bounds", table("pages = { value = 101 }"), "m.toml: fields.pages.value", "from -5 to 100"),
    ("amount below zero", table("total = { value = -1 }"), "m.toml: fields.total.value", "from 0 to 1000000"),
    ("boolean in words", table('member = { value = "yes" }'), "m.toml: fields.member.value", "true or false"),
    ("token too long", table(f'device = {{ value = "{"x" * 257}" }}'), "m.toml: fields.device.value", "256 bytes"),
    (
        "renamed to nothing",
        table('platform = { column = "p", values = { "4" = "tv" } }'),
        "m.toml: fields.platform.values.4",
        "one of desktop",
    ),
    (
        "renamed number out of bounds",
        table('pages = { column = "p", values = { many = 101 } }'),
        "m.toml: fields.pages.values.many",
        "to 100",
    ),
    ("renamed token", table('device = { column = "p", values = {} }'), "m.toml: fields.device.values", "not known"),
    (
        "renamed constant",
        table('platform = { value = "mobile", values = {} }'),
        "m.toml: fields.platform.values",
        "not",
    ),
    ("scaled number", table('pages = { column = "p", scale = 10 }'), "m.toml: fields.pages.scale", "not known here"),
    ("odd scale", table('total = { column = "p", scale = 12 }'), "m.toml: fields.total.scale", "one of 1, 10, 100"),
    ("carried by no kind", table('orphan = { column = "p" }'), "m.toml: fields.orphan", "not carried by any kind"),
    (
        "not carried by the constant kind",
        table('total = { column = "p" }', kind='{ value = "login" }'),
        "m.toml: fields.total",
        "not carried",
    ),
    ("misspelt key", table("", more='ignored = ["x"]'), "m.toml: ignored", "not known here; did you mean 'ignore'"),
)


@pytest.mark.parametrize(
    ("text", "place", "words"), [case[1:] for case in BAD_MAPPINGS], ids=[c[0] for c in BAD_MAPPINGS]
)
def test_a_bad_mapping_has_one_fault_at_its_place(text: str, place: str, words: str) -> None:
    with pytest.raises(InvalidMapping) as caught:
        mapped(text)
    assert [fault.place for fault in caught.value.faults] == [place]
    assert words in caught.value.faults[0].expected


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidMapping) as caught:
        mapped('format = 3\nid = 7\nx = 1\n[kind]\nvalue = "no"\n[fields]\nplatform = { value = "tv" }\nnope = {}\n')
    assert {fault.place.removeprefix("m.toml: ") for fault in caught.value.faults} == {
        "format", "account", "kind.value", "at", "id", "x", "fields.platform.value", "fields.nope",
    }  # fmt: skip


# ---- columns ------------------------------------------------------------------------------------


def test_the_columns_of_the_shop_fit() -> None:
    mapped(SHOP).check_columns(SHOP_COLUMNS)
    assert sorted(mapped(SHOP).columns) == sorted(SHOP_COLUMNS)


def test_an_unmapped_column_is_an_error_unless_ignored() -> None:
    with pytest.raises(InvalidMapping, match="column 'email' is neither mapped nor ignored"):
        mapped(SHOP).check_columns([*SHOP_COLUMNS, "email"])


def test_a_missing_column_is_told_with_its_place() -> None:
    with pytest.raises(InvalidMapping, match=r"m\.toml: fields\.platform: the file has no column 'platform'"):
        mapped(SHOP).compile([column for column in SHOP_COLUMNS if column != "platform"], derive)


def test_a_mapped_column_stands_once() -> None:
    with pytest.raises(InvalidMapping, match="more than one column 'platform'"):
        mapped(SHOP).check_columns([*SHOP_COLUMNS, "platform"])


def test_an_ignored_column_may_be_missing() -> None:
    mapped(SHOP).check_columns([column for column in SHOP_COLUMNS if column != "session_id"])


def test_a_file_without_header_is_told_without_repeating_its_first_row() -> None:
    with pytest.raises(InvalidMapping, match="may not be its header") as caught:
        mapped(SHOP).check_columns(SHOP_ROW)
    assert not any(cell in str(caught.value) for cell in SHOP_ROW if cell != "home")


# ---- rows ---------------------------------------------------------------------------------------


def test_a_shop_row_becomes_its_event() -> None:
    made = mapped(SHOP).compile(SHOP_COLUMNS, derive)(SHOP_ROW)
    assert (made.account, made.kind) == ("user_0000", "home")
    assert made.at == datetime(2024, 3, 13, 10, 21, 14, tzinfo=UTC)
    assert made.fields == {"channel": "web", "platform": "desktop", "acquisition": "email"}
    assert made.id == derive(content_bytes(made))


def test_a_session_start_becomes_a_login_on_a_platform() -> None:
    made = event(mapped(SESSIONS), user_id="22", session_start_ms="1506825782123", device_group="3")
    assert (made.account, made.kind) == ("22", "login")
    assert made.at == datetime(2017, 10, 1, 2, 43, 2, 123000, tzinfo=UTC)
    assert made.fields == {"channel": "web", "platform": "mobile"}


def test_an_empty_cell_is_an_absent_field() -> None:
    assert event(mapped(table(ONE_FIELD)), a="x", k="login", t="2024-01-01T00:00Z", p="").fields == {}


def test_a_column_of_ids_is_taken_as_it_is() -> None:
    mapping = mapped(table("", more='id = { column = "i" }'))
    assert event(mapping, a="x", k="login", t="2024-01-01T00:00Z", i="e-1").id == "e-1"
    for bad in ("", "x" * 257, "a\nb", "\ud800"):
        assert "column 'i'" in refusal(mapping, a="x", k="login", t="2024-01-01T00:00Z", i=bad)


def test_what_the_source_calls_a_kind_can_be_renamed() -> None:
    mapping = mapped(table("", more='kinds = { Kauf = "purchase", home = "login" }'))
    for said, kind in (("Kauf", "purchase"), ("home", "login"), ("search", "search")):
        assert event(mapping, a="x", k=said, t="2024-01-01T00:00Z").kind == kind


def test_a_constant_is_left_off_kinds_that_do_not_carry_it() -> None:
    mapping = mapped(table('channel = { value = "app" }'))
    assert event(mapping, a="x", k="bare", t="2024-01-01T00:00Z").fields == {}
    assert event(mapping, a="x", k="login", t="2024-01-01T00:00Z").fields == {"channel": "app"}


def test_a_filled_cell_of_a_kind_that_does_not_carry_it_is_refused_and_not_dropped() -> None:
    mapping = mapped(table('total = { column = "p" }'))
    assert event(mapping, a="x", k="purchase", t="2024-01-01T00:00Z", p="5").fields == {"total": 5}
    assert event(mapping, a="x", k="login", t="2024-01-01T00:00Z", p="").fields == {}
    assert "does not carry" in refusal(mapping, a="x", k="login", t="2024-01-01T00:00Z", p="5")


CELLS: Final[tuple[tuple[str, str, object], ...]] = (
    ('platform = { column = "p" }', "mobile", "mobile"),
    ('platform = { column = "p", values = { "4" = "mobile" } }', "4", "mobile"),
    ('platform = { column = "p", values = { "4" = "mobile" } }', "tablet", "tablet"),
    ('pages = { column = "p" }', "-5", -5),
    ('pages = { column = "p" }', "007", 7),
    ('pages = { column = "p", values = { none = 0 } }', "none", 0),
    ('pages = { column = "p", values = { none = 0 } }', "12", 12),
    ('member = { column = "p" }', "true", True),
    ('member = { column = "p" }', "False", False),
    ('member = { column = "p" }', "0", False),
    ('member = { column = "p", values = { nein = false } }', "nein", False),
    ('device = { column = "p" }', "d 1/é", "d 1/é"),
    ('total = { column = "p" }', "1000000", 1_000_000),
    ('total = { column = "p", scale = 100 }', "12.5", 1250),
    ('total = { column = "p", scale = 100 }', "0.07", 7),
    ('total = { column = "p", scale = 100 }', "9999.9900", 999_999),
    ('total = { column = "p", scale = 1 }', "3.0", 3),
)


@pytest.mark.parametrize(("field", "cell", "value"), CELLS)
def test_a_cell_becomes_its_value(field: str, cell: str, value: object) -> None:
    made = event(mapped(table(field)), a="x", k="purchase", t="2024-01-01T00:00Z", p=cell)
    (found,) = made.fields.values()
    assert found == value
    assert type(found) is type(value)


BAD_CELLS: Final[tuple[tuple[str, str], ...]] = (
    ('platform = { column = "p" }', "tv"),
    ('platform = { column = "p" }', " mobile"),
    ('platform = { column = "p" }', "\ud800"),
    *(
        ('pages = { column = "p" }', cell)
        for cell in ("101", "-6", "+5", "1_0", "٣", "3.0", " 3", "3\n", "1e1", "-", "9" * 5000)
    ),
    ('pages = { column = "p", values = { none = 0 } }', "some"),
    ('member = { column = "p" }', "yes"),
    ('device = { column = "p" }', "é" * 129),
    ('device = { column = "p" }', "a\x00b"),
    *(('total = { column = "p" }', cell) for cell in ("-1", "1000001", "1.5", "9" * 5000)),
    *(
        ('total = { column = "p", scale = 100 }', cell)
        for cell in ("0.005", "10000.01", "1,50", ".5", "5.", "1e3", "-0.01", "NaN", "€5")
    ),
)


@pytest.mark.parametrize(("field", "cell"), BAD_CELLS)
def test_a_bad_cell_is_refused_by_column_and_never_repeated(field: str, cell: str) -> None:
    reason = refusal(mapped(table(field)), a="x", k="purchase", t="2024-01-01T00:00Z", p=cell)
    assert reason.startswith("column 'p': expected ")
    assert len(cell) < 4 or cell not in reason


def test_a_row_with_an_unknown_kind_or_account_is_refused() -> None:
    mapping = mapped(table(""))
    assert refusal(mapping, a="x", k="logout", t="2024-01-01T00:00Z").startswith("column 'k': expected a kind")
    for account in ("", " x", "x\n", "é" * 129, "\ud800"):
        assert refusal(mapping, a=account, k="login", t="2024-01-01T00:00Z").startswith("column 'a': ")


def test_a_refusal_is_an_input_error_and_survives_pickling() -> None:
    refused = RowRefused("column 'p': expected more")
    assert isinstance(refused, InputError)
    assert pickle.loads(pickle.dumps(refused)).reason == refused.reason


# ---- times --------------------------------------------------------------------------------------

NOON: Final = datetime(2024, 7, 1, 12, 0, tzinfo=UTC)
BERLIN: Final = 'zone = "Europe/Berlin"'
TIMES: Final[tuple[tuple[str, str, datetime], ...]] = (
    ('format = "iso8601"', "2024-07-01T12:00:00Z", NOON),
    ('format = "iso8601"', "2024-07-01 14:00+02:00", NOON),
    ('format = "iso8601"', "2024-07-01T12:00:00.250000+00:00", NOON + timedelta(milliseconds=250)),
    (f'format = "iso8601", {BERLIN}', "2024-07-01T14:00:00", NOON),
    (f'format = "iso8601", {BERLIN}', "2024-07-01T12:00:00Z", NOON),
    ('format = "unix-seconds"', "1719835200", NOON),
    ('format = "unix-seconds"', "-1", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ('format = "unix-milliseconds"', "1719835200001", NOON + timedelta(milliseconds=1)),
    ('format = "%Y-%m-%d %H:%M:%S", zone = "UTC"', "2024-07-01 12:00:00", NOON),
    ('format = "%Y-%m-%d %H:%M:%S", zone = "UTC"', "2024-7-1 12:0:0", NOON),
    ('format = "%Y-%m-%dT%H:%M:%S", zone = "UTC"', "2024-07-01T12:00:00", NOON),
    (f'format = "%Y-%m-%d %H:%M:%S", {BERLIN}', "2024-07-01 14:00:00", NOON),
    (f'format = "%d.%m.%Y %H:%M", {BERLIN}', "01.07.2024 14:00", NOON),
    ('format = "%Y-%m-%d %H:%M:%S %z", ', "2024-07-01 10:30:00 -0130", NOON),
    ('format = "%Y%m%d", zone = "UTC"', "20240701", NOON - timedelta(hours=12)),
    # The clock in Berlin showed 02:30 twice on this day; the first was summer time.
    (f'format = "%Y-%m-%d %H:%M:%S", {BERLIN}', "2024-10-27 02:30:00", datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
)


moments: Final = st.integers(-(10**9), 10**11).map(
    lambda seconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def timed(at: str) -> RowMapping:
    return mapped(table("", at=f'{{ column = "t", {at.rstrip(", ")} }}'))


@pytest.mark.parametrize(("at", "cell", "moment"), TIMES)
def test_a_time_is_read_in_its_format_and_zone(at: str, cell: str, moment: datetime) -> None:
    made = event(timed(at), a="x", k="login", t=cell)
    assert made.at == moment
    assert made.at.utcoffset() == timedelta(0)


BAD_TIMES: Final[tuple[tuple[str, str], ...]] = (
    ('format = "iso8601"', ""),
    ('format = "iso8601"', "2024-07-01T12:00:00"),
    ('format = "iso8601"', "2024-07-01"),
    ('format = "iso8601"', "0001-01-01T00:00:00+10:00"),
    (f'format = "iso8601", {BERLIN}', "2024-03-31T02:30:00"),
    (f'format = "%Y-%m-%d %H:%M:%S", {BERLIN}', "2024-03-31 02:30:00"),
    (f'format = "%Y-%m-%d %H:%M:%S", {BERLIN}', "0001-01-01 00:00:00"),
    *(
        ('format = "%Y-%m-%d %H:%M:%S", zone = "UTC"', cell)
        for cell in (
            "",
            "2024-02-30 10:00:00",
            "2024-07-01T12:00:00",
            "2024-07-01 12:00:00Z",
            "2024-07-01 12:00+02",
            "2024-W11-3 10:21:14",
            "2024-07-01 25:00:00",
        )
    ),
    ('format = "unix-seconds"', "1719835200.5"),
    ('format = "unix-seconds"', "1_719_835_200"),
    ('format = "unix-seconds"', "9" * 18),
    ('format = "unix-milliseconds"', "-" + "9" * 18),
    ('format = "unix-milliseconds"', "9" * 5000),
    ('format = "%Y-%m-%d %z"', "0001-01-01 +1000"),
)


@pytest.mark.parametrize(("at", "cell"), BAD_TIMES)
def test_a_time_that_is_not_one_is_refused(at: str, cell: str) -> None:
    assert refusal(timed(at), a="x", k="login", t=cell).startswith("column 't': expected a time")


@given(moments)
def test_the_fast_way_of_reading_times_agrees_with_the_slow_one(moment: datetime) -> None:
    cell = moment.strftime("%Y-%m-%d %H:%M:%S")
    fast = event(timed('format = "%Y-%m-%d %H:%M:%S", zone = "UTC"'), a="x", k="login", t=cell).at
    slow = event(timed('format = "%Y-%m-%d  %H:%M:%S", zone = "UTC"'), a="x", k="login", t=cell).at
    assert fast == slow == moment


@given(st.integers(-(10**12), 10**13))
def test_milliseconds_are_exact(count: int) -> None:
    made = event(timed('format = "unix-milliseconds"'), a="x", k="login", t=str(count))
    assert (made.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == count


@given(st.integers(0, 1_000_000))
def test_amounts_survive_being_written_in_major_units(minor: int) -> None:
    mapping = mapped(table('total = { column = "p", scale = 100 }'))
    made = event(mapping, a="x", k="purchase", t="2024-01-01T00:00Z", p=f"{minor // 100}.{minor % 100:02}")
    assert made.fields == {"total": minor}


# ---- ids ----------------------------------------------------------------------------------------


def test_equal_rows_are_events_of_their_own_and_a_repeated_import_adds_nothing() -> None:
    rows = [SHOP_ROW] * 30 + [[*SHOP_ROW[:2], "search", *SHOP_ROW[3:]]] * 2
    first, again = (list(map(mapped(SHOP).compile(SHOP_COLUMNS, derive), rows)) for _ in range(2))
    assert len({made.id for made in first}) == 32
    assert [made.id for made in first] == [made.id for made in again]


def test_ids_do_not_depend_on_order_or_on_ignored_columns() -> None:
    other = [SHOP_ROW[0], "sess_2", *SHOP_ROW[2:]]
    third = [*SHOP_ROW[:2], "search", *SHOP_ROW[3:]]
    ids = [
        {made.id for made in map(mapped(SHOP).compile(SHOP_COLUMNS, derive), rows)}
        for rows in ([SHOP_ROW, other, third], [third, other, SHOP_ROW])
    ]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 3


def test_a_refused_row_is_not_an_occurrence() -> None:
    convert = mapped(SHOP).compile(SHOP_COLUMNS, derive)
    with pytest.raises(RowRefused):
        convert([*SHOP_ROW[:4], "tv", *SHOP_ROW[5:]])
    assert convert(SHOP_ROW).id == mapped(SHOP).compile(SHOP_COLUMNS, derive)(SHOP_ROW).id


def test_content_is_written_as_its_format_says() -> None:
    """A known answer: ids of imports done long ago must stay derivable."""
    made = Event(
        account="user_1",
        kind="home",
        at=datetime(2024, 3, 13, 10, 21, 14, tzinfo=UTC),
        id="never part of it",
        fields={"platform": "desktop", "channel": "web", "pages": 3, "member": True},
    )
    assert content_bytes(made, 2).hex() == (
        "960102c406757365725f31a4686f6d65d6ff65f17e1a94"
        "92a76368616e6e656ca377656292a66d656d626572c392a5706167657303"
        "92a8706c6174666f726da76465736b746f70"
    )  # fmt: skip


def test_content_knows_no_spelling_of_an_account_and_no_zone_of_a_time() -> None:
    composed = Event(account="ren\u00e9", kind="home", at=NOON)
    apart = Event(account="rene\u0301", kind="home", at=datetime.fromisoformat("2024-07-01T14:00:00+02:00"))
    assert content_bytes(composed) == content_bytes(apart)


values = st.one_of(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), st.booleans())
events = st.builds(
    Event,
    account=st.sampled_from(["a", "b"]),
    kind=st.sampled_from(["login", "home"]),
    at=moments,
    fields=st.dictionaries(st.sampled_from(["p", "q"]), values, max_size=2),
)


@given(events, events, st.integers(0, 3), st.integers(0, 3))
def test_contents_are_equal_exactly_when_what_they_say_is(one: Event, other: Event, n: int, m: int) -> None:
    def said(made: Event, number: int) -> object:
        fields = sorted((name, type(value).__name__, str(value)) for name, value in made.fields.items())
        return number, made.account, made.kind, made.at, fields

    assert (content_bytes(one, n) == content_bytes(other, m)) == (said(one, n) == said(other, m))
    assert canonical.pack(canonical.unpack(content_bytes(one), list)) == content_bytes(one)


# ---- given data ---------------------------------------------------------------------------------


def converted(path: Path, mapping: RowMapping) -> tuple[list[Event], list[str]]:
    """The events of a file, and why its other rows were refused."""
    made, refused = [], []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        convert = mapping.compile(next(reader), derive)
        for row in reader:
            try:
                made.append(convert(row))
            except RowRefused as error:
                refused.append(error.reason)
    return made, refused


def test_every_row_of_the_shop_is_an_event(given_data: Path) -> None:
    made, refused = converted(given_data / "ecom.csv.gz", mapped(SHOP))
    assert not refused
    assert len({one.id for one in made}) == len(made) == 31_106
    assert len({content_bytes(one) for one in made}) == 31_106 - 30
    assert len({one.account for one in made}) == 600
    assert Counter(one.fields["platform"] for one in made) == {"desktop": 16_146, "mobile": 11_353, "tablet": 3_607}


def test_every_session_of_the_portal_is_a_login_but_those_of_unmapped_devices(given_data: Path) -> None:
    made, refused = converted(given_data / "sessions.csv.gz", mapped(SESSIONS))
    assert len({one.id for one in made}) == len(made) == 131_001 - 7
    assert {reason.split(":")[0] for reason in refused} == {"column 'device_group'"}
    assert len(refused) == 7
    assert {one.kind for one in made} == {"login"}


def test_the_shipped_shop_is_the_one_of_the_tutorial() -> None:
    made, refused = converted(ROOT / "examples" / "data" / "ecom.csv.gz", mapped(SHOP))
    assert not refused
    assert len({one.id for one in made}) == 31_106
