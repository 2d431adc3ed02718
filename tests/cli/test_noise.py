"""Differential privacy on the command line: what it would cost, what it cost, and how far figures reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import SHOP, Shop


@pytest.fixture
def noisy(shop: Shop) -> Shop:
    """A store of the example shop, whose policy has a budget of epsilon 2, and a noisy specification."""
    text = (SHOP / "reach.toml").read_text()
    Path("noisy.toml").write_text(text.partition("[protection]")[0] + '[protection]\nkind = "dp"\nepsilon = 0.5\n')
    return shop


def test_a_plan_says_how_wide_and_how_much(noisy: Shop) -> None:
    said = noisy.done("release", "plan", "noisy.toml")
    for words in (
        "accounts off by      at most 18, 95 times in 100 (Laplace noise)",
        "costs                epsilon 0.5; epsilon 2 left",
        "affordable           from 2024-07-01 00:00 UTC on",
        "guarantee            differential privacy",
    ):
        assert words in said
    assert "at least" not in said


def test_a_release_shows_figures_with_what_they_lie_between(noisy: Shop) -> None:
    noisy.done("release", "noisy.toml", "--out", "out", "--plain")
    said = noisy.done("release", "show", "out")
    assert "noise             epsilon 0.5" in said
    assert "accounts within 18 of what was counted" in said
    rows = [line.split() for line in said.splitlines() if line.startswith(("desktop", "mobile", "tablet"))]
    assert len(rows) == 3
    for _, figure, low, high in rows:
        assert (int(figure) - int(low), int(high) - int(figure)) == (18, 18)
    assert said == noisy.done("release", "show", "1")
    assert "dp, epsilon 0.5" in noisy.done("release", "list")
    assert "already, by release 1" in noisy.done("release", "plan", "noisy.toml")


def test_the_budget_is_shown_in_words_and_as_a_document(noisy: Shop) -> None:
    assert "nothing was spent" in noisy.done("release", "budget", "analytics")
    noisy.done("release", "noisy.toml", "--out", "out", "--plain")
    said = noisy.done("release", "budget", "analytics")
    assert "left         epsilon 1.5" in said
    assert "more comes   2025-07-01 01:00 UTC" in said
    assert said.splitlines()[-1].split() == [
        "1", "epsilon", "0.5", "epsilon", "0.5", "2024-07-01", "00:00", "2025-07-01", "01:00", "yes"
    ]  # fmt: skip
    document = noisy.answer("release", "budget", "analytics")
    assert (document["spent"], document["left"], document["more"]) == (0.5, 1.5, "2025-07-01T01:00:00Z")


def test_what_cannot_be_paid_for_is_refused_with_the_date(noisy: Shop) -> None:
    Path("dear.toml").write_text(Path("noisy.toml").read_text().replace("epsilon = 0.5", "epsilon = 2"))
    noisy.done("release", "dear.toml", "--out", "out", "--plain")
    Path("more.toml").write_text(Path("noisy.toml").read_text().replace('by = ["platform"]', "by = []"))
    result = noisy.run("release", "more.toml", "--out", "more", "--plain")
    assert (result.exit_code, result.stdout) == (9, "")
    assert "enough of it comes back at 2025-07-01 01:00 UTC" in result.stderr.replace("\n", " ")
    assert not Path("more").exists()


@pytest.mark.parametrize(
    ("purpose", "code", "said"), [("support", 3, "no privacy budget"), ("suport", 7, "no such purpose")]
)
def test_a_purpose_without_a_budget_is_refused(noisy: Shop, purpose: str, code: int, said: str) -> None:
    result = noisy.run("release", "budget", purpose)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_the_manifest_of_a_release_tells_what_it_cost(noisy: Shop) -> None:
    noisy.done("release", "noisy.toml", "--out", "out", "--plain")
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["protection"]["epsilon"] == 0.5
