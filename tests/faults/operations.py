"""Everything that a fault can hit, one entry each: what is done, and what each step of it changes in a plain model.

To add an operation, add an entry to :data:`OPERATIONS`: every test of this folder that goes through all operations
then kills it, cuts the power, fills the disk and lets syncs fail at each of its calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import consentprofile as cp
from consentprofile.crypto import slots
from consentprofile.crypto.slots import Slot
from consentprofile.store.files import Durability
from tests.faults.children import Stage
from tests.stateful.model import Compartment, Decided, Model
from tests.support.people import ADA, BOB, agree, edit, login, look, profile, sign_up
from tests.support.policies import NARROWINGS, NOTICE, PURPOSES, READERS, narrowed_policy
from tests.support.stores import DAY, START, ReadyKey, SetClock, StoreFactory, moment

EVE: Final = "account-eve"
EVERYBODY: Final = (ADA, BOB, EVE)

OFFICER: Final = "officer:5"

Change: TypeAlias = Callable[[Model], object]
"""What a step does to the model."""


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


# ---- what is done ------------------------------------------------------------------------------------

MANY: Final = [login(ADA, 10), purchase(BOB, 11), login(EVE, 12), purchase(ADA, 13), login(ADA, 14), login(BOB, 15)]
BATCH: Final = 2


def _record_many(stage: Stage) -> None:
    def told(done: int) -> None:
        if done < len(MANY):
            stage.acknowledge()

    stage.store.record_many(MANY, batch_size=BATCH, progress=told)


def _scattered(store: cp.Store, model: Model, clock: SetClock) -> None:
    for number in range(20, 29):
        record(store, model, [login(ADA, number), login(BOB, number)])


def _two_months_later(store: cp.Store, model: Model, clock: SetClock) -> None:
    record(store, model, [purchase(BOB, 30)])
    clock.second = model.clock = START + 95 * DAY
    record(store, model, [purchase(ADA, 31, second=clock.second), login(ADA, 32, second=clock.second)])
    profile(store, ADA)
    model.read(ADA, "support", READERS["support"], "")


def _key_of(store: cp.Store) -> cp.KeyFile:
    return cp.KeyFile(store._session.ground.path.parent / "key")


def _narrowed(store: cp.Store, model: Model, clock: SetClock) -> None:
    store.apply_policy(narrowed_policy(2), key=_key_of(store))
    narrowed(model)


def narrowed(model: Model) -> None:
    """A policy is accepted in which two purposes keep a field less."""
    model.leaf("policy-accepted", role="officer")
    model.gone |= {(purpose, field) for purpose, field, _, _ in NARROWINGS[:2]}


def _a_month_later(store: cp.Store, model: Model, clock: SetClock) -> None:
    clock.second = model.clock = START + 20 * DAY


def _a_new_key(store: cp.Store, model: Model, clock: SetClock) -> None:
    cp.KeyFile(store._session.ground.path.with_name("new.key")).enroll()


def _withdrawn(store: cp.Store, model: Model, clock: SetClock) -> None:
    store.withdraw_consent(BOB, ["analytics"])
    model.decide(BOB, ["analytics"], "withdraw")


def _rows_of_a_dead_key(path: Path, stores: StoreFactory) -> None:
    """Somebody has put rows back whose key is dead."""
    for table in ("trail", "evidence"):
        put = f"INSERT INTO {table} (slot, generation, sealed) VALUES (?, 0, ?)"
        assert [
            edit(path, "data.db", put, slot.number, bytes(99)) for slot in stored_slots(path) if slot.header.generation
        ] == [1]


def _a_day(stage: Stage) -> None:
    """What follows one upon the other on an ordinary day."""
    store = stage.store
    store.give_consent(EVE, ["support"], notice=NOTICE, method="signup form")
    stage.acknowledge()
    store.record(login(EVE, 40))
    stage.acknowledge()
    store.withdraw_consent(EVE, ["support"])
    stage.acknowledge()
    store.give_consent(EVE, ["support"], notice=NOTICE, method="signup form")
    stage.acknowledge()
    store.record(login(EVE, 41))


A_DAY: Final = (
    decided(EVE, "give", "support"),
    recorded(login(EVE, 40)),
    decided(EVE, "withdraw", "support"),
    decided(EVE, "give", "support"),
    recorded(login(EVE, 41)),
)


def _sign(stage: Stage) -> None:
    stage.store.record(login(ADA, 50))
    stage.acknowledge()
    stage.hand_out(stage.store.audit.checkpoint())


def _record_and_erase(stage: Stage) -> None:
    stage.store.record(login(ADA, 51))
    stage.acknowledge()
    _certified(stage, stage.store.erase(ADA, actor=OFFICER))


def _certified(stage: Stage, certificate: cp.IssuedCertificate) -> None:
    """The certificate leaves the house, and with it a head of the log."""
    assert certificate.file is not None
    stage.hand_out(json.loads(certificate.file)["checkpoint"].encode())


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "give consent",
        lambda stage: agree(stage.store, EVE),
        (decided(EVE, "give", *PURPOSES),),
    ),
    Operation(
        "give many consents",
        lambda stage: stage.store.give_consents([sign_up("account-1"), sign_up(EVE), sign_up("account-2")]),
        (all_of(*(decided(account, "give", *PURPOSES) for account in ("account-1", EVE, "account-2"))),),
    ),
    Operation(
        "renew consent",
        lambda stage: stage.store.renew_consent(BOB, ["support", "marketing"], notice=NOTICE),
        (decided(BOB, "renew", "support", "marketing"),),
        prepare=_a_month_later,
    ),
    Operation(
        "refuse consent",
        lambda stage: stage.store.refuse_consent(EVE, ["analytics"], notice=NOTICE, method="banner"),
        (decided(EVE, "refuse", "analytics"),),
    ),
    Operation(
        "record",
        lambda stage: stage.store.record(purchase(ADA, 5)),
        (recorded(purchase(ADA, 5)),),
        durability="full",
    ),
    Operation(
        "record, relaxed",
        lambda stage: stage.store.record(purchase(ADA, 5)),
        (recorded(purchase(ADA, 5)),),
        durability="relaxed",
        fleeting=frozenset({1}),
    ),
    Operation(
        "record many",
        _record_many,
        tuple(recorded(*MANY[start : start + BATCH]) for start in range(0, len(MANY), BATCH)),
    ),
    Operation(
        "record many, relaxed",
        _record_many,
        tuple(recorded(*MANY[start : start + BATCH]) for start in range(0, len(MANY), BATCH)),
        durability="relaxed",
        fleeting=frozenset({1, 2, 3}),
    ),
    Operation(
        "read",
        lambda stage: profile(stage.store, ADA),
        (lambda model: model.read(ADA, "support", READERS["support"], ""),),
        durability="full",
    ),
    Operation(
        "compact",
        lambda stage: stage.store.upkeep.compact(everything=True),
        (lambda model: None,),
        prepare=_scattered,
    ),
    Operation(
        "withdraw consent",
        lambda stage: _certified(stage, stage.store.withdraw_consent(ADA, ["support", "marketing"])),
        (decided(ADA, "withdraw", "support", "marketing"),),
    ),
    Operation(
        "withdraw consent, relaxed",
        lambda stage: _certified(stage, stage.store.withdraw_consent(ADA, PURPOSES)),
        (decided(ADA, "withdraw", *PURPOSES),),
        durability="relaxed",
    ),
    Operation(
        "erase",
        lambda stage: _certified(stage, stage.store.erase([ADA, BOB], reference="request 1", actor=OFFICER)),
        (lambda model: model.erase([ADA, BOB], OFFICER),),
    ),
    Operation(
        "suppress",
        lambda stage: stage.store.suppress(ADA, "quiet", actor=OFFICER),
        (lambda model: model.suppress(ADA, "quiet", OFFICER, lift=False),),
    ),
    Operation(
        "retention",
        lambda stage: stage.store.upkeep.run_retention(attended=True),
        (lambda model: model.retain(),),
        prepare=_two_months_later,
    ),
    Operation(
        "change the policy",
        lambda stage: stage.store.apply_policy(narrowed_policy(2), key=stage.key),
        (narrowed,),
    ),
    Operation(
        "narrow what is stored",
        lambda stage: stage.store.upkeep.run_retention(attended=True),
        (lambda model: model.retain(),),
        prepare=_narrowed,
    ),
    Operation(
        "expire",
        lambda stage: stage.store.upkeep.expire_consents(attended=True),
        (expired,),
        prepare=_a_month_later,
    ),
    Operation(
        "check and repair",
        lambda stage: stage.store.check(repair=True),
        (a_leaf("repaired", "officer"),),
        prepare=_withdrawn,
        tamper=_rows_of_a_dead_key,
        findings=frozenset({"rows whose key has been destroyed, to be purged"}),
    ),
    Operation(
        "back up the keyring",
        lambda stage: stage.store.back_up_keyring(stage.beside / "keyring-backup"),
        (a_leaf("keyring-backed-up", "officer"),),
    ),
    Operation(
        "issue a capability",
        lambda stage: stage.store.issue_capability(stage.beside / "capability", "support", "agent", actor=OFFICER),
        (lambda model: model.leaf("capability-issued", "support", "agent"),),
    ),
    Operation(
        "rotate the keys",
        lambda stage: stage.store.rotate_keys(ReadyKey(stage.key.path.with_name("new.key"))),
        (all_of(a_leaf("keys-rotated", "officer"), a_leaf("epoch-closed", "officer")),),
        prepare=_a_new_key,
        go_on=lambda store: store.resume_rotation(),
    ),
    Operation(
        "sign a head",
        _sign,
        (recorded(login(ADA, 50)), lambda model: None),
        durability="relaxed",
        fleeting=frozenset({1}),
    ),
    Operation(
        "erase after recording, relaxed",
        _record_and_erase,
        (recorded(login(ADA, 51)), lambda model: model.erase([ADA], OFFICER)),
        durability="relaxed",
        fleeting=frozenset({1}),
    ),
    Operation("an ordinary day", _a_day, A_DAY),
    Operation("an ordinary day, relaxed", _a_day, A_DAY, durability="relaxed", fleeting=frozenset({2, 5})),
)
BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}
