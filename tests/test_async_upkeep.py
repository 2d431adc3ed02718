"""Upkeep for asyncio: the same methods, and a cancelled run ends between two slices."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.usecases import retention
from tests.usecases.scene import Scene, event

JULY = datetime(2024, 7, 5, tzinfo=UTC)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A store with four accounts, each with an event of March, in July; closed, for the event loop opens it."""
    made = Scene(tmp_path)
    for number in range(4):
        made.give("support", account=f"acct-{number}")
        made.store.record(event(account=f"acct-{number}"))
    made.clock.now = JULY
    made.store.consents("nobody")
    made.store.close()
    yield made
    made.store.close()


async def opened(scene: Scene) -> cp.AsyncStore:
    return await cp.AsyncStore.open(scene.folder / "store", key=scene.key, clock=scene.clock)


def test_it_has_the_methods_of_the_other_one_as_coroutines() -> None:
    for name, method in inspect.getmembers(cp.Upkeep, inspect.isfunction):
        if not name.startswith("_"):
            found = getattr(cp.AsyncUpkeep, name)
            assert inspect.iscoroutinefunction(found)
            assert inspect.signature(found).parameters == inspect.signature(method).parameters
            assert f"As :meth:`Upkeep.{name}`" in (found.__doc__ or "")


def test_everything_is_done_as_without_asyncio(scene: Scene) -> None:
    async def work() -> None:
        async with await opened(scene) as store:
            upkeep = store.upkeep
            assert repr(upkeep) == "<AsyncUpkeep>"
            assert (await upkeep.plan_retention()).due == 4
            told: list[tuple[int, int]] = []
            done = await upkeep.run_retention(attended=True, progress=lambda *counts: told.append(counts))
            assert (done.resealed, done.emptied, told) == (4, 4, [(4, 4)])
            assert (await upkeep.plan_expiry()).dying == 0
            assert (await upkeep.expire_consents()).dying == 0
            assert await upkeep.step() is False
            assert await upkeep.compact(everything=True, progress=lambda moved: None) == cp.Compacted()
            await upkeep.start(every=3600)
            await upkeep.stop()

    asyncio.run(work())


def test_a_cancelled_run_ends_between_two_changes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TOGETHER", 1)

    async def work() -> None:
        async with await opened(scene) as store:
            loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

            def tell(done: int, due: int) -> None:
                if done == 2:
                    loop.call_soon_threadsafe(begun.set)
                    assert go_on.wait(30)

            task = asyncio.create_task(store.upkeep.run_retention(attended=True, progress=tell))
            await begun.wait()
            task.cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await store.upkeep.plan_retention()).due == 1  # the third was under way
            assert (await store.check()).is_clean

    asyncio.run(work())
