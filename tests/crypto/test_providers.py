"""Key providers: a key file is its owner's alone, hostile parameters are refused, and no text of a key is echoed."""

from __future__ import annotations

import copy
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentprofile import canonical
from consentprofile.crypto.providers import (
    EnvKey,
    KeyFile,
    KeyProvider,
    Parameters,
    Passphrase,
    decode_parameters,
    encode_parameters,
    new_key_text,
)
from consentprofile.errors import CorruptRecord, KeyUnavailable

TEXT = "consentprofile-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
VARIABLE = "A_KEY_FOR_TESTS"
CHEAP = {"memory_kib": 19 * 1024, "iterations": 2, "lanes": 1}


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


# ---- the key file -----------------------------------------------------------------------------------


def test_a_key_file_is_made_for_its_owner_alone_and_gives_the_same_secret_again(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        secret, parameters = KeyFile(tmp_path / "key").enroll()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert (tmp_path / "key").read_text().startswith("consentprofile-key-1:")
    assert parameters == Parameters("key-file")
    assert KeyFile(tmp_path / "key").recall(parameters) == secret
    assert len(secret) == 32


def test_an_existing_key_file_is_used_and_never_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "key", TEXT + "\n")
    assert KeyFile(path).enroll()[0] == bytes(range(32))
    assert path.read_text() == TEXT + "\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o666, 0o610, 0o777])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "key", TEXT, mode)
    with pytest.raises(KeyUnavailable, match="chmod 600"):
        KeyFile(path).recall(Parameters("key-file"))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_file_of_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    assert KeyFile(write(tmp_path / "key", TEXT, mode)).recall(Parameters("key-file")) == bytes(range(32))


def _directory(path: Path) -> None:
    path.mkdir(mode=0o700)


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _loose_behind_a_link(path: Path) -> None:
    path.symlink_to(write(path.with_name("loose"), TEXT, 0o644))


NO_KEY_FILES: dict[str, Callable[[Path], None]] = {
    "a directory": _directory,
    "a pipe": _pipe,
    "a link to nothing": _dangling,
    "a link to itself": _loop,
    "a link to a file that others may read": _loose_behind_a_link,
}


@pytest.mark.parametrize("make", NO_KEY_FILES.values(), ids=NO_KEY_FILES)
def test_what_is_no_key_file_is_refused_on_making_and_on_opening(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "key")
    for attempt in (
        lambda: KeyFile(tmp_path / "key").enroll(),
        lambda: KeyFile(tmp_path / "key").recall(Parameters("key-file")),
    ):
        with pytest.raises(KeyUnavailable):
            attempt()
    assert not (tmp_path / "elsewhere").exists()


def test_a_link_to_a_sound_key_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(write(tmp_path / "real", TEXT))
    assert KeyFile(tmp_path / "key").recall(Parameters("key-file")) == bytes(range(32))


def test_a_missing_key_file_is_not_made_on_opening(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable):
        KeyFile(tmp_path / "key").recall(Parameters("key-file"))
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="No such file"):
        KeyFile(tmp_path / "nowhere" / "key").enroll()


# ---- texts of keys ----------------------------------------------------------------------------------

NO_KEYS = {
    "nothing": "",
    "the prefix alone": "consentprofile-key-1:",
    "no prefix": TEXT.removeprefix("consentprofile-key-1:"),
    "a version to come": TEXT.replace("-1:", "-2:"),
    "a character short": TEXT[:-1],
    "31 bytes": "consentprofile-key-1:" + "A" * 40 + "AA==",
    "33 bytes": "consentprofile-key-1:" + "A" * 44,
    "two keys": TEXT + "\n" + TEXT,
    "a space inside": TEXT[:30] + " " + TEXT[30:],
    "hex": "consentprofile-key-1:" + "00" * 32,
    "not ASCII": TEXT[:-2] + "é=",
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_a_text_that_is_no_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(KeyUnavailable):
        KeyFile(write(tmp_path / "key", text)).recall(Parameters("key-file"))
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(KeyUnavailable):
        EnvKey(VARIABLE).enroll()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=4, max_size=80))
