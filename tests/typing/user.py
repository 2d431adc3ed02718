"""The public face as a user writes it. Never run: the type checker reads it, in its strictest mode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type

import consentprofile as cp


def store(path: Path) -> None:
    key: cp.KeyProvider = cp.KeyFile(path / "key")
    with cp.Store.create(path, policy="policy.toml", key=key, durability="relaxed", wait=1) as made:
        assert_type(made, cp.Store)
    opened = cp.Store.open(str(path), key=cp.EnvKey("KEY"), clock=lambda: datetime.now(UTC))
    assert_type(opened, cp.Store)
    cp.Store.open(path, key=key, durability="sometimes")  # type: ignore[arg-type]
    cp.Store.open(path, key="secret")  # type: ignore[arg-type]
    service = cp.Capability(path / "support.cap", passphrase=cp.Passphrase(lambda: "asked"))
    assert_type(cp.Store.open(path, key=service), cp.Store)
    assert_type(opened.issue_capability("support.cap", ["support"], "app"), cp.IssuedCapability)
    cp.Capability(path / "support.cap", passphrase="typed")  # type: ignore[arg-type]
    cp.Store.open(path)  # type: ignore[call-arg]


def consent(store: cp.Store) -> None:
    assert_type(store.give_consent("a", ["p"], notice="n", method="m"), dict[str, cp.Consent])
    store.give_consent("a", ["p"])  # type: ignore[call-arg]
    decisions = (cp.Decision(account=name, purposes=("p",), act=cp.Act.GIVE, notice="n") for name in "abc")
    assert_type(store.give_consents(decisions), int)
    stands = store.consents("a")["p"]
    assert_type(stands.until, datetime | None)
    assert_type(stands.in_force, bool)
    assert_type(stands.history, tuple[cp.Entry, ...])


def events(store: cp.Store) -> None:
    event = cp.Event(account="a", kind="k", at=datetime.now(UTC), fields={"a": "text", "b": 1, "c": True})
    assert_type(store.record(event), dict[str, cp.Outcome])
    cp.Event(account="a", kind="k", at="today")  # type: ignore[arg-type]
    cp.Event(account="a", kind="k", at=datetime.now(UTC), fields={"a": 1.5})  # type: ignore[dict-item]
    event.account = "b"  # type: ignore[misc]
    summary = store.record_many([event], batch_size=10, progress=lambda done: None)
    assert_type(summary, cp.Summary)
    assert_type(store.import_events("f.csv", mapping="m.toml", rejects="r.csv"), cp.Imported)


def reading(store: cp.Store) -> None:
    with store.view("p", "role:name", reason="r") as view:
        assert_type(view, cp.View)
        profile = view.profile("a")
        assert_type(profile, cp.Profile | None)
        profile.events.bit_count()  # type: ignore[union-attr]
        assert_type(view.events("a"), list[cp.StoredEvent] | None)


def rights(store: cp.Store) -> None:
    assert_type(store.access("a"), cp.Held)
    assert_type(store.erase("a", reference="r"), cp.IssuedCertificate)
    assert_type(store.erase(["a", "b"]).file, bytes)
    assert_type(store.withdraw_consent("a", ["p"]).consents["p"], cp.Consent)
    assert_type(cp.open_certificate("c.json", "key").statement.key_ids, tuple[str, ...])
    assert_type(store.release("s.toml", "out"), cp.Release)
    assert_type(store.plan_release("s.toml"), cp.ReleasePlan)
    assert_type(store.plan_release("s.toml").noise, cp.PlannedNoise | None)
    assert_type(store.budget("planning").charges, tuple[cp.BudgetCharge, ...])
    assert_type(store.released(), tuple[cp.Released, ...])
    assert_type(store.figures(1), cp.Figures)
    assert_type(store.approve_release("s.toml", actor="officer:ada", reason="r", digest="00"), cp.ReleaseApproval)
    store.approve_release("s.toml")  # type: ignore[call-arg]
    assert_type(store.disapprove_release(7, actor="officer:ada"), cp.ReleaseApproval)
    assert_type(store.approvals(), tuple[cp.ReleaseApproval, ...])
    assert_type(cp.read_figures("out").rows[0][0], str | int | float | None)
    assert_type(store.audit.log(), Iterator[cp.LogEntry])
    assert_type(store.audit.verify(), cp.LogHead)
    assert_type(store.audit.checkpoint(), bytes)
    assert_type(store.audit.account("a"), list[cp.Trace])
    assert_type(store.audit.actor("role:name"), Iterator[cp.Trace])
    assert_type(store.check().findings, tuple[cp.Finding, ...])
    assert_type(store.policy.purposes["p"].readers, tuple[str, ...])


async def asynchronously(path: Path, event: cp.Event) -> None:
    async with await cp.AsyncStore.open(path, key=cp.Passphrase("correct horse")) as store:
        assert_type(store, cp.AsyncStore)
        assert_type(await store.record(event), dict[str, cp.Outcome])
        async with store.view("p", "role:name") as view:
            assert_type(view, cp.AsyncView)
            assert_type(await view.profile("a"), cp.Profile | None)
        assert_type(store.audit.log(), AsyncIterator[cp.LogEntry])
        async for leaf in store.audit.log(5):
            assert_type(leaf, cp.LogEntry)
        assert_type(await store.audit.verify(), cp.LogHead)
        async for trace in store.audit.actor("role:name"):
            assert_type(trace, cp.Trace)
        store.record(event).upper()  # type: ignore[attr-defined]
