"""Every call that changes files, of SQLite and of Python, told to a watcher before it is made.

For a child process that does nothing else: what is put in place here is never taken away again. SQLite's calls come
through a copy of its own VFS, whose files have other methods; the sync of a directory, which the VFS makes by itself,
through its table of system calls. Python's come through its audit events, and through :mod:`os` where there are none.

What a watcher answers decides: nothing, and the call is made; an ``errno``, and it fails with it without being made.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from ctypes import POINTER, addressof, c_char_p, c_void_p, cast
from typing import Final, Literal, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

from tests.faults import sqlite_abi as abi

Kind: TypeAlias = Literal[
    "create", "write", "truncate", "sync", "unlink", "sync directory", "map",
    "rename", "link", "mkdir", "rmdir", "chmod",
]  # fmt: skip
P = ParamSpec("P")
T = TypeVar("T")

BROKEN: Final = 99
"""What a process ends with when something goes wrong in here."""

_CODES: Final[dict[Kind, int]] = {
    "create": abi.CANTOPEN,
    "write": abi.IOERR_WRITE,
    "truncate": abi.IOERR_TRUNCATE,
    "sync": abi.IOERR_FSYNC,
    "unlink": abi.IOERR_DELETE,
    "map": abi.IOERR_SHMMAP,
}
"""What SQLite's own VFS makes of a system call that fails."""

_AUDITED: Final[dict[str, Kind]] = {
    "os.rename": "rename",
    "os.link": "link",
    "os.remove": "unlink",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.truncate": "truncate",
    "os.chmod": "chmod",
}
_WRITING: Final = os.O_CREAT | os.O_TRUNC


class Call(NamedTuple):
    """A call that changes a file: where, and what is written. Paths are absolute; ``target`` is a new name of ``path``.

    ``offset`` is where a write begins, or the size that a file is cut to.
    """

    kind: Kind
    path: str
    offset: int = 0
    data: bytes = b""
    target: str = ""


class Watcher(Protocol):
    """Is told of each call before it is made."""

    def __call__(self, call: Call) -> int:
        """0 to let the call be made, or the ``errno`` with which it fails."""
        ...


