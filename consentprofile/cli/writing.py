"""Files that a command writes: whole or not at all, and never over another."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

import consentprofile as cp

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
_FOLDER: Final = {PRIVATE: 0o700, PUBLIC: 0o755}


def require_free(target: Path, what: str) -> None:
    """Before anything is done: an answer that cannot be written would be in vain. Raises :class:`InputError`."""
    if os.path.lexists(target):
        raise cp.InputError(f"{what} is there already; it is never overwritten")
    if target.parent.exists() and not target.parent.is_dir():
        raise cp.InputError("the place for the answer is taken by something that is no folder")


def require_folder(folder: Path) -> None:
    """Make a folder for files that name nobody but are for their owner alone (mode 0700), if it is not there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise cp.InputError(f"the folder cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise cp.InputError("the folder cannot be written to")


def write_new(target: Path, data: bytes, what: str, *, mode: int = PRIVATE, after: str = "") -> None:
    """Write a new file, ``what`` in messages, in a folder that is made if it is not there.

    ``after`` says what to do next where writing fails. Raises :class:`InputError`.
    """
    made = False
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        if not target.parent.exists():
            target.parent.mkdir(mode=_FOLDER[mode], parents=True)
            made = True
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(beside, target)  # unlike a rename it fails where a file has come into being meanwhile
        finally:
            beside.unlink()
    except OSError as error:
        if made:
            target.parent.rmdir()
        raise cp.InputError(f"{what} cannot be written: {error.strerror}{after}") from None


def replace(target: Path, data: bytes, what: str) -> None:
    """Write a file that anybody may read, over an older one if there is one. Raises :class:`InputError`."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PUBLIC)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cp.InputError(f"{what} cannot be written: {error.strerror}") from None


def reissue(leaves: Sequence[int]) -> str:
    """The command that makes a certificate once more."""
    return "consentprofile audit certificate " + " ".join(str(leaf) for leaf in dict.fromkeys((leaves[0], leaves[-1])))


def document(certificate: bytes) -> msgspec.Raw:
    """A certificate as a part of a JSON document: its bytes as they are, without the newline that ends the file."""
    return msgspec.Raw(certificate.removesuffix(b"\n"))
