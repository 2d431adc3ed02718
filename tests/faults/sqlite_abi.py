"""The two structures through which SQLite reaches files, as ctypes has them, over the library that Python itself uses.

They are those of ``sqlite3.h``: ``sqlite3_vfs`` (version 3) and ``sqlite3_io_methods`` (version 3), which have been the
same since SQLite 3.7.17. Whatever a build lacks is an error, never a skipped test: :func:`library`.
"""

from __future__ import annotations

import ctypes
import sqlite3
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from typing import Final

OK: Final = 0
IOERR_WRITE: Final = 10 | 3 << 8
IOERR_FSYNC: Final = 10 | 4 << 8
IOERR_TRUNCATE: Final = 10 | 6 << 8
IOERR_DELETE: Final = 10 | 10 << 8
IOERR_SHMMAP: Final = 10 | 21 << 8
FULL: Final = 13
CANTOPEN: Final = 14

OPEN_CREATE: Final = 0x04

Open: Final = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
Delete: Final = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
Write: Final = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
Truncate: Final = CFUNCTYPE(c_int, c_void_p, c_int64)
Sync: Final = CFUNCTYPE(c_int, c_void_p, c_int)
MapShared: Final = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, c_void_p)
OpenDirectory: Final = CFUNCTYPE(c_int, c_char_p, POINTER(c_int))
SetSystemCall: Final = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)
GetSystemCall: Final = CFUNCTYPE(c_void_p, c_void_p, c_char_p)


class Vfs(Structure):
    """``sqlite3_vfs``: how files are opened and deleted."""

    _fields_ = (
        ("iVersion", c_int), ("szOsFile", c_int), ("mxPathname", c_int), ("pNext", c_void_p), ("zName", c_char_p),
        ("pAppData", c_void_p), ("xOpen", c_void_p), ("xDelete", c_void_p), ("xAccess", c_void_p),
        ("xFullPathname", c_void_p), ("xDlOpen", c_void_p), ("xDlError", c_void_p), ("xDlSym", c_void_p),
        ("xDlClose", c_void_p), ("xRandomness", c_void_p), ("xSleep", c_void_p), ("xCurrentTime", c_void_p),
        ("xGetLastError", c_void_p), ("xCurrentTimeInt64", c_void_p), ("xSetSystemCall", c_void_p),
        ("xGetSystemCall", c_void_p), ("xNextSystemCall", c_void_p),
    )  # fmt: skip


class IoMethods(Structure):
    """``sqlite3_io_methods``: what is done with an open file."""

    _fields_ = (
        ("iVersion", c_int), ("xClose", c_void_p), ("xRead", c_void_p), ("xWrite", c_void_p), ("xTruncate", c_void_p),
        ("xSync", c_void_p), ("xFileSize", c_void_p), ("xLock", c_void_p), ("xUnlock", c_void_p),
        ("xCheckReservedLock", c_void_p), ("xFileControl", c_void_p), ("xSectorSize", c_void_p),
        ("xDeviceCharacteristics", c_void_p), ("xShmMap", c_void_p), ("xShmLock", c_void_p),
        ("xShmBarrier", c_void_p), ("xShmUnmap", c_void_p), ("xFetch", c_void_p), ("xUnfetch", c_void_p),
    )  # fmt: skip


class File(Structure):
    """``sqlite3_file``: what every open file begins with."""

    _fields_ = (("pMethods", c_void_p),)


def library() -> ctypes.CDLL:
    """The very SQLite that the module ``sqlite3`` runs on, be it linked into that module, into Python, or beside them.

    Raises :class:`RuntimeError` where its functions cannot be reached: faults cannot be made on such a build.
    """
    module = sys.modules["_sqlite3"]
    for place in (getattr(module, "__file__", None), None):
        found = ctypes.CDLL(place)
        if all(hasattr(found, name) for name in ("sqlite3_vfs_find", "sqlite3_vfs_register", "sqlite3_libversion")):
            found.sqlite3_libversion.restype = c_char_p
            found.sqlite3_vfs_find.restype = POINTER(Vfs)
            found.sqlite3_vfs_find.argtypes = (c_char_p,)
            found.sqlite3_vfs_register.argtypes = (POINTER(Vfs), c_int)
            if found.sqlite3_libversion().decode() == sqlite3.sqlite_version:
                return found
    raise RuntimeError("the SQLite of this Python does not let its file calls be watched; use another build of Python")
