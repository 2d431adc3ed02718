"""What a store promises, as plain dictionaries: no keys, no files, no processes. Written from the design, section 6.

Where the design leaves the order of reasons open, an event is told the first that holds of: no consent, suppressed,
not collected, before consent, past retention.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from tests.support.policies import NOTICE, PURPOSES
from tests.support.stores import DAY

ZONE: Final = ZoneInfo("Europe/Berlin")
LIFETIME: Final = {"support": 200 * DAY, "analytics": 10 * DAY, "marketing": 400 * DAY}
RETENTION: Final = {"support": 2, "analytics": 1, "marketing": 1}
PRECISION: Final = {"support": "second", "analytics": "hour", "marketing": "day"}
KEEP: Final = {"support": 10_000, "analytics": 4, "marketing": 100}
FIELDS: Final = {
    "support": frozenset({"channel", "platform", "device", "topic", "total"}),
    "analytics": frozenset({"channel", "platform"}),
    "marketing": frozenset({"channel", "total"}),
}
SUPPRESSES: Final = {"deceased": frozenset(PURPOSES), "quiet": frozenset({"marketing"})}
YES: Final = ("given", "renewed")

Pair: TypeAlias = tuple[str, "str | int | bool"]
LeafTold: TypeAlias = tuple[str, str, str]
"""Operation, purpose and role."""


class Kept(NamedTuple):
    """An event as a purpose keeps it, tokens still as they were given. ``raw`` is its exact second."""

    at: int
    kind: str
    fields: tuple[Pair, ...]
    id: str
    raw: int


class Decided(NamedTuple):
    """An entry of the evidence."""

    decided: int
    recorded: int
    act: str
    state: str


@dataclass
class Compartment:
    """The consent of one account to one purpose, and what was kept under it."""

    state: str = "none"
    since: int = 0
    until: int = 0
    key: bool = False
    events: list[Kept] = field(default_factory=list)
    reads: list[tuple[int, str, str]] = field(default_factory=list)

    def state_at(self, second: int) -> str:
        """The state, the lifetime considered."""
        return "expired" if self.state in YES and second >= self.until else self.state


@dataclass
class Account:
    """One account. ``known``: there is an account key, so its id can be shown."""

    known: bool = False
    proven: bool = False
    erased_at: int = 0
    compartments: dict[str, Compartment] = field(default_factory=dict)
    evidence: dict[str, list[Decided]] = field(default_factory=dict)
    reasons: set[str] = field(default_factory=set)
    trail: list[tuple[int, str, str]] = field(default_factory=list)

    def suppressed(self, purpose: str) -> bool:
        """Whether a reason switches the purpose off."""
        return any(purpose in SUPPRESSES[reason] for reason in self.reasons)


def normal(account: str) -> str:
    """The account that an id names."""
    return unicodedata.normalize("NFC", account)


def role_of(actor: str) -> str:
    """The role of an actor."""
    return actor.partition(":")[0]


def month(second: int) -> int:
    """The calendar month."""
    local = datetime.fromtimestamp(second, ZONE)
    return local.year * 12 + local.month


def floored(second: int, precision: str) -> int:
    """The beginning of the second, hour or day."""
    if precision == "second":
        return second
    local = datetime.fromtimestamp(second, ZONE).replace(minute=0, second=0)
    return int((local.replace(hour=0, fold=0) if precision == "day" else local).timestamp())


class Model:
    """A store."""

    def __init__(self, clock: int) -> None:
        self.clock = clock
        self.leaves: list[LeafTold] = []
        self.newest_hour = 0
        self.accounts: dict[str, Account] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.gone: set[tuple[str, str]] = set()
        self._nameless = 0
        self.leaf("store-created")
        self.leaf("policy-accepted")

    @property
    def now(self) -> int:
        """The second, never behind the newest leaf."""
        return max(self.clock, self.newest_hour * 3600)

    def leaf(self, operation: str, purpose: str = "", role: str = "") -> None:
        """Something has happened."""
        self.newest_hour = self.now // 3600
        self.leaves.append((operation, purpose, role))

    def account(self, name: str) -> Account:
        """The account with this id."""
        return self.accounts.setdefault(normal(name), Account())

    def compartment(self, name: str, purpose: str) -> Compartment:
        """What stands for an account and a purpose."""
        return self.account(name).compartments.get(purpose, Compartment())

    # ---- consent ---------------------------------------------------------------------------------

    def decide(
        self, name: str, purposes: Sequence[str], act: str, at: int | None = None, role: str = "app"
    ) -> set[str]:
        """The purposes for which the decision changed something."""
        return {purpose for purpose in purposes if self._decide(self.account(name), purpose, act, at, role)}

    def _decide(self, account: Account, purpose: str, act: str, told: int | None, role: str) -> bool:
        stands = account.compartments.get(purpose, Compartment())
        # Who decides now is heard, however the clock goes; what is told later is overtaken by what stands.
        latest = max(account.erased_at, stands.since, stands.until - LIFETIME[purpose])
        at = max(self.now, latest) if told is None else told
        state, in_force = stands.state_at(at), stands.state_at(at) in YES
        if at < latest:
            return False
        until = at + LIFETIME[purpose]
        if act == "give" and not in_force:
            if stands.key:
                self.leaf("consent-expired", purpose, role)
            result = Compartment("given", at, until, key=True)
        elif act == "renew" and in_force and until > stands.until:
            result = Compartment("renewed", stands.since, until, True, stands.events, stands.reads)
        elif act in ("refuse", "withdraw") and stands.key:
            result = Compartment("withdrawn", at)
        elif act == "invalidate" and stands.key:
            result = Compartment("invalidated", at)
        elif act == "refuse" and state != "refused" and not (state == "withdrawn" and told == latest):
            result = Compartment("refused", at)
        else:
            return False
        account.compartments[purpose] = result
        account.known = account.proven = True
        account.evidence.setdefault(purpose, []).append(Decided(at, self.now, act, result.state))
        self.leaf("consent-" + result.state, purpose, role)
        return True

    def consents(self, name: str) -> dict[str, dict[str, object]]:
        """What stands, and the evidence."""
        self.leaf("consent-read", role="app")
        return {purpose: self.standing(name, purpose) for purpose in PURPOSES}

    def standing(self, name: str, purpose: str) -> dict[str, object]:
        """What stands for a purpose."""
        account, stands = self.account(name), self.compartment(name, purpose)
        state = stands.state_at(self.now)
        since = {"none": None, "expired": stands.until}.get(state, stands.since)
        return {
            "state": state,
            "since": since,
            "until": stands.until if state in YES else None,
            "notice": NOTICE if state in YES else None,
            "history": sorted(account.evidence.get(purpose, []), key=lambda entry: entry[:2]),
        }

    def suppress(self, name: str, reason: str, actor: str, *, lift: bool) -> bool:
        """Whether that changed anything."""
        account = self.account(name)
        if (reason in account.reasons) is not lift:
            return False
        account.reasons ^= {reason}
        account.known = True
        operation = "suppression-lifted" if lift else "suppressed"
        account.trail.append((self.now, actor, reason))
        self.leaf(operation, role=role_of(actor))
        return True

    def erase(self, names: Sequence[str], actor: str) -> tuple[int, int]:
        """How many accounts were known, and how many keys died."""
        role = role_of(actor)
        found = keys = 0
        for name in dict.fromkeys(map(normal, names)):
            account = self.account(name)
            for purpose in PURPOSES:
                if self.compartment(name, purpose).key:
                    account.evidence[purpose].append(Decided(self.now, self.now, "erase", "withdrawn"))
                    self.leaf("erased", purpose, role)
                    keys += 1
            if account.known:
                self.leaf("erased", role=role)
                found, keys = found + 1, keys + 1
                if account.proven:
                    since = [stands.since for stands in account.compartments.values()]
                    account.erased_at = max([self.now, account.erased_at, *since])
            account.known = False
            account.compartments.clear()
            account.trail.clear()
        return found, keys

    # ---- events ----------------------------------------------------------------------------------

    def record(
        self,
        batch: Sequence[tuple[str, str, int, str | None, dict[str, str | int]]],
        purposes: Sequence[str] = PURPOSES,
    ) -> list[dict[str, str]]:
        """Record (account, kind, second, id, fields) in one transaction, for ``purposes``; the outcomes of each."""
        answers, taken = [], False
        for name, kind, at, given, fields in batch:
            self._nameless += 1
            said = {}
            for purpose in purposes:
                said[purpose] = outcome = self._outcome(name, purpose, kind, at, fields)
                if outcome == "recorded":
                    kept = tuple(sorted((key, value) for key, value in fields.items() if key in FIELDS[purpose]))
                    stored = f"#{self._nameless}" if given is None else given
                    known = Kept(floored(at, PRECISION[purpose]), kind, kept, stored, at)
                    self.compartment(name, purpose).events.append(self._left(purpose, known))
                    taken = True
            self.counts.update(said.items())
            answers.append(said)
        if taken:
            self.leaf("recorded", role="app")
        return answers

    def _outcome(self, name: str, purpose: str, kind: str, at: int, fields: dict[str, str | int]) -> str:
        stands = self.compartment(name, purpose)
        if stands.state_at(self.now) not in YES:
            return "no_consent"
        if self.account(name).suppressed(purpose):
            return "suppressed"
        if (purpose == "marketing" and kind != "purchase") or (
            fields.get("topic") == "bereavement" and purpose != "support"
        ):
            return "not_collected"
        if at < stands.since:
            return "before_consent"
        return "past_retention" if month(at) < month(self.now) - RETENTION[purpose] else "recorded"

    # ---- reading ---------------------------------------------------------------------------------

    def refuse_read(self, purpose: str, role: str) -> None:
        """A read that was refused. ``purpose`` and ``role`` are empty where the policy does not declare them."""
        self.leaf("read-refused", purpose, role)

    def read(self, name: str, purpose: str, actor: str, reason: str) -> list[Kept] | None:
        """The events that the purpose shows, in any order, repeats dropped; None where there is nothing to see."""
        stands = self.compartment(name, purpose)
        shown = stands.state_at(self.now) in YES and not self.account(name).suppressed(purpose)
        if shown:
            stands.reads.append((self.now, actor, reason))
        self.leaf("read", purpose, role_of(actor))
        oldest = month(self.now) - RETENTION[purpose]
        kept = [self._left(purpose, event) for event in stands.events if month(event.raw) >= oldest]
        return distinct(kept) if shown else None

    def narrow(self, purpose: str, field: str) -> None:
        """A policy is accepted under which a purpose does not keep a field any more; nobody sees it from now on."""
        self.leaf("policy-accepted", role="officer")
        self.gone.add((purpose, field))

    def _left(self, purpose: str, event: Kept) -> Kept:
        """What the policies have left of an event."""
        return event._replace(fields=tuple(pair for pair in event.fields if (purpose, pair[0]) not in self.gone))

    def retain(self) -> dict[str, int]:
        """What is past retention or not allowed any more is destroyed; how many compartments held any, by purpose."""
        past: Counter[str] = Counter()
        narrowed: Counter[str] = Counter()
        for account in self.accounts.values():
            for purpose, stands in account.compartments.items():
                oldest = month(self.now) - RETENTION[purpose]
                kept = [event for event in stands.events if month(event.raw) >= oldest]
                left = [self._left(purpose, event) for event in kept]
                if stands.key and left != stands.events:
                    (past if len(left) < len(stands.events) else narrowed)[purpose] += 1
                    stands.events = left
        found = past + narrowed
        for operation, counted in (
            ("resealed", found),
            ("retention-applied", past),
            ("narrowing-applied", narrowed),
        ):
            for purpose in sorted(counted.elements()):
                self.leaf(operation, purpose)
        return dict(found)

    def access(self, name: str, actor: str, reason: str) -> None:
        """An officer looks at everything that is held."""
        account = self.account(name)
        if account.known:
            account.trail.append((self.now, actor, reason))
        role = role_of(actor)
        self.leaf("accessed", role=role)
        self.leaf("consent-read", role=role)


def distinct(events: Sequence[Kept]) -> list[Kept]:
    """Each id once: of several contents the one whose encoding is the smallest."""
    best: dict[str, Kept] = {}
    for event in sorted(events, key=lambda one: msgspec.msgpack.encode((one.at, one.kind, one.fields))):
        best.setdefault(event.id, event)
    return sorted(best.values())


def iso(second: int | None) -> str | None:
    """A second as JSON tells it."""
    return None if second is None else datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")
