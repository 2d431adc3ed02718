"""The repository keeps its word: links lead somewhere, modules explain themselves, versions agree."""

from __future__ import annotations

import ast
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
NOT_OURS: Final = {"build", "dist", "__pycache__", "vectors", "node_modules"}
WRITTEN: Final = {".md", ".py", ".toml", ".sql", ".sh", ""}
"""Endings of files that people write: prose, code, declarations, and scripts without an ending."""


def files(*endings: str) -> list[Path]:
    """Every file of the checkout with one of ``endings``, without environments, caches, vectors and hidden tools."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and (name[0] != "." or name == ".ci")]
        found += [Path(folder, name) for name in names if Path(name).suffix in endings]
    return sorted(found)


def shown(path: Path) -> str:
    """The path from the root of the checkout, for messages."""
    return path.relative_to(ROOT).as_posix()


# ---- links --------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """Markdown without its code: what stands in fences and back ticks links to nothing."""
    return re.sub(r"`[^`\n]*`", "``", re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE))


def links(text: str) -> Iterator[str]:
    """The targets of links and pictures, reference definitions included."""
    yield from re.findall(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)", prose(text))
    yield from re.findall(r"^\[[^\]]+\]:\s*(\S+)", prose(text), flags=re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them: lower case, spaces to hyphens, repeats numbered."""
    found: set[str] = set()
    body = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", body, flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def broken_links(page: Path) -> Iterator[str]:
    """Links of ``page`` into the checkout that lead nowhere. Addresses of others are not fetched."""
    for target in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        leads_inside = not name.startswith("/") and goal.is_relative_to(_root(page)) and goal.exists()
        lands = not anchor or goal.suffix != ".md" or (goal.is_file() and anchor in anchors(goal.read_text("utf-8")))
        if not (leads_inside and lands):
            yield target


def _root(page: Path) -> Path:
    """The checkout for its own pages; the folder itself for a page that a test has made elsewhere."""
    return ROOT if page.is_relative_to(ROOT) else page.parent


BROKEN: Final = {
    "a missing page": "[x](missing.md)",
    "a missing anchor": "[x](#no-such-heading)",
    "a missing anchor elsewhere": "[x](other.md#no-such-heading)",
    "a missing picture": "![x](missing.png)",
    "a missing reference": "[x][1]\n\n[1]: missing.md",
    "an absolute path": "[x](/etc)",
    "a way out": "[x](../)",
}
SOUND: Final = {
    "a page": "[x](other.md)",
    "an anchor": "# Keys and `slots`, twice\n[x](#keys-and-slots-twice)",
    "an anchor elsewhere": "[x](other.md#other)",
    "an address": "[x](https://example.com/missing.md)",
    "code": "`[x](missing.md)`\n```\n[x](missing.md)\n```\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_link_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.md").write_text("# Other\n")
    (tmp_path / "page.md").write_text(text)
    assert list(broken_links(tmp_path / "page.md"))


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_a_sound_link_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.md").write_text("# Other\n")
    (tmp_path / "page.md").write_text(text)
    assert list(broken_links(tmp_path / "page.md")) == []


def test_every_link_in_the_documents_leads_somewhere() -> None:
    assert [f"{shown(page)}: {target}" for page in files(".md") for target in broken_links(page)] == []


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_every_page_stands_in_its_index(folder: str) -> None:
    index = ROOT / folder / "README.md"
    linked = {target.partition("#")[0] for target in links(index.read_text(encoding="utf-8"))}
    assert [page.name for page in sorted(index.parent.glob("*.md")) if page != index and page.name not in linked] == []


# ---- sources ------------------------------------------------------------------------------------


def test_every_module_has_a_docstring() -> None:
    silent = [path for path in files(".py") if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert [shown(path) for path in silent] == []


FORBIDDEN: Final = {
    "a path of somebody's machine": re.compile(r"(?<![\w.:~/\-])/(work|tmp|home|root|Users)/"),
    "unfinished work": re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"),
    "a conflict left by a merge": re.compile(r"^(<{7}|>{7}) ", flags=re.MULTILINE),
}


def forbidden(text: str) -> list[str]:
    """What in ``text`` must not be there, each with its line."""
    return [
        f"{text.count(chr(10), 0, match.start()) + 1}: {what}"
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]


@pytest.mark.parametrize("text", ["see /home/ada/store", "open('/tmp/x')", "# TODO: later", "<<<<<<< HEAD", "# FIXME"])
def test_what_must_not_be_there_is_found(text: str) -> None:
    assert forbidden(text)


@pytest.mark.parametrize("text", ["https://example.com/home/page", "docs/work/x", "toDOs", "a <<<<<<< b"])
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert forbidden(text) == []


def test_nothing_is_in_the_repository_that_must_not_be_there() -> None:
    found = [
        f"{shown(path)}:{what}"
        for path in files(*WRITTEN)
        if path not in {ROOT / "LICENSE", Path(__file__).resolve()}  # this file has to name them
        for what in forbidden(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


# ---- what is declared ---------------------------------------------------------------------------


def project() -> dict[str, object]:
    """The table ``project`` of pyproject.toml."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(table, dict)
    return table


def version_key(text: object) -> tuple[int, ...]:
    """A version ``1.2.3`` as numbers."""
    assert isinstance(text, str)
    assert re.fullmatch(r"\d+\.\d+\.\d+", text)
    return tuple(int(part) for part in text.split("."))


def test_the_changelog_has_a_place_for_what_comes() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading) for heading in headings[1:])


def test_the_version_is_the_newest_of_the_changelog_or_the_one_to_come() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = [version_key(version) for version in re.findall(r"^## \[(\d[^\]]*)\]", text, flags=re.MULTILINE)]
    assert released == sorted(set(released), reverse=True)
    assert version_key(project()["version"]) >= max(released, default=(0, 0, 0))


def test_a_version_written_in_the_package_agrees() -> None:
    written = re.findall(
        r"""^__version__\b[^=\n]*=\s*["']([^"']+)["']""",
        "\n".join(path.read_text(encoding="utf-8") for path in files(".py") if "consentprofile" in path.parts),
        flags=re.MULTILINE,
    )
    assert set(written) <= {project()["version"]}


def test_the_licence_is_whole_and_the_notice_names_the_authors_of_the_shop() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for name in ("Maxim Godzi", "Vladimir Kukushkin", "Anatoly Zaytsev", "retentioneering 5.2.4", "Apache License"):
        assert name in notice


def test_every_command_of_make_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    command = r"(?:`|^\$ )make ([a-z][a-z-]*)|^make ([a-z][a-z-]*)(?: [A-Z_]+=.*)?$"
    named = {
        (shown(page), first or second)
        for page in files(".md")
        for first, second in re.findall(command, page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert {target for _, target in named} >= {"demo", "test"}
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_the_script_that_runs_everything_can_be_run() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR
