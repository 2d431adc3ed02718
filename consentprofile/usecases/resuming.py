"""How a restored store goes on: what had died dies again, rows are judged by their slots, and the log accounts for it.

All of it happens in the place where a restored store is made (:mod:`consentprofile.store.staging`), before anybody else
can open it; so nothing here can be seen half done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from consentprofile import canonical
from consentprofile.crypto.keys import WrappedKey, mint_purposes
from consentprofile.crypto.providers import KeyProvider
from consentprofile.crypto.slots import Slot, SlotKind, require_alive
from consentprofile.errors import BrokenLog, DestroyedKey, QuarantinedRecord, RestoreRefused
from consentprofile.model.consent import State
from consentprofile.model.policy import Policy
from consentprofile.store.ports import (
    ACCOUNT,
    ACCOUNT_PLACE,
    EVIDENCE_PLACE,
    POLICY,
    TABLES,
    Destruction,
    Keyring,
    Work,
)
from consentprofile.tlog.leaf import GRANTS, KEY_ID, Draft, Leaf, Operation
from consentprofile.tlog.lineage import Lineage, next_origin
from consentprofile.usecases import heads
from consentprofile.usecases.account_keys import AccountKeys, Changes
from consentprofile.usecases.policies import root_of
from consentprofile.usecases.session import DEFAULT_ORIGIN, Session
from consentprofile.usecases.whereabouts import without_id

PAGE: Final = 500
BATCH: Final = 500
LEAVES: Final = 2_000
LOWEST: Final = -(1 << 63)
HIGHEST: Final = (1 << 63) - 1
SLOTS_A_LEAF: Final = 3
"""At most so many slots come into being with one leaf: those of a compartment, an account key and an evidence key."""

_STATES: Final[Mapping[str, State]] = {
    Operation.CONSENT_WITHDRAWN: State.WITHDRAWN,
    Operation.CONSENT_INVALIDATED: State.INVALIDATED,
}
"""What a consent has become whose key died so. Otherwise it is over: its key is gone, and it can be asked for again."""


T = TypeVar("T")


class Death(NamedTuple):
    """How and in which hour since 1970 a key died."""

    operation: str
    hour: int


class Told:
    """What the log tells of keys: which were granted and not destroyed since, and how each of the others died."""

    def __init__(self) -> None:
        self.alive: dict[bytes, str] = {}
        """The purposes of compartment keys by their ids."""
        self.died: dict[bytes, Death] = {}
        self.policies: dict[bytes, int] = {}
        """The leaf with which each policy was accepted, by its digest."""
        self.size = 0

    def note(self, leaf: Leaf) -> None:
        """Take in one leaf after the other."""
        self.size = leaf.sequence + 1
        if leaf.operation == Operation.POLICY_ACCEPTED:
            self.policies[leaf.policy] = leaf.sequence
        key_id = dict(leaf.facts).get(KEY_ID)
        if not isinstance(key_id, bytes):
            return
        if leaf.operation in GRANTS:
            self.alive[key_id] = leaf.purpose
            return
        self.alive.pop(key_id, None)
        if leaf.operation != Operation.KEY_GONE:  # which may have been lost with a keyring that is found again
            self.died[key_id] = Death(leaf.operation, leaf.hour)


# ---- what was accepted is accepted again ----------------------------------------------------------------


def accept_again(session: Session, key: KeyProvider, told: Told, later: Mapping[int, bytes]) -> None:
    """Let an older keyring accept the policies, texts by number, that were accepted since. Open the store anew then.

    Each must be one whose acceptance stands in the log under a signed head: nobody without the key can put another
    there. A purpose that it adds gets a new key; what the lost one wrapped is lost. Raises :class:`RestoreRefused`.
    """
    if not later:
        return
    epoch, root = root_of(session, key)
    store = session.ground.keyring.identity()[0]
    known = set(session.purpose_numbers)
    with session.ground.writing():
        newest = session.ground.heads.newest()
        signed = 0 if newest is None else newest.size
        for number, text in sorted(later.items()):
            digest = canonical.digest(text)
            if told.policies.get(digest, signed) >= signed:
                raise RestoreRefused("the data has a policy that the signed log does not know; nothing was changed")
            new = [name for name in Policy.from_text(text).purposes if name not in known]
            known.update(new)
            wrapped = mint_purposes(root, store, epoch, new)
            session.ground.pending.perform(_accepting(session, number, text, epoch, wrapped))


def _accepting(
    session: Session, number: int, text: bytes, epoch: int, wrapped: Sequence[WrappedKey]
) -> Callable[[Keyring], Work]:
    digest = canonical.digest(text)

    def change(keyring: Keyring) -> Work:
        keyring.accept(number, digest, session.keys.index)
        keyring.add_purposes(epoch, wrapped)
        return Work(digest, rows=((POLICY, number, 0, text),))

    return change


# ---- what had died dies again ------------------------------------------------------------------------


def undone(session: Session, told: Told, journal: Iterable[Destruction]) -> tuple[dict[int, Death], list[Destruction]]:
    """The slots in which keys live that are known to have died, and the lines of the journal that tell of them.

    A line counts where slot, generation and key id all agree: those of other stores say nothing here.
    """
    dead: dict[int, Death] = {}
    living: dict[bytes, Slot] = {}
    for slot in _every_slot(session):
        if slot.key_held and slot.header.kind != SlotKind.TO_COME:
            living[slot.header.key_id] = slot
            if slot.header.key_id in told.died:
                dead[slot.number] = told.died[slot.header.key_id]
    lines = []
    for line in journal:
        slot_named = living.get(line.key_id)
        if slot_named is not None and (slot_named.number, slot_named.header.generation) == line[:2]:
            dead.setdefault(line.slot, Death(line.operation, line.hour))
            lines.append(line)
    return dead, lines


def destroy_again(session: Session, dead: Mapping[int, Death]) -> int:
    """Destroy the keys in these slots, with what they sealed; how many there were. Their leaves are another matter."""
    destroyed = 0
    for some in _batches(sorted(dead), BATCH):
        with session.ground.writing():
            now = session.now()

            def change(keyring: Keyring, numbers: Sequence[int] = some, now: int = now) -> Work:
                changes = Changes(session, now)
                for number in numbers:
                    slot = keyring.slot(number)
                    if slot is not None and slot.key_held:
                        _destroy(session, keyring, slot, dead[number], changes)
                return msgspec.structs.replace(changes.work(), leaves=())

            destroyed += len(session.ground.pending.perform(change).purges)
    return destroyed


def _destroy(session: Session, keyring: Keyring, slot: Slot, death: Death, changes: Changes) -> None:
    account = AccountKeys(session, keyring, slot.header.tag)
    place = next((place for place, held in account.slots.items() if held.number == slot.number), None)
    if place is None:
        return
    since = max(slot.header.since, death.hour * 3600)
    if place == ACCOUNT_PLACE or death.operation == Operation.ERASED:
        gone = [at for at in account.slots if at != EVIDENCE_PLACE] if place == ACCOUNT_PLACE else [place]
        for at in gone:
            if account.slots[at].key_held:
                account.destroy(at, changes, Operation.ERASED, since=since)
            account.vacate(at)
        if place == ACCOUNT_PLACE:
            account.note_erasure(since)
    else:
        state = _STATES.get(death.operation, State.EXPIRED)
        account.destroy(place, changes, Operation.CONSENT_EXPIRED, since=since, state=state)


# ---- rows are judged by the slots that they name ------------------------------------------------------


class Judged(NamedTuple):
    """Rows by table: which open, which were purged because their key is dead, and which were left alone.

    ``beyond`` has the highest generation that rows from elsewhere name, by the slot that they name. ``without_id`` is
    how many accounts have a key, and no row with their id.
    """

    alive: dict[str, int]
    purged: dict[str, int]
    quarantined: dict[str, int]
    beyond: dict[int, int]
    without_id: int


def judge(session: Session) -> Judged:
    """Judge every sealed row by its slot, and purge those whose key is dead. Nothing is opened.

    Cost: about 1 microsecond a row.
    """
    alive, purged, quarantined = (dict.fromkeys(TABLES, 0) for _ in range(3))
    beyond: dict[int, int] = {}
    lost = 0
    for first, last, slots in _pages(session):
        for table in TABLES:
            with session.ground.files.reading():
                rows = session.ground.rows(table).between(first, last)
            if table == ACCOUNT:
                lost += without_id(slots.values(), rows)
            dead = set()
            for (number, generation), sealed in rows.items():
                try:
                    _require_alive(generation, slots.get(number))
                    alive[table] += len(sealed)
                except DestroyedKey:
                    purged[table] += len(sealed)
                    dead.add(number)
                except QuarantinedRecord:
                    quarantined[table] += len(sealed)
                    beyond[number] = max(generation, beyond.get(number, 0))
            if dead:
                with session.ground.writing(), session.ground.files.data_transaction(full=True):
                    for number in dead:
                        session.ground.rows(table).purge(number, slots[number].header.generation)
    return Judged(alive, purged, quarantined, beyond, lost)


def _require_alive(generation: int, slot: Slot | None) -> None:
    """As :func:`require_alive`, but that a generation which no key has lived under yet is one to come."""
    if slot is not None and not slot.key_held and generation == slot.header.generation:
        raise QuarantinedRecord("a record names a key that has never lived in this keyring; it was left alone")
    require_alive(generation, slot)


def _pages(session: Session) -> Iterator[tuple[int, int, dict[int, Slot]]]:
    """Every slot in pages, each with the first and the last number of a row that may name one of them, or none."""
    first, last = LOWEST, 0
    while first <= HIGHEST:
        with session.ground.files.reading():
            slots = {slot.number: slot for slot in session.ground.keyring.iterate(last, PAGE)}
        last = max(slots) if len(slots) == PAGE else HIGHEST
        yield first, last, slots
        first = last + 1


def outlived(session: Session, beyond: Mapping[int, int]) -> dict[int, Death]:
    """The slots whose key must have died since an older keyring was copied: rows of a later generation are there."""
    with session.ground.files.reading():
        slots = [session.ground.keyring.slot(number) for number in sorted(beyond)]
    return {slot.number: Death("", 0) for slot in slots if slot is not None and slot.key_held}


def pass_over(session: Session, beyond: Mapping[int, int], size: int) -> None:
    """Let no key come to live where rows from elsewhere would be taken for its own.

    A log of ``size`` leaves bounds how many slots there can have been: what names a later one is never reached.
    """
    most = SLOTS_A_LEAF * size
    with session.ground.files.reading():
        held = {number for number in beyond if (slot := session.ground.keyring.slot(number)) and slot.key_held}
    for some in _batches(sorted(number for number in beyond if 0 < number <= most and number not in held), BATCH):
        with session.ground.writing(), session.ground.files.keyring_transaction():
            for number in some:
                session.ground.resumption.advance(number, beyond[number] + 1)


# ---- the log accounts for it --------------------------------------------------------------------------


def begin_lineage(session: Session) -> int:
    """Let the log go on under another name, for it does not reach what was signed. How many leaves are
    known to be lost. Open the store anew afterwards.
    """
    with session.ground.writing():
        anchors = session.ground.keyring.anchors()
        now = session.now()
        size = session.ground.log.size()
        origin = next_origin(session.origin, f"{DEFAULT_ORIGIN}/{session.ground.keyring.identity()[0].hex()}")
        known, root = anchors[0] if anchors else (0, bytes(32))
        lineage = Lineage(size, session.origin, origin, known, root)

        def change(keyring: Keyring) -> Work:
            session.ground.resumption.rename_log(origin)
            draft = Draft(Operation.LINEAGE_BEGUN, now, "", "officer", lineage.facts)
            return Work(session.policy.digest, leaves=(draft,))

        session.ground.pending.perform(change)
    return max(known - size, 0)


def call_log(session: Session, origin: str) -> None:
    """Let an older keyring call the log what it is called since."""
    with session.ground.writing(), session.ground.files.keyring_transaction():
        session.ground.resumption.call_log(origin)


def is_cut(session: Session) -> bool:
    """Whether the log does not extend what was signed and anchored."""
    with session.ground.files.reading():
        try:
            heads.require_extension(session, session.ground.log.head().frontier)
        except BrokenLog:
            return True
    return False


def count_keys(session: Session) -> int:
    """How many keys live in the keyring: of compartments, accounts and evidence."""
    return sum(slot.key_held and slot.header.kind != SlotKind.TO_COME for slot in _every_slot(session))


def account_for_keys(session: Session, told: Told) -> tuple[int, int]:
    """Say of each key on which log and keyring disagree whether it is gone or was found: (gone, found).

    Gone: it was granted and the log has no leaf of its destruction, but it is not in the keyring. Found: it lives
    there, but the leaf of its grant was lost.
    """
    held = {
        slot.header.key_id: session.purpose_names[slot.header.purpose]
        for slot in _every_slot(session)
        if slot.key_held and slot.header.kind == SlotKind.COMPARTMENT
    }
    gone = sorted((key_id, purpose) for key_id, purpose in told.alive.items() if key_id not in held)
    found = sorted((key_id, purpose) for key_id, purpose in held.items() if key_id not in told.alive)
    for operation, keys in ((Operation.KEY_GONE, gone), (Operation.KEY_FOUND, found)):
        for some in _batches(keys, LEAVES):
            with session.ground.writing(), session.ground.files.data_transaction(full=True):
                now = session.now()
                drafts = [Draft(operation, now, purpose, "officer", ((KEY_ID, key_id),)) for key_id, purpose in some]
                session.ground.log.append(drafts, session.policy.digest)
    return len(gone), len(found)


def _batches(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), most):
        yield items[start : start + most]


def _every_slot(session: Session) -> Iterator[Slot]:
    after = 0
    while True:
        with session.ground.files.reading():
            page = session.ground.keyring.iterate(after, PAGE)
        if not page:
            return
        yield from page
        after = page[-1].number
