"""The floors hold: who may import whom, who may touch the world, who prints, how long a module is.

Every rule is a function from one source to what breaks it, and is first shown to find an offender.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "consentprofile"
LONGEST: Final = 400

SHARED: Final = {"errors", "canonical"}
GROUND: Final = SHARED | {"model", "crypto", "tlog"}
FACES: Final = GROUND | {"store", "release", "usecases"}

FLOORS: Final[dict[str, set[str]]] = {
    "errors": set(),
    "canonical": {"errors"},
    "model": SHARED,
    "crypto": SHARED,
    "tlog": SHARED,
    "store": GROUND,
    "release": SHARED | {"model"},
    "usecases": GROUND | {"store", "release"},
    "audit": FACES,
    "upkeep": FACES,
    "view": FACES,
    "consenting": FACES,
    "care": FACES | {"consenting"},
    "releasing": FACES | {"consenting"},
    "client": FACES | {"audit", "care", "consenting", "releasing", "upkeep", "view"},
    "async_calls": set(),
    "async_audit": FACES | {"audit", "async_calls"},
    "async_upkeep": FACES | {"upkeep", "async_calls"},
    "async_care": FACES | {"care", "consenting", "async_calls"},
    "async_releasing": FACES | {"consenting", "releasing", "async_calls"},
    "async_client": FACES
    | {"audit", "care", "client", "consenting", "view", "async_calls"}
    | {"async_audit", "async_care", "async_releasing", "async_upkeep"},
    "consentprofile": FACES
    | {"audit", "care", "upkeep", "view", "client", "async_audit", "async_client", "async_upkeep"},
    "integrations": SHARED | {"model", "audit", "client", "async_client", "consentprofile"},
    "cli": SHARED | {"model", "usecases", "audit", "client", "integrations", "consentprofile"},
    "__main__": {"cli"},
}
"""What each part may import besides itself; ``consentprofile`` is the package's own face, its ``__init__``."""

DOORS: Final[dict[tuple[str, str], str]] = {
    ("usecases", "store"): "consentprofile.store.ports",
    ("cli", "usecases"): "consentprofile.usecases.witnessing",
}
"""Where one part may enter another through one module only: use cases know the store by its Protocols, and the command
line knows the witness, who has no store and therefore no face of one."""

CHANCE: Final = "consentprofile.crypto.randomness"
"""The one module of the ground floor that asks the operating system for randomness."""

PROVIDERS: Final = "consentprofile.crypto.providers"
"""Where secrets come from: the one place of ``crypto`` that reads files and the environment."""


class Source(NamedTuple):
    """One module: its dotted name, whether it is a package's ``__init__``, and its text."""

    name: str
    text: str

    @property
    def part(self) -> str:
        """The part of the package that it belongs to, a key of :data:`FLOORS`."""
        words = self.name.split(".")
        return words[1] if len(words) > 1 else words[0]

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


def modules() -> list[Source]:
    """Every module of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        words = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(words[:-1] if words[-1] == "__init__" else words)
        found.append(Source(name, path.read_text(encoding="utf-8")))
    return found


def parts() -> set[str]:
    """The names of what lies directly in the package: modules and folders."""
    return {source.part for source in modules()}


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported anywhere in ``tree``; ``from a import b`` counts as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def ours(name: str) -> str | None:
    """The part of the package that an imported name belongs to, or None if it is not ours."""
    words = name.split(".")
    if words[0] != "consentprofile":
        return None
    return words[1] if len(words) > 1 and (words[1] in FLOORS or words[1] in parts()) else "consentprofile"


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name as written) of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


# ---- the rules ----------------------------------------------------------------------------------


def imports_upward(source: Source) -> Iterator[str]:
    """A part imports itself and what :data:`FLOORS` allows it; relative imports would hide where they lead."""
    allowed = FLOORS.get(source.part, set()) | {source.part}
    for line, name in imports(source.tree):
        part = ours(name)
        if name.startswith("."):
            yield f"{line}: a relative import"
        elif part is not None and part not in allowed:
            yield f"{line}: {source.part} may not import {name}"
        elif part is not None and (door := DOORS.get((source.part, part))) and not f"{name}.".startswith(f"{door}."):
            yield f"{line}: {source.part} may import {part} through {door} only, not {name}"


def hides_an_import(source: Source) -> Iterator[str]:
    """No import of our own inside a function: it would hide a circle."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (f"{line}: {name} imported in a function" for line, name in imports(node) if ours(name))


