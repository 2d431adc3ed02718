"""One call of the SDK on its way through a worker thread: what :mod:`consentprofile.async_client` is made of.

**An await ends when its call has ended**, also where it is cancelled: then no lock of the store is held on its behalf
and nothing goes on behind the caller's back.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Stopped(BaseException):
    """The await was cancelled. Raised in the worker thread only, where nothing is half done; it never leaves here."""


class Call:
    """One call on its way through a worker thread."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def pause(self) -> None:
        """A place where the call may end: the await may have been cancelled."""
        if self._cancelled.is_set():
            raise _Stopped

    def telling(self, progress: Callable[P, None] | None) -> Callable[P, None]:
        """``progress``, with a pause before it is told anything."""

        def tell(*args: P.args, **kwargs: P.kwargs) -> None:
            self.pause()
            if progress is not None:
                progress(*args, **kwargs)

        return tell

    def source(self, items: Iterable[T]) -> Iterator[T]:
        """``items``, with a pause before each: the batch that it would have belonged to is void."""
        for item in items:
            self.pause()
            yield item

    async def run(self, work: Callable[[], T], abandon: Callable[[T], None] | None = None) -> T:
        """Do ``work`` in a worker thread. If the await is cancelled, wait for its end, and ``abandon`` what it made."""

        def begin() -> T:
            self.pause()
            return work()

        # A future, not a task: nobody who cancels all tasks of the loop can make it look done before it is.
        future = asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, begin)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._cancelled.set()
            await _until_done(future)
            if future.exception() is None and abandon is not None:
                abandon(future.result())
            raise


class Closing(Call):
    """A call that is never given up, not even before it has begun."""

    def pause(self) -> None:
        """Go on."""


async def run(work: Callable[[], T]) -> T:
    """Do ``work`` in a worker thread, with nowhere to pause on the way."""
    return await Call().run(work)


async def _until_done(future: asyncio.Future[T]) -> None:
    """Wait for ``future``, however often the waiting is cancelled: the first cancellation is on its way already."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
