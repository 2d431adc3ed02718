"""What a fault can hit: an operation, the store that it is done to, and what each step changes in a plain model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import consentprofile as cp
from consentprofile.crypto import slots
from consentprofile.crypto.slots import Slot
from consentprofile.store.files import Durability
from consentprofile.usecases import retagging, rotation
from tests.faults.children import Stage
from tests.stateful.model import Compartment, Decided, Model
from tests.support.people import ADA, BOB, agree, login, look
from tests.support.policies import PURPOSES
from tests.support.shapes import arrange_small
from tests.support.stores import DAY, START, SetClock, StoreFactory, moment

EVE: Final = "account-eve"
EVERYBODY: Final = (ADA, BOB, EVE)

OFFICER: Final = "officer:5"

PATIENT: Final = os.environ.get("HYPOTHESIS_PROFILE") == "ci"
STRIDE: Final = 1 if PATIENT else 3
"""Faults are made at every call of an operation where there is time for it, otherwise at one in so many."""

Change: TypeAlias = Callable[[Model], object]
"""What a step does to the model."""


def arrange_small_slices(change: Callable[[object, str, object], None]) -> None:
    """Let what works in slices need several of them for the few rows of a scene."""
    arrange_small(change)
    change(rotation, "SLOTS", 3)
    change(rotation, "PAGES", 1)
    change(rotation, "ENTRIES", 1)
    change(retagging, "PAGE", 3)


def _nothing(store: cp.Store, model: Model, clock: SetClock) -> None:
    """No more than every operation finds."""


@dataclass(frozen=True)
class Operation:
    """Something that is done to a store, in steps that are acknowledged one after the other."""

    name: str
    do: Callable[[Stage], object]
    """Does it, and acknowledges each step but the last, which its return acknowledges."""
    changes: tuple[Change, ...]
    """What each step does, all of it or nothing."""
    prepare: Callable[[cp.Store, Model, SetClock], None] = _nothing
    """What the store has seen before, besides what every store has (:func:`prepared`)."""
    tamper: Callable[[Path, StoreFactory], None] | None = None
    """What somebody else has done to the closed files."""
    durability: Durability = "full"
    fleeting: frozenset[int] = frozenset()
    """The steps (from 1) that a power cut may undo although they are acknowledged, together with all after them."""
    findings: frozenset[str] = frozenset()
    """What a check may find until the last step is done."""
    renews: bool = False
    """Whether somebody who has the store open may be told to open it again, or to close it first."""
    go_on: Callable[[cp.Store], object] = lambda store: None
    """What is done to carry on what was left unfinished; those who open a store of ours anew do it by themselves."""


@dataclass(frozen=True)
class Scene:
    """An operation about to be done: the store that it is done to, and what stands before and after each step."""

    operation: Operation
    stores: StoreFactory
    path: Path
    second: int
    states: tuple[Model, ...]

    def open(self, path: Path) -> cp.Store:
        """Open a store that the operation was done to, or was being done to."""
        return self.stores.open(path, SetClock(self.second))


def prepared(operation: Operation, stores: StoreFactory) -> Scene:
    """A closed store in which Ada and Bob have consented and have events, and what the operation finds besides."""
    from copy import deepcopy

    clock, model, path = SetClock(), Model(START), stores.new()
    with stores.open(path, clock) as store:
        for account in (ADA, BOB):
            agree(store, account)
            model.decide(account, PURPOSES, "give")
        events = [login(ADA, 1), login(ADA, 2, device="device-2"), login(BOB, 3), purchase(ADA, 4)]
        record(store, model, events)
        operation.prepare(store, model, clock)
    if operation.tamper is not None:
        operation.tamper(path, stores)
    states = [model]
    for change in operation.changes:
        model = deepcopy(model)
        change(model)
        states.append(model)
    return Scene(operation, stores, path, clock.second, tuple(states))


# ---- words -------------------------------------------------------------------------------------------


def purchase(account: str, number: int, *, second: int = START) -> cp.Event:
    """A purchase, which all three purposes collect."""
    fields: dict[str, str | int | bool] = {"channel": "app", "device": "device-1", "total": 100 + number}
    return cp.Event(account=account, kind="purchase", at=moment(second), id=f"event-{number}", fields=fields)


def record(store: cp.Store, model: Model, events: list[cp.Event]) -> None:
    """Record the events, one transaction for all."""
    store.record_many(events)
    recorded(*events)(model)


def recorded(*events: cp.Event) -> Change:
    """One transaction of recording."""
    told = [(one.account, one.kind, int(one.at.timestamp()), one.id, _words(one)) for one in events]
    return lambda model: model.record(told)


def _words(event: cp.Event) -> dict[str, str | int]:
    return {name: value for name, value in event.fields.items() if isinstance(value, str | int)}


def decided(account: str, act: str, *purposes: str) -> Change:
    """A decision."""
    return lambda model: model.decide(account, purposes, act)


def a_leaf(operation: str, role: str) -> Change:
    """Something that leaves a leaf and nothing else."""
    return lambda model: model.leaf(operation, role=role)


def all_of(*changes: Change) -> Change:
    """Several changes that are one step."""

    def change(model: Model) -> None:
        for one in changes:
            one(model)

    return change


def expired(model: Model) -> None:
    """Every consent that is over, and its days of grace too, loses its key."""
    for account in model.accounts.values():
        for purpose, stands in sorted(account.compartments.items(), key=lambda one: PURPOSES.index(one[0])):
            if stands.key and model.now >= stands.until + 7 * DAY:
                account.compartments[purpose] = Compartment("expired", stands.until)
                account.evidence[purpose].append(Decided(stands.until, model.now, "expire", "expired"))
                model.leaf("consent-expired", purpose)


def stored_slots(path: Path) -> list[Slot]:
    """Every slot of a store that nobody is changing."""
    found = look(path, "keys.db", "SELECT number, record FROM slot ORDER BY number")
    return [slots.decode(number, record) for number, record in found]  # type: ignore[arg-type]
