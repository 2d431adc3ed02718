"""A store, another process on it, and the model: every operation is done to all, and what they say is compared."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby, permutations
from operator import itemgetter
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

import msgspec

import consentprofile as cp
from consentprofile.model.event import Recorded
from consentprofile.model.profile import fold
from tests.stateful.model import KEEP, YES, Compartment, Kept, Model, iso, normal
from tests.support.commands import Json, execute
from tests.support.peer import Peer
from tests.support.policies import NARROWINGS, NOTICE, PURPOSES, READERS, narrowed_policy, small_policy
from tests.support.stores import START, SetClock, StoreFactory, scratch

Hand: TypeAlias = Literal["here", "there", "agent", "app"]
"""Who does it: this process, the other one, or a service that opened the store with a capability for this role."""

Held: TypeAlias = tuple[str, str]
"""An account and a purpose."""

SERVICES: Final = {"agent": ("support", "analytics"), "app": ("support",)}
"""What the capability of each service opens."""

CANARY: Final = "canary"
"""Stands in every account id, device, reason, method and refused value of these tests."""

METHOD: Final = "canary-method"
REASON: Final = "canary-reason"

RESEALING: Final = ("resealed", "retention-applied", "narrowing-applied")
DESTROYING: Final = (
    *("consent-withdrawn", "consent-invalidated", "consent-expired", "erased"),
    *("retention-applied", "narrowing-applied"),
)


@cache
def factory() -> StoreFactory:
    """Where the stores of this test run lie."""
    context = scratch()
    atexit.register(context.__exit__, None, None, None)
    return StoreFactory(context.__enter__())


@cache
def peer(name: str) -> Peer:
    """A process that lives as long as this one; ``name`` tells what for."""
    process = Peer()
    atexit.register(process.end)
    return process


class World:
    """One store from its beginning, and what has to be true of it."""

    def __init__(self) -> None:
        self.path: Path = factory().new()
        self.clock = SetClock()
        self.model = Model(START)
        self.key = factory().key_file
        self.epoch = 1
        self.store = factory().open(self.path, self.clock)
        self.peer_open = False
        self._copy: tuple[Path, dict[Held, tuple[bytes, list[Kept]]]] | None = None
        self._copies = 0
        self._services: dict[str, cp.Store] = {}
        self._seen = 0
        self._granted: dict[str, str] = {}
        self._dead: set[str] = set()

    # ---- the two hands ---------------------------------------------------------------------------

    def ask(self, hand: Hand, command: Mapping[str, object]) -> Json:
        """Let somebody carry out a command."""
        if hand == "here":
            answer = execute(self.store, command)
        elif hand in SERVICES:
            answer = execute(self.service(hand), command)
        else:
            if not self.peer_open:
                peer("second").open(self.path, self.key, self.clock.second)
                self.peer_open = True
            answer = peer("second").ask({**command, "now": self.clock.second})
        assert isinstance(answer, dict)
        return answer

    def answer(self, hand: Hand, command: Mapping[str, object]) -> Json:
        """The same, for what must not fail."""
        said = self.ask(hand, command)
        assert isinstance(said, dict)
        assert "answer" in said, said
        return said["answer"]

    def refused(self, hand: Hand, command: Mapping[str, object], error: str) -> dict[str, Json]:
        """The same, for what must fail with this error, which says nothing of anybody."""
        said = self.ask(hand, command)
        assert isinstance(said, dict)
        assert said.get("error") == error, said
        assert CANARY not in str(said["message"]).lower(), said
        return said

    def service(self, role: str) -> cp.Store:
        """The store as a service has it, which gets its capability when it is first asked."""
        if role not in self._services:
            self.store.issue_capability(self._capability(role), SERVICES[role], role)
            for purpose in SERVICES[role]:
                self.model.leaf("capability-issued", purpose, role)
            self._services[role] = self._open_service(role)
        return self._services[role]

    def _capability(self, role: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{role}-{self.epoch}.cap")

    def _open_service(self, role: str) -> cp.Store:
        key = cp.Capability(self._capability(role))
        return cp.Store.open(self.path, key=key, clock=self.clock, durability="relaxed")

    def crash(self, step: str, command: Mapping[str, object]) -> bool:
        """Let a new process begin the command and end at ``step``; whether it got there."""
        return peer("doomed").crash(self.path, self.key, self.clock.second, step, command)

    def reopen(self) -> None:
        """Close the store here and open it again."""
        self.store.close()
        self.store = factory().open(self.path, self.clock, key=self.key)

    def close_peer(self) -> None:
        """Close the store there; it is opened again when it is needed."""
        if self.peer_open:
            peer("second").close_store()
            self.peer_open = False

    # ---- yesterday's data ------------------------------------------------------------------------

    def back_up(self) -> None:
        """Copy the data, and keep in mind which events each living key had."""
        self._copies += 1
        path = self.path.with_name(f"{self.path.name}-{self._copies}.backup")
        self.store.back_up(path)
        self.model.leaf("backed-up", role="officer")
        keys = self._living()
        self._copy = path, {held: (key, list(self._compartment(held).events)) for held, key in keys.items()}

    def restore(self) -> bool:
        """Put the copy in place, if there is one: events are as of then where the key is, and else there are none."""
        if self._copy is None:
            return False
        path, then = self._copy
        self.close_peer()
        for service in self._services.values():
            service.close()
        self.store.close()
        done = cp.Store.restore(self.path, key=cp.KeyFile(self.key), data=path, clock=self.clock)
        assert (done.log, done.destroyed_again, done.unknown) == ("kept", 0, False)
        assert (done.keys_gone, done.keys_found, sum(done.quarantined.values())) == (0, 0, 0)
        self.model.leaf("restored", role="officer")
        self.store = factory().open(self.path, self.clock, key=self.key)
        for role in self._services:
            self._services[role] = self._open_service(role)
        for held, key in self._living().items():
            before, events = then.get(held, (b"", []))
            self._compartment(held).events[:] = events if before == key else []
        return True

    def _living(self) -> dict[Held, bytes]:
        """The id of each key that lives in a compartment."""
        session = self.store._session
        found = {}
        for account, known in self.model.accounts.items():
            for purpose in known.compartments:
                slot = session.ground.keyring.slot_at(session.tag(account), session.place(purpose))
                if slot is not None and slot.key_held:
                    found[account, purpose] = slot.header.key_id
        return found

    def _compartment(self, held: Held) -> Compartment:
        account, purpose = held
        return self.model.accounts[account].compartments[purpose]

    # ---- another key -----------------------------------------------------------------------------

    def rotate(self, hand: Literal["here", "there"]) -> None:
        """Move to a new key; whoever has the store open under the old one is told."""
        said = self.answer(hand, {"do": "rotate", "key": str(self._next_key)})
        self.model.leaf("keys-rotated", role="officer")
        self.model.leaf("epoch-closed", role="officer")
        assert isinstance(said, dict)
        assert (said["epoch"], said["damaged"]) == (self.epoch + 1, 0)
        self._go_by_the_new_key(hand)

    def crash_in_rotation(self, step: str) -> None:
        """Let a new process begin to move to a new key, and end at ``step``: two epochs stand."""
        assert self.crash(step, {"do": "rotate", "key": str(self._next_key)})
        self.model.leaf("keys-rotated", role="officer")
        self._go_by_the_new_key(None)

    def resume(self, hand: Hand) -> None:
        """Let somebody carry it to its end."""
        said = self.answer(hand, {"do": "resume"})
        self.model.leaf("epoch-closed", role="officer")
        assert isinstance(said, dict)
        assert said["damaged"] == 0

    def retag(self) -> None:
        """Move to a new key and to new tags, while nobody has the store open."""
        self.close_peer()
        self._close_services()
        self.store.close()
        done = cp.Store.retag(self.path, key=cp.KeyFile(self.key), new_key=cp.KeyFile(self._next_key), clock=self.clock)
        assert done is not None
        assert done.damaged == 0
        self.model.leaf("keys-rotated", role="officer")
        self.model.leaf("epoch-closed", role="officer")
        self.key, self.epoch = self._next_key, self.epoch + 1
        self.store = factory().open(self.path, self.clock, key=self.key)

    @property
    def _next_key(self) -> Path:
        return self.path.with_name(f"{self.path.name}-{self.epoch + 1}.key")

    def _go_by_the_new_key(self, by: Hand | None) -> None:
        """Everybody but ``by`` is refused, and opens the store anew."""
        self.key, self.epoch = self._next_key, self.epoch + 1
        if by != "there" and self.peer_open:
            self.refused("there", {"do": "statistics"}, "KeysRotated")
            self.close_peer()
        if by != "here":
            self.refused("here", {"do": "statistics"}, "KeysRotated")
            self.reopen()
        for role in self._services:
            self.refused(cast("Hand", role), {"do": "statistics"}, "KeysRotated")
        self._close_services()

    def _close_services(self) -> None:
        for service in self._services.values():
            service.close()
        self._services.clear()

    def move_clock(self, seconds: int) -> None:
        """Move the clock of both processes."""
        self.clock.second += seconds
        self.model.clock += seconds

    # ---- operations ------------------------------------------------------------------------------

    def decide(self, hand: Hand, account: str, purposes: Sequence[str], act: str) -> None:
        """One decision through its own method."""
        command = self.decision(account, purposes, act)
        said = cast("dict[str, dict[str, Json]]", self.answer(hand, command))
        changed = self.model.decide(account, purposes, act, role="officer" if act == "invalidate" else "app")
        assert {purpose for purpose, consent in said.items() if consent["changed"]} == changed
        self._compare_consents(account, said, history=False)

    @staticmethod
    def decision(account: str, purposes: Sequence[str], act: str) -> dict[str, object]:
        """The command of a decision."""
        notice = NOTICE if act in ("give", "renew", "refuse") else None
        return {"do": act, "account": account, "purposes": list(purposes), "notice": notice, "method": METHOD}

    def consents(self, hand: Hand, account: str) -> None:
        """What stands and how it came to stand."""
        said = cast("dict[str, dict[str, Json]]", self.answer(hand, {"do": "consents", "account": account}))
        assert list(said) == list(PURPOSES)
        self.model.leaf("consent-read", role="app")
        self._compare_consents(account, said, history=True)

    def _compare_consents(self, account: str, said: Mapping[str, Mapping[str, Json]], *, history: bool) -> None:
        for purpose, consent in said.items():
            expected = self.model.standing(account, purpose)
            shown = {name: consent[name] for name in ("state", "since", "until", "notice")}
            stands = {name: expected[name] for name in ("state", "notice")}
            stands |= {name: iso(cast("int | None", expected[name])) for name in ("since", "until")}
            assert shown == stands
            if history:
                entries = cast("list[dict[str, Json]]", consent["history"])
                told = [(e["decided"], e["recorded"], e["act"], e["state"]) for e in entries]
                entered = cast("list[tuple[int, int, str, str]]", expected["history"])
                assert told == [(iso(d), iso(r), act, state) for d, r, act, state in entered]

    def read(self, hand: Hand, account: str, purpose: str) -> None:
        """Events, then the profile; None, or exactly what the model keeps."""
        command = {"purpose": purpose, "actor": READERS[purpose], "reason": REASON, "account": account}
        events = cast("list[dict[str, Json]] | None", self.answer(hand, {"do": "events", **command}))
        expected = self.model.read(account, purpose, READERS[purpose], REASON)
        profile = self.answer(hand, {"do": "profile", **command})
        self.model.read(account, purpose, READERS[purpose], REASON)
        if expected is None:
            assert events is None
            assert profile is None
        else:
            assert events is not None
            tokens = match_tokens(expected[-KEEP[purpose] :], events)
            assert tokens is not None, (expected, events)
            assert profile == folded(expected, purpose, tokens)

    def gone(self, account: str, purposes: Sequence[str]) -> None:
        """Nobody sees anything any more."""
        hands: tuple[Hand, ...] = ("here", "there", "agent") if "agent" in self._services else ("here", "there")
        for hand in hands:
            for purpose in purposes:
                if purpose in SERVICES.get(hand, PURPOSES):
                    self.read(hand, account, purpose)
                assert self.model.compartment(account, purpose).state_at(self.model.now) not in YES

    def access(self, hand: Hand, account: str) -> None:
        """Everything that is held, and nothing else."""
        actor = "officer:5"
        said = self.answer(hand, {"do": "access", "account": account, "actor": actor, "reason": REASON})
        assert isinstance(said, dict)
        self.model.access(account, actor, REASON)
        known = self.model.account(account)
        assert said["account"] == (normal(account) if known.known else None)
        assert said["suppressed"] == sorted(known.reasons)
        assert traced(said["trail"]) == sorted((iso(second), who, why) for second, who, why in known.trail)
        held = cast("dict[str, dict[str, Json]]", said["compartments"])
        alive = {purpose: stands for purpose, stands in known.compartments.items() if stands.key}
        assert set(held) == set(alive)
        for purpose, stands in alive.items():
            assert held[purpose]["in_force"] == (stands.state_at(self.model.now) in YES)
            assert len(cast("list[Json]", held[purpose]["events"])) == len({event.id for event in stands.events})
            reads = sorted((iso(second), who, why) for second, who, why in stands.reads)
            assert traced(held[purpose]["trail"]) == reads
        self._compare_consents(account, cast("dict[str, dict[str, Json]]", said["consents"]), history=True)

    def retention(self, hand: Hand) -> None:
        """Run retention; what is kept is as it was."""
        said = cast("dict[str, Json]", self.answer(hand, {"do": "retention"}))
        found = self.model.retain()
        assert (said["purposes"], said["resealed"], said["damaged"]) == (found, sum(found.values()), 0)

    def narrow(self, hand: Hand) -> None:
        """The policy narrows by one more step, if there is one; the other hand is told, and opens the store again."""
        steps = len(self.model.gone) + 1
        if steps > len(NARROWINGS):
            return
        if hand == "there":
            self.ask("there", {"do": "statistics"})
        text = narrowed_policy(steps).text.decode()
        self.answer(hand, {"do": "policy", "policy": text, "key": str(self.key)})
        purpose, field, _, _ = NARROWINGS[steps - 1]
        self.model.narrow(purpose, field)
        if hand == "there" or self.peer_open:
            other: Hand = "here" if hand == "there" else "there"
            self.refused(other, {"do": "consents", "account": "canary-nobody"}, "PolicyChanged")
        if hand == "there":
            self.reopen()
        else:
            self.close_peer()
        for role, service in list(self._services.items()):
            self.refused(cast("Hand", role), {"do": "log"}, "PolicyChanged")
            service.close()
            self._services[role] = self._open_service(role)

    def erase(self, hand: Hand, accounts: Sequence[str], reference: str | None) -> None:
        """Erase accounts; the answer names a key for each leaf."""
        command = {"do": "erase", "accounts": list(accounts), "reference": reference, "actor": "officer:5"}
        said = cast("dict[str, Json]", self.answer(hand, command))
        first = len(self.model.leaves)
        found, keys = self.model.erase(accounts, "officer:5")
        assert (said["found"], len(cast("list[str]", said["key_ids"]))) == (found, keys)
        assert said["leaves"] == list(range(first, first + keys))
        assert bool(said["file"]) == bool(keys)

    # ---- the log ---------------------------------------------------------------------------------

    def compare_log(self) -> None:
        """The log has grown by exactly what the model says, and by nothing personal."""
        entries = cast("list[dict[str, Json]]", self.answer("here", {"do": "log", "start": self._seen}))
        for index, entry in enumerate(entries):
            if entry["operation"] == "compacted":  # housekeeping: it may happen at any time, and changes nothing
                self.model.leaves.insert(self._seen + index, ("compacted", "", ""))
        expected = self.model.leaves[self._seen :]
        # Leaves of new keys stand in the order of random ids; the model has them in that of their purposes.
        told = [(str(e["operation"]), str(e["purpose"]), str(e["role"])) for e in entries]
        runs = groupby(told, key=itemgetter(0))
        assert [one for operation, run in runs for one in (sorted(run) if operation in RESEALING else run)] == expected
        for entry in entries:
            assert CANARY not in msgspec.json.encode(entry).decode().lower()
            self._follow_key(entry)
        self._seen += len(entries)

    def _follow_key(self, entry: Mapping[str, Json]) -> None:
        """A key is granted once and dies once; no other leaf names it."""
        key = cast("dict[str, str]", entry["facts"]).get("key-id")
        if entry["operation"] in ("consent-given", "resealed"):
            assert key is not None
            assert key not in self._granted
            self._granted[key] = str(entry["purpose"])
        elif entry["operation"] in DESTROYING:
            assert key is not None
            assert key not in self._dead
            assert self._granted.get(key, "") == entry["purpose"]
            self._dead.add(key)
        else:
            assert key is None

    def finish(self) -> None:
        """At the end: counted right, the log verifies, everything opens, nothing is left over."""
        told = cast("dict[str, dict[str, int]]", self.answer("here", {"do": "statistics"}))
        counted = {(purpose, outcome): n for purpose, counts in told.items() for outcome, n in counts.items()}
        assert counted == dict(self.model.counts)
        self.consents("here", "canary-nobody")
        self.compare_log()
        head = cast("dict[str, Json]", self.answer("here", {"do": "verify"}))
        assert head["size"] == len(self.model.leaves)
        report = cast("dict[str, Json]", self.answer("here", {"do": "check"}))
        assert report["findings"] == []
        held = [stands for account in self.model.accounts.values() for stands in account.compartments.values()]
        keys = [stands.key for stands in held] + [account.known for account in self.model.accounts.values()]
        assert report["keys"] == sum(keys) + sum(account.proven for account in self.model.accounts.values())

    def close(self) -> None:
        """Close the store everywhere."""
        self.close_peer()
        for service in self._services.values():
            service.close()
        self.store.close()


def traced(said: Json) -> list[tuple[Json, Json, Json]]:
    """What a trail says: (time, actor, reason), sorted."""
    found = [(trace["at"], trace["actor"], trace["reason"]) for trace in cast("list[dict[str, Json]]", said)]
    return sorted(found, key=str)


def match_tokens(expected: Sequence[Kept], events: Sequence[Mapping[str, Json]]) -> dict[str, str] | None:
    """The digests that stand for the devices, if there are any under which the events are the expected ones."""
    names = sorted({str(value) for event in expected for name, value in event.fields if name == "device"})
    shown = [cast("dict[str, str | int | bool]", event["fields"]) for event in events]
    digests = sorted({str(fields["device"]) for fields in shown if "device" in fields})
    actual = [
        (event["at"], event["kind"], tuple(sorted(fields.items()))) for event, fields in zip(events, shown, strict=True)
    ]
    if len(digests) != len(names) or len({str(event["id"]) for event in events}) != len(events):
        return None
    for order in permutations(digests):
        tokens = dict(zip(names, order, strict=True))
        if actual == [(iso(event.at), event.kind, event.fields) for event in substituted(expected, tokens)]:
            return tokens
    return None


def substituted(events: Sequence[Kept], tokens: Mapping[str, str]) -> list[Kept]:
    """The events with digests for devices, in order."""
    return sorted(
        event._replace(
            fields=tuple((key, tokens[str(value)] if key == "device" else value) for key, value in event.fields)
        )
        for event in events
    )


def folded(events: Sequence[Kept], purpose: str, tokens: Mapping[str, str]) -> object:
    """The profile of the model's events, as JSON. (The fold itself is proven beside its module.)"""
    known = [
        Recorded(event.at, event.kind, event.fields, number.to_bytes(16, "big"))
        for number, event in enumerate(substituted(events, tokens))
    ]
    profile = fold(known, small_policy(), small_policy().purposes[purpose])
    return msgspec.json.decode(msgspec.json.encode(profile))
