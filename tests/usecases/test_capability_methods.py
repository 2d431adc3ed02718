"""What a service that opened the store with a capability gets from each public method. None can be left out here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import consentprofile as cp
from tests.usecases.scene import ACCOUNT, AGENT, NEW, PURPOSES, Scene, event

SPEC = (
    'format = 1\nname = "r"\npurpose = "planning"\nmeasure = "reach"\nfrom = 2024-02-01\nuntil = 2024-03-01\n'
    'zone = "Europe/Berlin"\n[protection]\nkind = "threshold"\n'
)
MAPPING = 'format = 1\naccount = "user"\nkind = { value = "login" }\nat = { column = "at", format = "%Y" }\n'


class Service:
    """A store that was opened with a capability for "support", in a folder with what its methods are handed."""

    def __init__(self, scene: Scene) -> None:
        self.folder = scene.folder
        scene.give(*PURPOSES)
        scene.store.record(event("purchase", id="e-1"))
        scene.store.issue_capability(scene.folder / "cap", "support", "support-agent")
        self.key = cp.Capability(scene.folder / "cap")
        self.path = scene.folder / "store"
        self.store = cp.Store.open(self.path, key=self.key, clock=scene.clock)
        self.seen = scene.store.audit.checkpoint()
        self.data, self.keyring = self.folder / "data.copy", self.folder / "keys.copy"
        scene.store.back_up(self.data)
        scene.store.back_up_keyring(self.keyring)
        (self.folder / "spec.toml").write_text(SPEC)
        (self.folder / "mapping.toml").write_text(MAPPING)
        (self.folder / "events.csv").write_text("user,at\nacct-17,2024\n")
        self.decisions = scene.decisions(f"2024-03-15T12:00:00Z,{ACCOUNT},withdraw,support,,")

    def new(self) -> Path:
        """A file that is not there."""
        return self.folder / "new"


Act = Callable[[Service], object]

ALLOWED: dict[str, Act] = {
    "Store.open": lambda on: cp.Store.open(on.path, key=on.key).close(),
    "Store.close": lambda on: on.store.close(),
    "Store.policy": lambda on: on.store.policy,
    "Store.statistics": lambda on: on.store.statistics(),
    "Store.key_status": lambda on: on.store.key_status(),
    "Store.doctor": lambda on: on.store.doctor(),
    "Store.view": lambda on: on.store.view("support", AGENT).__enter__(),
    "Store.audit": lambda on: on.store.audit,
    "Store.upkeep": lambda on: on.store.upkeep,
    "View.purpose": lambda on: on.store.view("support", AGENT).__enter__().purpose,
    "View.profile": lambda on: on.store.view("support", AGENT).__enter__().profile(ACCOUNT),
    "View.events": lambda on: on.store.view("support", AGENT).__enter__().events(ACCOUNT),
    "Audit.log": lambda on: list(on.store.audit.log()),
    "Upkeep.step": lambda on: on.store.upkeep.step(),
    "Upkeep.compact": lambda on: on.store.upkeep.compact(everything=True),
    "Upkeep.start": lambda on: on.store.upkeep.start(),
    "Upkeep.stop": lambda on: on.store.upkeep.stop(),
}
"""What needs no other key than those that it holds."""

BEYOND: dict[str, Act] = {
    "Store.give_consent": lambda on: on.store.give_consent("new", ["support"], notice=NEW, method="form"),
    "Store.refuse_consent": lambda on: on.store.refuse_consent("new", ["support"]),
    "Store.renew_consent": lambda on: on.store.renew_consent(ACCOUNT, ["support"], notice=NEW),
    "Store.withdraw_consent": lambda on: on.store.withdraw_consent(ACCOUNT, ["support"]),
    "Store.invalidate_consent": lambda on: on.store.invalidate_consent(ACCOUNT, ["support"]),
    "Store.give_consents": lambda on: on.store.give_consents(
        [cp.Decision(account=ACCOUNT, purposes=("support",), act=cp.Act.WITHDRAW)]
    ),
    "Store.consents": lambda on: on.store.consents("nobody"),
    "Store.import_consents": lambda on: on.store.import_consents(on.decisions, rejects=on.new()),
    "Store.suppress": lambda on: on.store.suppress(ACCOUNT, "deceased"),
    "Store.lift_suppression": lambda on: on.store.lift_suppression(ACCOUNT, "deceased"),
    "Store.import_events": lambda on: on.store.import_events(
        on.folder / "events.csv", mapping=on.folder / "mapping.toml", rejects=on.new()
    ),
    "Store.access": lambda on: on.store.access("nobody"),
    "Store.erase": lambda on: on.store.erase("nobody"),
    "Store.plan_erasure": lambda on: on.store.plan_erasure("nobody"),
    "Store.release": lambda on: on.store.release(on.folder / "spec.toml", on.new()),
    "Store.plan_release": lambda on: on.store.plan_release(on.folder / "spec.toml"),
    "Store.approve_release": lambda on: on.store.approve_release(on.folder / "spec.toml", actor="officer:ada"),
    "Store.disapprove_release": lambda on: on.store.disapprove_release(0, actor="officer:ada"),
    "Store.budget": lambda on: on.store.budget("planning"),
    "Store.approvals": lambda on: on.store.approvals(),
    "Store.released": lambda on: on.store.released(),
    "Store.figures": lambda on: on.store.figures(1),
    "Store.plan_policy": lambda on: on.store.plan_policy(on.store.policy),
    "Store.apply_policy": lambda on: on.store.apply_policy(on.store.policy, key=cp.KeyFile(on.folder / "key")),
    "Store.check": lambda on: on.store.check(repair=True),
    "Store.back_up": lambda on: on.store.back_up(on.new()),
    "Store.back_up_keyring": lambda on: on.store.back_up_keyring(on.new()),
    "Store.journal": lambda on: on.store.journal(),
    "Store.restore": lambda on: cp.Store.restore(on.new(), key=on.key, data=on.data, keyring=on.keyring),
    "Store.plan_restore": lambda on: cp.Store.plan_restore(on.new(), key=on.key, data=on.data, keyring=on.keyring),
    "Store.write_recovery_copy": lambda on: on.store.write_recovery_copy(
        on.new(), key=on.key, passphrase=cp.Passphrase("correct horse battery staple")
    ),
    "Store.rotate_keys": lambda on: on.store.rotate_keys(cp.KeyFile(on.new())),
    "Store.retag": lambda on: cp.Store.retag(on.path, key=on.key),
    "Store.resume_rotation": lambda on: on.store.resume_rotation(),
    "Store.issue_capability": lambda on: on.store.issue_capability(on.new(), "support", "support-agent"),
    "Audit.public_key": lambda on: on.store.audit.public_key,
    "Audit.verify": lambda on: on.store.audit.verify(),
    "Audit.extends": lambda on: on.store.audit.extends(on.seen),
    "Audit.checkpoint": lambda on: on.store.audit.checkpoint(),
    "Audit.prove": lambda on: on.store.audit.prove(0),
    "Audit.export": lambda on: on.store.audit.export(on.new()),
    "Audit.certificate": lambda on: on.store.audit.certificate([0]),
    "Audit.account": lambda on: on.store.audit.account("nobody"),
    "Audit.actor": lambda on: list(on.store.audit.actor(AGENT)),
    "Upkeep.plan_retention": lambda on: on.store.upkeep.plan_retention(),
    "Upkeep.run_retention": lambda on: on.store.upkeep.run_retention(attended=True),
    "Upkeep.plan_expiry": lambda on: on.store.upkeep.plan_expiry(),
    "Upkeep.expire_consents": lambda on: on.store.upkeep.expire_consents(attended=True),
}
"""What fails because the key that it needs is not there."""

OTHERWISE: dict[str, tuple[Act, type[cp.ConsentProfileError]]] = {
    "Store.create": (
        lambda on: cp.Store.create(on.new(), policy=on.store.policy, key=on.key),
        cp.KeyUnavailable,
    ),
    "Store.record": (lambda on: on.store.record(event()), cp.RoleNotAllowed),
    "Store.record_many": (lambda on: on.store.record_many([event()]), cp.RoleNotAllowed),
}
"""What fails otherwise: a capability makes no store, and its role reads."""


@pytest.fixture
def service(scene: Scene) -> Iterator[Service]:
    made = Service(scene)
    yield made
    made.store.close()


def methods() -> set[str]:
    """Every public method and property of an open store and of what it hands out."""
    faces = (cp.Store, cp.View, cp.Audit, cp.Upkeep)
    return {f"{face.__name__}.{name}" for face in faces for name in dir(face) if not name.startswith("_")}


def test_every_method_stands_in_one_of_the_tables() -> None:
    """Whoever adds one says here what a capability gets from it; mostly the act begins with ``require_officer()``."""
    tables: list[set[str]] = [set(ALLOWED), set(BEYOND), set(OTHERWISE)]
    assert set.union(*tables) == methods()
    assert sum(map(len, tables)) == len(methods())


@pytest.mark.parametrize("name", ALLOWED)
def test_what_needs_no_other_key_works(service: Service, name: str) -> None:
    ALLOWED[name](service)


@pytest.mark.parametrize("name", [*BEYOND, *OTHERWISE])
def test_what_needs_another_key_fails_before_anything_is_changed(scene: Scene, service: Service, name: str) -> None:
    act, error = (BEYOND[name], cp.BeyondCapability) if name in BEYOND else OTHERWISE[name]
    ground = scene.store._session.ground
    before = scene.leaves(), ground.keyring.changes(), sorted(scene.folder.iterdir())
    with pytest.raises(error) as caught:
        act(service)
    assert type(caught.value) is error
    assert (scene.leaves(), ground.keyring.changes(), sorted(scene.folder.iterdir())) == before
    assert ACCOUNT not in str(caught.value)
