"""A release as files: the bytes, and the folder they are written to, which is there as a whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from consentprofile import canonical
from consentprofile.errors import ReleaseRefused
from consentprofile.release.derived import NAMES as DERIVED_NAMES
from consentprofile.release.dp.manifest import NoisyManifest
from consentprofile.release.dp.protect import Noisy
from consentprofile.release.manifest import Manifest
from consentprofile.release.spec import ReleaseSpec
from consentprofile.release.table import columns, figures, rows
from consentprofile.release.threshold import PublishedCell

DATA_CSV: Final = "data.csv"
DATA_JSON: Final = "data.json"
MANIFEST: Final = "manifest.json"
DATA_FORMAT: Final = 1


Published: TypeAlias = Sequence[PublishedCell] | Noisy
"""What leaves: cells under a threshold, or values with noise."""


def render(spec: ReleaseSpec, published: Published, manifest: Manifest | NoisyManifest) -> dict[str, bytes]:
    """The files of a release by name: the same arguments, the same bytes.

    An empty cell of ``data.csv``, and ``null`` in ``data.json``, means suppressed or zero.
    """
    files = {DATA_CSV: _csv(spec, published), DATA_JSON: _json(spec, published)}
    return files | {MANIFEST: manifest.json(files)}


def _csv(spec: ReleaseSpec, published: Published) -> bytes:
    """RFC 4180 but for line ends (``\\n``), UTF-8, a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(spec))
    for key, shown in rows(spec, published):
        writer.writerow((*key, *("" if figure is None else figure for figure in shown)))
    return text.getvalue().encode()


def _json(spec: ReleaseSpec, published: Published) -> bytes:
    """Canonical JSON."""
    names = figures(spec)
    cells = [
        {"key": dict(zip(spec.columns, key, strict=True)), **dict(zip(names, shown, strict=True))}
        for key, shown in rows(spec, published)
    ]
    return canonical.json_bytes({"format": DATA_FORMAT, "columns": columns(spec), "cells": cells})


# ---- the folder ---------------------------------------------------------------------------------


def write_folder(files: Mapping[str, bytes], out: Path, derived: Mapping[str, bytes] = MappingProxyType({})) -> None:
    """Make the folder ``out`` hold ``files``, durably, and ``derived`` ones beside them; folders above are made.

    A folder that holds just these bytes is left as it is, but for derived files, which are made anew there.
    :class:`ReleaseRefused` for one that holds anything else, for something that is no folder, and where it cannot be
    written; then nothing is left behind.
    """
    if any(Path(name).name != name for name in (*files, *derived)):
        raise ValueError("a file of a release has a plain name")
    target = Path(os.path.realpath(out))
    made: list[Path] = []
    try:
        if not _settled(files, target):
            made = _make_folders(target.parent)
            _write_beside({**files, **derived}, files, target)
        _renew(derived, target)
    except OSError as error:
        _unmake_folders(made)
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise ReleaseRefused(f"the folder for the release cannot be written: {reason}") from error
    except BaseException:
        _unmake_folders(made)
        raise


def _settled(files: Mapping[str, bytes], target: Path) -> bool:
    """Whether ``target`` holds just these bytes already, derived files aside; False where there is room for them."""
    if not os.path.lexists(target):
        return False
    if not target.is_dir():
        raise ReleaseRefused("the place for the release is taken by something that is no folder; choose another")
    found = sorted(target.iterdir())
    if not found:
        return False
    published = [path for path in found if path.name not in DERIVED_NAMES]
    if [path.name for path in published] == sorted(files) and all(
        path.is_file() and path.read_bytes() == files[path.name] for path in published
    ):
        return True
    raise ReleaseRefused("the folder for the release holds something else; choose another, or empty it")


def _write_beside(every: Mapping[str, bytes], files: Mapping[str, bytes], target: Path) -> None:
    """Write a new folder beside ``target`` and rename it: readers see no folder, or a whole one."""
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    beside.mkdir()
    try:
        for name, data in every.items():
            _write(beside / name, data)
        _sync(beside)
        try:
            os.rename(beside, target)  # an empty folder is replaced, one with anything in it is not
        except OSError:
            if not _settled(files, target):  # else somebody else has just written the same
                raise
            shutil.rmtree(beside)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _renew(derived: Mapping[str, bytes], target: Path) -> None:
    """Put derived files into a folder of the same release, each whole or not at all; ``derived.json`` is the last."""
    stale = {name: data for name, data in derived.items() if not _holds(target / name, data)}
    for name, data in stale.items():
        beside = target.parent / f".{name}.{secrets.token_hex(8)}"
        try:
            _write(beside, data)
            os.replace(beside, target / name)
        finally:
            beside.unlink(missing_ok=True)
    if stale:
        _sync(target)


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _write(path: Path, data: bytes) -> None:
    """A new file, durably."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _make_folders(folder: Path) -> list[Path]:
    """Make ``folder`` and those above it; answer the ones that were missing, lowest first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    try:
        for path in reversed(missing):
            path.mkdir()
            made.insert(0, path)
            _sync(path.parent)
    except BaseException:
        _unmake_folders(made)
        raise
    return made


def _unmake_folders(made: Sequence[Path]) -> None:
    """Remove folders that were made here, unless somebody has put something into them meanwhile."""
    for path in made:
        try:
            path.rmdir()
        except OSError:
            return


def _sync(folder: Path) -> None:
    """Make names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
