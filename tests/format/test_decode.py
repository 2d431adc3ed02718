"""A store that was made through the public face is read by a decoder that knows docs/format.md and nothing else."""

from __future__ import annotations

import ast
import stat
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidSignature

import consentprofile as cp
from consentprofile.store import blocks
from consentprofile.store.runs import Shape
from consentprofile.usecases import compaction, rotation
from tests.format import decoder, outsider
from tests.format.decoder import Decoder, OpenSlot
from tests.format.outsider import LogKey

NOW: Final = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
ACCOUNT: Final = "acct-17"
ORIGIN: Final = "shop.example/consent-log"
POLICY: Final = Path(__file__).resolve().parents[2] / "examples" / "shop" / "policy.toml"
STATES: Final = ("none", "refused", "given", "renewed", "withdrawn", "invalidated", "expired")


class Made:
    """A closed store, what its public face said before, and a decoder on it."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.path, self.key = folder / "store", folder / "key"
        key = cp.KeyFile(self.key)
        with cp.Store.create(self.path, policy=POLICY, key=key, clock=lambda: self.now, origin=ORIGIN) as store:
            self.fill(store)
            with store.view("support", actor="support-agent:17", reason="ticket 4") as view:
                self.events = view.events(ACCOUNT) or []
            with pytest.raises(cp.AccessDenied), store.view("analytics", actor="support-agent:18"):
                pass
            self.held = store.access(ACCOUNT, actor="officer:ada", reason="request 7")
            self.consents = store.consents(ACCOUNT)
            self.log = list(store.audit.log())
            self.head = store.audit.verify()
            self.root = self.head.root
            self.public_key = store.audit.public_key
        self.modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self.path.iterdir()}
        self.decoder = Decoder(self.path, self.key.read_text())
        self.slots = self.decoder.slots(ACCOUNT)
        self.open = {place: self.decoder.unwrap(slot) for place, slot in self.slots.items()}

    def fill(self, store: cp.Store) -> None:
        store.give_consent(ACCOUNT, ["support", "analytics", "marketing"], notice="2024-01", method="signup form")
        store.give_consent("bystander", ["support"], notice="2024-01", method="signup form")
        acts: list[tuple[str, dict[str, str | int | bool]]] = [
            ("login", {"channel": "web", "platform": "desktop", "device": "d-1"}),
            ("purchase", {"channel": "app", "platform": "mobile", "device": "d-2", "total": 129_900}),
            ("support_chat", {"topic": "bereavement"}),
            ("login", {}),
        ]
        for minute, (kind, fields) in enumerate(acts):
            at = NOW + timedelta(minutes=minute)
            self.now = at
            store.record(cp.Event(account=ACCOUNT, kind=kind, at=at, id=f"e-{minute}", fields=fields))
        self.withdrawn = store.withdraw_consent(ACCOUNT, ["analytics"], method="settings page")
        store.refuse_consent(ACCOUNT, ["analytics"])
        store.suppress(ACCOUNT, "do-not-contact", actor="officer:ada")
        self.erased = store.erase("bystander", reference="request 8", actor="officer:ada")
        store.record(cp.Event(account=ACCOUNT, kind="login", at=self.now, id="e-3"))

    def compartment(self, purpose: str) -> OpenSlot:
        found = [held for held in self.open.values() if held is not None and held.purpose == purpose and purpose]
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made = Made(tmp_path_factory.mktemp("format"))
    yield made
    made.decoder.close()


def second(at: datetime) -> int:
    return int(at.timestamp())


@pytest.mark.parametrize("reader", [decoder, outsider], ids=["decoder", "outsider"])
def test_the_readers_share_no_code_with_the_package(reader: ModuleType) -> None:
    tree = ast.parse(Path(str(reader.__file__)).read_text(encoding="utf-8"))
    named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    named += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    foreign = {name for name in named if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name.partition(".")[0] for name in foreign} <= {"cryptography", "tests"}
    assert {name for name in foreign if name.startswith("tests")} <= {"tests.format.decoder"}


def test_the_files_are_those_of_the_description(made: Made) -> None:
    assert made.modes == dict.fromkeys(
        [
            "keys.db",
            "data.db",
            "destroyed.journal",
            "alive.lock",
            "turn.lock",
            "writer.lock",
            "gate.lock",
            "gate-turn.lock",
            "checkpoint.lock",
        ],
        0o600,
    )
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    assert made.decoder.provider == ["key-file", b"", 0, 0, 0]


TABLES: Final = {
    "keys": "accepted_policy anchor directory epoch epoch_key free_slot keyring pending purpose slot suppression terms",
    "data": "account actor_book block checkpoint evidence leaf node operation pack policy release run store trail tree",
}


@pytest.mark.parametrize("file", TABLES)
def test_every_table_is_described_and_no_other(made: Made, file: str) -> None:
    connection = getattr(made.decoder, file)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {*TABLES[file].split(), "_sqlite_migrations"}
    page = (POLICY.parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
    for name in names - {"_sqlite_migrations"}:
        columns = {column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")}
        assert f"**{name}**" in page
        assert {column for column in columns if f"`{column}`" not in page} == set()


def test_the_account_id_is_decoded(made: Made) -> None:
    held = made.open[0]
    assert held is not None
    assert made.decoder.account_id(held) == made.held.account == ACCOUNT
    assert made.decoder.slots("bystander").keys() == {1}
    assert made.decoder.slots("nobody") == {}


def test_the_states_of_consent_are_decoded(made: Made) -> None:
    for slot in (slot for place, slot in made.slots.items() if place >= 2):
        said = made.consents[made.decoder.purposes[slot.purpose]]
        assert STATES[slot.state] == said.state
        assert said.since is not None
        assert slot.since == second(said.since)
        assert slot.until == (0 if said.until is None else second(said.until))
        assert (made.open[2 + slot.purpose] is not None) is said.in_force


def test_the_evidence_is_decoded(made: Made) -> None:
    held = made.open[1]
    assert held is not None
    entries = made.decoder.evidence(held)
    assert [entry[:3] for entry in entries] == [
        ["give", "support", 2],
        ["give", "analytics", 2],
        ["give", "marketing", 2],
        ["withdraw", "analytics", 4],
        ["refuse", "analytics", 1],
    ]
    for purpose, consent in made.consents.items():
        said = [
            [
                *(entry.act, entry.purpose, STATES.index(entry.state), entry.notice),
                *(bytes.fromhex(entry.notice_sha256), bytes.fromhex(entry.declaration), entry.method),
                *(second(entry.decided), second(entry.recorded)),
            ]
            for entry in consent.history
        ]
        assert [entry for entry in entries if entry[1] == purpose] == said


def test_the_events_are_decoded_in_words(made: Made) -> None:
    said = [(second(event.at), event.kind, event.fields, event.id) for event in made.events]
    decoded = made.decoder.events(made.compartment("support"))
    assert decoded == said
    assert [event[1] for event in decoded] == ["login", "purchase", "support_chat", "login"]
    assert decoded[1][2]["total"] == 129_900
    secret = made.compartment("support").secret
    assert decoded[0][3] == decoder.mac(secret, b"\x03e-0")[:16].hex()
    assert decoded[0][2]["device"] == decoder.mac(secret, b"\x04\x06deviced-1")[:16].hex()


def test_each_purpose_kept_its_own(made: Made) -> None:
    assert made.decoder.events(made.compartment("marketing")) == [
        (
            second(datetime(2024, 3, 1, tzinfo=UTC)),
            "purchase",
            {},
            made.decoder.events(made.compartment("marketing"))[0][3],
        )
    ]


def test_the_trails_are_decoded(made: Made) -> None:
    def said(traces: Iterable[Any]) -> list[list[object]]:
        return [
            [trace.leaf, second(trace.at), *trace.actor.split(":"), trace.operation, trace.reason] for trace in traces
        ]

    compartment = made.decoder.trail(made.compartment("support"))
    assert [entry[:6] for entry in compartment] == said(made.held.compartments["support"].trail)
    account = made.open[0]
    assert account is not None
    entries = made.decoder.trail(account)
    assert [entry[:6] for entry in entries] == said(made.held.trail)
    assert [entry[4] for entry in entries] == ["suppressed", "accessed"]


def test_every_commitment_to_a_trail_is_that_of_its_plaintext(made: Made) -> None:
    """And every entry begins with the sequence of the leaf that commits to it."""
    account, support = made.open[0], made.compartment("support")
    assert account is not None
    plains = [*made.decoder.rows("trail", decoder.TRAIL, account), *made.decoder.rows("trail", decoder.TRAIL, support)]
    committed = {
        leaf[1]: dict(leaf[7])["commitment"]
        for leaf in made.decoder.leaves()
        if leaf[3] in {"read", "accessed", "suppressed"}
    }
    assert committed == {decoder.unpack(plain)[0]: sha256(plain).digest() for plain in plains}
    assert {len(decoder.unpack(plain)[6]) for plain in plains} == {16}


def test_the_actor_book_is_decoded(made: Made) -> None:
    operations = {entry.sequence: entry.operation for entry in made.log}
    book = made.decoder.actor_book()
    assert [(entry[1], entry[2], entry[3]) for _, entry in book] == [
        ("officer", "ada", "suppressed"),
        ("officer", "ada", "erased"),
        ("support-agent", "17", "read"),
        ("support-agent", "18", "read-refused"),
        ("officer", "ada", "accessed"),
    ]
    for leaf, entry in book:
        assert operations[leaf] == entry[3]
        assert ACCOUNT not in str(entry)


def test_the_leaves_and_the_root_are_decoded(made: Made) -> None:
    said = [
        [1, entry.sequence, second(entry.hour) // 3600, entry.operation, entry.purpose, entry.role, entry.policy]
        for entry in made.log
    ]
    leaves = made.decoder.leaves()
    assert [[*leaf[:6], leaf[6].hex()] for leaf in leaves] == said
    for leaf, entry in zip(leaves, made.log, strict=True):
        facts = {name: value.hex() if isinstance(value, bytes) else value for name, value in leaf[7]}
        assert facts == entry.facts
    assert made.decoder.root().hex() == made.root
    assert made.decoder.one(made.decoder.data, "SELECT hour FROM tree") == (leaves[-1][2],)


def test_the_facts_of_every_leaf_are_those_of_the_description(made: Made) -> None:
    facts = {leaf[3]: [name for name, _ in leaf[7]] for leaf in made.decoder.leaves()}
    assert facts == {
        "store-created": [],
        "policy-accepted": [],
        "consent-given": ["key-id"],
        "recorded": ["events", "blocks", "commitment"],
        "consent-withdrawn": ["key-id"],
        "consent-refused": [],
        "suppressed": ["commitment"],
        "erased": ["key-id", "reference"],
        "read": ["commitment"],
        "read-refused": [],
        "accessed": ["commitment"],
        "consent-read": [],
    }


def test_a_recorded_leaf_commits_to_the_blocks(made: Made) -> None:
    newest = [dict(leaf[7]) for leaf in made.decoder.leaves() if leaf[3] == "recorded"][-1]
    sealed = [row for (row,) in made.decoder.data.execute("SELECT sealed FROM block ORDER BY arrival DESC LIMIT 1")]
    assert newest["commitment"] == sha256(sealed[0][-16:]).digest()
    assert (newest["events"], newest["blocks"]) == (1, 1)


def test_suppressions_and_counters_are_decoded(made: Made) -> None:
    assert made.decoder.suppressions(ACCOUNT) == made.held.suppressed == ["do-not-contact"]
    counts = made.decoder.counts()
    assert counts == sorted(counts)
    assert [count for count in counts if count[0] == "support"] == [["support", "recorded", 5]]


def test_the_declaration_is_that_of_the_description(made: Made) -> None:
    policy = made.decoder.policies[1]
    (purpose,) = (entry for entry in policy["purpose_list"] if entry["name"] == "marketing")
    collected = {entry["kind"] for entry in purpose["collect"]}
    kept = {name for entry in purpose["collect"] for name in entry["fields"]}
    declared = {
        "fields": [field for field in policy["field_list"] if field["name"] in kept],
        "kinds": [kind for kind in policy["kind_list"] if kind["name"] in collected],
        "notice": policy["notice_list"][0],
        "purpose": purpose,
        "time_zone": policy["time_zone"],
    }
    digest = sha256(decoder.canonical_json(declared)).hexdigest()
    assert [entry.declaration for entry in made.consents["marketing"].history] == [digest]


def test_a_dead_key_leaves_92_zero_bytes_and_no_key_id(made: Made) -> None:
    purposes = {name: number for number, name in made.decoder.purposes.items()}
    dead = made.slots[2 + purposes["analytics"]]
    assert (dead.wrapped, dead.key_id, dead.generation, dead.until) == (bytes(92), bytes(16), 1, 0)
    free = [number for (number,) in made.decoder.keys.execute("SELECT number FROM free_slot")]
    for number in free:
        (record,) = made.decoder.one(made.decoder.keys, "SELECT record FROM slot WHERE number = ?", number)
        assert record == b"\x01" + bytes(2) + (1).to_bytes(8, "big") + bytes(162)
    assert len(free) == 2


class Arranged:
    """A closed store whose blocks lie in the tail and in several runs, two of them being merged; and what it said."""

    def __init__(self, folder: Path) -> None:
        self.path, key = folder / "store", cp.KeyFile(folder / "key")
        people = [f"acct-{number}" for number in range(9)]
        clock = [NOW - timedelta(days=20)]
        with cp.Store.create(self.path, policy=POLICY, key=key, clock=lambda: clock[0], origin=ORIGIN) as store:
            for account in people:
                store.give_consent(account, ["support"], notice="2024-01", method="signup form")
            clock[0] = NOW
            for batch in range(12):
                chosen = [account for number, account in enumerate(people) if (number * 5 + batch) % 3]
                store.record_many(self.login(account, batch) for account in chosen for _ in range(2))
                store.upkeep.step()
            store.upkeep.step()
            store.record(self.login(people[4], 13))
            with store.view("support", actor="support-agent:17") as view:
                self.events = {account: view.events(account) for account in people}
        self.decoder = Decoder(self.path, (folder / "key").read_text())

    @staticmethod
    def login(account: str, batch: int) -> cp.Event:
        fields = {"channel": "web", "platform": "desktop", "device": f"d-{batch % 2}"}
        return cp.Event(account=account, kind="login", at=NOW - timedelta(days=batch), fields=fields)


@pytest.fixture(scope="module")
def arranged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arranged]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SHAPE", Shape(tail=6, run=5, fan=2))
        patch.setattr(compaction, "SLICE_SECONDS", 0.0)
        patch.setattr(compaction, "MOVES", 0)
        arranged = Arranged(tmp_path_factory.mktemp("arranged"))
    yield arranged
    arranged.decoder.close()


def test_blocks_in_the_tail_and_in_runs_are_decoded(arranged: Arranged) -> None:
    read, total = arranged.decoder, 0
    for account, said in arranged.events.items():
        (held,) = (read.unwrap(slot) for place, slot in read.slots(account).items() if place >= 2)
        assert held is not None
        assert said is not None
        found = read.events(held)
        assert found == sorted(
            ((second(one.at), one.kind, one.fields, one.id) for one in said), key=lambda one: (one[0], one[3])
        )
        total += len(found)
    assert total > 140


def test_runs_are_in_order_and_hold_each_block_once(arranged: Arranged) -> None:
    runs = arranged.decoder.runs()
    assert len(runs) >= 3
    assert max(len(packs) for packs in runs.values()) > 1
    assert any(target for (target,) in arranged.decoder.data.execute("SELECT target FROM run"))
    packed = [sealed for packs in runs.values() for _, blocks in packs for _, _, sealed in blocks]
    tail = [sealed for (sealed,) in arranged.decoder.data.execute("SELECT sealed FROM block")]
    assert len(tail) >= 1
    assert len({*packed, *tail}) == len(packed) + len(tail)


def test_a_token_that_repeats_in_a_block_is_written_once(arranged: Arranged) -> None:
    read = arranged.decoder
    (held,) = (read.unwrap(slot) for place, slot in read.slots("acct-1").items() if place >= 2)
    assert held is not None
    tokens = [decoder.unpack(plain)[1] for plain in read.rows("block", decoder.BLOCK, held)]
    device = [decoder.mac(held.secret, b"\x04\x06deviced-%d" % number)[:16] for number in (0, 1)]
    assert {digest for some in tokens for digest in some} == {*device}


def test_nothing_is_pending(made: Made) -> None:
    assert made.decoder.one(made.decoder.keys, "SELECT count(*) FROM pending") == (0,)


# ---- what outsiders verify ---------------------------------------------------------------------------


def test_the_public_key_is_that_of_the_sealed_seed(made: Made) -> None:
    key = LogKey(made.decoder.origin, made.decoder.public_key())
    assert made.decoder.origin == ORIGIN
    assert key.text() == made.public_key
    assert outsider.read_key(made.public_key) == key


def test_every_signed_head_verifies_over_the_leaves_below_it(made: Made) -> None:
    key = outsider.read_key(made.public_key)
    heads = made.decoder.checkpoints()
    assert len(heads) >= 3
    for size, root, note in heads:
        assert outsider.read_checkpoint(note, key) == (size, root)
        assert made.decoder.root_at(size) == root
    assert heads[-1][0] == len(made.decoder.leaves())
    assert made.decoder.anchor() == heads[-1][:2]
    assert made.decoder.one(made.decoder.data, "SELECT count(*) FROM checkpoint WHERE note = x''") == (0,)


def test_every_perfect_subtree_is_kept(made: Made) -> None:
    size = len(made.decoder.leaves())
    perfect = {(level, at) for level in range(size.bit_length()) for at in range(size >> level)}
    assert made.decoder.nodes().keys() == perfect


def test_the_accepted_policy_is_sealed_in_the_keyring(made: Made) -> None:
    accepted = made.decoder.accepted(1)
    assert accepted == sha256(decoder.canonical_json(made.decoder.policies[1])).digest()
    assert {leaf[6] for leaf in made.decoder.leaves() if leaf[3] == "policy-accepted"} == {accepted}
    assert made.decoder.one(made.decoder.keys, "SELECT count(*) FROM accepted_policy") == (1,)


def test_certificates_verify_with_the_public_key_alone(made: Made) -> None:
    key = outsider.read_key(made.public_key)
    for issued, kind, purposes in (
        (made.withdrawn, "withdrawal", ["analytics"]),
        (made.erased, "erasure", ["support"]),
    ):
        stated = outsider.read_certificate(issued.file, key)
        assert (stated["kind"], stated["purposes"]) == (kind, purposes)
        assert tuple(stated["key_ids"]) == issued.key_ids
        leaves = made.decoder.leaves()
        assert stated["key_ids"] == [dict(leaves[sequence][7])["key-id"].hex() for sequence in issued.leaves]
    salt = bytes.fromhex(made.erased.reference_salt or "")
    assert outsider.read_certificate(made.erased.file, key)["reference"] == sha256(salt + b"request 8").hexdigest()


@pytest.mark.parametrize("at", range(0, 100, 7))
def test_a_certificate_or_head_with_a_flipped_bit_does_not_verify(made: Made, at: int) -> None:
    """Neither for this reader nor for ours."""
    key = outsider.read_key(made.public_key)
    note = made.decoder.checkpoints()[-1][2]
    for whole, read in ((made.erased.file, outsider.read_certificate), (note, outsider.read_checkpoint)):
        place = len(whole) * at // 100
        flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with pytest.raises((AssertionError, ValueError, InvalidSignature, KeyError)):
            read(flipped, key)
        with pytest.raises(cp.ProofRefused):
            cp.open_certificate(flipped, made.public_key)


# ---- epochs -----------------------------------------------------------------------------------------


def test_two_epochs_are_decoded_while_keys_are_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of it is under the new keys already, some under the former ones."""
    made = Made(tmp_path)
    book = [entry for _, entry in made.decoder.actor_book()]
    made.decoder.close()
    monkeypatch.setattr(rotation, "SLOTS", 1)
    monkeypatch.setattr(rotation, "ENTRIES", 1)
    new = cp.KeyFile(tmp_path / "new")
    told: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if len(told) in (2, 4):
            raise InterruptedError

    for number in range(3):
        key = new if number else cp.KeyFile(made.key)
        with cp.Store.open(made.path, key=key, clock=lambda: made.now) as store:
            if number == 2:
                assert store.resume_rotation() is not None
            else:
                with pytest.raises(InterruptedError):
                    store.resume_rotation(progress=progress) if number else store.rotate_keys(new, progress=progress)
        reader = Decoder(made.path, new.path.read_text())
        assert ("former:officer" in reader.epoch_keys) is (number < 2)
        held = {place: reader.unwrap(slot) for place, slot in reader.slots(ACCOUNT).items()}
        assert [one and one.key for one in held.values()] == [one and one.key for one in made.open.values()]
        assert [entry for _, entry in reader.actor_book()][: len(book)] == book
        assert reader.suppressions(ACCOUNT) == ["do-not-contact"]
        reader.close()


def test_whoever_was_erased_before_tags_were_changed_is_found_under_the_former_one(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.decoder.close()
    new = cp.KeyFile(tmp_path / "new")
    cp.Store.retag(made.path, key=cp.KeyFile(made.key), new_key=new, clock=lambda: made.now)
    reader = Decoder(made.path, new.path.read_text())
    assert "former:index:1" in reader.epoch_keys
    assert reader.index(ACCOUNT) == reader.epoch_keys["index"]
    assert reader.suppressions(ACCOUNT) == ["do-not-contact"]
    held = {place: reader.unwrap(slot) for place, slot in reader.slots(ACCOUNT).items()}
    assert [one and one.key for one in held.values()] == [one and one.key for one in made.open.values()]
    assert reader.index("bystander") == reader.epoch_keys["former:index:1"]
    (slot,) = reader.slots("bystander").values()
    evidence = reader.unwrap(slot)
    assert evidence is not None
    assert [entry[0] for entry in reader.evidence(evidence)] == ["give", "erase"]
    reader.close()
