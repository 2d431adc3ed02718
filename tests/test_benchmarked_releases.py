"""What releases are measured beside: the same questions over the same events, counted alike, or no time is told."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import pytest

from benchmarks import in_pandas, in_polars, privacy, questions, releasing, results, workload
from benchmarks.ours import Ours
from consentprofile import Figures
from consentprofile.release.spec_file import read_spec
from consentprofile.usecases.census import take

DAY: Final = 86_400


def test_visits_have_several_events_of_an_account_within_a_session_and_end_before_the_period_does() -> None:
    stretches = list(workload.Source(1).visits(2_000, 100, 500))
    assert [len(rows) for rows in stretches] == [500] * 4
    assert all([row.at for row in rows] == sorted(row.at for row in rows) for rows in stretches)
    rows = sorted((row for rows in stretches for row in rows), key=lambda row: (row.account, row.at))
    assert len({row.id for row in rows}) == 2_000
    assert int(questions.SINCE.timestamp()) <= min(row.at for row in rows)
    assert max(row.at for row in rows) < int(questions.UNTIL.timestamp())
    gap = int(questions.GAP.total_seconds())
    near = [(one, other) for one, other in pairwise(rows) if one.account == other.account and other.at - one.at <= gap]
    assert len(near) > 1_000
    assert all(one.platform == other.platform for one, other in near[:100])


# ---- the same answers ----------------------------------------------------------------------------


def _edges() -> list[workload.Row]:
    """Events at the very ends of a session, a window and the period, and of somebody who enters the funnel twice."""
    begin, until = (int(moment.timestamp()) for moment in (questions.SINCE, questions.UNTIL))
    login, search, cart, purchase = questions.STEPS
    told = [
        ("in time", login, begin), ("in time", search, begin + 1_800), ("in time", cart, begin + 14 * DAY),
        ("late", login, begin), ("late", search, begin + 1_801), ("late", cart, begin + 14 * DAY + 1),
        ("again", login, begin), ("again", login, begin + 3 * DAY), ("again", search, begin + 4 * DAY),
        ("again", cart, begin + 15 * DAY), ("again", purchase, begin + 17 * DAY),
        ("never began", purchase, begin), ("never began", cart, begin + 1), ("over", login, until - 1),
        ("over", search, until), ("over", cart, until + 60),
    ]  # fmt: skip
    return [
        workload.Row(who, kind, at, "web", "mobile", "d", f"edge-{place}", "direct")
        for place, (who, kind, at) in enumerate(told)
    ]


class Asked(NamedTuple):
    """A file in the clear, and what a release counts over the same events before it is protected."""

    path: Path
    counted: dict[str, questions.Answer]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("asked")
    path = folder / "events.parquet"
    stretches = [_edges(), *workload.Source(3).visits(1_200, 60, 400)]
    rows = [row for stretch in releasing.written(stretches, path) for row in stretch]
    assert len({(row.account, row.at) for row in rows}) == len(rows), "ties are in the order of their ids in a store"
    ours = Ours(folder, "asked", workload.NOW)
    ours.create(workload.CONSENTED, {row.account for row in rows})
    with ours.open() as store:
        store.record_many(row.event() for row in rows)
        counted = {}
        for question, text in questions.SPECS.items():
            spec = read_spec(text, question, store.policy)
            cells = take(store._session, spec, text).standing(store._session).counted.cells
            counted[question] = {cell.key: len(cell.members) for cell in cells if len(cell.members)}
    return Asked(path, counted)


@pytest.mark.parametrize("library", [in_pandas, in_polars])
@pytest.mark.parametrize("question", questions.QUESTIONS)
def test_data_frames_count_what_a_release_counts_before_it_is_protected(
    asked: Asked, question: str, library: ModuleType
) -> None:
    answer = library.ANSWERS[question](str(asked.path))
    assert {key: count for key, count in answer.items() if count} == asked.counted[question]
    assert len(asked.counted[question]) > 3


def _figures(shown: int | None) -> Figures:
    return Figures(
        measure="reach", purpose="support", by=("kind",), values=("accounts",), since="", until="", where={}, terms={},
        min_accounts=10, policy_min_accounts=10, round_to={"accounts": 5}, largest_error={"accounts": 11},
        guarantee="heuristic", commitment="", rows=(("login", shown),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "answer"),
    [(50, {("login",): 61}), (50, {("login",): 39}), (None, {("login",): 19}), (None, {}), (50, {("login",): 50})],
)
def test_an_answer_within_what_a_release_says_it_can_be_off_is_the_same_answer(
    shown: int | None, answer: questions.Answer
) -> None:
    questions.compare("reach", _figures(shown), answer)


@pytest.mark.parametrize(
    ("shown", "answer"),
    [
        (50, {("login",): 62}), (50, {}), (None, {("login",): 20}), (50, {("login",): 50, ("search",): 1}),
    ],
)  # fmt: skip
def test_peers_that_count_otherwise_are_told_apart_and_no_time_is_told(
    shown: int | None, answer: questions.Answer
) -> None:
    with pytest.raises(RuntimeError, match="counts otherwise in 1 of 1 cells"):
        questions.compare("reach", _figures(shown), answer)


def test_a_data_frame_that_is_not_installed_is_not_measured_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releasing, "find_spec", lambda name: None if name == "pandas" else find_spec(name))
    found = results.Results()
    assert list(releasing.available(found)) == [releasing.POLARS, releasing.ONE_THREAD]
    assert found.notes == ["**Not measured** beside pandas: pandas is not installed here."]


# ---- differential privacy ------------------------------------------------------------------------


def test_a_peer_finds_pages_of_many_accounts_and_counts_each_account_on_as_many_as_it_may(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    rows = [(workload.account(who), privacy.page(name), 0) for who in range(2_000) for name in range(8)]
    reached = privacy.write(iter([*rows, ("alone", privacy.page(8), 0)]), path)
    assert reached == {privacy.page(name): 2_000 for name in range(8)} | {privacy.page(8): 1}
    done = privacy.ask(sys.executable, "opendp", path)
    assert set(done.found) == {privacy.page(name) for name in range(8)}
    assert abs(sum(done.found.values()) - 2_000 * privacy.BOUND) < 8 * privacy.FAR
    assert all(abs(count - 1_000) < 200 for count in done.found.values()), "which pages count is not left to chance"
    privacy.check(done, reached)


@pytest.mark.parametrize("found", [{"page-00001": 131.0}, {"page-00009": 81.0}])
def test_figures_that_no_noise_explains_are_not_told(found: dict[str, float]) -> None:
    with pytest.raises(RuntimeError, match="1 of 1 pages"):
        privacy.check(privacy.Done(1.0, 1.0, 1, found), {"page-00001": 50})


def test_libraries_of_differential_privacy_are_told_with_their_versions_and_those_that_are_missing_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = privacy._script

    def without_smartnoise(python: str, peer: object) -> str:
        return '{"smartnoise-sql": null}' if peer == "smartnoise" else here(python, peer)

    monkeypatch.delenv(privacy.ELSEWHERE, raising=False)
    monkeypatch.setattr(privacy, "_script", without_smartnoise)
    found = results.Results()
    there = dict(privacy.installed(found))
    assert there["opendp"] == sys.executable
    assert "smartnoise" not in there
    assert any(note.startswith("OpenDP over Polars, bounded by hand: opendp 0.16") for note in found.notes)
    assert "**Not measured** beside SmartNoise SQL: it is not installed here." in found.notes
