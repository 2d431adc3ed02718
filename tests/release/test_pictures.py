"""Pictures show what was published, look the same whoever draws them, and carry nothing besides."""

from __future__ import annotations

import html
import importlib
import itertools
import re
import socket
import struct
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import pytest

from consentprofile.errors import UnsupportedEnvironment
from consentprofile.release.figures import Figure, Figures
from consentprofile.release.measures.named import MEASURES
from consentprofile.release.pictures import canvas
from consentprofile.release.pictures.bars import Bar, Bars, Groups, Off
from consentprofile.release.pictures.canvas import Shape, Words, render, short
from consentprofile.release.pictures.choosing import PICTURES, choose, picture
from consentprofile.release.pictures.choosing import words as words_around
from consentprofile.release.pictures.dimensions import MOST_BARS, Chosen
from consentprofile.release.pictures.flows import Flow, Flows
from consentprofile.release.pictures.grid import Grid, Row
from consentprofile.release.pictures.lines import Line, Lines
from consentprofile.release.pictures.sets import Joint, Sets
from consentprofile.release.pictures.steps import Funnel

OFF: Final = Off(11, 10)
WORDS: Final = Words("Reach: accounts", "analytics", ("≈ rounded to 5",))
MONTHS: Final = ("2024-01", "2024-02", "2024-03", "2024-04")
PLATFORMS: Final = ("desktop", "mobile", "tablet")
PAIRS: Final = tuple(members for size in (1, 2, 3) for members in itertools.combinations(PLATFORMS, size))

SHAPES_DRAWN: Final[dict[str, Shape]] = {
    "bars": Bars((Bar("desktop", 190), Bar("mobile", 145), Bar("tablet", None)), OFF),
    "a total": Bars((Bar("all accounts", 400),), OFF),
    "bars of means": Bars((Bar("desktop", 12.5), Bar("tablet", None))),
    "groups of bars": Groups(PLATFORMS, (("login", (190, 145, None)), ("purchase", (15, None, None))), OFF),
    "a line": Lines(MONTHS, (Line("", (190, None, 15, 20)),), OFF),
    "lines": Lines(MONTHS, (Line("desktop", (190, 145, 15, 20)), Line("tablet", (None, None, 10, None))), OFF),
    "a grid": Grid("kind", PLATFORMS, (Row("login", (190, None, 10)), Row("purchase", (15, None, 0)))),
    "cohorts": Grid("month", ("0", "1", "2"), (Row("2024-01", (1.0, 0.4, None)), Row("2024-02", (1.0,))), share=True),
    "sets": Sets(PLATFORMS, tuple(map(Joint, PAIRS, (190, 145, 15, None, 20, 30, None))), OFF),
    "flows": Flows(
        ("start", "web", "app"),
        ("web", "app", "end"),
        (Flow("start", "web", 300), Flow("web", "app", 45), Flow("app", "end", None), Flow("web", "end", 10)),
    ),
    "a funnel": Funnel((Bar("view", 900), Bar("cart", 205), Bar("purchase", None)), OFF),
}
HIDDEN: Final[dict[str, Shape]] = {
    "bars": Bars((Bar("desktop", None), Bar("mobile", None)), OFF),
    "groups of bars": Groups(PLATFORMS, (("login", (None, None, None)),), OFF),
    "a line": Lines(MONTHS, (Line("", (None,) * 4),), OFF),
    "a grid": Grid("kind", PLATFORMS, (Row("login", (None, None, None)),)),
    "sets": Sets(PLATFORMS, tuple(Joint(members, None) for members in PAIRS), OFF),
    "flows": Flows(("start",), ("end",), (Flow("start", "end", None),)),
    "a funnel": Funnel((Bar("view", None), Bar("cart", None)), OFF),
}


BELOW_ZERO: Final[dict[str, Shape]] = {
    "bars": Bars((Bar("a", -7), Bar("b", 0)), OFF),
    "groups of bars": Groups(PLATFORMS, (("login", (-7, 0, None)),), OFF),
    "a line": Lines(MONTHS, (Line("", (-7, 0, None, 3)),), OFF),
    "a grid": Grid("kind", PLATFORMS, (Row("login", (-7, 0, None)),)),
    "sets": Sets(PLATFORMS, tuple(map(Joint, PAIRS, (-7, 0, 7, None, -7, 0, 0))), OFF),
    "flows": Flows(("a", "b"), ("b",), (Flow("a", "b", -7), Flow("b", "b", 7), Flow("a", "b", 0))),
    "flows, none above zero": Flows(("a",), ("b",), (Flow("a", "b", -7), Flow("a", "b", 0))),
    "a funnel": Funnel((Bar("view", -7), Bar("cart", -9), Bar("purchase", 0)), OFF),
}
"""What noise can make of small figures."""


