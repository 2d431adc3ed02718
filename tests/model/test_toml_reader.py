"""What declared files are read with: every fault noted at its place, and nothing that makes it stumble."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import Fault
from consentprofile.model.toml_reader import MAXIMUM_BYTES, Reader, did_you_mean, quoted

LETTERS = re.compile("[a-z]+")


def read(text: str) -> tuple[Reader, list[Fault]]:
    faults: list[Fault] = []
    reader = Reader.of_text(text, "file.toml", faults)
    assert reader is not None
    return reader, faults


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "is not TOML"),
        ("x = 1\nx = 2", "is not TOML"),
        ("x = " + "[" * 100_000, "is nested too deeply"),
        ("x = " + "9" * 10_000, "is not TOML"),
        ("#" * (MAXIMUM_BYTES + 1), "is larger than 1 MiB"),
        ("#" + "é" * (MAXIMUM_BYTES // 2), "is larger than 1 MiB"),
    ],
    ids=["no value", "key twice", "nested", "endless number", "too many characters", "too many bytes"],
)
def test_a_text_that_is_not_usable_toml_has_one_fault_and_no_table(text: str, said: str) -> None:
    faults: list[Fault] = []
    assert Reader.of_text(text, "file.toml", faults) is None
    assert [fault.place for fault in faults] == ["file.toml"]
    assert said in faults[0].expected


def test_a_text_of_exactly_one_mebibyte_is_read() -> None:
    reader, faults = read("x = 1\n" + "#" * (MAXIMUM_BYTES - 6))
    assert reader.integer("x", "a number", minimum=0, maximum=1) == 1
    assert faults == []


GETTERS: dict[str, tuple[Callable[[Reader], object], str, list[object], list[str]]] = {
    "text": (lambda r: r.text("k", maximum=3), '"abc"', ["abc"], ['""', '"abcd"', '"a\\n"', '"a\\u0000"', "1", "[]"]),
    "matching": (lambda r: r.matching("k", LETTERS, "letters"), '"ab"', ["ab"], ['"A"', '"a1"', '"a a"', "true"]),
    "integer": (
        lambda r: r.integer("k", "a number", minimum=-1, maximum=5),
        "5",
        [5],
        ["6", "-2", "true", "1.0", '"1"', "99999999999999999999"],
    ),
    "number": (lambda r: r.number("k", "a number"), "0.5", [0.5], ["0", "-1", "inf", "nan", "true", '"1"', "9" * 400]),
    "choice": (lambda r: r.choice("k", ("day", "hour")), '"day"', ["day"], ['"days"', "1", '["day"]', "{}"]),
    "texts": (
        lambda r: r.texts("k", "names"),
        '["a", "b"]',
        [("a", "b")],
        ["[]", '["a", 1]', '[""]', '["a\\t"]', '"a"', '["a", "a"]'],
    ),
    "table": (lambda r: r.table("k") and True, "{}", [True], ["1", "[]", '"x"']),
    "tables": (lambda r: len(r.tables("k")) or None, "[{}, {}]", [2], ["[]", "{}", "[1]", "[{}, 1]"]),
    "days": (
        lambda r: r.days("k", maximum=9),
        '"9 days"',
        [9],
        ['"0 days"', '"10 days"', '"09 days"', '"9"', "9", '"9 months"', '"-1 days"', '"9  days"', '"٣ days"'],
    ),
    "months": (lambda r: r.months("k"), '"1 month"', [1], ['"1 day"', '"1.5 months"', '"1201 months"', '"1 Month"']),
}


@pytest.mark.parametrize("name", GETTERS)
def test_a_getter_takes_what_it_promises_and_notes_one_fault_for_anything_else(name: str) -> None:
    get, good, (value,), bad = GETTERS[name]
    reader, faults = read(f"k = {good}")
    assert get(reader) == value
    reader.done()
    assert faults == []
    for text in bad:
        reader, faults = read(f"k = {text}")
        assert get(reader) is None, text
        reader.done()
        assert [fault.place for fault in faults] == ["file.toml: k"], text
    reader, faults = read("")
    assert get(reader) is None
    assert len(faults) == 1
    assert "is missing; expected" in faults[0].expected


def test_what_is_optional_may_be_missing() -> None:
    reader, faults = read("")
    assert reader.text("a", optional=True) is None
    assert reader.days("a", optional=True) is None
    assert reader.texts("a", "names", optional=True) is None
    assert reader.tables("a", optional=True) == []
    assert reader.boolean("a", "a flag", default=True) is True
    assert faults == []


def test_a_boolean_is_true_or_false_and_nothing_like_it() -> None:
    reader, faults = read('a = true\nb = false\nc = 1\nd = "true"')
    assert reader.boolean("a", "a flag") is True
    assert reader.boolean("b", "a flag", default=True) is False
    assert faults == []
    reader.boolean("c", "a flag")
    reader.boolean("d", "a flag")
    assert [fault.place for fault in faults] == ["file.toml: c", "file.toml: d"]


def test_places_lead_to_the_key_through_tables_lists_and_odd_keys() -> None:
    reader, faults = read('[a]\n"*" = 1\n"x\\ny" = 1\n[[b]]\n[[b]]\nc = 1')
    table = reader.table("a")
    assert table is not None
    assert list(table) == ["*", "x\ny"]
    for key in table:
        table.text(key)
    reader.tables("b")[1].text("c")
    assert [fault.place for fault in faults] == ['file.toml: a."*"', 'file.toml: a."x\\ny"', "file.toml: b[2].c"]


def test_a_key_that_nothing_asked_for_is_a_fault_that_names_the_nearest_key_not_given() -> None:
    reader, faults = read('titel = "x"\nname = "y"\nnome = "z"\nknown = 1')
    reader.text("title", optional=True)
    reader.text("name")
    reader.know("known")
    reader.done()
    assert faults == [
        Fault("file.toml: titel", "is not known here; did you mean 'title'?"),
        Fault("file.toml: nome", "is not known here"),
    ]


def test_names_counts_and_references_are_checked_where_they_stand() -> None:
    reader, faults = read('Bad = 1\ngood_1-x = 1\nlist = ["web", "wep"]')
    reader.named("Bad")
    reader.named("good_1-x")
    reader.at_most("list", 2, 1, "values")
    reader.at_most("list", 2, 2, "values")
    reader.each_declared("list", ["web", "wep"], ["web"], "channel")
    assert [str(fault) for fault in faults] == [
        "file.toml: Bad: expected a name of lowercase letters, digits, _ and -, at most 64 characters",
        "file.toml: list: expected at most 1 values, found 2",
        "file.toml: list: 'wep' is not a declared channel; did you mean 'web'?",
    ]


def test_what_is_quoted_stays_short() -> None:
    assert quoted("a" * 64) == repr("a" * 64)
    assert len(quoted("a" * 10_000)) == 66
    assert did_you_mean("a" * 10_000, ["a" * 9_999]) == ""


@given(st.text(max_size=200))
def test_any_text_at_all_is_read_or_refused_never_an_exception(text: str) -> None:
    faults: list[Fault] = []
    reader = Reader.of_text(text, "file.toml", faults)
    assert (reader is None) == bool(faults)
    if reader is not None:
        reader.done()
        assert len(faults) == len(list(reader))
