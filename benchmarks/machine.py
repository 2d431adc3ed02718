"""What it ran on: the machine and the versions that a figure means nothing without."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.backends.openssl import backend

from benchmarks.peers import cipher
from consentprofile import __version__

_PACKAGES: Final = (
    "cryptography", "msgspec", "numpy", "sqlcipher3-wheels", "sqlalchemy", "pandas", "polars", "pyarrow",
)  # fmt: skip


def describe(folder: Path) -> Iterator[tuple[str, str]]:
    """(what, which) of the machine, of ``folder``'s file system and of every library whose speed counts."""
    yield "processor", f"{_processor()}, {os.cpu_count()} cores seen, {len(_usable())} usable"
    yield "memory", _memory()
    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield "file system", _file_system(folder)
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}"
    yield "SQLite", sqlite3.sqlite_version
    yield "SQLCipher", _cipher_version()
    yield "OpenSSL of cryptography", backend.openssl_version_text()
    others = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    yield "packages", f"consentprofile {__version__}, {others}"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _usable() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (OSError, ValueError):
        return "unknown"


def _file_system(folder: Path) -> str:
    """The type of the file system that ``folder`` is on: a tmpfs has no disk, and no figure of it is a disk's."""
    best, kind = -1, "unknown"
    target = os.fspath(folder.resolve())
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
            _, mount, found = line.split(" ")[:3]
            inside = mount in ("/", target) or target.startswith(mount + "/")
            if inside and len(mount) >= best:
                best, kind = len(mount), found
    return kind


def _cipher_version() -> str:
    connect = cipher()
    if connect is None:
        return "not installed, not measured"
    connection = connect(":memory:")
    (version,) = connection.execute("PRAGMA cipher_version").fetchone()
    (sqlite,) = connection.execute("SELECT sqlite_version()").fetchone()
    connection.close()
    return f"{version} on SQLite {sqlite}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