def is_too_long(source: Source) -> Iterator[str]:
    """At most :data:`LONGEST` lines."""
    count = len(source.text.splitlines())
    if count > LONGEST:
        yield f"{count} lines"


def asks_clock_or_chance(source: Source) -> Iterator[str]:
    """On the ground floor times and randomness are passed in; keys and nonces come from :data:`CHANCE`."""
    if source.part not in {"model", "crypto", "tlog"} or source.name == CHANCE:
        return
    for line, name in imports(source.tree):
        if name.split(".")[0] in {"random", "secrets", "time", "uuid"} or name in {"os.urandom", "os.getrandom"}:
            yield f"{line}: imports {name}"
    for line, name in calls(source.tree):
        if name.split(".")[-1] in {"now", "utcnow", "today", "urandom", "getrandom"}:
            yield f"{line}: calls {name}"


def touches_the_world(source: Source) -> Iterator[str]:
    """``model``, ``tlog`` and ``crypto`` (but for its providers) know no file, database, network or process."""
    if source.part not in {"model", "crypto", "tlog"} or source.name in {CHANCE, PROVIDERS}:
        return
    world = {
        "asyncio",
        "http",
        "io",
        "os",
        "pathlib",
        "shutil",
        "socket",
        "sqlite3",
        "subprocess",
        "tempfile",
        "urllib",
    }
    for line, name in imports(source.tree):
        if name.split(".")[0] in world:
            yield f"{line}: imports {name}"
    for line, name in calls(source.tree):
        if name in {"open", "input", "exec", "eval", "compile", "__import__"}:
            yield f"{line}: calls {name}"


def prints(source: Source) -> Iterator[str]:
    """Only the command line prints."""
    if source.part == "cli":
        return
    for line, name in calls(source.tree):
        if name in {"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"}:
            yield f"{line}: calls {name}"


def swallows(source: Source) -> Iterator[str]:
    """Who catches everything raises again; a bare ``except`` and ``contextlib.suppress(Exception)`` are the same."""
    everything = {"Exception", "BaseException"}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = {ast.unparse(kind) for kind in ast.walk(node.type)} if node.type else everything
            if caught & everything and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node)):
                yield f"{node.lineno}: catches everything and does not raise again"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}:
            yield from (
                f"{node.lineno}: suppresses everything" for kind in node.args if ast.unparse(kind) in everything
            )


Rule = Callable[[Source], Iterator[str]]
RULES: Final[tuple[Rule, ...]] = (
    imports_upward,
    hides_an_import,
    is_too_long,
    asks_clock_or_chance,
    touches_the_world,
    prints,
    swallows,
)

