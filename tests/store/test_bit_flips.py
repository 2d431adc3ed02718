"""A flipped bit, in whatever field of whatever stored record: a typed error, or a finding of ``check``, never a lie.

Each case flips one bit in a copy of a small store that has everything in it, opens it, and asks the public face
everything. If nobody complains, every answer must be the one that the store gave before. What is not authenticated is
named in :data:`UNAUTHENTICATED` and in docs/threat-model.md; there, too, nothing is ever opened that was not before.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias
from unittest.mock import patch

import msgspec
import pytest

import consentprofile as cp
from consentprofile.store import blocks
from consentprofile.store.pending import PendingWork
from consentprofile.store.runs import Shape
from consentprofile.tlog.note import parse_key
from consentprofile.tlog.tlog_proof import parse_tlog_proof, verify_tlog_proof
from consentprofile.usecases import compaction

NOW: Final = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
SHOP: Final = Path(__file__).resolve().parents[2] / "examples" / "shop"
ADA: Final = "canary-ada"
BOB: Final = "canary-bob"
DEVICE: Final = "canary-device"
FIELDS: Final = {"channel": "web", "platform": "mobile", "device": DEVICE}
CANARIES: Final = ("canary", "signup-form-canary", "ticket-canary")

Value: TypeAlias = int | bytes | str
Answers: TypeAlias = dict[str, object]

SPEC: Final = """
format = 1
name = "kinds"
purpose = "analytics"
measure = "reach"
by = ["kind"]
from = 2024-02-01
until = 2024-03-01
zone = "UTC"
[protection]
kind = "threshold"
min_accounts = 10
"""

ALIKE: Final = 9
"""A table of more rows than this has them sampled."""

SLOT_FIELDS: Final = {
    "version": (0, 1),
    "kind": (1, 1),
    "state": (2, 1),
    "generation": (3, 8),
    "purpose": (11, 2),
    "terms": (13, 4),
    "since": (17, 8),
    "until": (25, 8),
    "tag": (33, 32),
    "key_id": (65, 16),
    "nonce": (81, 12),
    "ciphertext": (93, 64),
    "seal": (157, 16),
}


class Flip(NamedTuple):
    """One flipped bit: where it stands, the row as it was, and the value that comes instead."""

    file: str
    table: str
    column: str
    part: str
    row: dict[str, Value]
    value: Value

    def __str__(self) -> str:
        return f"{self.table}.{self.column}{self.part}"


class World:
    """The store, closed, as it was made; a place for copies; and what it answers when nothing was flipped."""

    def __init__(self, folder: Path) -> None:
        self.made, self.copy, self.spec = folder / "made", folder / "copy", folder / "kinds.toml"
        self.spec.write_text(SPEC)
        self.key = cp.KeyFile(folder / "key")
        self.make()
        self.baseline, complaints = self.ask()
        assert complaints == []
        found = self.baseline["events"]
        assert isinstance(found, list)
        assert len(found) == 2
        self.events: list[object] = found

    def make(self) -> None:
        clock = [NOW - timedelta(days=40)]
        with cp.Store.create(self.made, policy=SHOP / "policy.toml", key=self.key, clock=lambda: clock[0]) as store:
            for account in (ADA, BOB):
                store.give_consent(account, ["support", "analytics"], notice="2024-01", method="signup-form-canary")
            clock[0] = NOW
            for account in (ADA, BOB):
                store.record(cp.Event(account=account, kind="login", at=NOW, id="e-1", fields=FIELDS))
                store.record(cp.Event(account=account, kind="home", at=NOW - timedelta(days=3)))
            shape = Shape(tail=99, run=3, fan=9)
            with patch.object(blocks, "SHAPE", shape), patch.object(compaction, "MOVES", 0):
                self.arrange(store)
            store.withdraw_consent(BOB, ["analytics"])
            store.refuse_consent(ADA, ["marketing"])
            store.suppress(BOB, "do-not-contact")
            with store.view("support", actor="support-agent:17", reason="ticket-canary") as view:
                view.profile(ADA)
            store.give_consent("canary-eve", ["support"], notice="2024-01", method="signup-form-canary")
            self.erased = store.erase("canary-eve", reference="request 1").leaves
            self.public, self.seen = store.audit.public_key, store.audit.checkpoint()
            store.release(self.spec, self.made.with_name("released"))
        connection = sqlite3.connect(self.made / "data.db")
        assert connection.execute("SELECT count(*) FROM run WHERE target IS NOT NULL").fetchone()[0] > 0
        assert connection.execute("SELECT count(*) FROM block").fetchone()[0] > 0
        (self.leaf,) = connection.execute("SELECT body FROM leaf WHERE sequence = ?", self.erased[:1]).fetchone()
        connection.close()

    def arrange(self, store: cp.Store) -> None:
        """Leave blocks in packs of several runs, two of which are being merged, and in the tail."""
        both = [cp.Event(account=account, kind="login", at=NOW, id="e-1", fields=FIELDS) for account in (ADA, BOB)]
        for _ in range(2):
            store._session.ground.blocks.move_tail(4)
            store.record_many(both)
        store._session.ground.blocks.begin_merging_all()
        store.record_many(both)
        store.record(both[0])

    # ---- asking ----

    def put_copy(self) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.made, self.copy)

    def ask(self) -> tuple[Answers, list[str]]:
        """Every answer of the public face, and every complaint: typed errors and findings. Other errors are raised."""
        if not self.copy.exists():
            self.put_copy()
        answers: Answers = {}
        complaints: list[str] = []
        try:
            store = cp.Store.open(self.copy, key=self.key, clock=lambda: NOW, durability="relaxed", wait=0.5)
        except cp.ConsentProfileError as error:
            return answers, [f"{error}"]
        for name, question in self.questions(store).items():
            try:
                answers[name] = question()
            except cp.ConsentProfileError as error:
                complaints.append(str(error))
        try:
            complaints += [f"{finding.where}: {finding.what}" for finding in store.check().findings]
        except cp.ConsentProfileError as error:
            complaints.append(str(error))
        try:
            store.close()  # it signs the log's head, and refuses to sign one that does not extend what was signed
        except cp.ConsentProfileError as error:
            complaints.append(str(error))
        return answers, complaints

    def questions(self, store: cp.Store) -> dict[str, Callable[[], object]]:
        def viewed() -> object:
            with store.view("support", actor="support-agent:17") as view:
                events = view.events(ADA)
                return None if events is None else [plain(event) for event in events]

        def held(account: str) -> Callable[[], object]:
            return lambda: plain(store.access(account))

        def log() -> object:
            return [(entry.sequence, entry.operation, entry.purpose, entry.role) for entry in store.audit.log()]

        return {
            # First, as whoever is suspicious would: what is appended later takes over a false hour of the tree.
            "size": lambda: store.audit.verify().size,
            "events": viewed,
            "ada": held(ADA),
            "bob": held(BOB),
            "eve": held("canary-eve"),
            "statistics": store.statistics,
            "log": log,
            "trail": lambda: [plain(trace) for trace in store.audit.account(ADA)][:1],
            "book": lambda: [plain(trace) for trace in store.audit.actor("support-agent:17")][:1],
            "key": lambda: store.audit.public_key,
            "extends": lambda: store.audit.extends(self.seen),
            "proof": lambda: self.proven(store.audit.prove(self.erased[0])),
            "certificate": lambda: cp.open_certificate(store.audit.certificate(self.erased), self.public).statement,
            "plan": lambda: plain(store.plan_release(self.spec)),
            "release": lambda: store.release(self.spec, self.made.with_name("released")).files,
            "recorded": lambda: store.record(cp.Event(account=BOB, kind="login", at=NOW, id="e-1")),
            "suppressed": lambda: store.suppress(BOB, "do-not-contact"),
            "given": lambda: plain(store.give_consent("canary-new", ["marketing"], notice="2024-01", method="form")),
        }

    def proven(self, proof: bytes) -> str:
        """The origin of a proof that verifies with the public key, for the leaf as it was when the store was made."""
        return verify_tlog_proof(parse_tlog_proof(proof), self.leaf, parse_key(self.public)).origin

    # ---- flipping ----

    def flips(self) -> Iterator[Flip]:
        for file in ("keys.db", "data.db"):
            connection = sqlite3.connect(self.made / file)
            connection.row_factory = sqlite3.Row
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in sorted(set(tables) - {"_sqlite_migrations"}):
                rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
                # Leaves and entries of the actor book are many and alike: the first, one amid, and the last.
                for row in rows if len(rows) <= ALIKE else (rows[0], rows[len(rows) // 2], rows[-1]):
                    for column, value in row.items():
                        for part, flipped in _flipped(table, value):
                            yield Flip(file, table, column, part, row, flipped)
            connection.close()

    def flip(self, flip: Flip) -> bool:
        """Flip it in a fresh copy; False where SQLite itself does not let two rows be the same."""
        self.put_copy()
        connection = sqlite3.connect(self.copy / flip.file)
        connection.execute("PRAGMA ignore_check_constraints = 1")
        where = " AND ".join(f"{column} IS ?" for column in flip.row)
        new = "CAST(? AS TEXT)" if isinstance(flip.row[flip.column], str) else "?"
        try:
            connection.execute(
                f"UPDATE {flip.table} SET {flip.column} = {new} WHERE {where}", (flip.value, *flip.row.values())
            )
            connection.commit()
        except sqlite3.IntegrityError:
            return False
        finally:
            connection.close()
        return True


def plain(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def _flipped(table: str, value: Value) -> Iterator[tuple[str, Value]]:
    """Some bits of every field: the lowest and the highest, and of slots those of each part."""
    if isinstance(value, int):
        for bit in (0, 33):
            yield f" bit {bit}", value ^ 1 << bit
    elif table == "slot":
        for name, (start, length) in SLOT_FIELDS.items():
            yield f".{name} first", _flip_bit(value, start, 0x40 if start else 0x80)  # type: ignore[arg-type]
            yield f".{name} last", _flip_bit(value, start + length - 1, 0x01)  # type: ignore[arg-type]
    else:
        data = value.encode() if isinstance(value, str) else value
        if data:
            yield " last", _flip_bit(data, len(data) - 1, 0x01)
            yield " first", _flip_bit(data, 0, 0x80)
        else:
            yield " begun", b"\x01"


def _flip_bit(data: bytes, at: int, mask: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= mask
    return bytes(changed)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("flips"))


def _unauthenticated(flip: Flip) -> bool:
    """What nothing vouches for: see "What is not authenticated" in docs/threat-model.md."""
    if (flip.table, flip.column) in {("tree", "counts"), ("evidence", "id")}:
        return True
    record = flip.row.get("record")
    return flip.table == "slot" and flip.column == "record" and isinstance(record, bytes) and record[81:] == bytes(92)


def test_a_flipped_bit_is_told_or_changes_nothing(world: World) -> None:
    told: set[str] = set()
    silent: set[str] = set()
    lies: list[str] = []
    for flip in world.flips():
        if not world.flip(flip):
            continue
        try:
            answers, complaints = world.ask()
        except Exception as error:  # noqa: BLE001 - an error of another family is what is looked for
            lies.append(f"{flip}: {type(error).__name__} is not a typed error")
            continue
        events = answers.get("events")
        if isinstance(events, list) and any(event not in world.events for event in events):
            lies.append(f"{flip}: something else was opened")
        if any(canary in complaint for complaint in complaints for canary in CANARIES):
            lies.append(f"{flip}: a complaint tells what is nobody's business")
        (told if complaints else silent).add(f"{flip.table}.{flip.column}")
        if not complaints and (flip.table in VOUCHED or f"{flip.table}.{flip.column}" in VOUCHED):
            lies.append(f"{flip}: nobody said anything")
        if not complaints and answers != world.baseline and not _unauthenticated(flip):
            lies.append(f"{flip}: answered otherwise without a word")
    assert "\n".join(sorted(set(lies))) == ""
    assert silent - told == HARMLESS


class Stopped(BaseException):
    """The process ended here."""


def test_a_flipped_bit_of_unfinished_work_opens_nothing_and_revives_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    def live(store: cp.Store) -> object:
        with store.view("support", actor="support-agent:17") as view:
            return plain(view.events(BOB)), plain(view.events(ADA))

    world.put_copy()
    with cp.Store.open(world.copy, key=world.key, clock=lambda: NOW) as store, monkeypatch.context() as patch:
        patch.setattr(PendingWork, "_apply", stop)
        with pytest.raises(Stopped):
            store.withdraw_consent(BOB, ["support"], method="settings page")
    noted = world.copy.rename(world.copy.with_name("noted"))
    connection = sqlite3.connect(noted / "keys.db")
    operation, body = connection.execute("SELECT operation, body FROM pending").fetchone()
    connection.close()

    opened = 0
    complaints: list[str] = []
    flips = [("operation", _flip_bit(operation, 3, 0x10))]
    flips += [("body", _flip_bit(body, at, 1 << at % 8)) for at in range(0, len(body), 5)]
    for column, value in flips:
        shutil.rmtree(world.copy, ignore_errors=True)
        shutil.copytree(noted, world.copy)
        connection = sqlite3.connect(world.copy / "keys.db")
        connection.execute(f"UPDATE pending SET {column} = ?", (value,))
        connection.commit()
        connection.close()
        try:
            with cp.Store.open(world.copy, key=world.key, clock=lambda: NOW, durability="relaxed") as store:
                assert live(store) in [(None, world.events), (None, [])]
                opened += 1
        except cp.ConsentProfileError as error:
            complaints.append(str(error))
    assert opened > 0
    assert len(complaints) > 0
    assert not any(canary in complaint for complaint in complaints for canary in CANARIES)


VOUCHED: Final = {"accepted_policy", "anchor", "checkpoint", "keyring.origin", "node", "policy", "tree.frontier"}
"""Tables and fields of which every flipped bit is told, whatever was asked before."""

HARMLESS: Final = {
    # Row numbers give rows their order, and what is read has an order of its own.
    *("account.id", "block.arrival", "trail.id", "evidence.id"),
    # How much was merged into a run says when it is merged next, and nothing else.
    "run.level",
    # Counts what has changed; the operation's id is asked for only while its note stands.
    *("keyring.changes", "operation.id"),
}
"""Fields of which no flipped bit is ever told."""
