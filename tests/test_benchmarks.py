"""The benchmarks run, and what they measured lands on their page; how fast anything is, no test says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import importing, peers, report, workload
from benchmarks.__main__ import main
from benchmarks.measure import Ratio, Results, duration, grouped, quantile

WORKS = (
    "record_many, 1 purpose, accounts in random order",
    "reach by platform",
    "profile of 50 events, its audit entry included",
    "record, relaxed durability",
    "record, full durability",
    "give consent, a new account",
    "withdraw consent",
    "erase, 20 events in as many blocks",
    "open, 400 accounts",
    "verify of the log",
)


def test_a_quick_run_measures_every_work_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONSENTPROFILE_DATA", raising=False)
    assert main(["--quick", "--rounds", "1", "--dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert [work for work in WORKS if f"| {work}" not in printed] == []
    assert printed.index("### Ratios") < printed.index("### Figures") < printed.index("### Machine")
    assert "The import was **not measured**" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_quick_run_imports_the_sessions_where_they_are(
    tmp_path: Path, given_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENTPROFILE_DATA", str(given_data))
    results = Results()
    importing.measure(results, tmp_path, workload.QUICK, lambda _: None)
    assert results.notes == []
    assert [figure.work for figure in results.figures] == [f"{importing.WORK}, 1,000 rows"]


def test_two_sources_of_one_seed_make_the_same_rows() -> None:
    first, second, other = (
        [row for batch in workload.Source(seed).load(workload.QUICK) for row in batch.rows] for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other
    assert len({row.id for row in first + other}) == 2 * workload.QUICK.events


def test_every_peer_gives_back_what_it_was_given(tmp_path: Path) -> None:
    rows = next(workload.Source(1).scattered(["acct-1"], 1)).rows
    for peer in peers.every_peer(tmp_path):
        peer.consent(["acct-1"])
        peer.add(rows)
        found = peer.read("acct-1")
        peer.close()
        assert len(found) == 1
        expected = set(map(str, rows[0]))
        if isinstance(peer, peers.ConsentedRows):
            expected.remove(rows[0].device)  # kept as a digest
            assert len(set(map(str, found[0])) - expected) == 1
        assert expected <= set(map(str, found[0])), peer.name


def test_the_peer_that_does_the_same_work_asks_for_consent_and_keeps_each_id_once(tmp_path: Path) -> None:
    rows = next(workload.Source(1).scattered(["acct-1"], 1)).rows
    for peer in peers.every_peer(tmp_path):
        if isinstance(peer, peers.ConsentedRows):
            peer.add(rows)
            assert peer.read("acct-1") == []
            peer.consent(["acct-1"])
            peer.add([*rows, *rows])
            peer.add(rows)
            assert len(peer.read("acct-1")) == 1
        peer.close()


def test_a_ratio_is_our_time_as_a_multiple_of_theirs() -> None:
    ratio = Ratio("load", "peer", [10.0, 20.0, 60.0], [10.0, 10.0, 20.0])
    assert ratio.rounds == [1.0, 2.0, 3.0]
    assert ratio.median == 2.0


def test_samples_are_grouped_in_order_and_none_is_lost() -> None:
    assert grouped([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0]) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert grouped([7.0, 9.0]) == [7.0, 9.0]
    assert quantile([float(number) for number in range(1, 101)], 0.99) == 100.0


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [(12.0, "12 ns"), (1_500.0, "1.5 µs"), (2_500_000.0, "2.5 ms"), (12e9, "12 s"), (-4_000.0, "-4 µs")],
)
def test_a_time_is_shown_in_the_unit_that_suits_it(nanoseconds: float, shown: str) -> None:
    assert duration(nanoseconds) == shown


def test_what_is_measured_replaces_what_stood_there_and_nothing_else() -> None:
    page = f"# before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    written = report.put(page, "new")
    assert written == f"# before\n{report.BEGIN}\n\nnew\n{report.END}\nafter\n"
    assert report.put(written, "new") == written


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="both marks"):
        report.put("# a page", "new")


def test_the_page_has_its_marks() -> None:
    text = report.PAGE.read_text("utf-8")
    assert report.put(text, "new") != text
