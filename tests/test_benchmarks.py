"""The benchmarks run, and what they measured lands on their page; how fast anything is, no test says."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from benchmarks import (
    goals,
    importing,
    parts,
    peers,
    pictures,
    releasing,
    report,
    results,
    rivals,
    sizes,
    together,
    workload,
)
from benchmarks.__main__ import main
from benchmarks.holds import Holds
from benchmarks.measure import duration, grouped, quantile, quantiles
from benchmarks.ours import Ours
from benchmarks.results import Curve, Figure, Part, Ratio
from benchmarks.stage import Stage
from benchmarks.workload import Source
from consentprofile.store.transaction import Transaction
from consentprofile.store.wal import Wal


def _part(**more: object) -> Part:
    part = Part(
        part="load", size="default", title="A load", command="make bench", date="2026-11-21", seconds=12.0,
        machine=[("memory", "1 GiB")], ratios=[], figures=[], curves=[], notes=[],
    )  # fmt: skip
    return msgspec.structs.replace(part, **more)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run of everything at its quickest, without given data."""
    folder = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CONSENTPROFILE_DATA", raising=False)
        kept = folder / "results"
        assert main(["--quick", "--rounds", "1", "--dir", str(folder), "--results", str(kept)]) == 0
    assert list(folder.iterdir()) == [kept]
    return kept


# ---- a run ---------------------------------------------------------------------------------------


def test_a_quick_run_measures_every_part_and_leaves_nothing_else_behind(quick: Path) -> None:
    found = {part.part: part for part in results.load(quick)}
    assert set(found) == set(parts.PARTS)
    assert [name for name, part in found.items() if not part.figures and name != "import"] == []
    assert "The import was **not measured**" in found["import"].notes[0]
    assert {part.command for part in found.values()} == {'make bench BENCH_ARGS="--quick --rounds 1"'}
    assert all(part.machine and part.date and part.title for part in found.values())


def test_a_quick_run_finds_what_every_goal_of_single_calls_asks_for(quick: Path) -> None:
    keys = {figure.key for part in results.load(quick) for figure in part.figures}
    compiled = together.build_shim(quick.parent) is not None
    # What is compared with SQLCipher takes its wheels, which are in the extra `bench`.
    absent = [*(() if compiled else ("threads",)), *(() if find_spec("sqlcipher3") else ("same.",))]
    wanted = {goal.key for goal in goals.goals() if "m/" not in goal.key and "import/" not in goal.key}
    assert {key for key in wanted if not key.startswith(tuple(absent))} <= keys


def test_the_goals_of_large_loads_are_asked_of_loads_that_exist() -> None:
    loads = [load for size in sizes.SIZES.values() for load in size.loads]
    long = [size.long for size in sizes.SIZES.values() if size.long]
    have = {f"{load.key}/{workers}" for load in loads for workers in load.workers}
    have |= {f"{load.key}/{workers}" for load in long for workers in load.workers}
    asked = {one.key for size in sizes.SIZES.values() for one in (size.releases, size.private)}
    have |= {f"{key}/{who}" for key in asked for who in (releasing.ALL, 0)}
    assert {goal.key.rpartition(".")[2] for goal in goals.goals() if "m/" in goal.key} <= have


