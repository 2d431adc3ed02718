"""Recording: each event goes, projected and sealed, to the purposes that are in force, and to no other.

One transaction of ``data.db`` under the writer lock for each batch; keys are only read. How events become sealed blocks
is in :mod:`consentprofile.usecases.sealing`, how those of a batch do before the lock is asked for in
:mod:`consentprofile.usecases.batches`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from consentprofile.crypto.aead import TAG_BYTES
from consentprofile.errors import CorruptRecord, InputError, InvalidEvent
from consentprofile.model.event import Event, Outcome
from consentprofile.store.ports import Head, SealedRow, decode_counts
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases import compaction
from consentprofile.usecases.batches import Batch, batches, one_ahead
from consentprofile.usecases.capabilities import require_recorder
from consentprofile.usecases.sealing import Accepted, Counts, accept, offer_one, offered, sealer
from consentprofile.usecases.sealing_crew import Crew
from consentprofile.usecases.session import Session

BATCH: Final = 5_000
"""Events in one transaction of ``record_many``, unless told otherwise."""

KEEP_UP: Final = 1_000
"""Events recorded by ``record_many`` after which it looks whether there is anything to compact."""

MOST_WORKERS: Final = 64

_OUTCOMES: Final = frozenset(Outcome)


class Summary(msgspec.Struct, frozen=True):
    """What ``record_many`` did: how many events it took, and how often each purpose said what."""

    events: int
    outcomes: Mapping[str, Mapping[Outcome, int]]

    def __repr__(self) -> str:
        return f"<Summary of {self.events} events>"


def check(session: Session, event: Event) -> Accepted:
    """Check one event for :func:`record_together`; consent is not looked at, no lock is held.

    Raises :class:`InvalidEvent` or :class:`InvalidAccount` for an event that is malformed, undeclared or from the
    future, :class:`RoleNotAllowed` where a capability that only reads opened the store.
    """
    require_recorder(session)
    try:
        return accept(session, event, session.by_the_clock())
    except InvalidEvent:
        # The clock may run behind the newest leaf, and time is what the leaves say. Only what is refused asks for it.
        with session.ground.files.reading():
            now = session.now()
        return accept(session, event, now)


def record_together(session: Session, accepted: Sequence[Accepted], *, role: str = "app") -> list[dict[str, Outcome]]:
    """Record several single events in one transaction; for each, in order, the outcome for each declared purpose.

    They come from :func:`check`, and the caller holds the writer lock. Returns when all are as durable as the store's
    setting says; when it raises, none is recorded.
    """
    if len(accepted) == 1:
        return [_record_one(session, accepted[0], role)]
    with session.ground.recording():
        return _record(session, accepted, session.now(), role)


def _record_one(session: Session, accepted: Accepted, role: str) -> dict[str, Outcome]:
    """The straight path of a login: the same as :func:`_record`, with one question to the keyring."""
    ground = session.ground
    standing = ground.standing(accepted.tag)
    with ground.files.data_transaction(full=False):
        head = ground.log.head()
        now = session.now(head)
        answers: list[Outcome] = []
        rows = sealer(session, now).seal((offer_one(session, accepted, standing, now),), answers)
        told = dict(zip(session.purposes, answers, strict=True))
        _write(session, 1, rows, dict.fromkeys(told.items(), 1), now, role, head)
    return told


def _record(session: Session, accepted: Sequence[Accepted], now: int, role: str) -> list[dict[str, Outcome]]:
    purposes = session.purposes
    sealing = sealer(session, now)
    rows: list[SealedRow] = []
    told: list[dict[str, Outcome]] = []
    for offer in offered(session, [(tag, [entry]) for tag, entry in accepted], now):
        answers: list[Outcome] = []
        rows += sealing.seal((offer,), answers)
        told.append(dict(zip(purposes, answers, strict=True)))
    _write(session, len(accepted), rows, sealing.counts, now, role)
    return told


def record_many(
    session: Session,
    events: Iterable[Event],
    *,
    batch_size: int = BATCH,
    progress: Callable[[int], None] | None = None,
    role: str = "app",
    workers: int = 0,
) -> Summary:
    """Record any iterable of events in batches of one transaction each, in bounded memory.

    ``progress`` is told how many events are recorded so far. A bad event raises :class:`InvalidEvent` with its
    ``index`` and the number ``committed`` before it; its own batch is void, earlier ones stay. ``workers`` are
    processes that seal beside this one until it returns; they hold the purpose keys, and make no other difference than
    that the next batch is taken from ``events`` before the last one is recorded.
    """
    require_recorder(session)
    if batch_size < 1:
        raise InputError("a batch has at least one event")
    if not 0 <= workers <= MOST_WORKERS:
        raise InputError(f"there are 0 to {MOST_WORKERS} workers")
    with Crew(session, workers) as crew:
        return _record_batches(session, iter(events), batch_size, progress, role, crew)


def _record_batches(
    session: Session,
    source: Iterator[Event],
    batch_size: int,
    progress: Callable[[int], None] | None,
    role: str,
    crew: Crew,
) -> Summary:
    committed = added = 0
    totals: Counter[tuple[str, Outcome]] = Counter()

    def write(batch: Batch) -> None:
        nonlocal committed, added
        batch.gather(crew)
        with session.ground.recording():
            rows, counts, now = batch.settle()
            _write(session, batch.events, rows, counts, now, role)
        totals.update(counts)
        committed += batch.events
        added += sum(count for (_, outcome), count in counts.items() if outcome is Outcome.RECORDED)
        if added >= KEEP_UP:
            compaction.keep_up(session, added)
            added = 0
        if progress is not None:
            progress(committed)

    for batch in one_ahead(batches(session, source, batch_size, crew), crew):
        write(batch)
    outcomes: dict[str, dict[Outcome, int]] = {name: {} for name in session.purposes}
    for (purpose, outcome), count in sorted(totals.items()):
        outcomes[purpose][outcome] = count
    return Summary(committed, outcomes)


def _write(
    session: Session,
    events: int,
    rows: list[SealedRow],
    counts: Counts,
    now: int,
    role: str,
    head: Head | None = None,
) -> None:
    """Write the blocks, the counts and the leaf of a transaction of ``events``; ``head`` is the log's, if known."""
    ground = session.ground
    log = ground.log
    head = log.head() if head is None else head
    counted = log.counts.add(head.counts, counts)
    if not rows:
        log.count(counted)
    else:
        ground.blocks.append(rows)
        # The tags of the blocks commit to them: nobody without the keys can make other blocks that end in them.
        commitment = hashlib.sha256(b"".join([row.sealed[-TAG_BYTES:] for row in rows])).digest()
        facts = (("events", events), ("blocks", len(rows)), ("commitment", commitment))
        leaf = Draft(Operation.RECORDED, now, "", role, facts)
        log.append((leaf,), session.policy.digest, head, counted)


def statistics(session: Session) -> dict[str, dict[Outcome, int]]:
    """How often recording said what, for each purpose at hand, since the store was made, without any account."""
    with session.ground.files.reading():
        counts = decode_counts(session.ground.log.head().counts)
    result: dict[str, dict[Outcome, int]] = {name: {} for name in session.policy.purposes}
    for (purpose, outcome), count in sorted(counts.items()):
        if outcome not in _OUTCOMES or purpose not in session.purpose_numbers:
            raise CorruptRecord("a counter is of no known purpose or outcome; run `consentprofile check`")
        result.setdefault(purpose, {})[Outcome(outcome)] = count
    at_hand = session.purposes if session.role is not None else result
    return {name: result[name] for name in at_hand}
