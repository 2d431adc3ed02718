"""The public face of a store as commands and answers of JSON, so that a test can have any process carry them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

import msgspec

import consentprofile as cp

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Command: TypeAlias = Mapping[str, object]


class EventTold(msgspec.Struct, frozen=True):
    """An event as a command tells it. ``at`` is ISO 8601; without an offset it is a naive datetime."""

    account: str
    kind: str
    at: str
    id: str | None = None
    fields: dict[str, str | int | bool] = msgspec.field(default_factory=dict)

    def event(self) -> cp.Event:
        """The event."""
        at = datetime.fromisoformat(self.at)
        return cp.Event(account=self.account, kind=self.kind, at=at, id=self.id, fields=self.fields)


class DecisionTold(msgspec.Struct, frozen=True):
    """A decision as a command tells it."""

    account: str
    purposes: list[str]
    act: str
    notice: str | None = None
    method: str | None = None
    at: str | None = None

    def decision(self) -> cp.Decision:
        """The decision."""
        return cp.Decision(
            account=self.account,
            purposes=tuple(self.purposes),
            act=cp.Act(self.act),
            notice=self.notice,
            method=self.method,
            at=None if self.at is None else datetime.fromisoformat(self.at),
        )


class Told(msgspec.Struct, frozen=True):
    """Every argument that a command may have."""

    do: str
    account: str = ""
    accounts: list[str] = msgspec.field(default_factory=list)
    purposes: list[str] = msgspec.field(default_factory=list)
    purpose: str = ""
    actor: str = "officer:5"
    reason: str = ""
    reference: str | None = None
    notice: str | None = None
    method: str | None = None
    event: EventTold | None = None
    events: list[EventTold] = msgspec.field(default_factory=list)
    batch: int = 1_000
    decisions: list[DecisionTold] = msgspec.field(default_factory=list)
    start: int = 0
    everything: bool = False
    policy: str = ""
    key: str = ""


def _give(store: cp.Store, told: Told) -> object:
    return store.give_consent(told.account, told.purposes, notice=told.notice or "", method=told.method or "")


def _renew(store: cp.Store, told: Told) -> object:
    return store.renew_consent(told.account, told.purposes, notice=told.notice or "", method=told.method)


def _refuse(store: cp.Store, told: Told) -> object:
    return store.refuse_consent(told.account, told.purposes, notice=told.notice, method=told.method)


def _withdraw(store: cp.Store, told: Told) -> object:
    return store.withdraw_consent(told.account, told.purposes, method=told.method).consents


def _invalidate(store: cp.Store, told: Told) -> object:
    return store.invalidate_consent(told.account, told.purposes, method=told.method).consents


def _record(store: cp.Store, told: Told) -> object:
    assert told.event is not None
    return store.record(told.event.event())


def _record_many(store: cp.Store, told: Told) -> object:
    summary = store.record_many((event.event() for event in told.events), batch_size=told.batch)
    return {"events": summary.events, "outcomes": summary.outcomes}


def _profile(store: cp.Store, told: Told) -> object:
    with store.view(told.purpose, told.actor, told.reason) as view:
        return view.profile(told.account)


def _events(store: cp.Store, told: Told) -> object:
    with store.view(told.purpose, told.actor, told.reason) as view:
        return view.events(told.account)


def _rotate(store: cp.Store, told: Told) -> object:
    observe = store._session.ground.pending._observe
    return store.rotate_keys(cp.KeyFile(told.key), progress=lambda done, total: observe("slice"))


_ACTIONS: Final[Mapping[str, Callable[[cp.Store, Told], object]]] = {
    "give": _give,
    "renew": _renew,
    "refuse": _refuse,
    "withdraw": _withdraw,
    "invalidate": _invalidate,
    "decide": lambda store, told: store.give_consents(one.decision() for one in told.decisions),
    "consents": lambda store, told: store.consents(told.account),
    "suppress": lambda store, told: store.suppress(told.account, told.reason, actor=told.actor),
    "lift": lambda store, told: store.lift_suppression(told.account, told.reason, actor=told.actor),
    "record": _record,
    "record_many": _record_many,
    "profile": _profile,
    "events": _events,
    "access": lambda store, told: store.access(told.account, actor=told.actor, reason=told.reason),
    "erase": lambda store, told: store.erase(told.accounts, reference=told.reference, actor=told.actor),
    "statistics": lambda store, _: store.statistics(),
    "log": lambda store, told: list(store.audit.log(told.start)),
    "verify": lambda store, _: store.audit.verify(),
    "check": lambda store, _: store.check(),
    "compact": lambda store, told: store.upkeep.compact(everything=told.everything),
    "step": lambda store, _: store.upkeep.step(),
    "rotate": _rotate,
    "resume": lambda store, _: store.resume_rotation(),
    "policy": lambda store, told: store.apply_policy(
        cp.Policy.from_text(told.policy.encode()), key=cp.KeyFile(told.key)
    ),
    "retention": lambda store, _: store.upkeep.run_retention(attended=True),
}


def execute(store: cp.Store, command: Command) -> Json:
    """Carry out a command: ``{"answer": ...}``, or for an error of ours its name and what it says of itself."""
    told = msgspec.convert(command, Told)
    try:
        answer = _ACTIONS[told.do](store, told)
    except cp.ConsentProfileError as error:
        said: dict[str, Json] = {"error": type(error).__name__, "message": f"{error} {error!r} {error.args}"}
        if isinstance(error, cp.InvalidEvent):
            said |= {"index": error.index, "committed": error.committed}
        return said
    plain: Json = msgspec.json.decode(msgspec.json.encode(answer))
    return {"answer": plain}
