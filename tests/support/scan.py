"""Look for bytes in every file of a directory, from a process that has none of them open otherwise.

Reads ``{"directory": ..., "needles": [text, ...]}`` from standard input; answers ``[[file, needle], ...]``.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def disguises(text: str) -> set[bytes]:
    """The forms in which a text could lie somewhere in the clear: UTF-8, UTF-16, hex, and base64 at any offset."""
    plain = text.encode()
    found = {plain, text.encode("utf-16-le"), text.encode("utf-16-be"), plain.hex().encode()}
    found.add(plain.hex().upper().encode())
    found.add(plain.upper())
    for shift in range(3):
        # Characters that also depend on neighbours are cut off at either end.
        encoded = base64.b64encode(bytes(shift) + plain + bytes(-(shift + len(plain)) % 3))
        inner = encoded[4 if shift else 0 : len(encoded) - (4 if (shift + len(plain)) % 3 else 0)]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def find(haystack: bytes, needles: Iterable[str]) -> list[str]:
    """The needles that are in there in whatever form."""
    return [needle for needle in needles if any(form in haystack for form in disguises(needle))]


def scan(directory: Path, needles: Iterable[str]) -> list[tuple[str, str]]:
    """Have another process look for the needles in every file below ``directory``: (file, needle) for each found."""
    request = json.dumps({"directory": str(directory), "needles": list(needles)})
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.scan"],
        cwd=ROOT,
        input=request,
        capture_output=True,
        text=True,
        check=True,
    )
    return [(str(file), str(needle)) for file, needle in json.loads(done.stdout)]


def main() -> None:
    """The other process."""
    request = json.load(sys.stdin)
    files = [path for path in sorted(Path(request["directory"]).rglob("*")) if path.is_file()]
    found = []
    for path in files:
        haystack = path.read_bytes() + b"\0" + path.name.encode()
        found += [(path.name, needle) for needle in find(haystack, request["needles"])]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
