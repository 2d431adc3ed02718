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
from tests.release.test_pictures import hatched, texts
from tests.test_known_answers import DATA, ROOT, import_shop

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
