"""Proof files: an entry, a log's key and the file are enough, offline; nothing else passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import ProofRefused
from consentprofile.tlog.checkpoint import Checkpoint, sign_checkpoint
from consentprofile.tlog.cosignature import cosign
from consentprofile.tlog.merkle import Frontier, leaf_hash
from consentprofile.tlog.note import from_base64, parse_note, sign_note
from consentprofile.tlog.proof import inclusion_proof
from consentprofile.tlog.tlog_proof import TlogProof, parse_tlog_proof, verify_tlog_proof
from tests.tlog.published import SPEC_COSIGNED, key_pair

LOG, LOG_SIGN = key_pair("log.example/audit", 1)
WITNESS, WITNESS_SIGN = key_pair("witness.example/w1", 2, cosigns=True)
SIZE = 37
ENTRIES = [b"entry %d" % number for number in range(SIZE)]


def _proofs() -> list[TlogProof]:
    frontier, nodes = Frontier(), {}
    for entry in ENTRIES:
        nodes.update({(level, index): node for level, index, node in frontier.append(leaf_hash(entry))})
    note = sign_checkpoint(Checkpoint(LOG.name, SIZE, frontier.root()), LOG.public, LOG_SIGN)
    note = cosign(note, WITNESS, WITNESS_SIGN, timestamp=1_700_000_000)
    return [
        TlogProof(index, tuple(inclusion_proof(index, SIZE, lambda level, at: nodes[level, at])), note)
        for index in range(SIZE)
    ]


PROOFS = _proofs()

# The lines of the specification's example, above the cosigned checkpoint of tlog-cosignature's: the example's own
# checkpoint is printed with its signatures shortened, and so is no note.
EXAMPLE = (
    "c2sp.org/tlog-proof@v1\n"
    "extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ\n"
    "index 73894\n"
    "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"
    "B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n"
    "EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=\n"
    "RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=\n"
    "AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n"
    "\n"
)


def test_the_lines_of_the_example_of_the_specification_are_reproduced() -> None:
    data = (EXAMPLE + SPEC_COSIGNED).encode()
    proof = parse_tlog_proof(data)
    assert (proof.index, len(proof.hashes)) == (73894, 5)
    assert proof.extra is not None
    assert proof.extra.startswith(b"age-v1.2.1-darwin-arm64.tar.gz")
    assert proof.hashes[0] == from_base64("gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=")
    assert proof.encode() == data


@pytest.mark.parametrize("index", range(SIZE))
def test_every_leaf_is_proved_by_its_file(index: int) -> None:
    proof = parse_tlog_proof(PROOFS[index].encode())
    assert proof == PROOFS[index]
    checkpoint = verify_tlog_proof(proof, ENTRIES[index], LOG, witnesses=[WITNESS], quorum=1)
    assert (checkpoint.origin, checkpoint.size) == (LOG.name, SIZE)


@given(st.integers(0, SIZE - 1), st.binary(min_size=1, max_size=99))
def test_a_file_with_extra_data_is_parsed_back_to_itself(index: int, extra: bytes) -> None:
    proof = TlogProof(index, PROOFS[index].hashes, PROOFS[index].checkpoint, extra)
    assert parse_tlog_proof(proof.encode()) == proof
    verify_tlog_proof(proof, ENTRIES[index], LOG)


@given(st.integers(0, SIZE - 1), st.integers(0, 10_000))
def test_any_flipped_bit_of_a_file_is_refused(index: int, bit: int) -> None:
    data = bytearray(PROOFS[index].encode())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    with pytest.raises(ProofRefused):
        verify_tlog_proof(parse_tlog_proof(bytes(data)), ENTRIES[index], LOG, witnesses=[WITNESS], quorum=1)


@given(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))
def test_a_file_proves_no_other_entry(index: int, other: int) -> None:
    if index != other:
        with pytest.raises(ProofRefused):
            verify_tlog_proof(PROOFS[index], ENTRIES[other], LOG)


def test_a_file_of_another_log_or_without_its_witnesses_is_refused() -> None:
    other, _ = key_pair(LOG.name, 9)
    stranger, _ = key_pair("witness.example/w3", 9, cosigns=True)
    with pytest.raises(ProofRefused):
        verify_tlog_proof(PROOFS[3], ENTRIES[3], other)
    with pytest.raises(ProofRefused):
        verify_tlog_proof(PROOFS[3], ENTRIES[3], LOG, origin="log.example/other")
    with pytest.raises(ProofRefused):
        verify_tlog_proof(PROOFS[3], ENTRIES[3], LOG, witnesses=[WITNESS, stranger], quorum=2)


GOOD = PROOFS[5].encode()
HEAD, NOTE = GOOD.split(b"\n\n", 1)
HASH = HEAD.split(b"\n")[2]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD + b"\n", id="no checkpoint"),
        pytest.param(HEAD + b"\n\n", id="an empty checkpoint"),
        pytest.param(NOTE, id="a checkpoint alone"),
        pytest.param(GOOD.replace(b"@v1", b"@v2"), id="another version"),
        pytest.param(b"\n" + GOOD, id="a line before it"),
        pytest.param(GOOD + b"\n", id="a line after it"),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), id="line ends of another system"),
        pytest.param(GOOD.replace(b"index 5", b"index 05"), id="a leading zero"),
        pytest.param(GOOD.replace(b"index 5", b"index -5"), id="a negative index"),
        pytest.param(GOOD.replace(b"index 5", b"index  5"), id="two spaces"),
        pytest.param(GOOD.replace(b"index 5", b"index"), id="no number"),
        pytest.param(GOOD.replace(b"index 5\n", b""), id="no index"),
        pytest.param(GOOD.replace(b"index 5", b"index 9223372036854775808"), id="too large an index"),
        pytest.param(GOOD.replace(b"index 5", b"index 5\nindex 5"), id="two indexes"),
        pytest.param(GOOD.replace(b"index 5", b"extra \nindex 5"), id="empty extra data"),
        pytest.param(GOOD.replace(b"index 5", b"extra YQ==\nextra YQ==\nindex 5"), id="two extra lines"),
        pytest.param(GOOD.replace(b"index 5", b"index 5\nextra YQ=="), id="extra data after the index"),
        pytest.param(GOOD.replace(b"index 5", b"extra YR==\nindex 5"), id="extra data with stray bits"),
        pytest.param(GOOD.replace(HASH, HASH[:-1]), id="a hash without padding"),
        pytest.param(GOOD.replace(HASH, b"YQ=="), id="a short hash"),
        pytest.param(GOOD.replace(HASH, b" " + HASH), id="a space before a hash"),
        pytest.param(GOOD.replace(HASH, b"\n".join([HASH] * 64)), id="more hashes than any log needs"),
        pytest.param(GOOD.replace(HASH, "é".encode()), id="not ASCII"),
        pytest.param(
            HEAD + b"\n\n" + sign_note("no checkpoint\n", LOG, LOG_SIGN).encode(), id="no checkpoint but a note"
        ),
        pytest.param(GOOD + bytes(2_000_000), id="too long"),
    ],
)
def test_what_is_no_canonical_proof_file_is_refused(data: bytes) -> None:
    with pytest.raises(ProofRefused):
        parse_tlog_proof(data)


@pytest.mark.parametrize(
    ("index", "hashes", "extra"),
    [(-1, (), None), (2**63, (), None), (0, (bytes(31),), None), (0, (bytes(32),) * 64, None), (0, (), b"")],
)
def test_there_is_no_such_proof_file(index: int, hashes: tuple[bytes, ...], extra: bytes | None) -> None:
    with pytest.raises(ProofRefused):
        TlogProof(index, hashes, parse_note(SPEC_COSIGNED.encode()), extra)
