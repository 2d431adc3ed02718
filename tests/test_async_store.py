"""AsyncStore: the same methods as Store, carried out beside the event loop, and safe to cancel."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import consentprofile as cp
from consentprofile.async_audit import AsyncAudit
from tests.usecases.scene import ACCOUNT, AGENT, NEW, NOW, POLICY, Clock, event


def run(work: Coroutine[object, object, None]) -> None:
    """Run ``work`` in an event loop of its own."""
    asyncio.run(work)


class Setting:
    """Where a store is, and how to open it."""

    def __init__(self, folder: Path) -> None:
        (folder / "policy.toml").write_text(POLICY, encoding="utf-8")
        self.policy = folder / "policy.toml"
        self.path = folder / "store"
        self.key = cp.KeyFile(folder / "key")
        self.clock = Clock()

    async def create(self) -> cp.AsyncStore:
        return await cp.AsyncStore.create(self.path, policy=self.policy, key=self.key, clock=self.clock)

    def open(self, wait: float = 5.0) -> cp.Store:
        return cp.Store.open(self.path, key=self.key, clock=self.clock, wait=wait)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


# ---- the same face ------------------------------------------------------------------------------


def public(face: type) -> dict[str, object]:
    """What a class offers its users."""
    return {name: inspect.getattr_static(face, name) for name in dir(face) if not name.startswith("_")}


def parameters(member: object) -> list[inspect.Parameter]:
    function = member.__func__ if isinstance(member, classmethod) else member
    assert callable(function)
    return list(inspect.signature(function).parameters.values())


@pytest.mark.parametrize(
    ("face", "async_face"), [(cp.Store, cp.AsyncStore), (cp.View, cp.AsyncView), (cp.Audit, AsyncAudit)]
)
def test_it_has_exactly_the_methods_of_the_other_with_the_same_parameters(face: type, async_face: type) -> None:
    mine, theirs = public(async_face), public(face)
    assert set(mine) == set(theirs)
    for name, member in theirs.items():
        if isinstance(member, property):
            assert isinstance(mine[name], property), name
        else:
            assert type(mine[name]) is type(member), name
            assert parameters(mine[name]) == parameters(member), name


def test_every_method_of_the_audit_log_but_the_iterators_is_a_coroutine() -> None:
    for name, member in public(AsyncAudit).items():
        if name in ("log", "actor"):
            assert inspect.isasyncgenfunction(member)
        elif not isinstance(member, property):
            assert inspect.iscoroutinefunction(member), name


def test_every_method_but_the_iterators_is_a_coroutine() -> None:
    for name, member in public(cp.AsyncStore).items():
        function = member.__func__ if isinstance(member, classmethod) else member
        if name != "view" and not isinstance(member, property):
            assert inspect.iscoroutinefunction(function), name


def test_a_whole_life_of_a_store(setting: Setting, tmp_path: Path) -> None:
    async def life() -> None:
        async with await setting.create() as store:
            assert store.policy.controller.name == "Example Shop GmbH"
            await store.give_consent(ACCOUNT, ["support", "marketing"], notice=NEW, method="signup form")
            assert (await store.record(event("purchase", total=7)))["support"] is cp.Outcome.RECORDED
            summary = await store.record_many([event(id="e-1"), event(id="e-1")])
            assert summary.events == 2
            async with store.view("support", AGENT, "ticket") as view:
                profile, events = await view.profile(ACCOUNT), await view.events(ACCOUNT)
                assert (view.purpose, repr(view)) == ("support", "<AsyncView of 'support'>")
            assert profile is not None
            assert events is not None
            assert profile.events == len(events) == 2
            ended = await store.withdraw_consent(ACCOUNT, ["marketing"])
            assert ended.consents["marketing"].state == "withdrawn"
            assert cp.open_certificate(ended.file, store.audit.public_key).statement.purposes == ("marketing",)
            assert (await store.access(ACCOUNT)).account == ACCOUNT
            assert (await store.plan_erasure(ACCOUNT)).found == 1
            assert (await store.erase(ACCOUNT, reference="request 1")).found == 1
            leaves = [leaf async for leaf in store.audit.log()]
            assert (await store.audit.verify()).size == len(leaves)
            assert [leaf async for leaf in store.audit.log(3)] == leaves[3:]
            assert (await store.check()).is_clean
            await store.back_up_keyring(tmp_path / "keys.backup")
            assert repr(store) == "<AsyncStore, open>"
        assert repr(store) == "<AsyncStore, closed>"
        await store.close()
        with pytest.raises(cp.StoreClosed):
            await store.statistics()

    run(life())


def test_errors_are_the_same(setting: Setting) -> None:
    async def wrong() -> None:
        async with await setting.create() as store:
            with pytest.raises(cp.RoleNotAllowed):
                async with store.view("support", "marketer:1"):
                    pytest.fail("the view opened")
            with pytest.raises(cp.InvalidEvent) as refused:
                await store.record_many([event(), event("undeclared")], batch_size=1)
            assert (refused.value.index, refused.value.committed) == (1, 1)
            with pytest.raises(cp.StoreExists):
                await setting.create()
        with pytest.raises(cp.KeyUnavailable):
            await cp.AsyncStore.open(setting.path, key=cp.KeyFile(setting.path / "missing"))

    run(wrong())


def test_the_long_audit_log_is_fetched_in_pages(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consentprofile.async_audit.PAGE", 3)

    async def read() -> None:
        async with await setting.create() as store:
            for _ in range(5):
                await store.consents(ACCOUNT)
            assert [leaf.sequence async for leaf in store.audit.log()] == list(range(7))

    run(read())


def test_the_audit_log_is_proved_to_outsiders_as_by_the_other_face(setting: Setting, tmp_path: Path) -> None:
    async def prove() -> None:
        async with await consenting(setting) as store:
            seen = await store.audit.checkpoint()
            async with store.view("support", AGENT, "ticket 9") as view:
                await view.profile(ACCOUNT)
            read, _asked = await store.audit.account(ACCOUNT)
            assert (read.actor, read.reason) == (AGENT, "ticket 9")
            assert [trace.operation async for trace in store.audit.actor(AGENT)] == ["read"]
            assert [trace async for trace in store.audit.actor(AGENT, until=NOW)] == []
            erased = await store.erase(ACCOUNT)
            assert await store.audit.certificate(erased.leaves)
            assert await store.audit.extends(seen) == 3
            assert (await store.audit.prove(2)).startswith(b"c2sp.org/tlog-proof@v1\nindex 2\n")
            told: list[int] = []
            exported = await store.audit.export(tmp_path / "out", told.append)
            assert told
            assert exported.size == (await store.audit.verify()).size
            assert repr(store.audit) == "<AsyncAudit>"

    run(prove())


def test_the_actor_book_is_fetched_in_pages_and_asking_is_noted_once(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consentprofile.async_audit.PAGE", 2)

    async def read() -> None:
        async with await consenting(setting) as store:
            async with store.view("support", AGENT) as view:
                for _ in range(5):
                    await view.profile(ACCOUNT)
            assert [trace.operation async for trace in store.audit.actor(AGENT)] == ["read"] * 5
            leaves = [leaf.operation async for leaf in store.audit.log()]
            assert leaves.count("audit-read") == 1

    run(read())


def test_many_tasks_may_use_one_store_at_once(setting: Setting) -> None:
    async def crowd() -> None:
        async with await setting.create() as store:
            await asyncio.gather(
                *(store.give_consent(f"acct-{n}", ["support"], notice=NEW, method="form") for n in range(20))
            )
            await asyncio.gather(*(store.record(event(account=f"acct-{n % 20}", id=f"e-{n}")) for n in range(100)))
            async with store.view("support", AGENT) as view:
                profiles = await asyncio.gather(*(view.profile(f"acct-{n}") for n in range(20)))
            assert [profile.events for profile in profiles if profile is not None] == [5] * 20

    run(crowd())


# ---- the event loop and cancelling --------------------------------------------------------------


class Stuck:
    """An iterable that lets the caller know when it is being consumed, and waits to go on."""

    def __init__(self, after: int) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._after = after
        self.produced = 0

    def __iter__(self) -> Iterator[cp.Event]:
        while True:
            if self.produced == self._after:
                self.reached.set()
                assert self.go_on.wait(20)
            self.produced += 1
            yield event(id=f"e-{self.produced}")


async def consenting(setting: Setting) -> cp.AsyncStore:
    store = await setting.create()
    await store.give_consent(ACCOUNT, ["support"], notice=NEW, method="form")
    return store


async def reached(thread_event: threading.Event) -> None:
    assert await asyncio.to_thread(thread_event.wait, 20)


def test_the_event_loop_goes_on_while_a_call_works(setting: Setting) -> None:
    async def both() -> None:
        async with await consenting(setting) as store:
            stuck = Stuck(after=1)
            task = asyncio.create_task(store.record_many(stuck, batch_size=2))
            await reached(stuck.reached)  # the loop runs, or this would never return
            task.cancel()
            stuck.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(both())


def test_a_cancelled_await_ends_with_its_call_and_leaves_no_lock_held(setting: Setting) -> None:
    """Another process that does not wait at all finds the store free, and whole batches only."""

    async def cancel() -> None:
        async with await consenting(setting) as store:
            stuck = Stuck(after=5)
            task = asyncio.create_task(store.record_many(stuck, batch_size=2))
            await reached(stuck.reached)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()  # impatience makes no difference
            await asyncio.sleep(0)
            assert not task.done()
            stuck.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            produced = stuck.produced
            with setting.open(wait=0) as other, other.view("support", AGENT) as view:
                events = view.events(ACCOUNT)
            assert events is not None
            assert len(events) == 4
            assert (await store.check()).is_clean
            assert (await store.record(event()))["support"] is cp.Outcome.RECORDED
            assert stuck.produced == produced <= 6

    run(cancel())


def test_cancelling_while_another_process_holds_the_lock_is_no_worse(setting: Setting) -> None:
    async def cancel() -> None:
        async with await consenting(setting) as store:
            with setting.open() as other:
                with other._session.ground.files.writing():
                    task = asyncio.create_task(store.record(event()))
                    await asyncio.sleep(0.05)
                    task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                with other.view("support", AGENT) as view:
                    assert view.profile(ACCOUNT) is not None

    run(cancel())


def test_a_store_whose_opening_was_cancelled_is_closed(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[cp.Store] = []
    begun, go_on = threading.Event(), threading.Event()
    opening, closing = cp.Store.open, cp.Store.close

    def slow(path: Path, *, key: cp.KeyProvider, clock: Clock, **_: object) -> cp.Store:
        begun.set()
        assert go_on.wait(20)
        return opening(path, key=key, clock=clock)

    def noted(store: cp.Store) -> None:
        closed.append(store)
        closing(store)

    async def cancel() -> None:
        await (await setting.create()).close()
        monkeypatch.setattr(cp.Store, "open", slow)
        monkeypatch.setattr(cp.Store, "close", noted)
        task = asyncio.create_task(cp.AsyncStore.open(setting.path, key=setting.key, clock=setting.clock))
        await reached(begun)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [repr(store) for store in closed] == ["<Store, closed>"]

    run(cancel())


def test_leaving_a_block_that_was_cancelled_closes_the_store(setting: Setting) -> None:
    entered = asyncio.Event()
    kept: list[cp.AsyncStore] = []

    async def work() -> None:
        async with await consenting(setting) as store:
            kept.append(store)
            entered.set()
            await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert repr(kept[0]) == "<AsyncStore, closed>"

    run(cancel())


Long = Callable[[cp.AsyncStore, Callable[..., None], Path], Awaitable[object]]
LONG: dict[str, Long] = {
    "give_consents": lambda store, tell, _: store.give_consents(
        [cp.Decision(account=ACCOUNT, purposes=("support",), notice=NEW, method="form")] * 3, progress=tell
    ),
    "record_many": lambda store, tell, _: store.record_many([event()] * 3, batch_size=1, progress=tell),
    "audit.verify": lambda store, tell, _: store.audit.verify(tell),
    "audit.export": lambda store, tell, file: store.audit.export(
        file.parent / f"out-{len([*file.parent.iterdir()])}", tell
    ),
    "check": lambda store, tell, _: store.check(progress=tell),
    "import_consents": lambda store, tell, file: store.import_consents(file, progress=tell),
}


@pytest.mark.parametrize("work", LONG.values(), ids=LONG)
def test_long_work_tells_its_progress_and_stops_at_the_next_place_when_cancelled(
    setting: Setting, tmp_path: Path, work: Long
) -> None:
    rows = "at,account,act,purposes,notice,method\n"
    (tmp_path / "consents.csv").write_text(rows + f"2024-03-01T00:00:00Z,a-1,give,support,{NEW},form\n" * 2_000)

    async def cancel() -> None:
        async with await consenting(setting) as store:
            told: list[object] = []
            await work(store, lambda *now: told.append(now), tmp_path / "consents.csv")
            assert told
            begun, go_on = threading.Event(), threading.Event()
            after: list[object] = []

            def stop(*now: object) -> None:
                after.append(now)
                begun.set()
                assert go_on.wait(20)

            async def working() -> None:
                await work(store, stop, tmp_path / "consents.csv")

            task = asyncio.create_task(working())
            await reached(begun)
            task.cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(after) == 1
            assert (await store.check()).is_clean

    run(cancel())


def test_the_clock_is_read_when_a_call_is_made(setting: Setting) -> None:
    async def later() -> None:
        async with await consenting(setting) as store:
            setting.clock.now = NOW + timedelta(days=365)
            assert (await store.consents(ACCOUNT))["support"].state == "expired"
            assert (await store.upkeep.plan_expiry()).dying == 0

    run(later())


def test_the_audit_log_may_be_left_early(setting: Setting) -> None:
    async def read() -> None:
        async with await setting.create() as store:
            leaves: AsyncIterator[cp.LogEntry] = store.audit.log()
            assert (await anext(leaves)).operation == "store-created"

    run(read())
