"""Our functions give the known answers of format 1, which were computed without them."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Final

import msgspec
import pytest

from consentprofile import canonical
from consentprofile.crypto import keys, slots
from consentprofile.crypto.binding import Binding, RecordType
from consentprofile.crypto.byte_rows import cut, joined
from consentprofile.crypto.keys import EpochKeys
from consentprofile.crypto.providers import EnvKey
from consentprofile.crypto.randomness import injected
from consentprofile.crypto.signing import SigningKey
from consentprofile.crypto.slots import SlotHeader, SlotKind
from consentprofile.crypto.tags import CompartmentSecret, IndexKey, members
from consentprofile.model import block
from consentprofile.release import ledger_before
from consentprofile.release.kept import Settled
from consentprofile.store import packs
from consentprofile.store.keyring import Terms
from consentprofile.tlog import leaf as leaves
from consentprofile.tlog.certificate import certify, open_certificate, reference_matches
from consentprofile.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from consentprofile.tlog.leaf import Leaf
from consentprofile.tlog.merkle import Frontier, leaf_hash
from consentprofile.tlog.note import VerifierKey
from consentprofile.tlog.proof import inclusion_proof
from tests.format.make_vectors import ANOTHER, FILE, NAMES, log, vectors
from tests.release.plain import PlainCell
from tests.release.sets import as_plain, as_settled

VECTORS: Final = json.loads(FILE.read_text(encoding="utf-8"))
GIVEN: Final = {name: bytes.fromhex(value) for name, value in VECTORS["given"].items()}
ANSWERS: Final = {name: bytes.fromhex(value) for name, value in VECTORS["answers"].items()}
HEADER: Final = SlotHeader(SlotKind.COMPARTMENT, 2, 3, 1, 1, 1000, 2000, GIVEN["tag"], GIVEN["key_id"])
EVENT: Final[block.Packed] = [b"\x66" * 16, 100, 1, 0, 2, 2, b"\x77" * 16]


def opened() -> EpochKeys:
    return EpochKeys(GIVEN["store"], 1, {"index": GIVEN["secret"], "purpose:support": GIVEN["purpose_key"]})


def terms() -> Terms:
    return Terms(1, "support", "2024-01", GIVEN["notice_sha256"], GIVEN["declaration"], GIVEN["policy"])


def test_the_vectors_are_those_that_the_format_gives() -> None:
    assert vectors() == VECTORS


def test_the_text_of_a_key_gives_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY_FOR_TESTS", VECTORS["key_text"])
    assert EnvKey("A_KEY_FOR_TESTS").enroll()[0] == GIVEN["secret"]


def test_the_root_and_its_check_value() -> None:
    root = keys.derive_root(GIVEN["secret"], GIVEN["store"], 1)
    assert root == ANSWERS["root"]
    assert keys.check_value(root) == ANSWERS["check_value"]


def test_associated_data() -> None:
    binding = Binding(GIVEN["store"])
    bound = HEADER.encode() + terms().bound
    assert binding.associate(RecordType.EPOCH_KEY, 0, 1, purpose="index") == ANSWERS["associated_epoch_key"]
    wrapping = binding.associate(RecordType.COMPARTMENT_KEY, 9, 3, purpose="support", bound=bound)
    assert wrapping == ANSWERS["associated_compartment_key"]


def test_a_slot() -> None:
    randomness = iter([GIVEN["compartment_key_and_secret"], GIVEN["nonce"]])
    assert terms().bound == ANSWERS["terms"]
    assert HEADER.encode() == ANSWERS["slot_header"]
    with injected(lambda count: next(randomness)):
        slot, _ = opened().mint(9, HEADER, purpose="support", terms=terms().bound)
    assert slot.record == ANSWERS["slot_record"]
    assert slots.decode(9, ANSWERS["slot_record"]) == slot


def test_the_cells_of_a_ledger_entry_in_every_format() -> None:
    first, second, third = NAMES
    app = PlainCell(("app",), second, None, own=True)
    app_too = msgspec.structs.replace(app, limit=20)
    counted = PlainCell(("web",), first + third, 10, own=True)
    weighed = PlainCell(("web",), first + third, 40, own=False, limit=20, amounts=(1, -2), accounts=10)
    assert as_plain(ledger_before.read(1, ANSWERS["ledger_cells_1"])) == (counted, app)
    assert as_plain(ledger_before.read(2, ANSWERS["ledger_cells_2"])) == (
        weighed,
        msgspec.structs.replace(app, limit=20),
    )
    settled = canonical.unpack(ANSWERS["ledger_cells_3"], Settled)
    assert as_plain(settled) == (weighed, app_too)
    assert canonical.pack(as_settled(as_plain(settled))) == ANSWERS["ledger_cells_3"]


def test_a_block() -> None:
    plain = block.encode(1, [EVENT])
    assert plain == ANSWERS["block"]
    assert block.decode(plain).events == [EVENT]
    key = opened().unwrap(slots.decode(9, ANSWERS["slot_record"]), purpose="support", terms=terms().bound)
    with injected(lambda count: GIVEN["nonce"]):
        assert key.seal(RecordType.BLOCK, plain) == ANSWERS["block_sealed"]
    assert key.open(RecordType.BLOCK, ANSWERS["block_sealed"]) == plain


def test_a_block_names_a_token_that_repeats_by_its_position() -> None:
    events: list[block.Packed] = [EVENT, [*ANOTHER], EVENT]
    plain = block.encode(1, events)
    assert plain == ANSWERS["block_with_tokens"]
    assert block.decode(plain).tokens == [b"\x77" * 16]


def test_a_pack() -> None:
    blocks = [(9, 3, ANSWERS["block_sealed"]), (9, 4, b"\xcc"), (11, 0, b"")]
    assert list(packs.pack(blocks)) == [(9, ANSWERS["pack"])]
    assert packs.unpack(ANSWERS["pack"]) == blocks


def test_a_leaf_and_the_tree() -> None:
    leaf = Leaf(
        leaves.VERSION, 2, 100, "consent-given", "support", "app", GIVEN["leaf_policy"], (("key-id", GIVEN["key_id"]),)
    )
    assert leaf.encode() == ANSWERS["leaf"]
    assert leaves.decode(ANSWERS["leaf"]) == leaf
    assert leaf_hash(leaf.encode()) == ANSWERS["leaf_hash"]
    frontier = Frontier()
    for number in range(6):
        frontier.append(leaf_hash(bytes([number])))
    assert frontier.encode() == ANSWERS["frontier"]
    assert frontier.root() == ANSWERS["tree_root"]


def test_digests() -> None:
    index = IndexKey(GIVEN["secret"])
    secret = CompartmentSecret(GIVEN["compartment_key_and_secret"][32:])
    assert index.account(b"acct-17") == ANSWERS["account_tag"]
    assert index.suppression(GIVEN["tag"], "deceased") == ANSWERS["suppression_seal"]
    assert index.policy(1, GIVEN["policy"]) == ANSWERS["policy_seal"]
    assert secret.event("e-1") == ANSWERS["event_id"]
    assert secret.token("device", "d-1") == ANSWERS["token"]
    assert cut(members(joined([GIVEN["compartment_key_and_secret"][32:]], 32))) == [ANSWERS["member"]]


def test_a_signed_head() -> None:
    key = SigningKey(GIVEN["signing_seed"])
    verifier = VerifierKey(GIVEN["origin"].decode(), key.public)
    assert key.public == ANSWERS["public_key"]
    assert verifier.encode().encode() == ANSWERS["verifier_key"]
    head = Checkpoint(verifier.name, 6, ANSWERS["log_root"])
    assert sign_checkpoint(head, key.public, key.sign).encode() == ANSWERS["checkpoint"]
    assert open_checkpoint(ANSWERS["checkpoint"], verifier) == head


def test_a_certificate() -> None:
    key = SigningKey(GIVEN["signing_seed"])
    verifier = VerifierKey(GIVEN["origin"].decode(), key.public)
    reference = sha256(GIVEN["reference_salt"] + GIVEN["reference"]).digest()
    frontier = Frontier()
    nodes: dict[tuple[int, int], bytes] = {}
    for body in log():
        nodes |= {(level, at): hashed for level, at, hashed in frontier.append(leaf_hash(body))}
    proven = [
        (
            Leaf(
                leaves.VERSION, sequence, 101, "erased", purpose, "officer", GIVEN["leaf_policy"],
                (("key-id", key_id), ("reference", reference)),
            ),
            inclusion_proof(sequence, 6, lambda level, at: nodes[level, at]),
        )
        for sequence, purpose, key_id in ((3, "support", GIVEN["key_id"]), (4, "", b"\xbb" * 16))
    ]  # fmt: skip
    made = certify("erasure", proven, ANSWERS["checkpoint"], verifier, key.sign)
    assert made.encode() == ANSWERS["certificate"]
    opened = open_certificate(ANSWERS["certificate"], verifier)
    assert opened.statement.key_ids == (GIVEN["key_id"].hex(), "bb" * 16)
    reference_matches(opened, GIVEN["reference"].decode(), GIVEN["reference_salt"])
