"""The pictures in docs/releases.md are those of the commands that stand there, run one after the other in one store."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

import consentprofile as cp
from consentprofile.cli.main import main
from consentprofile.release.measures.named import MEASURES
from consentprofile.usecases import released
from tests.release.sets import as_plain
from tests.release.test_pictures import hatched, texts
from tests.release.test_shop import asked, counts
from tests.test_known_answers import DATA, PRESENT, ROOT, import_shop

PAGE: Final = (ROOT / "docs" / "releases.md").read_text("utf-8")
COMMANDS: Final = re.findall(r"^\$ (consentprofile release \S+ --out \S+)$", PAGE, flags=re.MULTILINE)
PICTURES: Final = re.findall(r"\]\((releases/\S+\.svg)\)", PAGE)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which every command of the page has been run."""
    folder = tmp_path_factory.mktemp("gallery")
    import_shop(folder, DATA)
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in COMMANDS:
            common = ("--store", "store", "--key-file", "key", "--as-of", "2024-07-01")
            done = CliRunner().invoke(main, [*common, *shlex.split(command)[1:]])
            assert done.exit_code == 0, done.output
        yield folder


def shop_store(folder: Path) -> cp.Store:
    key = cp.KeyFile(folder / "key")
    return cp.Store.open(folder / "store", key=key, clock=lambda: PRESENT, durability="relaxed")


def test_every_picture_of_the_page_has_its_command_and_every_command_its_picture() -> None:
    made = {f"releases/{command.split()[-1]}.svg" for command in COMMANDS}
    assert made == set(PICTURES) == {f"releases/{path.name}" for path in (ROOT / "docs" / "releases").iterdir()}


@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_of_the_page_says_what_its_command_draws_today(drawn: Path, picture: str) -> None:
    """Every word and figure, and as many marks for no figure; outlines are the library's, and may change with it."""
    shown = (ROOT / "docs" / picture).read_bytes()
    made = (drawn / Path(picture).stem / "picture.svg").read_bytes()
    assert texts(shown) == texts(made)
    assert hatched(shown) == hatched(made)


MORE: Final[dict[str, dict[str, str]]] = {
    "counts": {"measure": '"counts"', "by": '["kind", "month"]', "limit": "7", "cells_per_account": "126"},
    "frequency": {"measure": '"frequency"', "most": "40"},
    "funnel, any": {"measure": '"funnel"', "steps": '["add_to_cart", "cart", "purchase"]', "order": '"any"'},
    "retention": {"measure": '"retention"', "every": '"month"'},
    "segments": {
        "measure": '"segments"',
        "segments": "[{ name = 'roams', all = [{ count = 'platform', at_least = 2 }] }]",
    },
    "time to next": {"measure": '"time-to-next"', "first": '["add_to_cart"]', "next": '["purchase"]'},
    "transitions": {"measure": '"transitions"', "of": '"platform"'},
}
"""What the gallery does not ask. Where events of one second are in the order of their ids, every store has its own: so
none of these turns on that."""


def behind(store: cp.Store) -> dict[tuple[str, ...], int]:
    """What the last release of the ledger was made of, exactly."""
    cells = as_plain(released.settled(store._session, len(store.released())))
    return {cell.key: sum(cell.amounts) or cell.count for cell in cells if cell.count}


@pytest.mark.parametrize("terms", MORE.values(), ids=MORE)
def test_a_store_counts_what_is_counted_of_the_files(drawn: Path, tmp_path: Path, terms: dict[str, str]) -> None:
    """From sealed blocks as from the CSV; tests/release/test_shop.py holds the latter against plain Python."""
    lines = {**terms, "format": "1", "name": '"more"', "purpose": '"analytics"', "zone": '"UTC"',
             "from": "2024-01-01", "until": "2024-07-01", "protection": '{ kind = "threshold" }'}  # fmt: skip
    (tmp_path / "more.toml").write_text("".join(f"{key} = {text}\n" for key, text in lines.items()), "utf-8")
    with shop_store(drawn) as store:
        store.release(tmp_path / "more.toml", tmp_path / "out")
        assert behind(store) == counts(asked(**terms))


def test_every_measure_that_the_shop_has_data_for_is_counted_from_a_store(drawn: Path) -> None:
    with shop_store(drawn) as store:
        measures = {one.measure for one in store.released()} | {terms["measure"].strip('"') for terms in MORE.values()}
    assert measures == set(MEASURES) - {"sums", "means"}  # there are no amounts in its data


def test_the_gallery_shows_marks_for_what_is_hidden_and_for_what_is_rounded(drawn: Path) -> None:
    for picture in set(PICTURES) - {"releases/reach.svg"}:
        shown = (ROOT / "docs" / picture).read_bytes()
        assert hatched(shown) > 0, picture
        assert any("≈" in text for text in texts(shown)), picture


def test_the_stories_can_be_seen_in_the_figures_behind_the_pictures(drawn: Path) -> None:
    """The bug: from the shipping details the way leads back and not on. The incident: hardly anybody gets to buy."""
    bug = dict(cp.read_figures(drawn / "checkout-bug").cells())
    assert bug["shipping_details", "add_to_cart"] == (15,)
    assert bug["shipping_details", "payment_details"] == (None,)
    assert bug["cart", "checkout_bug"] == (10,)
    incident = dict(cp.read_figures(drawn / "payment-incident").cells())
    assert incident["payment_details",][1] == 35
    assert incident["purchase",] == (None, None)
