"""Settling: what a restore has left is settled once, by whoever comes first, and everybody gets in."""

from __future__ import annotations

import threading
from pathlib import Path

from consentprofile.store.locks import ALIVE, FileLock
from consentprofile.store.names import PART
from consentprofile.store.settling import enter, settle

LONG = 60.0


def test_whoever_waits_to_settle_what_another_one_settles_comes_in_beside_that_one(tmp_path: Path) -> None:
    """Of two who open a store after a restore was killed, one settles it, and then has the store open for long."""
    (tmp_path / PART).mkdir()
    first, second = (FileLock(tmp_path / ALIVE, wait=LONG) for _ in range(2))
    first.acquire(shared=True)  # it has settled, as far as the second can tell, but for the last look
    waiting, let_go = threading.Event(), second.release

    def release() -> None:
        let_go()
        waiting.set()

    second.release = release  # type: ignore[method-assign]
    coming = threading.Thread(target=enter, args=(tmp_path, second), daemon=True)
    coming.start()
    assert waiting.wait(LONG)  # it has seen what is left, and wants the lock alone
    settle(tmp_path)
    coming.join(LONG / 6)
    assert not coming.is_alive()
    third = FileLock(tmp_path / ALIVE, wait=0.0)
    third.acquire(shared=True)  # both share it
    for lock in (first, second, third):
        lock.close()
