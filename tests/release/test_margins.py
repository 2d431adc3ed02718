"""Margins are rows like any other, made of the same bounded parts; without them nothing is as it was not."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import InvalidSpec
from consentprofile.release.figures import Figures, MarginLevel, figures_of
from consentprofile.release.manifest import manifest
from consentprofile.release.margins import MOST_ROWS, margins, with_margins
from consentprofile.release.measures.measure import COUNTED, Key, Part
from consentprofile.release.pictures.choosing import choose, picture, words
from consentprofile.release.plan import plan
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.spec_file import read_spec
from consentprofile.release.summed import protected
from consentprofile.release.writers import render
from tests.release.plain import Weighed
from tests.release.sets import as_counted, as_sets
from tests.release.shop_policy import POLICY, name, people, spec, spec_text

ALL = "(all)"

FAULTY = {
    "a word": (spec_text(by='["platform"]', margins='"platform"'), "true, or a list of columns"),
    "a column that is none": (spec_text(by='["platform"]', margins='["platfrom"]'), "did you mean 'platform'?"),
    "a field that is not asked for": (spec_text(by='["platform"]', margins='["kind"]'), "'kind' is not a declared"),
    "a figure": (spec_text(by='["platform"]', margins='["accounts"]'), "column of this release"),
    "a column twice": (spec_text(by='["platform"]', margins='["platform", "platform"]'), "twice"),
    "nothing to sum over": (spec_text(margins="true"), "nothing to sum over"),
    "means": (
        spec_text(measure='"means"', field='"total"', limit="5", by='["platform"]', margins="true"),
        "means has none",
    ),
    "retention": (spec_text(measure='"retention"', every='"month"', margins="true"), "retention has none"),
    "transitions": (spec_text(measure='"transitions"', of='"kind"', margins="true"), "transitions has none"),
    "more rows than can be audited": (spec_text(by='["page"]', margins="true"), f"at most {MOST_ROWS} rows"),
    "a value that reads as a margin": (
        spec_text(
            measure='"segments"',
            margins="true",
            segments="[{ name = '(all)', all = [{ count = 'days', at_least = 2 }] }]",
        ),
        "a value is called '(all)'",
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_named_at_its_place(text: str, expected: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        read_spec(text, "reach.toml", POLICY)
    assert [fault.place for fault in refused.value.faults] == ["reach.toml: margins"]
    assert expected in refused.value.faults[0].expected


SAME = {
    "all of them by name": '["platform", "kind"]',
    "all of them, the other way round": '["kind", "platform"]',
    "all of them": "true",
}
NONE = {"no": "false", "of no column": "[]", "not mentioned": None}


@pytest.mark.parametrize("asked", SAME.values(), ids=SAME)
def test_all_margins_are_all_margins_however_they_are_asked_for(asked: str) -> None:
    made = spec(by='["platform", "kind"]', margins=asked)
    assert made.canonical == spec(by='["platform", "kind"]', margins="true").canonical
    assert made.question["margins"] == ["kind", "platform"]


@pytest.mark.parametrize("asked", NONE.values(), ids=NONE)
def test_without_margins_a_specification_has_the_digest_that_it_always_had(asked: str | None) -> None:
    made = spec(by='["platform", "kind"]', margins=asked)
    assert b"margins" not in made.canonical
    assert made.digest.hex() == spec(by='["platform", "kind"]').digest.hex()
    assert made.margins == ()


def test_margins_are_another_question() -> None:
    assert spec(by='["platform"]', margins="true").series != spec(by='["platform"]').series


# ---- rows and lines -----------------------------------------------------------------------------


def test_margins_stand_behind_the_other_rows_the_total_last() -> None:
    made = spec(by='["platform", "kind"]', margins="true")
    assert [margin.key for margin in made.margins] == [
        *((ALL, platform) for platform in ("mobile", "desktop", "tablet")),
        *((kind, ALL) for kind in ("login", "search", "purchase")),
        (ALL, ALL),
    ]
    assert made.margins[-1].over == ("kind", "platform")
    assert made.rows == 16


def test_only_columns_that_are_asked_for_are_summed_over() -> None:
    made = spec(by='["platform", "kind"]', margins='["platform"]')
    assert {margin.key for margin in made.margins} == {(kind, ALL) for kind in ("login", "search", "purchase")}


COLUMNS = ("a", "b", "c")


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.data())
def test_each_line_of_a_margin_adds_up_to_its_parts(sizes: list[int], data: st.DataObject) -> None:
    columns = COLUMNS[: len(sizes)]
    keys: list[Key] = [()]
    for column, size in zip(columns, sizes, strict=True):
        keys = [(*key, f"{column}{number}") for key in keys for number in range(size)]
    over = data.draw(st.lists(st.sampled_from(columns), unique=True))
    made = margins(columns, keys, over)
    beneath = {place: {place} for place in range(len(keys))}
    for place, margin in enumerate(made, len(keys)):
        beneath[place] = set(margin.parts)
        assert [keys[part] for part in margin.parts] == [
            key for key in keys if all(word in (ALL, own) for word, own in zip(margin.key, key, strict=True))
        ]
        for line in margin.lines:
            assert sorted(part for row in line for part in beneath[row]) == sorted(beneath[place])
    assert len(made) == len({margin.key for margin in made})


# ---- who is in a margin -------------------------------------------------------------------------

MEMBERS = st.frozensets(st.integers(0, 20)).map(lambda numbers: people(*numbers))


@given(st.lists(MEMBERS, min_size=9, max_size=9))
def test_an_account_is_in_a_margin_once_if_it_is_in_any_part(members: list[frozenset[bytes]]) -> None:
    made = spec(by='["platform", "kind"]', margins="true")
    cells = as_sets(with_margins(as_counted(dict(zip(made.keys, members, strict=True))), made.margins, made.bound))
    for margin in made.margins:
        assert cells[margin.key] == frozenset().union(*(members[part] for part in margin.parts))


@given(st.lists(st.dictionaries(st.integers(0, 9).map(name), st.integers(1, 5)), min_size=3, max_size=3))
def test_an_account_adds_to_a_margin_what_it_adds_to_all_parts(amounts: list[dict[bytes, int]]) -> None:
    made = spec(by='["platform"]', margins="true", measure='"counts"', limit="5", cells_per_account="2")
    part = made.measure.parts[0]
    parts = {key: Weighed(added, part) for key, added in zip(made.keys, amounts, strict=True)}
    whole = with_margins(as_counted(parts), made.margins, made.bound)
    total = as_sets(whole)[ALL,]
    assert isinstance(total, Weighed)
    expected: dict[bytes, int] = {}
    for added in amounts:
        for account, more in added.items():
            expected[account] = expected.get(account, 0) + more
    assert total.by_account == expected
    assert total.part.limit == 10  # no account adds 5 in more than two rows


@pytest.mark.parametrize(("least", "times"), [(-3, -6), (0, 0), (1, 1)])
def test_a_margin_is_bounded_as_many_times_as_its_parts_and_below_zero_too(least: int, times: int) -> None:
    margin = spec(by='["platform"]', margins="true").margins[0]
    assert margin.part(Part("sum", 3, least), 2) == Part("sum", 6, times)
    assert margin.part(Part("sum", 3, least), 100).limit == 9
    assert margin.part(COUNTED[0], 2) == COUNTED[0]


# ---- what is published --------------------------------------------------------------------------


def released(made: ReleaseSpec, *sizes: int) -> dict[str, bytes]:
    """The files of a release with so many accounts in each row, each in one."""
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    members = (people(*range(at, at + size)) for at, size in zip(starts, sizes, strict=True))
    safe = protected(made, as_counted(dict(zip(made.keys, members, strict=True))), ())
    return render(made, safe.published, manifest(made, POLICY, salt=b"s" * 32, root=b"r"))


def test_margins_are_rows_of_the_same_table() -> None:
    files = released(spec(by='["platform"]', margins="true"), 40, 80, 60)
    assert files["data.csv"] == b"platform,accounts\nmobile,40\ndesktop,80\ntablet,60\n(all),180\n"
    figures = figures_of(files)
    assert figures.rows[-1] == (ALL, 180)
    assert figures.parts == figures.rows[:3]
    assert figures.margins == (MarginLevel(over=("platform",), rows=1, limit=1, step=5, largest_error=11),)


def test_the_release_without_margins_is_the_same_without_them() -> None:
    with_them, without = (spec(by='["platform"]', margins=asked) for asked in ("true", None))
    rows = released(with_them, 40, 80, 60)["data.csv"].splitlines()
    assert rows[:-1] == released(without, 40, 80, 60)["data.csv"].splitlines()
    assert b"margin" not in released(without, 40, 80, 60)["manifest.json"]


WHOLE: dict[str, tuple[ReleaseSpec, tuple[str | float, ...]]] = {
    "frequency": (spec(measure='"frequency"', most="3", margins="true"), (ALL, 180, 180)),
    "funnel": (
        spec(measure='"funnel"', steps='["login", "search", "purchase"]', margins="true"),
        (ALL, 180, 180),
    ),
    "overlap": (
        spec(measure='"overlap"', of='"platform"', where="{ platform = ['mobile', 'desktop'] }", margins="true"),
        (ALL, 180, 180),
    ),
}


@pytest.mark.parametrize(("made", "row"), WHOLE.values(), ids=WHOLE)
def test_the_total_of_exclusive_rows_is_everybody_in_any_of_them(
    made: ReleaseSpec, row: tuple[str | float, ...]
) -> None:
    assert figures_of(released(made, 40, 80, 60)).rows[-1] == row


def test_everybody_has_waited_up_to_the_last_row() -> None:
    made = spec(measure='"time-to-next"', first='["login"]', next='["purchase"]', margins="true", window='"1 days"')
    figures = figures_of(released(made, *[30] * len(made.keys)))
    assert figures.rows[-1] == (ALL, 30 * len(made.keys), 30 * len(made.keys), 100.0)


def test_the_manifest_says_that_rows_are_hidden_and_not_how_many() -> None:
    made = spec(by='["platform", "kind"]', margins="true", cells_per_account="2")
    said = [json.loads(released(made, *sizes)["manifest.json"]) for sizes in ([50] * 9, [50] * 8 + [1])]
    for value in said:
        value.pop("files")
    assert said[0] == said[1]
    assert said[0]["protection"]["hidden_width"] == 10
    assert said[0]["bound"] == {"cells_per_account": 2, "margins_per_account": 5}
    assert said[0]["parameters"]["cells"] == 16


def test_a_margin_of_amounts_says_how_rough_it_is() -> None:
    made = spec(by='["platform"]', margins="true", measure='"counts"', limit="4")
    level = json.loads(manifest(made, POLICY, salt=b"s" * 32, root=b"r").json({}))["parameters"]["margins"][0]
    assert level == {"largest_error": 114, "limit": 12, "over": ["platform"], "rows": 1, "step": 12}


def test_a_plan_counts_margins_among_the_rows() -> None:
    made = spec(by='["platform", "kind"]', margins="true")
    cells = protected(made, as_counted({key: people(*range(50)) for key in made.keys}), ()).ledger.cells
    assert plan(made, cells).cells == 16
    assert plan(made, cells).suppressed_about == 0


# ---- pictures -----------------------------------------------------------------------------------

DRAWN: dict[str, Callable[[], Figures]] = {
    "one dimension": lambda: figures_of(released(spec(by='["platform"]', margins="true"), 40, 80, 60)),
    "two": lambda: figures_of(released(spec(by='["platform", "kind"]', margins="true"), *range(40, 130, 10))),
    "sets": lambda: figures_of(released(WHOLE["overlap"][0], 40, 80, 60)),
    "a funnel": lambda: figures_of(released(WHOLE["funnel"][0], 40, 80, 60)),
}


@pytest.mark.parametrize("made", DRAWN.values(), ids=DRAWN)
def test_margins_are_not_drawn_among_their_parts(made: Callable[[], Figures]) -> None:
    asked, chosen = choose(made())
    assert not [key for key in asked.cells if ALL in key]
    assert chosen.of == len(made().parts)
    svg, _ = picture(made())
    assert ET.fromstring(svg) is not None  # our own
    assert "(all)" not in svg.decode()


def test_the_total_is_told_beside_the_picture() -> None:
    asked, chosen = choose(DRAWN["one dimension"]())
    assert "all together ≈ 180, counted anew: no sum of what is drawn" in words(asked, chosen).notes


def test_a_total_that_was_not_asked_for_is_not_told() -> None:
    figures = figures_of(released(spec(by='["platform", "kind"]', margins='["kind"]'), *[50] * 9))
    asked, chosen = choose(figures)
    assert asked.total is None
    assert not [note for note in words(asked, chosen).notes if "all together" in note]
