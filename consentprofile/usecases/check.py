"""Check: open everything that can be opened, compare everything that must agree, and say what cannot be known."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from consentprofile import canonical
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.crypto.slots import Slot, SlotKind, require_alive
from consentprofile.errors import CorruptRecord, DestroyedKey, IntegrityFault, QuarantinedRecord
from consentprofile.model import block
from consentprofile.model.policy import Policy
from consentprofile.release.cells import has_numpy
from consentprofile.store.ports import ACCOUNT, BLOCK, EVIDENCE, TABLES, TRAIL, SealedRow, StoredRelease, place_of
from consentprofile.tlog.leaf import Draft, Operation
from consentprofile.usecases import budget, released, verifying, whereabouts
from consentprofile.usecases.actor_book import open_entry
from consentprofile.usecases.session import Session

PAGE: Final = 500
PACKS: Final = 200
LOWEST: Final = -(1 << 63)
HIGHEST: Final = (1 << 63) - 1
NOTHING: Final = -1
"""Less than the size of any head."""

_RECORDS: Final = {
    BLOCK: RecordType.BLOCK,
    EVIDENCE: RecordType.EVIDENCE,
    ACCOUNT: RecordType.ACCOUNT,
    TRAIL: RecordType.TRAIL,
}

UNKNOWABLE: Final = (
    "that no copy of the key file or the keyring exists elsewhere: a local file cannot prove it",
    "that nobody with the key has rewritten the log, and nobody has put back both files with an older anchor: keep a "
    "signed checkpoint elsewhere, and hold the log against it with `audit verify --checkpoint`",
    "that no sealed row was deleted by somebody with write access: but for the ids of accounts, what is gone leaves no "
    "mark of its own",
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be. ``repaired`` tells whether it was put right."""

    what: str
    where: str
    repaired: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found. ``leaves`` and ``root`` (hex) are the log's head; counts are of rows and keys opened."""

    findings: tuple[Finding, ...]
    keys: int
    rows: dict[str, int]
    leaves: int
    root: str | None
    cannot_know: tuple[str, ...] = UNKNOWABLE

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left to be done."""
        return all(finding.repaired for finding in self.findings)


def check(session: Session, *, repair: bool = False, progress: Callable[[str], None] | None = None) -> Report:
    """Check the whole store. ``repair`` purges rows whose key is dead, which is always safe, and nothing else."""
    session.keys.require_officer()
    findings: list[Finding] = []
    say = progress or (lambda _: None)
    say("databases")
    findings += _databases(session)
    say("log")
    size, root = 0, None
    try:
        head = verifying.verify(session)
        size, root = head.size, head.root
    except IntegrityFault as error:
        findings.append(Finding(what=str(error), where="audit log"))
    findings += _anchor(session)
    say("policies")
    findings += _policies(session)
    say("keys")
    findings += _epochs(session)
    keys, found = _keys(session)
    findings += found
    say("directory")
    findings += _directory(session)
    findings += _suppressions(session)
    findings += _terms(session)
    rows: dict[str, int] = {}
    for table in TABLES:
        say(table)
        try:
            rows[table], found = _rows(session, table, repair=repair)
        except CorruptRecord as error:
            rows[table], found = 0, [Finding(what=str(error), where=table)]
        findings += found
    say("accounts")
    findings += [Finding(what=what, where="account") for what in whereabouts.disagreements(session)]
    say("runs")
    findings += _runs(session)
    say("actor book")
    rows["actor_book"], found = _actor_book(session)
    findings += found
    say("releases")
    findings += _releases(session)
    findings += [Finding(what=what, where=f"release {number}") for number, what in budget.disagreements(session)]
    if any(finding.repaired for finding in findings):
        _note_repair(session)
    return Report(findings=tuple(findings), keys=keys, rows=rows, leaves=size, root=root)


def _databases(session: Session) -> Iterator[Finding]:
    with session.ground.files.reading():
        for name, problem in session.ground.damage():
            yield Finding(what=problem, where=name)


def _anchor(session: Session) -> list[Finding]:
    """The anchor may lag behind the signed heads by one, where a process ended while signing, and by no more.

    That it is of a signed head, which the log reaches, is verified with the log.
    """
    with session.ground.writing():  # so that nobody signs between the looks
        anchors = session.ground.keyring.anchors()
        size = max(anchors[0][0], 0) if anchors else NOTHING
        later = session.ground.heads.after(size, 2)
    if len(later) > 1:
        return [Finding(what="lags behind the signed heads: was an older keyring put back?", where="anchor")]
    return []


def _policies(session: Session) -> list[Finding]:
    """``data.db`` keeps exactly the policies that the keyring accepted, each with its digest, and each can be read."""
    findings: list[Finding] = []
    with session.ground.files.reading(), session.ground.keyring.snapshot():
        kept = session.ground.data_file.policies()
        try:
            accepted = session.ground.keyring.accepted(session.keys.index)
        except CorruptRecord as error:
            return [Finding(what=str(error), where="accepted policies")]
    for number, (digest, text) in kept.items():
        if canonical.digest(text) != digest:
            findings.append(_of_policy(number, "does not have the digest it was accepted with"))
        elif accepted.get(number) != digest:
            findings.append(_of_policy(number, "is not the one that the keyring accepted under this number"))
    findings += [_of_policy(number, "was accepted, but is not in data.db") for number in accepted.keys() - kept.keys()]
    return findings


def _of_policy(number: int, what: str) -> Finding:
    return Finding(what=what, where=f"policy {number}")


def _epochs(session: Session) -> Iterator[Finding]:
    with session.ground.files.reading():
        before = session.ground.epochs.before()
    if before is not None:
        what = "has not gone yet, a rotation of the keys is unfinished: run `consentprofile keys rotate --resume`"
        yield Finding(what=what, where=f"epoch {before.number}")


def _keys(session: Session) -> tuple[int, list[Finding]]:
    findings: list[Finding] = []
    opened = after = 0
    while True:
        with session.ground.files.reading():
            slots = session.ground.keyring.iterate(after, PAGE)
            for slot in slots:
                if not slot.key_held or slot.header.kind == SlotKind.TO_COME:  # that one opens in the slot it is for
                    continue
                try:
                    _open(session, slot)
                    opened += 1
                except CorruptRecord:
                    findings.append(Finding(what="a wrapped key does not authenticate", where=f"slot {slot.number}"))
        if not slots:
            return opened, findings
        after = slots[-1].number


def _open(session: Session, slot: Slot) -> SlotKey:
    if slot.header.kind != SlotKind.COMPARTMENT:
        return session.keys.unwrap(slot)
    names = {number: name for name, number in session.purpose_numbers.items()}
    name = names.get(slot.header.purpose)
    if name is None:
        raise CorruptRecord("a slot names a purpose that the keyring does not have")
    return session.keys.unwrap(slot, purpose=name, terms=session.bound(slot.header.terms))


def _directory(session: Session) -> list[Finding]:
    """Slots, the directory and the list of free slots must tell the same story."""
    findings: list[Finding] = []
    with session.ground.files.reading(), session.ground.keyring.snapshot():
        keyring = session.ground.keyring
        named: dict[int, tuple[bytes, int]] = {}
        for number, tag, at in keyring.every_entry():
            if number in named:
                findings.append(Finding(what="is named by more than one entry", where=f"slot {number}"))
            named[number] = (tag, at)
        free = keyring.free()
        for slot in keyring.every_slot():
            place = place_of(slot.header)
            entry = named.pop(slot.number, None)
            listed = slot.number in free
            free.discard(slot.number)
            if slot.header.kind == SlotKind.TO_COME:
                if not session.ground.pending.is_noted():
                    where = f"slot {slot.number}"
                    findings.append(Finding(what="waits for a slot, and no work is pending", where=where))
            elif place is None:
                if entry is not None or not listed:
                    findings.append(Finding(what="belongs to nobody, but is not free", where=f"slot {slot.number}"))
            elif listed:
                findings.append(Finding(what="is listed as free, but is not", where=f"slot {slot.number}"))
            elif entry != (slot.header.tag, place):
                findings.append(Finding(what="the directory does not find this slot", where=f"slot {slot.number}"))
        missing = sorted(named.keys() | free)
        findings += [Finding(what="is named, but is not there", where=f"slot {number}") for number in missing]
    return findings


def _suppressions(session: Session) -> Iterator[Finding]:
    with session.ground.files.reading():
        found = session.ground.keyring.suppressions()
    indexes = (session.keys.index, *session.keys.former_indexes)
    broken = sum(
        not any(hmac.compare_digest(seal, index.suppression(tag, reason)) for index in indexes)
        for tag, reason, seal in found
    )
    if broken:
        yield Finding(what=f"{broken} suppressions were not written by this store", where="suppression")


def _terms(session: Session) -> Iterator[Finding]:
    """Terms must be what the policy says that they were made under."""
    with session.ground.files.reading():
        kept = session.ground.data_file.policies().values()
        found = session.ground.keyring.all_terms()
    # A policy whose text was altered is found among the policies, and accounts for no terms.
    accepted = {digest: Policy.from_text(text) for digest, text in kept if canonical.digest(text) == digest}
    for number, terms in found.items():
        policy = accepted.get(terms.policy)
        notice = None if policy is None else policy.notices.get(terms.notice)
        if (
            policy is None
            or notice is None
            or terms.purpose not in policy.purposes
            or bytes.fromhex(notice.sha256) != terms.notice_sha256
            or policy.declaration(terms.purpose) != terms.declaration
        ):
            yield Finding(what="are not those of a policy that the store has accepted", where=f"terms {number}")


def _releases(session: Session) -> list[Finding]:
    findings, number = [], 1
    while (row := released.stored(session, number)) is not None:
        if what := _fault(session, row):
            findings.append(Finding(what=what, where=f"release {row.number}"))
        number = row.number + 1
    return findings


def _fault(session: Session, row: StoredRelease) -> str:
    """What is wrong with a release; who is behind it is read where numpy is, which releases need."""
    try:
        entry = released.opened(session, row)
        if has_numpy():
            entry.settled().verify()
    except CorruptRecord:
        return "its ledger entry does not authenticate, or contradicts itself"
    return "" if entry.digest == row.digest else "its ledger entry answers another specification"


def _rows(session: Session, table: str, *, repair: bool) -> tuple[int, list[Finding]]:
    first, last, opened = LOWEST, 0, 0
    problems: Counter[str] = Counter()
    dead: dict[int, int] = {}
    while first <= HIGHEST:
        with session.ground.files.reading(), session.ground.keyring.snapshot():
            slots = {slot.number: slot for slot in session.ground.keyring.iterate(last, PAGE)}
            # The first page has the rows of slots before the first one, too, the last those of slots after the last.
            last = max(slots) if len(slots) == PAGE else HIGHEST
            # Somebody is giving compartments new keys: rows of the old ones and of those to come are on their way.
            under_way = session.ground.pending.is_noted()
            for (number, generation), rows in session.ground.rows(table).between(first, last).items():
                slot = slots.get(number)
                for sealed in rows:
                    try:
                        _open_row(session, table, SealedRow(number, generation, sealed), slot)
                        opened += 1
                    except DestroyedKey:
                        if under_way:
                            continue
                        problems["rows whose key has been destroyed, to be purged"] += 1
                        dead[number] = slot.header.generation if slot else 0
                    except QuarantinedRecord:
                        if under_way:
                            continue
                        problems["rows from elsewhere, which name a slot or generation that was never reached"] += 1
                    except CorruptRecord:
                        problems["rows that do not authenticate"] += 1
        first = last + 1
    if repair and dead:
        with session.ground.writing(), session.ground.files.data_transaction(full=True):
            for number, generation in dead.items():
                session.ground.purge_below(number, generation)
    repaired = "rows whose key has been destroyed, to be purged"
    return opened, [
        Finding(what=f"{count} {what}", where=table, repaired=repair and what == repaired)
        for what, count in sorted(problems.items())
    ]


def _runs(session: Session) -> Iterator[Finding]:
    """Packs must stand where their blocks are looked for, and runs be merged into runs that are there."""
    after: int | None = None
    misplaced = 0
    while True:
        with session.ground.files.reading():
            found, after = session.ground.blocks.misplaced(after, PACKS)
            strays = session.ground.blocks.strays()
        misplaced += found
        if after is None:
            break
    if misplaced:
        what = f"{misplaced} packs cannot be read, or are not where their blocks are looked for"
        yield Finding(what=what, where="pack")
    if strays:
        yield Finding(what=f"{strays} runs are to be merged into one that is not there", where="run")


def _open_row(session: Session, table: str, row: SealedRow, slot: Slot | None) -> None:
    plain = _open(session, require_alive(row.generation, slot)).open(_RECORDS[table], row.sealed)
    if table == BLOCK:
        opened = block.decode(plain)
        for packed in opened.events:
            session.codebook(opened.policy).read(packed, opened.tokens)


def _actor_book(session: Session) -> tuple[int, list[Finding]]:
    start = opened = broken = 0
    while True:
        with session.ground.files.reading():
            page = session.ground.log.actors(start, PAGE)
        if not page:
            break
        for sequence, sealed in page:
            try:
                open_entry(session.keys, sequence, sealed)
                opened += 1
            except CorruptRecord:
                broken += 1
        start = page[-1][0] + 1
    return opened, [Finding(what=f"{broken} entries do not authenticate", where="actor book")] if broken else []


def _note_repair(session: Session) -> None:
    with session.ground.writing(), session.ground.files.data_transaction(full=True):
        session.ground.log.append((Draft(Operation.REPAIRED, session.now(), "", "officer"),), session.policy.digest)
