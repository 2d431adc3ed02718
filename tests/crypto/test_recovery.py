"""Recovery copies: one secret, one long passphrase, and every changed byte is refused."""

from __future__ import annotations

import base64

import pytest

from consentprofile import canonical
from consentprofile.crypto import recovery
from consentprofile.crypto.providers import KEY_PREFIX, Parameters, Passphrase
from consentprofile.errors import ConsentProfileError, CorruptRecord, KeyUnavailable, WrongKey

STORE, SECRET, WORDS = b"\x01" * 16, bytes(range(32)), "correct horse battery staple"


def cheap(words: str = WORDS) -> Passphrase:
    return Passphrase(words, memory_kib=19 * 1024, iterations=2, lanes=1)


@pytest.fixture(scope="module")
def text() -> str:
    return recovery.write(STORE, 3, SECRET, cheap())


def test_the_key_is_had_again_as_a_key_file_has_it(text: str) -> None:
    found = recovery.read(text, cheap())
    assert found == (KEY_PREFIX + base64.b64encode(SECRET).decode(), STORE, 3)
    assert base64.b64encode(SECRET).decode() not in repr(found)
    assert text.startswith("consentprofile-recovery-1:")
    assert text.count("\n") == 1


def test_no_two_copies_are_alike(text: str) -> None:
    assert recovery.write(STORE, 3, SECRET, cheap()) != text


def test_another_passphrase_opens_nothing(text: str) -> None:
    with pytest.raises(WrongKey):
        recovery.read(text, cheap(WORDS + "."))


def test_a_short_passphrase_makes_nothing() -> None:
    with pytest.raises(KeyUnavailable, match="at least 20 characters"):
        recovery.write(STORE, 3, SECRET, cheap("x" * 19))


def packed(text: str) -> list[object]:
    found: list[object] = canonical.unpack(base64.b64decode(text.strip().removeprefix(recovery.PREFIX)), list)
    return found


def written(value: object) -> str:
    return recovery.PREFIX + base64.b64encode(canonical.pack(value)).decode() + "\n"


def test_a_head_that_was_changed_opens_nothing(text: str) -> None:
    head, sealed = packed(text)
    assert isinstance(head, list)
    for changed in ([b"\x02" * 16, *head[1:]], [head[0], 4, head[2]]):
        with pytest.raises(WrongKey):
            recovery.read(written([changed, sealed]), cheap())


@pytest.mark.parametrize(
    "wrong",
    [
        Parameters("passphrase", b"s" * 16, 1 << 24, 3, 4),
        Parameters("passphrase", b"s" * 16, 64 * 1024, 1_000, 4),
        Parameters("passphrase", b"s", 64 * 1024, 3, 4),
    ],
)
def test_parameters_out_of_bounds_are_refused_before_the_passphrase_is_asked_for(text: str, wrong: Parameters) -> None:
    def asked() -> str:
        raise AssertionError("the passphrase was asked for")

    head, sealed = packed(text)
    assert isinstance(head, list)
    with pytest.raises(CorruptRecord):
        recovery.read(written([[*head[:2], wrong], sealed]), Passphrase(asked))


NO_COPIES = {
    "nothing": "",
    "a key": KEY_PREFIX + base64.b64encode(SECRET).decode(),
    "another version": "consentprofile-recovery-2:AAAA",
    "no base64": recovery.PREFIX + "***",
    "nothing in it": recovery.PREFIX,
    "no record": recovery.PREFIX + base64.b64encode(b"\xc0").decode(),
    "a short store id": written([[b"x", 1, ["passphrase", b"s" * 16, 65536, 3, 4]], b"sealed"]),
    "another provider": written([[STORE, 1, ["key-file", b"", 0, 0, 0]], b"sealed"]),
}


@pytest.mark.parametrize("text", NO_COPIES.values(), ids=NO_COPIES)
def test_what_is_no_recovery_copy_is_refused(text: str) -> None:
    with pytest.raises(KeyUnavailable):
        recovery.read(text, cheap())


def test_every_byte_counts(text: str) -> None:
    whole = canonical.pack(packed(text))
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 1
        line = recovery.PREFIX + base64.b64encode(bytes(changed)).decode()
        with pytest.raises(ConsentProfileError):
            recovery.read(line, cheap())
