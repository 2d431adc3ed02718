"""Capability files: their bytes, and every file that is none."""

from __future__ import annotations

import base64
import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from consentprofile import canonical
from consentprofile.crypto.capability import Capability, EpochMark, write
from consentprofile.crypto.keys import EpochKeys
from consentprofile.crypto.providers import Parameters, Passphrase
from consentprofile.errors import BeyondCapability, KeysRotated, KeyUnavailable, WrongKey
from tests.format import decoder

MARK = EpochMark(bytes(range(16)), 3, b"\x0c" * 32)
IDENTITY = b"\x1d" * 16
GRANTED = {"index": b"\x01" * 32, "purpose:support": b"\x02" * 32, "purpose:marketing": b"\x03" * 32}
SECRET = "correct horse battery"
CHEAP = Passphrase(SECRET, memory_kib=19 * 1024, iterations=2, lanes=1)

TEXT = write(MARK, IDENTITY, "support-agent", GRANTED)
SEALED = write(MARK, IDENTITY, "support-agent", GRANTED, CHEAP.enroll())


def lay(path: Path, text: str = TEXT, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def packed(text: str) -> bytes:
    return base64.b64decode(text.strip().split(":")[1])


def with_bytes(data: bytes) -> str:
    return "consentprofile-capability-1:" + base64.b64encode(data).decode() + "\n"


def edited(old: bytes, new: bytes, text: str = TEXT) -> str:
    """The same file with some bytes of it replaced."""
    assert packed(text).count(old) == 1
    return with_bytes(packed(text).replace(old, new))


# ---- what stands in it ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [TEXT, SEALED], ids=["open", "under a passphrase"])
def test_a_stranger_reads_what_the_page_describes(text: str) -> None:
    """The decoder was written from docs/format.md alone."""
    found = decoder.open_capability(text, SECRET)
    assert (found.store, found.epoch, found.check, found.id) == (*MARK, IDENTITY)
    assert found.role == "support-agent"
    assert found.keys == GRANTED


def test_the_bytes_of_a_capability_do_not_change() -> None:
    """Known answer: two packed arrays in one line."""
    assert TEXT.startswith("consentprofile-capability-1:kpfEEAABAgMEBQYHCAkKCwwNDg8DxCAMDAwM")
    assert canonical.digest(TEXT.encode()).hex() == "3205daad68aeff0b6fbe47a6edb4d0c6dcf140fe0d050d5a8f510221e88a1b1b"


def test_it_grants_its_role_and_its_keys_and_nothing_else(tmp_path: Path) -> None:
    role, keys = Capability(lay(tmp_path / "cap")).open(MARK)
    assert role == "support-agent"
    assert keys.purposes == ("marketing", "support")
    assert (keys.officer, keys.signing, keys.imports) == (None, None, None)
    for attempt in (keys.require_officer, keys.require_imports, lambda: keys.require_purpose("analytics")):
        with pytest.raises(BeyondCapability):
            attempt()
    assert keys.index.account(b"acct-17") == EpochKeys(MARK.store, 3, GRANTED).index.account(b"acct-17")
    assert keys.grant(["support"]) == {name: GRANTED[name] for name in ("index", "purpose:support")}


def test_one_under_a_passphrase_opens_with_it_alone(tmp_path: Path) -> None:
    path = lay(tmp_path / "cap", SEALED)
    assert Capability(path, passphrase=Passphrase(lambda: SECRET)).open(MARK).keys.grant(["support"])
    with pytest.raises(WrongKey, match="passphrase"):
        Capability(path, passphrase=Passphrase("correct horse batterz")).open(MARK)
    with pytest.raises(KeyUnavailable, match="give it too"):
        Capability(path).open(MARK)
    for key in GRANTED.values():
        assert key not in packed(SEALED)


def test_a_passphrase_is_not_asked_for_in_vain(tmp_path: Path) -> None:
    def ask() -> str:
        raise AssertionError("asked for a passphrase that could not help")

    asking = Passphrase(ask)
    assert Capability(lay(tmp_path / "open"), passphrase=asking).open(MARK).role == "support-agent"
    sealed = Capability(lay(tmp_path / "sealed", SEALED), passphrase=asking)
    with pytest.raises(WrongKey):
        sealed.open(MARK._replace(store=bytes(16)))
    with pytest.raises(KeysRotated):
        sealed.open(MARK._replace(number=4))


def test_two_of_the_same_keys_are_sealed_differently() -> None:
    assert write(MARK, IDENTITY, "app", GRANTED, CHEAP.enroll()) != write(
        MARK, IDENTITY, "app", GRANTED, CHEAP.enroll()
    )


# ---- of which store and epoch -----------------------------------------------------------------------


def test_a_capability_of_another_store_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(WrongKey, match="another store"):
        Capability(lay(tmp_path / "cap")).open(MARK._replace(store=bytes(16)))


OTHERS = {
    "the keys were rotated": MARK._replace(number=4),
    "an older keyring was put back": MARK._replace(number=2),
    "an older keyring was put back and rotated anew": MARK._replace(check=bytes(32)),
}


@pytest.mark.parametrize("current", OTHERS.values(), ids=OTHERS)
def test_a_capability_ends_with_its_epoch(tmp_path: Path, current: EpochMark) -> None:
    for text in (TEXT, SEALED):
        with pytest.raises(KeysRotated, match="ask for a new one"):
            Capability(lay(tmp_path / "cap", text), passphrase=CHEAP).open(current)


# ---- hostile files ----------------------------------------------------------------------------------


def _unsealed() -> str:
    head, held = decoder.unpack(packed(SEALED))
    head[-1] = ["", b"", 0, 0, 0]
    return with_bytes(canonical.pack([head, held]))


_HELD = packed(TEXT).index(b"\x01" * 32)
_OTHER = write(MARK, IDENTITY, "app", {**GRANTED, "index": b"\x09" * 32})

HOSTILE = {
    "nothing": "",
    "the prefix alone": "consentprofile-capability-1:",
    "a key file": "consentprofile-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "a version to come": TEXT.replace("-1:", "-2:"),
    "truncated": TEXT[: len(TEXT) // 2],
    "a byte short": with_bytes(packed(TEXT)[:-1]),
    "a byte more": with_bytes(packed(TEXT) + b"\x00"),
    "two of them": TEXT + TEXT,
    "not base64": TEXT.replace(":", ":%"),
    "not ASCII": TEXT.replace("A", "é", 1),
    "larger than any": "consentprofile-capability-1:" + "A" * 100_000,
    "another shape": with_bytes(canonical.pack([1, 2, 3])),
    "another role": edited(b"support-agent", b"support-ageny"),
    "another purpose": edited(b"marketing", b"analytics"),
    "another purpose's key": edited(b"\x02" * 32, b"\x05" * 32),
    "another index key": edited(b"\x01" * 32, b"\x05" * 32),
    "keys that are not in order": with_bytes(
        packed(TEXT)[:_HELD] + b"\x01" * 32 + b"\x02" * 32 + b"\x03" * 32 + packed(TEXT)[_HELD + 96 :]
    ),
    "the head of one and the keys of another": with_bytes(packed(TEXT)[:_HELD] + packed(_OTHER)[-128:]),
    "another seal": with_bytes(packed(TEXT)[:-1] + bytes([packed(TEXT)[-1] ^ 1])),
    "sealed, and said not to be: what is sealed would be taken for keys": _unsealed(),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_capability_is_refused_without_an_echo(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeyUnavailable) as caught:
        Capability(lay(tmp_path / "cap", text), passphrase=CHEAP).open(MARK)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert len(text) < 40 or text[30:60] not in f"{caught.value!r}"


def test_every_edited_bit_is_refused(tmp_path: Path) -> None:
    for place in range(0, len(packed(TEXT)) * 8, 7):
        data = bytearray(packed(TEXT))
        data[place // 8] ^= 1 << place % 8
        with pytest.raises((KeyUnavailable, WrongKey, KeysRotated)):
            Capability(lay(tmp_path / "cap", with_bytes(bytes(data)))).open(MARK)


SEALED_AND_HOSTILE = {
    "another role": edited(b"support-agent", b"support-ageny", SEALED),
    "another purpose": edited(b"marketing", b"analytics", SEALED),
    "another id": edited(IDENTITY, bytes(16), SEALED),
    "its last byte": with_bytes(packed(SEALED)[:-1] + bytes([packed(SEALED)[-1] ^ 1])),
}


@pytest.mark.parametrize("text", SEALED_AND_HOSTILE.values(), ids=SEALED_AND_HOSTILE)
def test_nobody_edits_a_sealed_capability_without_its_passphrase(tmp_path: Path, text: str) -> None:
    with pytest.raises(WrongKey):
        Capability(lay(tmp_path / "cap", text), passphrase=CHEAP).open(MARK)


@pytest.mark.parametrize(
    "protection",
    [
        Parameters("passphrase", b"s" * 16, 2**40, 2, 1),
        Parameters("passphrase", b"s" * 16, 19 * 1024, 1, 1),
        Parameters("passphrase", b"", 19 * 1024, 2, 1),
        Parameters("key-file"),
    ],
    ids=["memory without bound", "a single pass", "no salt", "another provider"],
)
def test_hostile_parameters_are_refused_before_the_passphrase_is_asked(tmp_path: Path, protection: Parameters) -> None:
    def ask() -> str:
        raise AssertionError("asked")

    head, held = decoder.unpack(packed(SEALED))
    head[-1] = protection
    with pytest.raises(KeyUnavailable):
        Capability(lay(tmp_path / "cap", with_bytes(canonical.pack([head, held]))), passphrase=Passphrase(ask)).open(
            MARK
        )


# ---- the place it lies in ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_capability_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        Capability(lay(tmp_path / "cap", TEXT, mode)).open(MARK)


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _loose_behind_a_link(path: Path) -> None:
    path.symlink_to(lay(path.with_name("loose"), TEXT, 0o644))


PLACES: dict[str, Callable[[Path], None]] = {
    "nothing there": lambda path: None,
    "a directory": lambda path: path.mkdir(mode=0o700),
    "a pipe": _pipe,
    "a link to nothing": lambda path: path.symlink_to(path.with_name("elsewhere")),
    "a link to a file that others may read": _loose_behind_a_link,
}


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
def test_what_is_no_file_of_its_owner_alone_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "cap")
    with pytest.raises(KeyUnavailable):
        Capability(tmp_path / "cap").open(MARK)


# ---- it shows nothing, and is no provider -----------------------------------------------------------


def test_a_capability_shows_nothing_and_leaves_no_copy(tmp_path: Path) -> None:
    held = Capability(lay(tmp_path / "cap"))
    grant = held.open(MARK)
    assert repr(held) == str(held) == "<Capability, withheld>"
    assert repr(grant) == "Grant(role='support-agent', keys=<EpochKeys, withheld>)"
    for thing in (held, grant.keys):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                attempt(thing)


def test_a_capability_gives_no_secret_of_a_store() -> None:
    for attempt in (lambda: Capability("cap").enroll(), lambda: Capability("cap").recall(Parameters("key-file"))):
        with pytest.raises(KeyUnavailable):
            attempt()
