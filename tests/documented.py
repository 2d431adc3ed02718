"""What documents are compared with: the fences of a page, and signatures as they stand in the source."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import NamedTuple


class Fence(NamedTuple):
    """A fenced block of code: its language, what follows it on the opening line, and its text."""

    language: str
    rest: str
    text: str


def fences(page: str) -> list[Fence]:
    """The fenced blocks of a page, in order."""
    found = re.findall(r"^```(\w*)[ ]?([^\n]*)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    return [Fence(*block) for block in found]


def tables(page: str) -> list[list[str]]:
    """The cells of every row of every table."""
    rows = [line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


OUR_MODULES = re.compile(
    r"\b(?:access|audit|capabilities|check|compaction|erasure|expiry|importing|key_status|policies|proving|reading"
    r"|recording|releases|retention|rotation|tracing|verifying)\."
)


def signature(node: ast.FunctionDef) -> str:
    """A function's name, parameters and result, without ``self`` or ``cls`` and without the names of our modules."""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    returns = ast.unparse(node.returns) if node.returns else "None"
    if "property" in decorators:
        return f"{node.name}: {returns}"
    if "contextmanager" in decorators:
        returns = returns.replace("Iterator", "AbstractContextManager")
    node.args.args = [argument for argument in node.args.args if argument.arg not in ("self", "cls")]
    parameters = re.sub(r"(?<=[\w\]])=(?=[\w'(])", " = ", ast.unparse(node.args))
    return OUR_MODULES.sub("", f"{node.name}({parameters}) -> {returns}")


def signatures(face: type) -> dict[str, str]:
    """The public methods of a class, those that it inherits included, as their source writes them."""
    methods: list[ast.FunctionDef] = []
    for part in reversed(face.__mro__):
        if part is not object:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
            assert isinstance(tree, ast.ClassDef)
            methods += [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: signature(node) for node in methods if not node.name.startswith("_")}


def function_signature(function: Callable[..., object]) -> str:
    """The same of a function."""
    (tree,) = ast.parse(inspect.getsource(function)).body
    assert isinstance(tree, ast.FunctionDef)
    return signature(tree)
