"""The face of upkeep: :class:`Upkeep`, had as ``store.upkeep``: what a store needs done from time to time.

None of it changes what anybody may read: a consent that is over and an event past its retention are denied by the clock
from the first second on. Upkeep destroys what is denied, and keeps what is not quick to read.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from consentprofile.errors import ConsentProfileError, InputError, StoreBusy, StoreClosed
from consentprofile.usecases import compaction, expiry, heads, retention
from consentprofile.usecases.session import Session

EVERY: Final = 60.0
"""Seconds that the background thread sleeps when nothing is due."""

PAUSE: Final = 0.005
"""Seconds that it leaves the store to others between two slices: as long as a slice may hold the writer lock."""

_logger: Final = logging.getLogger("consentprofile")


class Upkeep:
    """What an open store needs done from time to time, by whoever it suits: a scheduler, a command, or a thread."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    # ---- compaction ------------------------------------------------------------------------------

    def step(self) -> bool:
        """Do one slice of whatever is due; whether more is. For a scheduler of the app's own: call it when idle.

        The writer lock is held for some 3 ms, with a checkpoint longer. Nothing is ever destroyed by it. Raises
        :class:`StoreBusy`.
        """
        return compaction.step(self._session())

    def compact(
        self, *, everything: bool = False, progress: Callable[[int], None] | None = None
    ) -> compaction.Compacted:
        """Compact blocks until nothing is due; with ``everything``, until they lie as densely as they can.

        No event is lost, and others go on meanwhile: the lock is given back after each slice. ``progress`` is told how
        many blocks have been moved so far.
        """
        return compaction.compact(self._session(), everything=everything, progress=progress)

    # ---- what is over is destroyed ---------------------------------------------------------------

    def plan_retention(self) -> retention.RetentionPlan:
        """What :meth:`run_retention` would do now, without doing it. Opens the compartments that may be due."""
        return retention.plan(self._session())

    def run_retention(
        self, *, attended: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> retention.Retained:
        """Destroy the events that are past their purpose's retention; call it once a month, or more often.

        Each compartment that holds any gets a new key, under which the others are sealed anew, and the old key is
        destroyed: no copy of the data of before opens any more, so **make a new data backup afterwards**. Consents
        stay as they are. ``progress`` is told how many compartments are done, of how many.

        Raises :class:`DestructionStopped` where more than 5 % of the compartments would lose all their events or the
        clock has jumped, unless ``attended``.
        """
        done = retention.run(self._session(), attended=attended, progress=progress)
        heads.checkpoint_if_grown(self._session())
        return done

    def plan_expiry(self) -> expiry.Expiry:
        """What :meth:`expire_consents` would do now, without doing it."""
        return expiry.plan(self._session())

    def expire_consents(self, *, attended: bool = False) -> expiry.Expiry:
        """Destroy the keys of consents whose lifetime and days of grace are over; call it once a day.

        Raises :class:`DestructionStopped` where it would hit more than 5 % of the compartments or the clock has jumped,
        unless ``attended``.
        """
        done = expiry.expire(self._session(), attended=attended)
        heads.checkpoint_if_grown(self._session())
        return done

    # ---- in the background -----------------------------------------------------------------------

    def start(self, every: float = EVERY) -> None:
        """Let a thread call :meth:`step` while anything is due, and look again every ``every`` seconds.

        It ends with :meth:`stop`, when the store is closed, or with the process, which it does not keep alive; a fork
        has none until it starts its own. What goes wrong is logged once for each kind of error, and tried again. A
        second call changes nothing. Raises :class:`InputError`, :class:`StoreClosed`.
        """
        if not every > 0:
            raise InputError("upkeep is done every so many seconds, more than 0")
        self._session()
        if self._thread is not None and self._thread.is_alive():
            return
        # A new event each time: one that a fork inherits may be locked for good.
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(self._stop, every), name="consentprofile-upkeep", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, once the slice that it is at is done. Without a thread it does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            self._stop.set()
            thread.join()

    def _work(self, stop: threading.Event, every: float) -> None:
        told: set[str] = set()
        more = True
        while not stop.wait(PAUSE if more else every):
            more, at_work = False, None
            try:
                at_work = self._session()
                more = compaction.step(at_work)
            except StoreBusy:
                pass  # others are at work: later, then
            except StoreClosed:
                if self._has_ended(at_work):
                    return
                more = True
            except (ConsentProfileError, OSError) as error:
                _tell(error, told)  # the app goes on, slower and slower: whoever reads its log can tell why

    def _has_ended(self, at_work: Session | None) -> bool:
        """Whether the store is closed for good: where its policy was changed meanwhile, it was opened anew."""
        try:
            return self._session() is at_work
        except StoreClosed:
            return True

    def __repr__(self) -> str:
        return "<Upkeep>"


def _tell(error: Exception, told: set[str]) -> None:
    """Log an error the first time that its kind is met. The messages of others may hold anything, ours do not."""
    kind = type(error).__name__
    if kind not in told:
        told.add(kind)
        why = str(error) if isinstance(error, ConsentProfileError) else "an error of the operating system"
        _logger.warning("upkeep in the background could not go on, and will be tried again: %s: %s", kind, why)
