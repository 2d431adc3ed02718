"""The trail against a plain model: for any history, an account is told exactly what was done with its data; and once it
is erased, nothing of that can be joined to the log, whose every leaf stays verifiable."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import consentprofile as cp
from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.store.ports import FIRST_PURPOSE_PLACE, TRAIL
from consentprofile.tlog import leaf as leaves
from consentprofile.usecases.tracing import TrailEntry
from tests.stateful.model import YES, Compartment, Model, normal, role_of
from tests.stateful.world import factory
from tests.support.people import login
from tests.support.policies import NOTICE, PURPOSES, READERS
from tests.support.scan import find
from tests.support.stores import DAY, START, SetClock, scratch

ACCOUNTS: Final = ("canary-ada", "canary-zo\u00eb", "canary-zoe\u0308", "canary-bob")
"""Two of them are one account, written in two ways."""

GRACE: Final = 7 * DAY
KEYED: Final = frozenset({"consent-given", "consent-withdrawn", "consent-invalidated", "consent-expired", "erased"})
FACTS: Final = frozenset({"key-id", "commitment", "reference", "events", "blocks"})

accounts = st.sampled_from(ACCOUNTS)
some_purposes = st.sampled_from([("support",), ("analytics",), ("marketing",), ("support", "marketing"), PURPOSES])
reasons = st.sampled_from(["canary-reason", "canary-other-reason", ""])
officers = st.sampled_from(["officer:canary-5", "officer:canary-6"])


class Told(NamedTuple):
    """An entry of a trail."""

    leaf: int
    second: int
    actor: str
    operation: str
    purpose: str
    reason: str


class Trails(RuleBasedStateMachine):
    """Consents come and go, officers and agents look, accounts are erased and come back."""

    @initialize()
    def begin(self) -> None:
        self.clock = SetClock()
        self.path = factory().new()
        self.store = factory().open(self.path, self.clock)
        self.model = Model(START)
        self.kept: list[tuple[object, Told]] = []
        self.secrets: set[bytes] = set()
        self.certificates: list[bytes] = []

    def teardown(self) -> None:
        if hasattr(self, "store"):
            try:
                self.everybody_leaves()
            finally:
                self.store.close()

    # ---- the model -----------------------------------------------------------------------------

    def keep(self, owner: object, leaf: int, actor: str, operation: str, purpose: str, reason: str) -> None:
        """Something was done that this owner (a compartment's or an account's list) has to tell."""
        self.kept.append((owner, Told(leaf, self.model.now, actor, operation, purpose, reason)))

    def expected(self, name: str) -> list[Told]:
        """What an account has to be told: all of it, as long as the keys are there."""
        account = self.model.account(name)
        owners: list[object] = [stands.reads for stands in account.compartments.values() if stands.key]
        owners += [account.trail] * account.known
        return sorted(told for owner, told in self.kept if any(owner is one for one in owners))

    def officer_act(self, name: str, actor: str, operation: str, reason: str) -> None:
        """An act on an account that leaves one leaf, and a trail where the account is known."""
        account = self.model.account(name)
        if account.known:
            self.keep(account.trail, len(self.model.leaves), actor, operation, "", reason)
        self.model.leaf(operation, role=role_of(actor))

    # ---- what is done --------------------------------------------------------------------------

    @rule(name=accounts, purposes=some_purposes)
    def give(self, name: str, purposes: tuple[str, ...]) -> None:
        self.store.give_consent(name, purposes, notice=NOTICE, method="canary-method")
        self.model.decide(name, purposes, "give")

    @rule(name=accounts, purposes=some_purposes)
    def renew(self, name: str, purposes: tuple[str, ...]) -> None:
        """The key stays, and the trail with it."""
        self.store.renew_consent(name, purposes, notice=NOTICE)
        self.model.decide(name, purposes, "renew")

    @rule(name=accounts, purposes=some_purposes, officer=st.booleans())
    def end(self, name: str, purposes: tuple[str, ...], officer: bool) -> None:
        self.gather(name)
        do = self.store.invalidate_consent if officer else self.store.withdraw_consent
        self.certificates.append(do(name, purposes).file)
        act, role = ("invalidate", "officer") if officer else ("withdraw", "app")
        self.model.decide(name, purposes, act, role=role)

    @rule(name=accounts)
    def record(self, name: str) -> None:
        taken = self.store.record(login(name, second=self.clock.second, device="canary-device"))
        if cp.Outcome.RECORDED in taken.values():
            self.model.leaf("recorded", role="app")

    @rule(name=accounts, purpose=st.sampled_from(PURPOSES), reason=reasons, events=st.booleans())
    def read(self, name: str, purpose: str, reason: str, events: bool) -> None:
        stands, actor = self.model.compartment(name, purpose), READERS[purpose]
        with self.store.view(purpose, actor, reason) as view:
            shown = (view.events(name) if events else view.profile(name)) is not None
        suppressed = self.model.account(name).suppressed(purpose)
        assert shown == (stands.state_at(self.model.now) in YES and not suppressed)
        if shown:
            self.keep(stands.reads, len(self.model.leaves), actor, "read", purpose, reason)
        self.model.leaf("read", purpose, role_of(actor))

    @rule(reason=reasons)
    def try_to_read(self, reason: str) -> None:
        try:
            with self.store.view("support", "marketer:canary", reason):
                raise AssertionError("it was let in")
        except cp.RoleNotAllowed:
            self.model.leaf("read-refused", "support", "marketer")

    @rule(name=accounts, actor=officers, reason=reasons)
    def access(self, name: str, actor: str, reason: str) -> None:
        self.officer_act(name, actor, "accessed", reason)
        held = self.store.access(name, actor=actor, reason=reason)
        self.model.leaf("consent-read", role="officer")
        shown = [*held.trail, *(trace for one in held.compartments.values() for trace in one.trail)]
        assert sorted(map(told, shown)) == self.expected(name)

    @rule(name=accounts, actor=officers, reason=st.sampled_from(["deceased", "quiet"]), lift=st.booleans())
    def suppress(self, name: str, actor: str, reason: str, lift: bool) -> None:
        do = self.store.lift_suppression if lift else self.store.suppress
        changed, leaf = do(name, reason, actor=actor), len(self.model.leaves)
        assert changed == self.model.suppress(name, reason, actor, lift=lift)
        if changed:
            operation = "suppression-lifted" if lift else "suppressed"
            self.keep(self.model.account(name).trail, leaf, actor, operation, "", reason)

    @rule(name=accounts)
    def look_at_consents(self, name: str) -> None:
        self.store.consents(name)
        self.model.leaf("consent-read", role="app")

    @rule(name=accounts, actor=officers, reason=reasons)
    def ask(self, name: str, actor: str, reason: str) -> None:
        """The promise: exactly what happened, in the order of the log, the asking included."""
        self.officer_act(name, actor, "audit-read", reason)
        shown = [told(trace) for trace in self.store.audit.account(name, actor=actor, reason=reason)]
        assert shown == self.expected(name)

    @rule(seconds=st.sampled_from([1, 3600, 5 * DAY, 11 * DAY, 60 * DAY, 210 * DAY]))
    def time_passes(self, seconds: int) -> None:
        self.clock.second += seconds
        self.model.clock += seconds

    @rule()
    def expire(self) -> None:
        for name in ACCOUNTS:
            self.gather(name)
        self.store.upkeep.expire_consents(attended=True)
        for account in self.model.accounts.values():
            for purpose, stands in account.compartments.items():
                if stands.key and self.model.now >= stands.until + GRACE:
                    account.compartments[purpose] = Compartment("expired", stands.until)
                    self.model.leaf("consent-expired", purpose)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = factory().open(self.path, self.clock)

    @rule(names=st.lists(accounts, min_size=1, max_size=3), actor=officers)
    def erase(self, names: list[str], actor: str) -> None:
        for name in names:
            self.gather(name)
        issued = self.store.erase(names, reference="canary-reference", actor=actor)
        self.certificates.append(issued.file)
        found, keys = self.model.erase(names, actor)
        assert (issued.found, len(issued.key_ids)) == (found, keys)
        gone = [self.model.account(name).trail for name in names]
        self.kept = [(owner, one) for owner, one in self.kept if not any(owner is trail for trail in gone)]
        self.model.leaf("audit-read", role="officer")
        assert self.store.audit.account(names[0]) == []

    # ---- what holds ----------------------------------------------------------------------------

    @invariant()
    def every_act_has_its_leaf(self) -> None:
        if hasattr(self, "store"):
            assert self.store._session.ground.log.head()[0].size == len(self.model.leaves)

    def gather(self, name: str) -> None:
        """Note all that only somebody with the keys of an account can know of it, before they die."""
        session = self.store._session
        tag = session.tag(name)
        self.secrets.add(tag)
        for place, slot in session.ground.keyring.slots_of(tag).items():
            if not slot.key_held or 0 < place < FIRST_PURPOSE_PLACE:
                continue
            purpose, terms = "", b""
            if place:
                purpose, terms = session.terms(slot.header.terms).purpose, session.bound(slot.header.terms)
            key = session.keys.unwrap(slot, purpose=purpose, terms=terms)
            for sealed in session.ground.rows(TRAIL).of(slot.number, slot.header.generation):
                plain = key.open(RecordType.TRAIL, sealed)
                self.secrets |= {plain, sealed, canonical.unpack(plain, TrailEntry).salt}
            self.secrets.add(slot.record[-60:])

    def everybody_leaves(self) -> None:
        """At the end all are erased: the log verifies, and neither leaves, certificates nor an export can be joined."""
        for name in ACCOUNTS:
            self.ask(name, "officer:canary-5", "canary-reason")
        self.erase(list(ACCOUNTS), "officer:canary-6")
        for name in ACCOUNTS:
            assert self.store.audit.account(name) == []
        head = self.store.audit.verify()
        with scratch() as folder:
            self.store.audit.export(folder / "log")
            published = [path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()]
        bodies = [stored.body for stored in self.store._session.ground.log.page(0, 100_000)]
        assert head.size == len(bodies)
        self.require_nothing_personal([*published, *self.certificates, *map(opened, self.certificates), *bodies])
        require_nothing_joined([leaves.decode(body) for body in bodies])

    def require_nothing_personal(self, documents: Sequence[bytes]) -> None:
        """No canary in any disguise, and nothing that was under a key that is gone."""
        everything = b"\0".join(documents)
        assert find(everything.lower(), ["canary", *(normal(name) for name in ACCOUNTS)]) == []
        texts = everything.decode("latin-1")
        for secret in self.secrets:
            assert secret not in everything
            assert secret.hex() not in texts
            assert base64.b64encode(secret).decode().rstrip("=") not in texts


def require_nothing_joined(log: Sequence[leaves.Leaf]) -> None:
    """No value stands in two leaves, but for a key's in its grant and its destruction, and a request's reference."""
    seen: dict[bytes, list[str]] = {}
    for leaf in log:
        assert dict(leaf.facts).keys() <= FACTS
        assert ("key-id" in dict(leaf.facts)) == (leaf.operation in KEYED)
        for name, value in leaf.facts:
            if isinstance(value, bytes) and name != "reference":
                seen.setdefault(value, []).append(leaf.operation)
    for operations in seen.values():
        assert len(operations) == 1 or (len(operations) == 2 and operations[0] == "consent-given")


def opened(certificate: bytes) -> bytes:
    """The leaves in a certificate, as they are hashed."""
    if not certificate:
        return b""
    return b"\0".join(base64.b64decode(leaf["body"]) for leaf in json.loads(certificate)["leaves"])


def told(trace: cp.Trace) -> Told:
    """A trace in the model's words."""
    second = int(trace.at.timestamp())
    return Told(trace.leaf, second, trace.actor, trace.operation, trace.purpose, trace.reason)


TestTrails = Trails.TestCase
