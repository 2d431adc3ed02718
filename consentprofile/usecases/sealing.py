"""Sealing: accepted events become sealed blocks of the compartments that are in force, and of no other.

What lies between the caller's events and the rows of a transaction. :func:`accept_many` checks events, :func:`offers`
looks up, under the gate or the writer lock, which compartments of their accounts are in force, and a :class:`Sealer`
does the rest: it minimizes, opens the key of a compartment when an event goes into it, seals the block, and puts the
key down before it takes up the next. What a purpose may not keep of an event never reaches a block. From looking up on,
it may all be done in another process (:mod:`consentprofile.usecases.sealing_crew`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from consentprofile.crypto.aead import nonces
from consentprofile.crypto.block_sealing import BlockKey, BlockSealer, CompartmentSlot
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.tags import SHORT_BYTES, CompartmentSecret
from consentprofile.errors import InputError, InvalidEvent
from consentprofile.model import block
from consentprofile.model.event import Event, Outcome
from consentprofile.model.policy import Precision
from consentprofile.model.projection import Checked, Pair
from consentprofile.model.withheld import Withheld
from consentprofile.store.ports import Keyring, SealedRow, Standing
from consentprofile.usecases.held_terms import HeldTerms
from consentprofile.usecases.sealing_rules import Rule, Rules
from consentprofile.usecases.session import Session, is_in_force

FOR_EVER: Final = 2**63 - 1
"""A second that no clock reaches."""

# To look a member up in its enumeration takes a tenth of a microsecond.
_NO_CONSENT: Final = Outcome.NO_CONSENT
_RECORDED: Final = Outcome.RECORDED

Counts: TypeAlias = dict[tuple[str, Outcome], int]
"""How often, by purpose and outcome."""

Entry: TypeAlias = tuple[str | None, Checked]
"""An event that the policy declares: the id it was given, and what else of it there is."""

Account: TypeAlias = tuple[bytes, list[Entry]]
"""The events of one account, by its tag."""

Suppressed: TypeAlias = dict[bytes, list[str]]
"""The reasons for suppression that are noted, by tag."""


class Accepted(NamedTuple):
    """An event that the policy declares, of an account that can be one; its consent has not been looked at."""

    tag: bytes
    entry: Entry

    def __repr__(self) -> str:
        return "<Accepted, contents withheld>"


class Parcel(Withheld, frozen=True, array_like=True):
    """Events of some accounts, to be sealed at ``now`` together; accounts are tags in it."""

    now: int
    accounts: list[Account]
    suppressed: Suppressed


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """The blocks of a parcel, and how often each purpose said what.

    They were sealed when ``changes`` transactions had changed the keyring, under consents of which the first ends at
    the second ``until``. What is written of them is written while both is still so.
    """

    rows: list[SealedRow]
    counts: list[tuple[str, Outcome, int]]
    changes: int
    until: int


class InForce(NamedTuple):
    """A compartment in force: its slot, what its terms hold, and whether its purpose is switched off."""

    slot: CompartmentSlot
    terms: HeldTerms
    suppressed: bool


class Offer(NamedTuple):
    """Events of one account, and its compartments in force, by the number of the purpose."""

    compartments: dict[int, InForce]
    events: list[Entry]

    def __repr__(self) -> str:
        return "<Offer, contents withheld>"


class Sealer:
    """Seals events at one time. It reads no file and no clock."""

    def __init__(self, rules: Rules, sealer_of: Callable[[str], BlockSealer], now: int) -> None:
        self._policy, self._projector, self._calendar = rules.policy, rules.projector, rules.calendar
        self._now = now
        self._rules: list[tuple[Rule, BlockSealer, dict[Outcome, int]]] = [
            (rule, sealer_of(rule.name), {}) for rule in rules.at(now)
        ]
        """The purposes, what seals for each, and how often each has said what."""
        self.until = FOR_EVER
        """The second at which the first of the consents ends that anything was sealed under."""

    @property
    def counts(self) -> Counts:
        """How often each purpose has said what so far."""
        return {(rule.name, outcome): count for rule, _, said in self._rules for outcome, count in said.items()}

    def seal(self, offers: Sequence[Offer], answers: list[Outcome] | None = None) -> list[SealedRow]:
        """The blocks of the events that were taken, one for each compartment that took any.

        ``answers``, where given, is extended by what each purpose says, in the order of the policy, to each event of
        its account. Raises :class:`CorruptRecord` for a slot that is not as it was written.
        """
        rows: list[SealedRow] = []
        fresh = nonces(len(offers) * len(self._rules))
        for compartments, events in offers:
            for rule, sealer, said in self._rules:
                name, number, oldest, precision = rule
                found = compartments.get(number)
                if found is not None and found.terms.narrowed is not None:
                    oldest = self._calendar.kept_from(self._now, found.terms.narrowed.retention_months)
                    precision = found.terms.narrowed.precision
                key: BlockKey | None = None
                packed: list[block.Packed] = []
                for identity, checked in events:
                    outcome, values = self._judge(name, oldest, found, checked)
                    if values is not None and found is not None:
                        if key is None:
                            key = self._open(sealer, found)
                        packed.append(self._pack(key.secret, identity, checked, values, precision))
                    said[outcome] = said.get(outcome, 0) + 1
                    if answers is not None:
                        answers.append(outcome)
                if key is not None and found is not None:
                    sealed = key.seal(block.encode(self._policy, packed), fresh)
                    rows.append(SealedRow(found.slot.number, found.slot.generation, sealed))
        return rows

    def _judge(
        self, purpose: str, oldest: int, found: InForce | None, checked: Checked
    ) -> tuple[Outcome, list[Pair] | None]:
        """What the purpose says to the event, and what it keeps of it."""
        if found is None:
            return _NO_CONSENT, None
        slot, terms, suppressed = found
        if suppressed:
            return Outcome.SUPPRESSED, None
        if terms.narrowed is None:
            values = self._projector.project(purpose, checked)
        else:
            values = self._projector.project_narrowed(terms.narrowed, checked)
        if values is None:
            return Outcome.NOT_COLLECTED, None
        if checked.at < slot.since:
            return Outcome.BEFORE_CONSENT, None
        if checked.at < oldest:
            return Outcome.PAST_RETENTION, None
        return _RECORDED, values

    def _open(self, sealer: BlockSealer, found: InForce) -> BlockKey:
        slot, terms, _ = found
        ends = slot.until - terms.cut
        self.until = min(self.until, ends)
        return sealer.open(slot, terms.bound)

    def _pack(
        self,
        secret: CompartmentSecret,
        identity: str | None,
        checked: Checked,
        values: list[Pair],
        precision: Precision,
    ) -> block.Packed:
        # Without an id every call is an event of its own: a random id makes it one, and lets the fold drop copies of a
        # block that somebody put back.
        stored = random_bytes(SHORT_BYTES) if identity is None else secret.event(identity)
        at = checked.at if precision == "second" else self._calendar.floor(checked.at, precision)
        packed: block.Packed = [stored, at, checked.kind]
        tokens = self._projector.tokens
        for pair in values:
            field, value = pair
            if field in tokens:
                packed += (field, secret.token(tokens[field], value))  # type: ignore[arg-type]
            else:
                packed += pair  # type: ignore[arg-type]
        return packed


def seal_parcel(parcel: Parcel, keyring: Keyring, held: Callable[[int], HeldTerms], sealer: Sealer) -> Sealed:
    """Seal a parcel as the keyring stands. The caller holds the gate, and one state of the keyring."""
    changes = keyring.changes()
    rows = sealer.seal(offers(keyring, held, parcel.accounts, parcel.suppressed, parcel.now))
    counts = [(purpose, outcome, count) for (purpose, outcome), count in sealer.counts.items()]
    return Sealed(rows, counts, changes, sealer.until)


# ---- with a session -----------------------------------------------------------------------------


def sealer(session: Session, now: int) -> Sealer:
    """What seals under the session's policy, with its keys, in this process."""
    return Sealer(session.rules, session.keys.sealer, now)