def test_garbage_is_refused_without_an_echo(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    garbage = f"%{text}"  # a percent sign is in no base64
    for given_text in (garbage, "consentprofile-key-1:" + garbage):
        monkeypatch.setenv(VARIABLE, given_text)
        with pytest.raises(KeyUnavailable) as caught:
            EnvKey(VARIABLE).recall(Parameters("environment"))
        assert garbage not in f"{caught.value!r}{caught.value.__cause__}"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_new_keys_are_32_random_bytes_and_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {new_key_text() for _ in range(10)}
    assert len(texts) == 10
    secrets = set()
    for text in texts:
        monkeypatch.setenv(VARIABLE, text)
        secret, parameters = EnvKey(VARIABLE).enroll()
        assert EnvKey(VARIABLE).recall(parameters) == secret
        secrets.add(secret)
    assert {len(secret) for secret in secrets} == {32}
    assert len(secrets) == 10


def test_an_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(KeyUnavailable, match=VARIABLE):
        EnvKey(VARIABLE).enroll()


# ---- passphrases ------------------------------------------------------------------------------------


def test_a_passphrase_is_stretched_by_argon2id_with_the_parameters_that_are_kept() -> None:
    provider = Passphrase("correct horse battery", **CHEAP)
    secret, parameters = provider.enroll()
    assert (parameters.provider, len(parameters.salt)) == ("passphrase", 16)
    assert (parameters.memory_kib, parameters.iterations, parameters.lanes) == (19 * 1024, 2, 1)
    stretched = Argon2id(salt=parameters.salt, length=32, iterations=2, lanes=1, memory_cost=19 * 1024)
    assert secret == stretched.derive(b"correct horse battery")
    assert Passphrase(lambda: "correct horse battery").recall(parameters) == secret
    assert Passphrase("correct horse batterz").recall(parameters) != secret


def test_two_stores_with_one_passphrase_have_two_secrets() -> None:
    provider = Passphrase("correct horse battery", **CHEAP)
    assert provider.enroll()[0] != provider.enroll()[0]


def test_a_short_passphrase_is_refused_without_an_echo() -> None:
    with pytest.raises(KeyUnavailable, match="at least 12") as caught:
        Passphrase("hunter2hunt").enroll()
    assert "hunter2" not in str(caught.value)


SOUND = Parameters("passphrase", b"s" * 16, 19 * 1024, 2, 1)
HOSTILE = {
    "memory that exhausts the machine": {"memory_kib": 1024 * 1024 + 1},
    "memory without bound": {"memory_kib": 2**62},
    "too little memory": {"memory_kib": 19 * 1024 - 1},
    "no memory": {"memory_kib": 0},
    "negative memory": {"memory_kib": -1},
    "a single pass": {"iterations": 1},
    "passes without end": {"iterations": 17},
    "no lane": {"lanes": 0},
    "too many lanes": {"lanes": 17},
    "no salt": {"salt": b""},
    "a short salt": {"salt": b"s" * 15},
    "a long salt": {"salt": b"s" * 65},
}


@pytest.mark.parametrize("changed", HOSTILE.values(), ids=HOSTILE)
def test_hostile_parameters_are_refused_before_the_passphrase_is_asked(changed: dict[str, int | bytes]) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("asked")
        return "correct horse battery"

    with pytest.raises(CorruptRecord):
        Passphrase(ask).recall(canonical_replace(SOUND, changed))
    assert asked == []


def canonical_replace(parameters: Parameters, changed: dict[str, int | bytes]) -> Parameters:
    fields: dict[str, object] = {name: getattr(parameters, name) for name in parameters.__struct_fields__}
    return Parameters(**{**fields, **changed})  # type: ignore[arg-type]


# ---- all of them ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["key-file", "environment", "passphrase", "hardware"])
def test_a_store_says_which_provider_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv(VARIABLE, TEXT)
    write(tmp_path / "key", TEXT)

    def ask() -> str:
        raise AssertionError("asked for a passphrase that could not help")

    providers: dict[str, KeyProvider] = {
        "key-file": KeyFile(tmp_path / "key"),
        "environment": EnvKey(VARIABLE),
        "passphrase": Passphrase(ask),
    }
    for name, provider in providers.items():
        if name != wanted:
            with pytest.raises(KeyUnavailable, match=f"'{wanted}', not from '{name}'"):
                provider.recall(Parameters(wanted))


@pytest.mark.parametrize("provider", [KeyFile("a key"), EnvKey("A_KEY"), Passphrase("a secret passphrase")], ids=repr)
def test_a_provider_shows_nothing_and_leaves_no_copy(provider: KeyProvider) -> None:
    assert repr(provider) == str(provider) == f"<{type(provider).__name__}, withheld>"
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(provider)


def test_parameters_are_read_back_from_their_canonical_bytes() -> None:
    assert decode_parameters(encode_parameters(SOUND)) == SOUND
    assert encode_parameters(Parameters("key-file")) == canonical.pack(["key-file", b"", 0, 0, 0])


NO_PARAMETERS = {
    "nothing": b"",
    "no array": canonical.pack("key-file"),
    "too few": canonical.pack([]),
    "too many": canonical.pack(["key-file", b"", 0, 0, 0, 0]),
    "left out": canonical.pack(["key-file"]),
    "a text for a number": canonical.pack(["key-file", b"", "0", 0, 0]),
    "more behind it": encode_parameters(SOUND) + b"\x00",
    "cut off": encode_parameters(SOUND)[:-1],
    "a longer form of a number": encode_parameters(Parameters("key-file"))[:-1] + b"\xcc\x00",
}


@pytest.mark.parametrize("data", NO_PARAMETERS.values(), ids=NO_PARAMETERS)
def test_parameters_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        decode_parameters(data)