OFFENDERS: Final[tuple[tuple[str, Rule, str, str], ...]] = (
    ("model knows crypto", imports_upward, "consentprofile.model.x", "from consentprofile.crypto import aead"),
    ("crypto knows model", imports_upward, "consentprofile.crypto.x", "import consentprofile.model.event"),
    ("tlog knows crypto", imports_upward, "consentprofile.tlog.x", "from consentprofile.crypto.tags import tag"),
    ("errors know anything", imports_upward, "consentprofile.errors", "from consentprofile import canonical"),
    ("store knows use cases", imports_upward, "consentprofile.store.x", "from consentprofile.usecases import consent"),
    ("release knows store", imports_upward, "consentprofile.release.x", "from consentprofile.store import ports"),
    ("release knows crypto", imports_upward, "consentprofile.release.x", "from consentprofile.crypto import tags"),
    (
        "use case goes past the ports",
        imports_upward,
        "consentprofile.usecases.x",
        "from consentprofile.store.sqlite import Rows",
    ),
    ("use case knows client", imports_upward, "consentprofile.usecases.x", "from consentprofile.client import Store"),
    ("use case knows the face", imports_upward, "consentprofile.usecases.x", "import consentprofile as cp"),
    ("client knows cli", imports_upward, "consentprofile.client", "from consentprofile.cli.main import main"),
    ("cli goes past the client", imports_upward, "consentprofile.cli.x", "from consentprofile.store import sqlite"),
    ("cli goes past the face", imports_upward, "consentprofile.cli.x", "from consentprofile.usecases import erasure"),
    ("only for types", imports_upward, "consentprofile.model.x", "if TYPE_CHECKING:\n    import consentprofile.store"),
    ("relative", imports_upward, "consentprofile.model.x", "from ..crypto import aead"),
    ("an unknown part", imports_upward, "consentprofile.utils.x", "from consentprofile.model import event"),
    (
        "import in a function",
        hides_an_import,
        "consentprofile.store.x",
        "def f():\n    from consentprofile import errors",
    ),
    (
        "import in a method",
        hides_an_import,
        "consentprofile.store.x",
        "class C:\n  def f(self):\n    import consentprofile",
    ),
    ("401 lines", is_too_long, "consentprofile.store.x", "\n" * 401),
    ("dice in model", asks_clock_or_chance, "consentprofile.model.x", "import random"),
    ("wall clock in model", asks_clock_or_chance, "consentprofile.model.x", "at = datetime.now(UTC)"),
    ("today in model", asks_clock_or_chance, "consentprofile.model.x", "day = date.today()"),
    ("clock in tlog", asks_clock_or_chance, "consentprofile.tlog.x", "from time import time"),
    ("urandom beside the seam", asks_clock_or_chance, "consentprofile.crypto.aead", "nonce = os.urandom(12)"),
    ("secrets beside the seam", asks_clock_or_chance, "consentprofile.crypto.aead", "import secrets"),
    ("file in model", touches_the_world, "consentprofile.model.x", "text = open('x').read()"),
    ("path in model", touches_the_world, "consentprofile.model.x", "from pathlib import Path"),
    ("database in tlog", touches_the_world, "consentprofile.tlog.x", "import sqlite3"),
    ("variable in crypto", touches_the_world, "consentprofile.crypto.tags", "from os import environ"),
    ("print in store", prints, "consentprofile.store.x", "print('hello')"),
    ("echo in client", prints, "consentprofile.client", "click.echo('hello')"),
    ("exception swallowed", swallows, "consentprofile.store.x", "try:\n  f()\nexcept Exception:\n  pass"),
    ("among others", swallows, "consentprofile.store.x", "try:\n  f()\nexcept (OSError, Exception):\n  pass"),
    ("bare except", swallows, "consentprofile.store.x", "try:\n  f()\nexcept:\n  pass"),
    ("suppressed", swallows, "consentprofile.store.x", "with contextlib.suppress(Exception):\n  f()"),
)


@pytest.mark.parametrize(
    ("rule", "name", "text"), [case[1:] for case in OFFENDERS], ids=[case[0] for case in OFFENDERS]
)
def test_a_rule_finds_its_offender(rule: Rule, name: str, text: str) -> None:
    assert list(rule(Source(name, text)))


INNOCENT: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "shared words",
        "consentprofile.model.x",
        "from consentprofile import canonical\nfrom consentprofile.errors import Fault",
    ),
    ("its own package", "consentprofile.crypto.x", "from consentprofile.crypto.randomness import random_bytes"),
    (
        "downward",
        "consentprofile.usecases.x",
        "from consentprofile.store import ports\nfrom consentprofile.model import event",
    ),
    ("the face", "consentprofile.cli.x", "import consentprofile as cp\nprint(cp.Store)"),
    ("heavy module of others", "consentprofile.store.x", "def f():\n    import numpy"),
    ("400 lines", "consentprofile.store.x", "\n" * 400),
    ("the seam", CHANCE, "import os\nsource = os.urandom(12)"),
    ("the clock above the ground", "consentprofile.client", "at = datetime.now(UTC)"),
    ("raised again", "consentprofile.store.x", "try:\n  f()\nexcept BaseException:\n  g()\n  raise"),
)


@pytest.mark.parametrize(("name", "text"), [case[1:] for case in INNOCENT], ids=[case[0] for case in INNOCENT])
def test_no_rule_accuses_the_innocent(name: str, text: str) -> None:
    assert [broken for rule in RULES for broken in rule(Source(name, text))] == []


def test_every_part_has_its_floor() -> None:
    assert parts() <= set(FLOORS)


@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__ for rule in RULES])
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    assert [f"{source.name}:{broken}" for source in modules() for broken in rule(source)] == []
