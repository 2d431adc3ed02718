"""Everything that a fault can hit, one entry each.

To add an operation, add an entry to :data:`OPERATIONS`: every test of this folder that goes through all operations
then kills it, cuts the power, fills the disk and lets syncs fail at each of its calls.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import consentprofile as cp
from consentprofile.usecases import policies
from tests.faults.care_operations import CARE
from tests.faults.children import Stage
from tests.faults.scenes import (
    EVE,
    OFFICER,
    Operation,
    a_leaf,
    all_of,
    decided,
    expired,
    purchase,
    record,
    recorded,
    stored_slots,
)
from tests.stateful.model import Model
from tests.support.people import ADA, BOB, agree, edit, login, profile, sign_up
from tests.support.policies import NARROWINGS, NOTICE, PURPOSES, READERS, narrowed_policy
from tests.support.stores import DAY, START, ReadyKey, SetClock, StoreFactory

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
    """The key of all stores of a factory: it lies beside them, and above copies of them."""
    above = (parent / "key" for parent in store._session.ground.path.parents)
    return cp.KeyFile(next(path for path in above if path.exists()))


def _narrowed(store: cp.Store, model: Model, clock: SetClock) -> None:
    store.apply_policy(narrowed_policy(2), key=_key_of(store))
    narrowed(model)


def _go_by_the_policy(store: cp.Store) -> None:
    """Where the policy was accepted and the store could not be opened anew, whoever tries again has it open."""
    if policies.is_over(store._session):
        assert store.apply_policy(narrowed_policy(2), key=_key_of(store)).changes == ()


def narrowed(model: Model) -> None:
    """A policy is accepted in which two purposes keep a field less."""
    model.leaf("policy-accepted", role="officer")
    model.gone |= {(purpose, field) for purpose, field, _, _ in NARROWINGS[:2]}


def _a_month_later(store: cp.Store, model: Model, clock: SetClock) -> None:
    clock.second = model.clock = START + 20 * DAY


def _a_new_key(store: cp.Store, model: Model, clock: SetClock) -> None:
    cp.KeyFile(store._session.ground.path.with_name("new.key")).enroll()


def _retag(stage: Stage) -> None:
    new = ReadyKey(stage.key.path.with_name("new.key"))
    cp.Store.retag(stage.leave(), key=stage.key, new_key=new, clock=stage.clock)


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
        go_on=_go_by_the_policy,
        renews=True,
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
        "give new tags",
        _retag,
        (all_of(a_leaf("keys-rotated", "officer"), a_leaf("epoch-closed", "officer")),),
        prepare=_a_new_key,
        renews=True,
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
    *CARE,
)
BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}
