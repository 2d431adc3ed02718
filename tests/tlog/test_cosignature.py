"""Cosignatures: a witness's word on a checkpoint, timed, and never to be taken for the log's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import ProofRefused
from consentprofile.tlog.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from consentprofile.tlog.cosignature import cosign, cosignature_message, verify_cosignature, verify_quorum
from consentprofile.tlog.merkle import MAX_SIZE
from consentprofile.tlog.note import Note, Signature, VerifierKey, parse_key, parse_note, sign_note, verify_note
from tests.tlog.published import (
    SPEC_CHECKPOINT_TEXT,
    SPEC_COSIGNED,
    WITNESS_KEYS,
    WITNESSED_CHECKPOINT,
    key_pair,
)

LOG, LOG_SIGN = key_pair("log.example/audit", 1)
WITNESS, WITNESS_SIGN = key_pair("witness.example/w1", 2, cosigns=True)
SECOND, SECOND_SIGN = key_pair("witness.example/w2", 3, cosigns=True)
NOTE = sign_checkpoint(Checkpoint(LOG.name, 7, bytes(range(32))), LOG.public, LOG_SIGN)


def test_the_example_of_the_specification_is_reproduced() -> None:
    note = parse_note(SPEC_COSIGNED.encode())
    line = note.signatures[1]
    assert (line.name, line.key_id.hex(), len(line.signature)) == ("witness.example.com/w1", "8d66cf3f", 72)
    timestamp = int.from_bytes(line.signature[:8], "big")
    assert timestamp == 1679315147
    assert cosignature_message(note.text, timestamp).decode() == (
        f"cosignature/v1\ntime 1679315147\n{SPEC_CHECKPOINT_TEXT}"
    )
    assert note.encode() == SPEC_COSIGNED.encode()


@pytest.mark.parametrize("key", WITNESS_KEYS)
def test_the_cosignatures_of_public_witnesses_verify(key: str) -> None:
    assert verify_cosignature(parse_note(WITNESSED_CHECKPOINT.encode()), parse_key(key)) == 0x6A122120


def test_public_witnesses_make_a_quorum() -> None:
    note, keys = parse_note(WITNESSED_CHECKPOINT.encode()), [parse_key(key) for key in WITNESS_KEYS]
    verify_quorum(note, [*keys, WITNESS], 3)
    with pytest.raises(ProofRefused):
        verify_quorum(note, [*keys, WITNESS], 4)


@given(st.integers(0, MAX_SIZE))
def test_a_cosigned_checkpoint_keeps_the_signature_of_the_log(timestamp: int) -> None:
    cosigned = parse_note(cosign(NOTE, WITNESS, WITNESS_SIGN, timestamp=timestamp).encode())
    assert verify_cosignature(cosigned, WITNESS) == timestamp
    assert verify_checkpoint(cosigned, LOG).size == 7


@given(st.integers(0, 8 * 72 - 1))
def test_any_flipped_bit_of_a_cosignature_is_refused(bit: int) -> None:
    cosigned = cosign(NOTE, WITNESS, WITNESS_SIGN, timestamp=1_700_000_000)
    blob = bytearray(cosigned.signatures[1].signature)
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProofRefused):
        verify_cosignature(Note(NOTE.text, (Signature(WITNESS.name, WITNESS.key_id, bytes(blob)),)), WITNESS)


@pytest.mark.parametrize("length", [0, 8, 64, 71, 73])
def test_a_cosignature_of_another_length_is_refused(length: int) -> None:
    blob = (WITNESS_SIGN(b"x") * 2)[:length] or b"\x00"
    with pytest.raises(ProofRefused):
        verify_cosignature(Note(NOTE.text, (Signature(WITNESS.name, WITNESS.key_id, blob),)), WITNESS)


def test_a_cosignature_is_bound_to_its_checkpoint() -> None:
    """Attack: a cosignature is moved below a head that the witness has not seen."""
    line = cosign(NOTE, WITNESS, WITNESS_SIGN, timestamp=5).signatures[1]
    forked = sign_checkpoint(Checkpoint(LOG.name, 7, bytes(32)), LOG.public, LOG_SIGN)
    with pytest.raises(ProofRefused):
        verify_cosignature(Note(forked.text, (*forked.signatures, line)), WITNESS)


def test_a_log_signature_is_no_cosignature_and_the_other_way_round() -> None:
    """Attack: one key pair serves a log and a witness; neither line may pass for the other."""
    as_witness = VerifierKey(LOG.name, LOG.public, 4)
    with pytest.raises(ProofRefused):
        verify_cosignature(NOTE, as_witness)
    with pytest.raises(ProofRefused):
        verify_cosignature(NOTE, LOG)
    witnessed = cosign(Note(NOTE.text, NOTE.signatures), as_witness, LOG_SIGN, timestamp=5)
    with pytest.raises(ProofRefused):
        verify_note(Note(NOTE.text, witnessed.signatures[1:]), LOG)


def test_cosigning_again_replaces_the_earlier_line() -> None:
    once = cosign(NOTE, WITNESS, WITNESS_SIGN, timestamp=5)
    twice = cosign(cosign(once, SECOND, SECOND_SIGN, timestamp=6), WITNESS, WITNESS_SIGN, timestamp=7)
    assert [item.name for item in twice.signatures] == [LOG.name, SECOND.name, WITNESS.name]
    assert verify_cosignature(twice, WITNESS) == 7


def test_of_two_lines_of_one_witness_the_newer_counts_and_both_must_hold() -> None:
    lines = [cosign(NOTE, WITNESS, WITNESS_SIGN, timestamp=at).signatures[1] for at in (9, 5)]
    assert verify_cosignature(Note(NOTE.text, (*NOTE.signatures, *lines)), WITNESS) == 9
    bad = Signature(WITNESS.name, WITNESS.key_id, bytes(72))
    with pytest.raises(ProofRefused):
        verify_cosignature(Note(NOTE.text, (*NOTE.signatures, lines[0], bad)), WITNESS)


def test_one_witness_under_two_names_counts_once() -> None:
    alias = VerifierKey("witness.example/alias", WITNESS.public, 4)
    note = cosign(cosign(NOTE, WITNESS, WITNESS_SIGN, timestamp=5), alias, WITNESS_SIGN, timestamp=5)
    verify_quorum(note, [WITNESS, alias], 1)
    with pytest.raises(ProofRefused):
        verify_quorum(note, [WITNESS, alias, WITNESS], 2)


def test_a_bad_line_of_a_known_witness_refuses_a_quorum_that_stands_without_it() -> None:
    note = cosign(NOTE, WITNESS, WITNESS_SIGN, timestamp=5)
    bad = Note(note.text, (*note.signatures, Signature(SECOND.name, SECOND.key_id, bytes(72))))
    verify_quorum(bad, [WITNESS], 1)
    with pytest.raises(ProofRefused):
        verify_quorum(bad, [WITNESS, SECOND], 1)


@pytest.mark.parametrize("timestamp", [-1, MAX_SIZE + 1])
def test_no_cosignature_is_made_at_such_a_time(timestamp: int) -> None:
    with pytest.raises(ProofRefused):
        cosign(NOTE, WITNESS, WITNESS_SIGN, timestamp=timestamp)


def test_only_checkpoints_are_cosigned_and_only_by_the_right_key() -> None:
    with pytest.raises(ProofRefused):
        cosign(sign_note("no checkpoint\n", LOG, LOG_SIGN), WITNESS, WITNESS_SIGN, timestamp=5)
    with pytest.raises(ProofRefused):
        cosign(NOTE, LOG, LOG_SIGN, timestamp=5)
    with pytest.raises(ProofRefused):
        cosign(NOTE, WITNESS, SECOND_SIGN, timestamp=5)
