"""Digests are HMAC-SHA256 and HKDF-SHA256 as published, each use apart from every other."""

from __future__ import annotations

import copy
import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.crypto.byte_rows import cut, joined
from consentprofile.crypto.tags import (
    CompartmentSecret,
    ImportKey,
    IndexKey,
    hkdf_sha256,
    hmac_sha256,
    hmac_sha256_each,
    members,
)
from tests.crypto.published import Case, cases

MACS = cases("hmac_sha256")
DERIVED = cases("hkdf_sha256")
KEY = bytes(range(32))


def test_the_vectors_hold_valid_and_invalid_cases() -> None:
    assert (len(MACS), {case.valid for case in MACS}) == (174, {True, False})
    assert (len(DERIVED), {case.valid for case in DERIVED}) == (86, {True, False})


@pytest.mark.parametrize("case", MACS, ids=lambda case: str(case.number))
def test_hmac_is_the_published_one(case: Case) -> None:
    made = hmac_sha256(case.given["key"], case.given["msg"])
    assert len(made) == 32
    assert (made[: case.size] == case.given["tag"]) is case.valid


@given(st.binary(max_size=130), st.binary(max_size=200))
def test_hmac_is_that_of_the_standard_library_for_keys_of_every_length(key: bytes, message: bytes) -> None:
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


@pytest.mark.parametrize("case", [case for case in MACS if len(case.given["key"]) <= 64], ids=lambda c: str(c.number))
def test_hmac_under_many_keys_is_the_published_one(case: Case) -> None:
    size = len(case.given["key"])
    made = cut(hmac_sha256_each(joined([case.given["key"], bytes(size)], size), case.given["msg"]))
    assert (made[0][: case.size] == case.given["tag"]) is case.valid
    assert made[1] == hmac_sha256(bytes(size), case.given["msg"])


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_the_pseudonyms_of_many_are_those_of_each(secrets: list[bytes]) -> None:
    assert cut(members(joined(secrets, 32))) == [hmac_sha256(secret, b"\x05")[:16] for secret in secrets]


def test_a_key_longer_than_the_block_is_refused_among_many() -> None:
    with pytest.raises(ValueError, match="64"):
        hmac_sha256_each(joined([bytes(65)], 65), b"message")


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 63, 64, 65, 128])
def test_hmac_is_right_on_either_side_of_the_block(size: int) -> None:
    key = bytes(range(size))
    assert hmac_sha256(key, b"message") == hmac.digest(key, b"message", "sha256")


@pytest.mark.parametrize("case", DERIVED, ids=lambda case: str(case.number))
def test_hkdf_is_the_published_one(case: Case) -> None:
    secret, salt, info = (case.given[name] for name in ("ikm", "salt", "info"))
    if case.valid:
        assert hkdf_sha256(secret, salt=salt, info=info, length=case.size) == case.given["okm"]
    else:
        with pytest.raises(ValueError, match="larger"):
            hkdf_sha256(secret, salt=salt, info=info, length=case.size)


@given(st.binary(min_size=1, max_size=256), st.text(max_size=40), st.text(max_size=40))
def test_every_digest_is_hmac_over_its_documented_input(account: bytes, name: str, value: str) -> None:
    index, secret = IndexKey(KEY), CompartmentSecret(KEY)
    tag = index.account(account)
    assert tag == hmac_sha256(KEY, b"\x01" + account)
    assert index.suppression(tag, name) == hmac_sha256(KEY, b"\x02" + tag + name.encode())
    assert index.policy(7, tag) == hmac_sha256(KEY, b"\x06" + (7).to_bytes(8, "big") + tag)
    assert secret.event(value) == hmac_sha256(KEY, b"\x03" + value.encode())[:16]
    field = name.encode()
    assert secret.token(name, value) == hmac_sha256(KEY, b"\x04" + bytes([len(field)]) + field + value.encode())[:16]
    assert ImportKey(KEY).event(account) == hmac_sha256(KEY, account)[:16].hex()


def test_one_input_under_different_uses_and_keys_gives_different_digests() -> None:
    other = bytes(32)
    digests = [
        IndexKey(KEY).account(b"same")[:16],
        IndexKey(other).account(b"same")[:16],
        IndexKey(KEY).suppression(b"same", "")[:16],
        IndexKey(KEY).policy(1, b"same")[:16],
        IndexKey(KEY).policy(2, b"same")[:16],
        CompartmentSecret(KEY).event("same"),
        CompartmentSecret(other).event("same"),
        CompartmentSecret(KEY).token("device", "same"),
        CompartmentSecret(KEY).token("devices", "ame"),
        CompartmentSecret(KEY).token("", "same"),
        bytes.fromhex(ImportKey(KEY).event(b"same")),
    ]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("kind", [IndexKey, CompartmentSecret, ImportKey])
def test_a_key_for_digests_shows_nothing_and_leaves_no_copy(
    kind: type[IndexKey | CompartmentSecret | ImportKey],
) -> None:
    key = kind(KEY)
    assert repr(key) == str(key) == f"<{kind.__name__}, withheld>"
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(key)