def test_the_page_and_its_pictures_are_made_of_what_a_run_has_kept(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(report.PAGE.read_text("utf-8"), encoding="utf-8")
    monkeypatch.setattr(report, "PAGE", page)
    assert main(["--render", "--results", str(quick)]) == 0
    text = page.read_text("utf-8").partition(report.BEGIN)[2].partition(report.END)[0]
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Ratios", "## What was to be reached", "## Curves", "## Figures", "## Machine"]
    drawn = sorted((tmp_path / "benchmarks").iterdir())
    assert [picture.name for picture in drawn] == ["calls.svg", "rate.svg", "reads.svg"]
    for picture in drawn:
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")
        assert f"(benchmarks/{picture.name})" in text


def test_a_part_that_fails_is_told_and_does_not_take_the_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(stage: Stage, found: results.Results) -> None:
        raise OSError("no such luck")

    monkeypatch.setitem(parts.PARTS, "log", fail)
    arguments = ["--quick", "--only", "log,start", "--dir", str(tmp_path), "--results", str(tmp_path / "kept")]
    assert main(arguments) == 1
    assert "no such luck" in capsys.readouterr().err
    assert [part.part for part in results.load(tmp_path / "kept")] == ["start"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--quick", "--only", "nothing"], "there is no part 'nothing'"),
        (["--only", "long"], "take --large or --huge"),
        (["--quick", "--rounds", "0"], "at least 1"),
        (["--quick", "--huge"], "not allowed with"),
    ],
)
def test_a_wrong_choice_is_refused(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert told in capsys.readouterr().err


def test_a_quick_run_imports_the_sessions_where_they_are(
    tmp_path: Path, given_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_DATA", str(given_data))
    found = results.Results()
    importing.measure(Stage(tmp_path, sizes.QUICK, lambda _: None), found)
    assert found.notes == []
    works = [f"{importing.WORK}, 1,000 rows", f"{importing.WORK}, workers=1, 1,000 rows"]
    assert [figure.work for figure in found.figures] == works


# ---- what is recorded, and by whom ---------------------------------------------------------------


@pytest.mark.parametrize("order", ["random", "zipf", "in order"])
def test_two_sources_of_one_seed_make_the_same_rows(order: workload.Order) -> None:
    first, second, other = (
        [row for rows in workload.Source(seed).load(500, 40, 100, order) for row in rows] for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other
    assert len({row.id for row in first + other}) == 2 * len(first) == 1_000
    assert {row.account for row in first} <= {workload.account(number) for number in range(40)}


def test_rows_in_order_of_accounts_have_each_account_once_and_its_events_in_order_of_time() -> None:
    rows = [row for rows in workload.Source(1).load(400, 40, 100, "in order") for row in rows]
    assert [(row.account, row.at) for row in rows] == sorted((row.account, row.at) for row in rows)
    assert len({row.account for row in rows}) == 40


def test_every_peer_gives_back_what_it_was_given(tmp_path: Path) -> None:
    rows = next(workload.Source(1).scattered(["acct-1"], 1)).rows
    made = rivals.make(tmp_path)
    assert {peers.PLAIN, peers.INDEX, peers.FERNET} <= {peer.name for peer in made}
    for peer in made:
        peer.consent(["acct-1"])
        peer.synchronous("FULL")
        peer.add_all(rows, 10)
        found = peer.read_with_entry("acct-1")
        peer.erase("acct-1")
        assert peer.read("acct-1") == [], peer.name
        peer.close()
        assert len(found) == 1
        expected = set(map(str, rows[0]))
        if isinstance(peer, peers.ConsentedRows):
            expected.remove(rows[0].device)  # kept as a digest
            assert len(set(map(str, found[0])) - expected) == 1
        assert expected <= set(map(str, found[0])), peer.name


def test_a_fernet_row_shows_its_account_and_time_and_nothing_else(tmp_path: Path) -> None:
    (row,) = next(workload.Source(1).scattered(["acct-1"], 1)).rows
    (peer,) = rivals.make(tmp_path, [peers.FERNET])
    peer.add_one(row)
    peer.close()
    held = peer.path.read_bytes()
    assert row.account.encode() in held
    assert [value for value in (row.id, row.device, row.acquisition) if value.encode() in held] == []


def test_the_peer_that_does_the_same_work_asks_for_consent_and_keeps_each_id_once(tmp_path: Path) -> None:
    rows = next(workload.Source(1).scattered(["acct-1"], 1)).rows
    peer = peers.ConsentedRows("the same work", tmp_path / "same.db", peers.plain, index=True)
    peer.add(rows)
    assert peer.read("acct-1") == []
    peer.consent(["acct-1"])
    peer.add([*rows, *rows])
    peer.add(rows)
    assert len(peer.read("acct-1")) == 1
    peer.close()


# ---- what is told of it --------------------------------------------------------------------------


def test_a_ratio_is_our_time_as_a_multiple_of_theirs() -> None:
    ratio = Ratio("load", "peer", [10.0, 20.0, 60.0], [10.0, 10.0, 20.0])
    assert ratio.rounds == [1.0, 2.0, 3.0]
    assert ratio.median == 2.0
    page = report.render([_part(ratios=[ratio, Ratio("load", "other", [10.0], [40.0])])])
    assert "| load | 20 ns | **2.00** (1.00 to 3.00) | **0.25** |" in page


def test_samples_are_grouped_in_order_and_none_is_lost() -> None:
    assert grouped([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0]) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert grouped([7.0, 9.0]) == [7.0, 9.0]
    assert quantile([float(number) for number in range(1, 101)], 0.99) == 100.0


def test_a_picture_shows_no_quantile_that_only_one_sample_vouches_for() -> None:
    shares, _ = quantiles([float(number) for number in range(100)])
    assert max(shares) == 0.98
    assert quantiles([5.0]) == ([0.5], [5.0])


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [(12.0, "12 ns"), (1_500.0, "1.5 µs"), (2_500_000.0, "2.5 ms"), (12e9, "12 s"), (-4_000.0, "-4 µs")],
)
def test_a_time_is_shown_in_the_unit_that_suits_it(nanoseconds: float, shown: str) -> None:
    assert duration(nanoseconds) == shown


def test_each_hold_of_the_writer_lock_is_noted_with_the_commits_and_syncs_in_it(tmp_path: Path) -> None:
    ours = Ours(tmp_path, "held", workload.NOW)
    ours.create(workload.CONSENTED, [workload.account(0)])
    with ours.open("full") as store:
        event = Source(1).row(workload.account(0), 0.0).event()
        leave, sync, move = Transaction.__exit__, os.fsync, Wal.move
        with Holds(store) as holds:
            store.record(event)
            store.withdraw_consent(workload.account(0), [workload.PURPOSE])
        assert (Transaction.__exit__, os.fsync, Wal.move) == (leave, sync, move)
    assert len(holds.noted) >= 2
    assert all(0 < hold.waiting < hold.held and hold.computing > 0 for hold in holds.noted[:2])


@pytest.mark.parametrize(
    ("more", "value", "reached"),
    [
        (True, 60.0, "aim"), (True, 59.0, "must"), (True, 30.0, "must"), (True, 29.0, "**no**"),
        (False, 60.0, "must"), (False, 30.0, "must"), (False, 29.0, "must"), (False, 100.0, "must"),
    ],
)  # fmt: skip
def test_a_goal_says_how_far_a_value_goes(more: bool, value: float, reached: str) -> None:
    must, aim = (30.0, 60.0) if more else (100.0, 20.0)
    assert goals.Goal("work", "key", must, aim, "times", more).reached(value) == reached


def test_a_goal_may_have_nothing_to_reach_or_nothing_to_aim_at() -> None:
    aim = goals.Goal("work", "key", None, 1, "times")
    must = goals.Goal("work", "key", 10, None, "times", more=True)
    assert [aim.reached(value) for value in (0.9, 1.1)] == ["aim", "**no**"]
    assert [must.reached(value) for value in (10.0, 9.9)] == ["must", "**no**"]
    assert [aim.bound(aim.must), must.bound(must.must), must.bound(must.aim)] == ["", "at least 10 times", ""]


def test_a_goal_that_was_not_measured_says_so_and_one_that_was_names_its_run() -> None:
    figure = Figure(work="open", value=19e6, unit="ns", key="open")
    rows = {row[0]: row for row in goals.rows([_part(figures=[figure], part="acts")])}
    assert rows["open, 1 million accounts"][1:] == (
        "at most 100 ms", "at most 20 ms", "**19 ms**", "aim", "default, acts"
    )  # fmt: skip
    assert rows["`import consentprofile`"][3:] == ("not measured", "", "")


def test_what_a_part_has_found_is_kept_whole_and_replaces_what_was_kept_before(tmp_path: Path) -> None:
    part = _part(
        ratios=[Ratio("load", "peer", [1.0], [2.0])],
        figures=[Figure(work="load", value=1.5, unit="events/s", spread="1 round", key="rate")],
        curves=[Curve(picture="rate", name="consentprofile", x=[1.0], y=[2.0])],
        notes=["note"],
    )
    results.keep(_part(), tmp_path)
    results.keep(part, tmp_path)
    assert results.load(tmp_path) == [part]


def test_each_table_names_its_command() -> None:
    figure = Figure(work="load", value=1.0, unit="bytes")
    other = _part(size="large", command='make bench BENCH_ARGS="--large"', figures=[figure])
    page = report.render([_part(figures=[figure]), other])
    for part in (_part(), other):
        assert f"Size {part.size}, part `load` of `{part.command}`, 2026-11-21, 12 s in all." in page


def test_curves_of_several_runs_become_one_line_whose_points_are_of_the_shortest_run(tmp_path: Path) -> None:
    short = Curve(picture="rate 1000", name="consentprofile", x=[1_000.0, 10_000.0], y=[5.0, 4.0])
    long = Curve(picture="rate 1000", name="consentprofile", x=[5_000.0, 1e6], y=[9.0, 3.0])
    ((name, x, y),) = pictures._joined([long, short])
    assert (name, x, y) == ("consentprofile", [1_000.0, 10_000.0, 1e6], [5.0, 4.0, 3.0])
    ((file, _),) = pictures.draw([_part(curves=[short, long])], tmp_path)
    first = (tmp_path / file).read_bytes()
    pictures.draw([_part(curves=[short, long])], tmp_path)
    assert (tmp_path / file).read_bytes() == first


def test_stretches_that_would_lie_on_a_heap_are_drawn_at_their_mean_rate() -> None:
    """Events by the seconds that all of them took: the mean of the rates would be too high."""
    rate = "consentprofile", [100.0, 104.0, 112.0, 113.0, 114.0], [7.0, 4.0, 2.0, 1.0, 1.0]
    assert pictures._averaged(rate) == ("consentprofile", [100.0, 112.0, 114.0], [7.0, 12 / 5, 1.0])


def test_what_is_measured_replaces_what_stood_there_and_nothing_else() -> None:
    page = f"# before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    written = report.put(page, "new")
    assert written == f"# before\n{report.BEGIN}\n\nnew\n{report.END}\nafter\n"
    assert report.put(written, "new") == written


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="both marks"):
        report.put("# a page", "new")


def test_the_page_has_its_marks_and_every_kept_result_can_be_read() -> None:
    text = report.PAGE.read_text("utf-8")
    assert report.put(text, "new") != text
    assert all(part.size in sizes.SIZES and part.part in parts.PARTS for part in results.load(results.FOLDER))