class Interposed:
    """The calls of this process from now on, told to ``watcher``; which can be changed, and is None to let all be."""

    def __init__(self) -> None:
        self.watcher: Watcher | None = None
        self._paths: dict[int, str] = {}
        self._methods: dict[int, abi.IoMethods] = {}
        self._kept: list[object] = []
        self._interpose_sqlite()
        self._interpose_python()
        self._prove()

    def tell(self, call: Call) -> int:
        """Let the watcher judge a call."""
        return 0 if self.watcher is None else self.watcher(call)

    # ---- SQLite ----------------------------------------------------------------------------------

    def _interpose_sqlite(self) -> None:
        sqlite = abi.library()
        self._vfs = sqlite.sqlite3_vfs_find(None)
        own = abi.Vfs.from_buffer_copy(self._vfs.contents)
        if own.iVersion < 3:
            raise RuntimeError("the VFS of this SQLite is older than version 3; use another build of Python")
        own.zName, own.pNext = b"interposed", None
        own.xOpen = self._keep(abi.Open(self._open))
        own.xDelete = self._keep(abi.Delete(self._delete))
        self._interpose_directory()
        self._kept.append(own)
        if sqlite.sqlite3_vfs_register(ctypes.byref(own), 1) != abi.OK:
            raise RuntimeError("this SQLite takes no other VFS; use another build of Python")

    def _interpose_directory(self) -> None:
        """The directory is synced after its file was unlinked, or a journal first synced, in the same call."""
        vfs = self._vfs.contents
        opening = abi.GetSystemCall(vfs.xGetSystemCall)(addressof(vfs), b"openDirectory")
        if not opening:
            raise RuntimeError("this SQLite does not sync directories as the tests know it; use another build")
        original = abi.OpenDirectory(opening)

        def open_directory(path: bytes, descriptor: object) -> int:
            failed = self.tell(Call("sync directory", os.path.dirname(os.fsdecode(path))))
            if failed:  # a pipe cannot be synced, and that is told as an error of the sync
                reading, writing = os.pipe()
                os.close(writing)
                cast(descriptor, POINTER(ctypes.c_int))[0] = reading  # type: ignore[arg-type]
                return abi.OK
            return int(original(path, descriptor))

        replacement = self._keep(abi.OpenDirectory(_guarded(open_directory)))
        if abi.SetSystemCall(vfs.xSetSystemCall)(addressof(vfs), b"openDirectory", replacement) != abi.OK:
            raise RuntimeError("this SQLite does not let its system calls be replaced; use another build of Python")

    def _keep(self, function: object) -> int | None:
        """The address of a function that must live as long as the process."""
        self._kept.append(function)
        return cast(function, c_void_p).value  # type: ignore[arg-type]

    def _open(self, vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        path = "" if not name else os.fsdecode(cast(name, c_char_p).value or b"")
        if path and flags & abi.OPEN_CREATE and not os.path.exists(path):
            failed = self._judge(Call("create", path))
            if failed:
                return failed
        original = abi.Open(self._vfs.contents.xOpen)
        done = int(original(addressof(self._vfs.contents), name, file, flags, out))
        opened = abi.File.from_address(file)
        if done == abi.OK and path and opened.pMethods:
            self._paths[file] = path
            opened.pMethods = addressof(self._methods_over(opened.pMethods))
        return done

    def _delete(self, vfs: int, path: bytes, sync: int) -> int:
        failed = self._judge(Call("unlink", os.fsdecode(path))) if os.path.exists(path) else 0
        return failed or int(abi.Delete(self._vfs.contents.xDelete)(addressof(self._vfs.contents), path, sync))

    def _methods_over(self, original: int) -> abi.IoMethods:
        found = self._methods.get(original)
        if found is None:
            theirs = abi.IoMethods.from_address(original)
            found = self._methods[original] = abi.IoMethods.from_buffer_copy(theirs)
            write, truncate = abi.Write(theirs.xWrite), abi.Truncate(theirs.xTruncate)
            sync, share = abi.Sync(theirs.xSync), abi.MapShared(theirs.xShmMap) if theirs.xShmMap else None

            def on_write(file: int, data: int, size: int, offset: int) -> int:
                call = Call("write", self._paths[file], offset, ctypes.string_at(data, size))
                return self._judge(call) or int(write(file, data, size, offset))

            def on_truncate(file: int, size: int) -> int:
                return self._judge(Call("truncate", self._paths[file], size)) or int(truncate(file, size))

            def on_sync(file: int, flags: int) -> int:
                return self._judge(Call("sync", self._paths[file])) or int(sync(file, flags))

            def on_map(file: int, region: int, size: int, extend: int, out: int) -> int:
                assert share is not None
                failed = self._judge(Call("map", self._paths[file] + "-shm", region * size)) if extend else 0
                return failed or int(share(file, region, size, extend, out))

            found.xWrite = self._keep(abi.Write(_guarded(on_write)))
            found.xTruncate = self._keep(abi.Truncate(_guarded(on_truncate)))
            found.xSync = self._keep(abi.Sync(_guarded(on_sync)))
            if share is not None:
                found.xShmMap = self._keep(abi.MapShared(_guarded(on_map)))
        return found

    def _judge(self, call: Call) -> int:
        """The code with which SQLite is told that the call failed, or 0."""
        failed = self.tell(call)
        if failed == errno.ENOSPC and call.kind == "write":
            return abi.FULL
        return _CODES[call.kind] if failed else abi.OK

    # ---- Python ----------------------------------------------------------------------------------

    def _interpose_python(self) -> None:
        sys.addaudithook(self._audit)
        os.fsync = self._over(os.fsync, "sync")
        os.write = self._over(os.write, "write")

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.watcher is None:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and isinstance(path, str | bytes | os.PathLike):
                self._require(Call("create", _absolute(path)))
        elif event in _AUDITED and isinstance(arguments[0], str | bytes | os.PathLike):
            target = _absolute(arguments[1]) if event in ("os.rename", "os.link") else ""
            self._require(Call(_AUDITED[event], _absolute(arguments[0]), target=target))

    def _over(self, original: Callable[P, T], kind: Kind) -> Callable[P, T]:
        def told(*arguments: P.args, **named: P.kwargs) -> T:
            path = "" if self.watcher is None else _path_of(arguments[0])
            if path:
                known: Kind = "sync directory" if kind == "sync" and os.path.isdir(path) else kind
                data = arguments[1] if len(arguments) > 1 else b""
                self._require(Call(known, path, data=data if isinstance(data, bytes) else b""))
            return original(*arguments, **named)

        return told

    def _require(self, call: Call) -> None:
        failed = self.tell(call)
        if failed:
            raise OSError(failed, os.strerror(failed))

    # ---- proof -----------------------------------------------------------------------------------

    def _prove(self) -> None:
        """Raise :class:`RuntimeError` unless a database that Python opens now comes by here."""
        seen: set[str] = set()

        def watch(call: Call) -> int:
            seen.add(call.kind)
            return errno.EIO if call.kind == "create" else 0

        self.watcher = watch
        with suppress(sqlite3.OperationalError):
            sqlite3.connect("/nonexistent-consentprofile/database").close()
        self.watcher = None
        if seen != {"create"}:
            raise RuntimeError("SQLite's calls do not come by the tests; use another build of Python")


def _absolute(path: object) -> str:
    assert isinstance(path, str | bytes | os.PathLike)
    return os.path.abspath(os.fsdecode(path))


def _path_of(descriptor: object) -> str:
    """The file or directory behind a descriptor; empty for a pipe or a terminal."""
    assert isinstance(descriptor, int)
    if sys.platform == "darwin":
        import fcntl

        path = os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    else:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
    return path if path.startswith("/") and os.path.exists(path) else ""


def _guarded(function: Callable[P, int]) -> Callable[P, int]:
    """An exception cannot pass through SQLite: it ends the process, and is seen."""

    def call(*arguments: P.args, **named: P.kwargs) -> int:
        try:
            return function(*arguments, **named)
        except BaseException:  # noqa: BLE001 - nobody above could catch it
            traceback.print_exc()
            os._exit(BROKEN)

    return call
