"""Test vectors that others have published: Wycheproof's cases, with their bytes as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

VECTORS: Final = Path(__file__).resolve().parents[1] / "vectors"


class Case(NamedTuple):
    """One case: its number, whether it is valid, the size of what is asked for (bytes), and its inputs by name."""

    number: int
    valid: bool
    size: int
    given: dict[str, bytes]


def cases(name: str, **wanted: int) -> list[Case]:
    """The cases of one file, from the groups whose sizes (in bits) are as ``wanted``."""
    return list(_cases(name, wanted))


def _cases(name: str, wanted: dict[str, int]) -> Iterator[Case]:
    document = json.loads((VECTORS / f"wycheproof_{name}_test.json").read_text(encoding="utf-8"))
    for group in document["testGroups"]:
        if any(group[key] != value for key, value in wanted.items()):
            continue
        for test in group["tests"]:
            assert test["result"] in {"valid", "invalid"}
            hexes = {
                key for key in ("key", "iv", "aad", "msg", "ct", "tag", "ikm", "salt", "info", "okm") if key in test
            }
            size = test.get("size", group.get("tagSize", 0) // 8)
            given = {key: bytes.fromhex(test[key]) for key in hexes}
            yield Case(test["tcId"], test["result"] == "valid", size, given)
