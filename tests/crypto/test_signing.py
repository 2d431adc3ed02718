"""The signing key: the signatures of RFC 8032, a public half that can be had, and a private one that cannot."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consentprofile.crypto.signing import SigningKey

RFC_8032 = {
    "test 1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    "test 2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
}
"""Section 7.1: (seed, public key, message, signature)."""


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032.values(), ids=RFC_8032)
def test_the_seed_gives_the_published_key_and_signature(seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature


def test_a_signature_is_of_one_message_and_the_same_each_time() -> None:
    key = SigningKey(bytes(range(32)))
    signature = key.sign(b"a head of the log")
    assert key.sign(b"a head of the log") == signature
    public = Ed25519PublicKey.from_public_bytes(key.public)
    public.verify(signature, b"a head of the log")
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"a head of the loG")


def test_a_signing_key_shows_nothing_and_leaves_no_copy() -> None:
    seed = b"canary of a signing key, 32 byte"
    key = SigningKey(seed)
    assert repr(key) == str(key) == "<SigningKey, withheld>"
    assert not hasattr(key, "__dict__")
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(key)