def accept(session: Session, event: Event, now: int) -> Accepted:
    """Check an event at ``now``. Raises :class:`InvalidEvent` or :class:`InvalidAccount`."""
    checked = session.projector.check(event, now)
    return Accepted(session.tag(event.account), (event.id, checked))


def accept_many(session: Session, events: Sequence[Event], now: int, *, first: int, committed: int) -> list[Account]:
    """Check events, of which the first stands at ``first`` in the caller's iterable; what was accepted, by account.

    Accounts are in the order of their tags, so that neighbours share pages of the keyring. Raises
    :class:`InvalidEvent` for the first event that cannot be taken, with its index and what is ``committed``.
    """
    taken: dict[bytes, list[Entry]] = {}
    check, tag_of = session.projector.check, session.tag
    done = 0
    try:
        for done, event in enumerate(events):  # noqa: B007 - where it is when one is refused
            entry = (event.id, check(event, now))
            tag = tag_of(event.account)
            if tag in taken:
                taken[tag].append(entry)
            else:
                taken[tag] = [entry]
    except InputError as error:
        raise InvalidEvent(str(error), index=first + done, committed=committed) from None
    return sorted(taken.items())


def offer_one(session: Session, accepted: Accepted, standing: Standing, now: int) -> Offer:
    """As :func:`offers`, for a single event and what the keyring says of its account."""
    tag, entry = accepted
    reasons = suppressed_of(session, [(tag, [entry])]).get(tag, ()) if standing.outlook.suppressions else ()
    return Offer(_in_force(session.held, standing.compartments, reasons, now), [entry])


def offers(
    keyring: Keyring, held: Callable[[int], HeldTerms], accounts: Sequence[Account], suppressed: Suppressed, now: int
) -> list[Offer]:
    """The events of each account with its compartments in force, their keys wrapped.

    ``held`` answers what the terms with a number hold. The caller holds the gate or the writer lock. Raises
    :class:`CorruptRecord`.
    """
    found = keyring.compartments_of_many([tag for tag, _ in accounts])
    made = []
    for tag, events in accounts:
        made.append(Offer(_in_force(held, found.get(tag, ()), suppressed.get(tag, ()), now), events))
    return made


def _in_force(
    held: Callable[[int], HeldTerms], slots: Iterable[CompartmentSlot], reasons: Sequence[str], now: int
) -> dict[int, InForce]:
    """The compartments in force among the slots of one account, by the number of the purpose."""
    compartments: dict[int, InForce] = {}
    for slot in slots:
        if is_in_force(slot.state, slot.until, now) and slot.key_held:
            terms = held(slot.terms)
            if now < slot.until - terms.cut:
                suppressed = bool(reasons) and not terms.holds.reasons.isdisjoint(reasons)
                compartments[slot.purpose] = InForce(slot, terms, suppressed)
    return compartments


def offered(session: Session, accounts: Sequence[Account], now: int) -> list[Offer]:
    """As :func:`offers`, for a session."""
    suppressed = suppressed_of(session, accounts)
    return offers(session.ground.keyring, session.held, accounts, suppressed, now)


def suppressed_of(session: Session, accounts: Sequence[Account]) -> Suppressed:
    """The reasons for suppression, by tag. Mostly nobody is suppressed, and it costs nothing."""
    if not session.ground.keyring.has_suppressions():
        return {}
    return {tag: sorted(session.reasons(tag)) for tag, _ in accounts}
