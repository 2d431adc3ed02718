"""Recording: each event goes, projected and sealed, to the purposes that are in force, and to no other.

One transaction of ``data.db`` under the writer lock for each batch; keys are only read. Nothing of an event that a
purpose may not keep ever reaches a sealed block, and no key outlives the batch.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, TypeAlias

import msgspec

from consentprofile.crypto.aead import TAG_BYTES
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.randomness import random_bytes
from consentprofile.crypto.tags import SHORT_BYTES
from consentprofile.errors import CorruptRecord, InputError, InvalidEvent
from consentprofile.model import block
from consentprofile.model.event import Event, Outcome
from consentprofile.model.policy import Purpose
from consentprofile.model.projection import Checked
from consentprofile.store.ports import BLOCK, SealedRow
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases.session import Session

BATCH: Final = 5_000
"""Events in one transaction of ``record_many``, unless told otherwise."""

CHUNK: Final = 250
"""Events whose keys are open at the same time."""


_OUTCOMES: Final = frozenset(Outcome)

_NOTHING: Final[frozenset[str]] = frozenset()

_Counts: TypeAlias = dict[tuple[str, Outcome], int]
"""How often, by purpose and outcome."""


class Summary(msgspec.Struct, frozen=True):
    """What ``record_many`` did: how many events it took, and how often each purpose said what."""

    events: int
    outcomes: Mapping[str, Mapping[Outcome, int]]

    def __repr__(self) -> str:
        return f"<Summary of {self.events} events>"


class _Compartment:
    """One compartment during a chunk: what it may take, and what it has taken."""

    __slots__ = ("events", "key", "since", "suppressed")

    def __init__(self, key: SlotKey, since: int, suppressed: bool) -> None:
        self.key = key
        self.since = since
        self.suppressed = suppressed
        self.events: list[block.Packed] = []


_Compartments: TypeAlias = dict[str, _Compartment]
"""The compartments of one account, by purpose."""


class _Batch:
    """Events of one transaction on their way into blocks. Lives under the writer lock.

    Events are taken in chunks: keys are opened for a chunk, its blocks are sealed and written, and the keys are put
    down again. So few keys are open at any time, and little is alive when the garbage collector looks.
    """

    def __init__(self, session: Session, now: int) -> None:
        self._session = session
        self._now = now
        calendar = session.calendar
        self._floor = calendar.floor
        self._project, self._tokens = session.projector.project, session.projector.tokens
        self._purposes: list[tuple[Purpose, int, dict[Outcome, int]]] = [
            (purpose, calendar.kept_from(now, purpose.retention_months), {})
            for purpose in session.policy.purpose_list
        ]
        self._names = {number: name for name, number in session.purpose_numbers.items()}
        self._any_suppressed = session.ground.keyring.has_suppressions()
        self._blocks = session.ground.rows(BLOCK)
        self._accounts: dict[bytes, _Compartments] = {}
        self._sealed = 0
        # The tags of the blocks commit to them: nobody without the keys can make other blocks that end in them.
        self._commitment = hashlib.sha256()

    @property
    def counts(self) -> _Counts:
        """How often each purpose has said what so far."""
        return {
            (purpose.name, outcome): count for purpose, _, told in self._purposes for outcome, count in told.items()
        }

    def add(self, events: Sequence[Event], committed: int | None) -> None:
        """Take events. Raises :class:`InvalidEvent` for the first that cannot be taken.

        ``committed`` events of the same call are recorded already; it is what the error's index counts from. With None
        the event is the only one, and what is wrong with it is raised as it is.
        """
        for start in range(0, len(events), CHUNK):
            self._add(events[start : start + CHUNK], start, committed)

    def _add(self, events: Sequence[Event], start: int, committed: int | None) -> None:
        taken: list[tuple[Event, Checked, bytes]] = []
        tags: dict[str, bytes] = {}
        tag_of, check, now = self._session.tag, self._session.projector.check, self._now
        for event in events:
            try:
                checked = check(event, now)
                account = event.account
                tag = tags.get(account) if type(account) is str else None
                if tag is None:
                    tag = tags[account] = tag_of(account)
            except InputError as error:
                if committed is None:
                    raise
                index = committed + start + len(taken)
                raise InvalidEvent(str(error), index=index, committed=committed) from None
            taken.append((event, checked, tag))
        self._open(set(tags.values()))
        accounts, offer = self._accounts, self._offer
        for event, checked, tag in taken:
            compartments = accounts[tag]
            for purpose, oldest, told in self._purposes:
                outcome = offer(purpose, oldest, compartments, event, checked)
                told[outcome] = told.get(outcome, 0) + 1
        self._write()

    def _open(self, tags: set[bytes]) -> None:
        session, now = self._session, self._now
        is_in_force, unwrap, bound = session.is_in_force, session.keys.unwrap, session.bound
        found = session.ground.keyring.compartments_of_many(list(tags))
        for tag in tags:
            compartments: _Compartments = {}
            suppressed = session.suppressed_purposes(tag) if self._any_suppressed else _NOTHING
            for slot in found.get(tag, ()):
                if is_in_force(slot, now):
                    header = slot.header
                    purpose = self._names[header.purpose]
                    key = unwrap(slot, purpose=purpose, terms=bound(header.terms))
                    compartments[purpose] = _Compartment(key, header.since, purpose in suppressed)
            self._accounts[tag] = compartments

    def _offer(
        self, purpose: Purpose, oldest: int, compartments: _Compartments, event: Event, checked: Checked
    ) -> Outcome:
        compartment = compartments.get(purpose.name)
        if compartment is None:
            return Outcome.NO_CONSENT
        if compartment.suppressed:
            return Outcome.SUPPRESSED
        values = self._project(purpose.name, checked)
        if values is None:
            return Outcome.NOT_COLLECTED
        at = checked.at
        if at < compartment.since:
            return Outcome.BEFORE_CONSENT
        if at < oldest:
            return Outcome.PAST_RETENTION
        secret = compartment.key.secret
        # Without an id every call is an event of its own: a random id makes it one, and lets the fold drop copies of
        # a block that somebody put back.
        stored = random_bytes(SHORT_BYTES) if event.id is None else secret.event(event.id)
        packed: block.Packed = [stored, self._floor(at, purpose.precision), checked.kind]
        tokens = self._tokens
        for number, value in values:
            packed.append(number)
            packed.append(secret.token(tokens[number], value) if number in tokens else value)  # type: ignore[arg-type]
        compartment.events.append(packed)
        return Outcome.RECORDED

    def _write(self) -> None:
        """Seal and write the blocks of a chunk, and put its keys down."""
        policy, commit = self._session.policy_number, self._commitment.update
        rows = []
        for compartments in self._accounts.values():
            for compartment in compartments.values():
                if compartment.events:
                    key = compartment.key
                    sealed = key.seal(RecordType.BLOCK, block.encode(policy, compartment.events))
                    commit(sealed[-TAG_BYTES:])
                    rows.append(SealedRow(key.slot, key.generation, sealed))
        self._accounts.clear()
        self._blocks.append(rows)
        self._sealed += len(rows)

    def finish(self, events: int, role: str) -> None:
        """Write the counts and the leaf of a batch of ``events``."""
        ground = self._session.ground
        ground.counters.add(self.counts.items())
        if self._sealed:
            facts = (("events", events), ("blocks", self._sealed), ("commitment", self._commitment.digest()))
            leaf = Draft(Operation.RECORDED, self._now, "", role, facts)
            ground.log.append((leaf,), self._session.policy.digest)


def record(session: Session, event: Event, *, role: str = "app") -> dict[str, Outcome]:
    """Record one event; the outcome for each declared purpose.

    Returns when the event is as durable as the store's setting says. Raises :class:`InvalidEvent` or
    :class:`InvalidAccount` and records nothing for an event that is malformed, undeclared or from the future.
    """
    with session.ground.recording():
        batch = _Batch(session, session.now())
        batch.add([event], None)
        batch.finish(1, role)
    return dict(batch.counts.keys())


def record_many(
    session: Session,
    events: Iterable[Event],
    *,
    batch_size: int = BATCH,
    progress: Callable[[int], None] | None = None,
    role: str = "app",
) -> Summary:
    """Record any iterable of events in batches of one transaction each, in bounded memory.

    ``progress`` is told how many events are recorded so far. A bad event raises :class:`InvalidEvent` with its
    ``index`` and the number ``committed`` before it; its own batch is void, earlier ones stay.
    """
    if batch_size < 1:
        raise InputError("a batch has at least one event")
    committed = 0
    counts: Counter[tuple[str, Outcome]] = Counter()
    source = iter(events)
    while taken := list(islice(source, batch_size)):
        counts.update(_record_batch(session, taken, committed, role))
        committed += len(taken)
        if progress is not None:
            progress(committed)
    outcomes: dict[str, dict[Outcome, int]] = {name: {} for name in session.policy.purposes}
    for (purpose, outcome), count in sorted(counts.items()):
        outcomes[purpose][outcome] = count
    return Summary(committed, outcomes)


def _record_batch(
    session: Session, events: Sequence[Event], committed: int, role: str
) -> dict[tuple[str, Outcome], int]:
    with session.ground.recording():
        batch = _Batch(session, session.now())
        batch.add(events, committed)
        batch.finish(len(events), role)
        return batch.counts


def statistics(session: Session) -> dict[str, dict[Outcome, int]]:
    """How often recording said what, for each purpose, since the store was made, without any account."""
    with session.ground.files.reading():
        counts = session.ground.counters.all()
    result: dict[str, dict[Outcome, int]] = {name: {} for name in session.policy.purposes}
    for (purpose, outcome), count in sorted(counts.items()):
        if outcome not in _OUTCOMES or purpose not in result:
            raise CorruptRecord("a counter is of no known purpose or outcome; run `consentprofile check`")
        result[purpose][Outcome(outcome)] = count
    return result