def texts(svg: bytes) -> list[str]:
    """Every text of a picture: Matplotlib writes it into a comment beside its outlines."""
    return [html.unescape(found.strip()) for found in re.findall(r"<!--(.*?)-->", svg.decode(), flags=re.DOTALL)]


def chunks(png: bytes) -> list[bytes]:
    """The names of the parts of a PNG."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        found.append(png[at + 4 : at + 8])
        at += length + 12
    return found


def hatched(svg: bytes) -> int:
    """How many marks for no figure there are."""
    return len(re.findall(rb"fill: url\(#h", svg))


# ---- shapes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES_DRAWN.values(), ids=SHAPES_DRAWN)
def test_a_shape_is_drawn_and_its_bytes_are_the_same_each_time(shape: Shape) -> None:
    svg, png = render(WORDS, shape)
    assert render(WORDS, shape) == (svg, png)
    assert set(texts(svg)) >= {"Reach: accounts", "analytics", "≈ rounded to 5"}
    width, height = struct.unpack(">II", png[16:24])
    assert width == canvas.WIDTH * canvas.DOTS
    assert height > shape.height * canvas.DOTS


@pytest.mark.parametrize("shape", HIDDEN.values(), ids=HIDDEN)
def test_where_nothing_may_be_shown_there_are_marks_and_no_figures(shape: Shape) -> None:
    svg, _ = render(WORDS, shape)
    assert hatched(svg) > 0
    assert [text for text in texts(svg) if "≈" in text and text != "≈ rounded to 5"] == []


@pytest.mark.parametrize("shape", BELOW_ZERO.values(), ids=BELOW_ZERO)
def test_figures_below_zero_are_drawn_as_what_they_are(shape: Shape) -> None:
    svg, png = render(WORDS, shape)
    assert chunks(png)[-1] == b"IEND"
    assert not [text for text in texts(svg) if "%" in text or "nan" in text or "inf" in text]


MARKS: Final = {"bars": 1, "a total": 0, "bars of means": 1, "groups of bars": 3, "a line": 1, "lines": 3, "a grid": 2,
                "cohorts": 1, "sets": 2, "flows": 1, "a funnel": 1}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES_DRAWN)
def test_each_missing_figure_has_its_mark(name: str) -> None:
    assert hatched(render(WORDS, SHAPES_DRAWN[name])[0]) == MARKS[name]


def test_figures_are_marked_as_rounded() -> None:
    assert {"≈ 190", "≈ 145", "no figure"} <= set(texts(render(WORDS, SHAPES_DRAWN["bars"])[0]))


def test_a_funnel_says_who_went_on_as_far_as_figures_are_known() -> None:
    drawn = texts(render(WORDS, SHAPES_DRAWN["a funnel"])[0])
    assert {"≈ 205  23% of step 1", "↓ 23% go on", "no figure"} <= set(drawn)
    assert sum("go on" in text for text in drawn) == 1


def test_a_funnel_with_hidden_steps_has_no_shares() -> None:
    hidden = Funnel((Bar("view", 900), Bar("cart", 205), Bar("buy", 205)), OFF, (False, True, False))
    drawn = texts(render(WORDS, hidden)[0])
    assert {"≈ 900 or more", "≈ 205 or more", "≈ 205"} <= set(drawn)
    assert [text for text in drawn if "%" in text] == []


def test_a_share_with_hidden_rows_is_marked() -> None:
    grid = Grid("week", ("0", "1"), (Row("w1", (1.0, 0.75), ("", "≤ ")),), share=True)
    assert {"100%", "≤ 75%"} <= set(texts(render(WORDS, grid)[0]))


def test_an_exact_count_is_never_thought_to_be_below_the_minimum() -> None:
    assert OFF.span(15) == (10, 26)
    assert OFF.span(190) == (179, 201)
    assert Off(11).span(5) == (0, 16)
    assert Off(11).span(-5) == (-16, 6)


def test_what_would_not_fit_side_by_side_is_turned_or_left_out() -> None:
    many = Sets(("a", "b"), tuple(Joint(("a",), 1_000 + number) for number in range(20)), OFF)
    assert b"rotate(-90)" in render(WORDS, many)[0]
    assert b"rotate(-90)" not in render(WORDS, SHAPES_DRAWN["sets"])[0]
    days = tuple(f"2024-06-{day:02}" for day in range(1, 31))
    dates = set(texts(render(WORDS, Lines(days, (Line("", (20,) * 30),), OFF))[0])) & set(days)
    assert 4 <= len(dates) <= 7


def test_a_long_filter_has_two_lines_and_an_end() -> None:
    words = " ".join(f"kind-{number}" for number in range(60))
    below = [text for text in texts(render(WORDS._replace(below=words), SHAPES_DRAWN["bars"])[0]) if "kind-" in text]
    assert len(below) == 2
    assert words.startswith(below[0])
    assert below[1].endswith("…")


def test_few_bands_do_not_fill_the_sheet() -> None:
    """However few are behind them: a band is at most so broad, and of two the larger one is the broader."""
    assert Flows(("a",), ("b",), (Flow("a", "b", 15),)).height < 1.2
    assert Flows(("a",), ("b",), tuple(Flow("a", "b", 100) for _ in range(30))).height > 4


def test_a_figure_below_zero_stands_clear_of_its_bar() -> None:
    svg, _ = render(WORDS, Bars((Bar("a", 500), Bar("b", -400)), Off(50)))
    places = dict(re.findall(r"<!-- (≈ \S+) -->\s+<g [^>]*?translate\((\S+) ", svg.decode()))
    _, bar = re.findall(r'<path d="([^"]+)"[^>]*style="fill: #0b5c8e', svg.decode())
    assert float(places["≈ -400"]) > max(float(x) for x in re.findall(r"[ML] (\S+) ", bar))


def test_the_largest_sets_and_bands_stand_where_not_all_can() -> None:
    many = tuple(Joint((f"m{number}",), number if number % 2 else None) for number in range(60))
    drawn = Sets(tuple(f"m{number}" for number in range(60)), many).drawn
    assert [one.value for one in drawn] == list(range(59, 20, -2))
    bands = tuple(Flow("a", f"t{number}", number) for number in range(1, 61))
    assert {flow.value for flow in Flows(("a",), tuple(flow.target for flow in bands), bands).drawn} == set(
        range(31, 61)
    )


NAMES: Final = ("$5 \\frac$", "<script>&", "--", "東京", "🙂", "a\x1b[31mb\n", "x" * 400, "")


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_value_is_called_the_picture_stays_whole(name: str) -> None:
    svg, png = render(Words(name, name, (name,)), Bars((Bar(name, 190), Bar("b" + name, None))))
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert chunks(png)[-1] == b"IEND"
    assert b"\x1b" not in svg


@pytest.mark.parametrize(("text", "shown"), [("abc", "abc"), ("x" * 31, "x" * 29 + "…"), ("a\tb", "a?b")])
def test_a_long_label_is_cut_and_what_cannot_be_seen_is_shown(text: str, shown: str) -> None:
    assert short(text) == shown


# ---- what the files hold besides ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES_DRAWN.values(), ids=SHAPES_DRAWN)
def test_pictures_hold_neither_program_nor_version_nor_time_nor_place(shape: Shape) -> None:
    svg, png = render(WORDS, shape)
    assert set(chunks(png)) == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}
    version = importlib.import_module("matplotlib").__version__
    for canary in (version, "Matplotlib", "reator", "dc:date", sys.prefix, "/home", "/tmp", socket.gethostname()):
        assert canary.encode() not in svg
    assert re.findall(rb"<dc:(\w+)", svg) == [b"title"]


def test_nobodys_settings_change_a_picture_and_none_are_changed() -> None:
    matplotlib = importlib.import_module("matplotlib")
    before = render(WORDS, SHAPES_DRAWN["bars"])
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "none", "savefig.dpi": 20, "axes.grid": True}):
        assert render(WORDS, SHAPES_DRAWN["bars"]) == before
        assert matplotlib.rcParams["font.size"] == 30


def test_pictures_drawn_at_the_same_time_are_the_same() -> None:
    alone = render(WORDS, SHAPES_DRAWN["bars"])
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda _: render(WORDS, SHAPES_DRAWN["bars"]), range(4))) == {alone}


def test_without_the_extra_it_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "has_pictures", lambda: False)
    with pytest.raises(UnsupportedEnvironment, match=r"consentprofile\[pictures\]"):
        render(WORDS, SHAPES_DRAWN["bars"])


# ---- which picture ------------------------------------------------------------------------------------------------


def figures(*sizes: int, time: str = "", value: Figure = 20, hidden: int = 0) -> Figures:
    """A made-up release over dimensions of these ``sizes``, the last one ``time``; ``hidden`` cells have no figure."""
    by = tuple(f"d{place}" for place in range(len(sizes)))
    by = (*by[:-1], time) if time else by
    keys = list(itertools.product(*([f"v{number:02}" for number in range(size)] for size in sizes)))
    rows = tuple((*key, None if place < hidden else value) for place, key in enumerate(keys))
    return Figures(
        measure="reach", purpose="analytics", by=by, values=("accounts",), since="2024-01-01T00:00:00Z",
        until="2024-07-01T00:00:00Z", where={"kind": ("login", "purchase")}, min_accounts=10, policy_min_accounts=10,
        terms={}, round_to={"accounts": 5}, largest_error={"accounts": 11}, guarantee="heuristic", commitment="0" * 64,
        rows=rows,
    )  # fmt: skip


def chosen(asked: Figures) -> Chosen:
    return choose(asked)[1]


def words(asked: Figures) -> Words:
    return words_around(*choose(asked))


CHOSEN: Final[dict[str, tuple[Figures, type]]] = {
    "the total": (figures(), Bars),
    "one dimension": (figures(3), Bars),
    "two dimensions": (figures(5, 3), Groups),
    "two dimensions, many values": (figures(21, 3), Grid),
    "two dimensions, no few columns": (figures(20, 20), Bars),
    "three dimensions": (figures(4, 3, 2), Grid),
    "months": (figures(6, time="month"), Lines),
    "a day": (figures(1, time="day"), Lines),
    "platforms over weeks": (figures(3, 26, time="week"), Lines),
    "kinds over months": (figures(21, 6, time="month"), Grid),
    "kinds over days": (figures(21, 30, time="day"), Lines),
}


@pytest.mark.parametrize(("asked", "shape"), CHOSEN.values(), ids=CHOSEN)
def test_dimensions_decide_on_the_picture(asked: Figures, shape: type) -> None:
    assert isinstance(chosen(asked).shape, shape)


def flat(shape: Shape) -> list[Figure]:
    """Every figure of a shape, in order."""
    if isinstance(shape, Bars):
        return [bar.value for bar in shape.bars]
    if isinstance(shape, Lines):
        return [value for line in shape.lines for value in line.values]
    rows = shape.groups if isinstance(shape, Groups) else shape.rows if isinstance(shape, Grid) else ()
    return [value for row in rows for value in row[1]]


@pytest.mark.parametrize("asked", [case[0] for case in CHOSEN.values()], ids=CHOSEN)
def test_every_figure_has_its_own_place(asked: Figures) -> None:
    """Each figure is another; those of the picture are those of the release, or the number of the rest is told."""
    counted = itertools.count(10)
    told = msgspec.structs.replace(asked, rows=tuple((*row[:-1], next(counted)) for row in asked.rows))
    found = chosen(told)
    shown = flat(found.shape)
    every = [row[-1] for row in told.rows]
    assert (len(shown), len(every)) == (found.drawn, found.of)
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(every)
    notes = " ".join(words(told).notes)
    assert (f"{found.drawn:,} of {found.of:,} rows" in notes) == (set(shown) != set(every))


def test_figures_stand_under_the_names_that_they_have() -> None:
    asked = msgspec.structs.replace(figures(2, 2), rows=(("a", "x", 1), ("a", "y", 2), ("b", "x", 3), ("b", "y", 4)))
    shape = chosen(asked).shape
    assert shape == Groups(("x", "y"), (("a", (1, 2)), ("b", (3, 4))), Off(11, 10))
    turned = msgspec.structs.replace(
        figures(3, 2), by=("month", "d"), rows=(("2", "x", 3), ("1", "x", 1), ("1", "y", 2), ("2", "y", 4))
    )
    assert chosen(turned).shape == Lines(("1", "2"), (Line("x", (1, 3)), Line("y", (2, 4))), Off(11, 10))


def test_of_many_bars_the_largest_are_drawn_in_their_order() -> None:
    rows = tuple((f"v{number}", None if number % 3 == 0 else number) for number in range(90))
    shown = flat(chosen(msgspec.structs.replace(figures(90), rows=rows)).shape)
    assert len(shown) == MOST_BARS
    assert shown == [number for number in range(90) if number % 3 and number >= 30]


def test_words_say_what_was_asked_and_how_it_is_protected() -> None:
    asked = figures(3, hidden=1)
    said = words(asked)
    assert said.title == "Reach: accounts by d0"
    assert said.below == "analytics, from 2024-01-01 until 2024-07-01 (UTC) · only kind login or purchase"
    assert said.notes == (
        "≈ accounts rounded to 5, off by at most 11 (fine lines)",
        "hatched: no figure, for fewer than 10 accounts, or none, or too near a group that had no figure",
    )


def test_a_period_in_another_zone_is_told_to_the_hour() -> None:
    asked = msgspec.structs.replace(figures(3), since="2023-12-31T23:00:00Z")
    assert "from 2023-12-31T23:00:00Z until 2024-07-01T00:00:00Z (UTC)" in words(asked).below


def test_every_measure_has_its_picture_and_nothing_else_has() -> None:
    assert set(PICTURES) == set(MEASURES)


def test_a_measure_of_a_newer_version_is_drawn_by_its_dimensions() -> None:
    asked = msgspec.structs.replace(figures(3), measure="weather")
    assert "Weather: accounts by d0" in texts(picture(asked)[0])


def test_overlap_is_drawn_as_exclusive_sets() -> None:
    rows = (("web", 20, 35), ("app", None, 15), ("web + app", 15, 15))
    asked = msgspec.structs.replace(
        figures(3), measure="overlap", by=("channels",), values=("accounts", "at_least"), rows=rows, terms={"of": "c"}
    )
    sets = (Joint(("web",), 20), Joint(("app",), None), Joint(("web", "app"), 15))
    assert chosen(asked).shape == Sets(("web", "app"), sets, Off(11, 10))


JOURNEYS: Final[dict[str, tuple[dict[str, object], Shape]]] = {
    "a funnel": (
        {"measure": "funnel", "by": ("step",), "values": ("accounts", "reached"), "terms": {"order": "strict"},
         "rows": (("view", 20, 35), ("cart", None, 15), ("buy", 15, 15))},
        Funnel((Bar("view", 35), Bar("cart", 15), Bar("buy", 15)), Off(0, 0), (False, True, False)),
    ),
    "a funnel in any order": (
        {"measure": "funnel", "by": ("steps",), "values": ("accounts", "reached"), "terms": {"order": "any"},
         "rows": (("1", 20, 20), ("2", None, None))},
        Funnel((Bar("any of the steps", 20), Bar("any of the steps", None)), Off(0, 0), (False, True)),
    ),
    "retention, on or after": (
        {"measure": "retention", "by": ("cohort", "after"), "values": ("accounts", "returned"),
         "terms": {"every": "week"},
         "rows": (("w1", "0", 10, 40), ("w1", "1", 30, 30), ("w2", "0", None, None))},
        Grid("week, weeks since", ("0", "1"), (Row("w1  (≈ 40)", (1.0, 0.75)), Row("w2", (None,), ("",))), share=True),
    ),
    "retention with hidden rows": (
        {"measure": "retention", "by": ("cohort", "after"), "values": ("accounts", "returned"),
         "terms": {"every": "week"},
         "rows": (("w1", "0", 10, 40), ("w1", "1", 10, 30), ("w1", "2", None, 20), ("w1", "3", 20, 20),
                  ("w2", "0", None, 20), ("w2", "1", None, 20), ("w2", "2", 20, 20))},
        Grid("week, weeks since", ("0", "1", "2", "3"),
             (Row("w1  (≈ 40)", (1.0, 0.75, 0.5, 0.5), ("", "≥ ", "≥ ", "≤ ")),
              Row("w2  (≈ 20)", (1.0, 1.0, 1.0), ("", "~ ", "≤ "))), share=True),
    ),
    "retention, on": (
        {"measure": "retention", "by": ("cohort", "after"), "values": ("accounts",), "terms": {"every": "day"},
         "rows": (("d1", "0", None), ("d1", "1", 30), ("d2", "0", 20))},
        Grid("day, days since", ("0", "1"), (Row("d1", (None, None)), Row("d2  (≈ 20)", (1.0,))), share=True),
    ),
    "transitions": (
        {"measure": "transitions", "by": ("from", "to"), "terms": {"of": "kind"},
         "rows": (("(start)", "a", 20), ("(start)", "b", None), ("a", "a", None), ("a", "b", 15), ("b", "a", None),
                  ("a", "(end)", None), ("b", "(end)", None))},
        Flows(("(start)", "a"), ("a", "b"), (Flow("(start)", "a", 20), Flow("(start)", "b", None),
              Flow("a", "a", None), Flow("a", "b", 15), Flow("a", "(end)", None))),
    ),
    "time to next": (
        {"measure": "time-to-next", "by": ("within_seconds",), "values": ("accounts", "by_then", "percent_by_then"),
         "rows": (("60", 20, 20, 40.0), ("3840", None, 20, 40.0), ("172800", None, None, None),
                  ("never", 30, 50, 1.0))},
        Bars((Bar("within 1 minute", 20), Bar("within 1 hour 4 minutes", None), Bar("within 2 days", None),
              Bar("never", 30)), Off(11, 10)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "shape"), JOURNEYS.values(), ids=JOURNEYS)
def test_journeys_have_shapes_of_their_own(changes: dict[str, object], shape: Shape) -> None:
    asked = msgspec.structs.replace(figures(2), **changes)
    assert chosen(asked).shape == shape
    assert words(asked).title in texts(picture(asked)[0])


def test_shares_of_a_cohort_that_noise_made_none_are_not_shown() -> None:
    changes, _ = JOURNEYS["retention, on"]
    rows = (("d1", "0", -3), ("d1", "1", 30), ("d2", "0", 20))
    shape = chosen(msgspec.structs.replace(figures(2), **changes | {"rows": rows})).shape
    assert isinstance(shape, Grid)
    assert [row.values for row in shape.rows] == [(None, None), (1.0,)]


def test_transitions_without_any_figure_still_show_where_there_is_none() -> None:
    names = [f"v{number:02}" for number in range(20)]
    rows = tuple((one, other, None) for one in names for other in names)
    asked = msgspec.structs.replace(figures(2), **JOURNEYS["transitions"][0] | {"rows": rows})
    svg, _ = picture(asked)
    assert hatched(svg) == 12
    assert texts(svg).count("20 without a figure") == 12


def test_a_figure_that_was_made_of_others_has_no_fine_lines() -> None:
    rows = (("a", 10, 12.5), ("b", None, None))
    asked = msgspec.structs.replace(
        figures(2),
        measure="means",
        values=("accounts", "mean"),
        rows=rows,
        terms={"field": "total"},
        round_to={"accounts": 5, "sum": 500},
        largest_error={"accounts": 11, "sum": 900},
    )
    assert chosen(asked).shape == Bars((Bar("a", 12.5), Bar("b", None)), Off(0, 0))
    assert words(asked).notes == (
        "≈ each mean is made of rounded figures",
        "hatched: no figure, for fewer than 10 accounts, one that dominates, or none, or too near a group that had no "
        "figure",
    )


def test_an_amount_is_off_by_its_own_measure() -> None:
    asked = msgspec.structs.replace(
        figures(2),
        measure="sums",
        terms={"field": "total", "limit": 9},
        values=("sum",),
        rows=(("a", 500), ("b", -1000)),
        round_to={"sum": 500},
        largest_error={"sum": 900},
    )
    assert chosen(asked).shape == Bars((Bar("a", 500), Bar("b", -1000)), Off(900, 0))
    assert words(asked).notes[0] == "≈ sum rounded to 500, off by at most 900 (fine lines)"
    assert {"Sums of total by d0", "≈ 500", "≈ -1,000"} <= set(texts(picture(asked)[0]))


def test_the_picture_in_the_documents_is_that_of_the_example_shop() -> None:
    """What stands in it is what would be drawn today; tests/cli/test_docs.py holds the figures themselves."""
    shop = msgspec.structs.replace(
        figures(3),
        by=("platform",),
        rows=(("desktop", 190), ("mobile", 145), ("tablet", 50)),
        where={"kind": ("add_to_cart", "purchase")},
    )
    page = Path(__file__).resolve().parents[2] / "docs" / "releases" / "reach.svg"
    assert texts(page.read_bytes()) == texts(picture(shop)[0])
