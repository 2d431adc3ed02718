"""docs/cli.md is complete and true: every command, option, variable and exit code, and every transcript in it."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from consentprofile import errors
from consentprofile.cli import context, output
from consentprofile.cli import main as program
from consentprofile.cli.main import main
from tests.cli.conftest import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(group: click.Group, path: tuple[str, ...] = ("consentprofile",)) -> Iterator[tuple[str, click.Command]]:
    """Every command with its path; one that may be left out stands for its group."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        here = path if command.hidden else (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, here)
        else:
            yield " ".join(here), command


COMMANDS = dict(commands(main))


def sections() -> dict[str, str]:
    """The text below each heading, by heading."""
    parts = re.split(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """The rows of a section's table, without its head."""
    lines = [line for line in sections()[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def options(section: str) -> set[str]:
    return {found for row in rows(section) for found in re.findall(r"^`(--[a-z-]+)", row[0])}


def test_every_command_has_its_section_and_every_section_its_command() -> None:
    headings = {heading.strip("`") for heading in sections() if heading.startswith("`")}
    assert headings == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_documented_and_every_documented_option_exists(path: str) -> None:
    own = {
        option.opts[0]
        for option in COMMANDS[path].params
        if isinstance(option, click.Option) and option.name not in context.COMMON
    }
    assert options(f"`{path}`") == own


def test_the_shared_options_are_documented_and_every_command_has_those_it_can_use() -> None:
    shared = {option.opts[0] for option in main.params if option.name in context.COMMON}
    assert options("Options of every command") == shared
    alone = {
        "consentprofile policy check",
        "consentprofile keys new",
        "consentprofile keys recover",
        "consentprofile demo",
        "consentprofile certificate verify",
        "consentprofile certificate show",
        "consentprofile audit witness",
    }
    for path, command in COMMANDS.items():
        has = {param.opts[0] for param in command.params if param.name in context.COMMON}
        assert has == ({"--json"} if path in alone else shared), path


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_and_command_explains_itself(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert [param.name for param in command.params if isinstance(param, click.Option) and not param.help] == []
    assert "INTEGER" not in command.get_help(click.Context(command)), "say NUMBER"


@pytest.mark.parametrize("path", sorted({tuple(path.split()[1:-1]) for path in COMMANDS}))
def test_no_list_of_commands_breaks_off_in_a_sentence(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*path, "--help"], terminal_width=80)
    assert told.exit_code == 0
    assert [line for line in told.stdout.splitlines() if line.startswith("  ") and line.endswith("...")] == []


def test_the_list_of_commands_names_every_command_and_where_it_is() -> None:
    assert {path.split()[1] for path in COMMANDS} == set(program.COMMANDS)


def test_every_variable_is_documented() -> None:
    named = {cell.strip("`") for cell, _ in rows("Environment")}
    assert named == {
        context.STORE_VARIABLE,
        context.KEY_FILE_VARIABLE,
        context.CAPABILITY_VARIABLE,
        program.DEBUG_VARIABLE,
    }


def test_exit_codes_are_those_of_the_errors_and_of_the_program() -> None:
    families = {errors.ConsentProfileError.__name__: errors.ConsentProfileError.exit_code} | {
        family.__name__: family.exit_code
        for family in errors.ConsentProfileError.__subclasses__()
        if "exit_code" in vars(family)
    }
    documented = {cell.strip("`"): int(code) for code, cell, _ in rows("Exit codes") if cell}
    assert documented == families
    others = {int(code) for code, cell, _ in rows("Exit codes") if not cell}
    assert others == {0, output.DECLINED, program.USAGE, program.INTERRUPTED, program.BROKEN_PIPE}
    assert errors.ConsentProfileError.exit_code == program.UNEXPECTED


def test_no_command_leaves_with_a_number_of_its_own() -> None:
    """Each exit code has a name, and one only: what the table says is what commands end with."""
    files = sorted((ROOT / "consentprofile" / "cli").glob("*.py"))
    written = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    calls = [node for tree in written for node in ast.walk(tree) if isinstance(node, ast.Call)]
    exits = [call for call in calls if ast.unparse(call.func).split(".")[-1] in ("Exit", "SystemExit")]
    assert len(exits) > 9
    assert not [ast.unparse(call) for call in exits if any(isinstance(given, ast.Constant) for given in call.args)]


def test_every_error_has_the_exit_code_of_its_family() -> None:
    def below(family: type[errors.ConsentProfileError]) -> Iterator[type[errors.ConsentProfileError]]:
        for kind in family.__subclasses__():
            yield kind
            yield from below(kind)

    families = {code for code, cell, _ in rows("Exit codes") if cell}
    assert {str(kind.exit_code) for kind in below(errors.ConsentProfileError)} <= families


def transcript() -> list[tuple[str, str]]:
    """Each command of the page's transcripts with what it prints."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append((command, printed))
    return found


def test_the_transcript_is_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    assert len(transcript()) > 8
    for command, printed in transcript():
        words = shlex.split(command)
        if words[0] == "export":
            for word in words[1:]:
                monkeypatch.setenv(*word.split("=", 1))
            continue
        assert words[0] == "consentprofile"
        result = CliRunner().invoke(main, ["--as-of", "2024-07-01", *words[1:]])
        assert result.output == printed, command
