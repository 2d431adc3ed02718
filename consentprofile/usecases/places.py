"""The places of a store, looked at from outside: who may read its files and its key, and what lies beside them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from consentprofile.store.ports import DATA, FILES, KEYS, PART, WHOLE

OTHERS: Final = 0o077
"""What the group and everybody else may do."""

LARGE_WAL: Final = 64 * 1024 * 1024
LITTLE_ROOM: Final = 256 * 1024 * 1024
"""Bytes."""


class Symptom(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be: where, what, and what to do about it."""

    where: str
    what: str
    advice: str


def look(store: Path, key_file: Path | None) -> Iterator[Symptom]:
    """What is wrong with the places of a store and of its key file, if that is named. Nothing is opened or changed."""
    yield from _directory(store)
    for name in FILES:
        yield from _file(store / name, name)
    yield from _company(store)
    yield from _room(store)
    if key_file is not None:
        yield from _key(store, key_file)


def _directory(store: Path) -> Iterator[Symptom]:
    if store.is_symlink():
        what, advice = "is a symbolic link", "name the directory itself, lest the link is turned elsewhere"
        yield Symptom(where="directory", what=what, advice=advice)
    yield from _private(store, "directory", "chmod 700")


def _file(path: Path, name: str) -> Iterator[Symptom]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        advice = "put the file itself there, with the store closed"
        yield Symptom(where=name, what="is not a regular file", advice=advice)
        return
    yield from _private(path, name, "chmod 600")
    if status.st_nlink > 1:
        what, advice = "has another name somewhere: a hard link", "find it (`find -samefile`), and remove it"
        yield Symptom(where=name, what=what, advice=advice)
    if name == DATA + "-wal" and status.st_size > LARGE_WAL:
        what = f"the write-ahead log has grown to {status.st_size:,} bytes"
        advice = (
            "look for a program that has read for long, or end them all: the last one to close the store empties it"
        )
        yield Symptom(where=name, what=what, advice=advice)


def _private(path: Path, where: str, command: str) -> Iterator[Symptom]:
    try:
        status = path.stat()
    except OSError:
        return
    if stat.S_IMODE(status.st_mode) & OTHERS:
        what = f"others may use it: its mode is {stat.S_IMODE(status.st_mode):04o}"
        yield Symptom(where=where, what=what, advice=f"run `{command}` on it, and think who has read it")
    if status.st_uid != os.geteuid():
        what = "belongs to another user than the one who asks"
        advice = "let one user own the store and its key, and run every program as that one"
        yield Symptom(where=where, what=what, advice=advice)


def _company(store: Path) -> Iterator[Symptom]:
    """What else lies in the directory: above all copies of the keyring, which outlive every erasure."""
    try:
        names = set(os.listdir(store))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        yield Symptom(where="directory", what=what, advice="look at its owner and its mode")
        return
    if names & {PART, WHOLE}:
        what = "a restore was interrupted"
        yield Symptom(where="directory", what=what, advice="open the store, with any command: it is settled then")
    foreign = names - set(FILES) - {PART, WHOLE}
    if foreign:
        what = f"{len(foreign)} files lie in it that are not the store's"
        advice = "look what they are, and move them away; a copy of the keyring brings back what is erased later"
        yield Symptom(where="directory", what=what, advice=advice)


def _room(store: Path) -> Iterator[Symptom]:
    try:
        free = shutil.disk_usage(store).free
        needed = max((store / DATA).stat().st_size + (store / KEYS).stat().st_size, LITTLE_ROOM)
    except OSError:
        return
    if free < needed:
        what = f"{free:,} bytes are free; a restore, or compacting everything, may take {needed:,}"
        yield Symptom(where="disk", what=what, advice="make room")


def _key(store: Path, key_file: Path) -> Iterator[Symptom]:
    try:
        status = key_file.stat()
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        yield Symptom(where="key file", what=what, advice="name the key file of this store")
        return
    if not stat.S_ISREG(status.st_mode):
        yield Symptom(where="key file", what="is not a regular file", advice="name the key file of this store")
        return
    yield from _private(key_file, "key file", "chmod 600")
    if key_file.resolve().is_relative_to(store.resolve()):
        what = "lies in the store's directory: whoever copies that has both, and opens everything"
        yield Symptom(where="key file", what=what, advice="keep it elsewhere, and out of the backups of the store")
