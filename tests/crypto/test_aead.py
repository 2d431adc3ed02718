"""Sealing is AES-256-GCM-SIV as RFC 8452 has it, and whatever was changed does not open."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.crypto import aead
from consentprofile.crypto.aead import OVERHEAD, SealingKey
from consentprofile.crypto.randomness import injected, random_bytes
from consentprofile.errors import CorruptRecord, UnsupportedEnvironment
from tests.crypto.published import Case, cases

CASES = cases("aes_gcm_siv", keySize=256, ivSize=96)
KEY = bytes(range(32))


def test_the_vectors_hold_valid_and_invalid_cases() -> None:
    assert len(CASES) == 103
    assert {case.valid for case in CASES} == {True, False}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.number))
def test_sealing_gives_and_opens_exactly_the_published_bytes(case: Case) -> None:
    given = case.given
    sealed = given["iv"] + given["ct"] + given["tag"]
    key = SealingKey(given["key"])
    asked: list[int] = []

    def source(count: int) -> bytes:
        asked.append(count)
        return given["iv"]

    if case.valid:
        with injected(source):
            assert key.seal(given["msg"], given["aad"]) == sealed
        assert asked == [12]
        assert key.open(sealed, given["aad"]) == given["msg"]
    else:
        with pytest.raises(CorruptRecord):
            key.open(sealed, given["aad"])


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_what_is_sealed_opens_again_and_is_28_bytes_longer(plain: bytes, associated: bytes) -> None:
    key = SealingKey(KEY)
    sealed = key.seal(plain, associated)
    assert len(sealed) == len(plain) + OVERHEAD == len(plain) + 28
    assert key.open(sealed, associated) == plain


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    key = SealingKey(KEY)
    assert len({key.seal(b"the same", b"") for _ in range(100)}) == 100


def test_every_flipped_bit_and_every_shorter_record_is_refused() -> None:
    key = SealingKey(KEY)
    sealed = key.seal(b"a record", b"bound")
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptRecord):
            key.open(bytes(changed), b"bound")
    for length in range(len(sealed)):
        with pytest.raises(CorruptRecord):
            key.open(sealed[:length], b"bound")


@pytest.mark.parametrize("associated", [b"", b"Bound", b"bound\x00", b"boun"])
def test_other_associated_data_does_not_open(associated: bytes) -> None:
    key = SealingKey(KEY)
    with pytest.raises(CorruptRecord):
        key.open(key.seal(b"a record", b"bound"), associated)


def test_another_key_does_not_open() -> None:
    with pytest.raises(CorruptRecord):
        SealingKey(bytes(32)).open(SealingKey(KEY).seal(b"a record", b""), b"")


def test_a_key_shows_nothing_and_leaves_no_copy() -> None:
    key = SealingKey(KEY)
    assert repr(key) == str(key) == "<SealingKey, withheld>"
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(key)
    with pytest.raises(TypeError):
        vars(key)


def test_a_machine_without_the_algorithm_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(key: bytes) -> object:
        raise UnsupportedAlgorithm("no such cipher")

    aead.require_support()
    monkeypatch.setattr(aead, "AESGCMSIV", missing)
    with pytest.raises(UnsupportedEnvironment, match=r"OpenSSL >= 3\.2"):
        aead.require_support()


def test_the_seam_ends_with_its_block_also_after_an_error() -> None:
    def fail() -> None:
        with injected(bytes):
            assert random_bytes(16) == bytes(16)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert random_bytes(16) != bytes(16)
