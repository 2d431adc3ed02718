"""Signed notes: what others have published verifies byte for byte; what is not canonical is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import ProofRefused
from consentprofile.tlog.note import (
    COSIGNATURE,
    MAX_BYTES,
    MAX_SIGNATURES,
    Note,
    Signature,
    VerifierKey,
    from_base64,
    is_key_name,
    parse_key,
    parse_note,
    sign_note,
    to_base64,
    verify_ed25519,
    verify_note,
)
from tests.tlog.published import (
    GO_KEY,
    GO_LINE,
    GO_PRIVATE,
    GO_SECOND_KEY,
    GO_SECOND_LINE,
    GO_TEXT,
    SPEC_KEY,
    SPEC_NOTE,
    SPEC_POEM,
    SUMDB_CHECKPOINT,
    SUMDB_KEY,
    WITNESS_KEYS,
    key_pair,
)

KEY, SIGN = key_pair("log.example/audit", 1)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=60).map(
    lambda text: text + "\n"
)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1, max_size=20)
WYCHEPROOF = [
    (group["publicKey"]["pk"], case)
    for group in json.loads(
        (Path(__file__).parents[1] / "vectors" / "wycheproof_ed25519_test.json").read_text(encoding="utf-8")
    )["testGroups"]
    for case in group["tests"]
]


# ---- what others have published -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("note", "key"),
    [
        pytest.param(SPEC_NOTE, SPEC_KEY, id="the example of the specification"),
        pytest.param(f"{GO_TEXT}\n{GO_LINE}", GO_KEY, id="the example of Go"),
        pytest.param(f"{GO_TEXT}\n{GO_LINE}{GO_SECOND_LINE}", GO_KEY, id="two signatures, the first"),
        pytest.param(f"{GO_TEXT}\n{GO_LINE}{GO_SECOND_LINE}", GO_SECOND_KEY, id="two signatures, the second"),
        pytest.param(f"{GO_TEXT}\n{GO_LINE}{GO_LINE}", GO_KEY, id="the same line twice"),
        pytest.param(SUMDB_CHECKPOINT, SUMDB_KEY, id="a head of the Go checksum database"),
    ],
)
def test_published_notes_verify_and_are_written_back_byte_for_byte(note: str, key: str) -> None:
    parsed = parse_note(note.encode())
    verify_note(parsed, parse_key(key))
    assert parsed.encode() == note.encode()


def test_a_text_with_blank_lines_ends_at_the_last_one() -> None:
    note = parse_note(SPEC_POEM.encode())
    assert note.text.endswith("\ned è subito sera.\n")
    assert (note.signatures[0].name, len(note.signatures)) == ("quasimodo.example/salvatore", 1)
    assert note.encode() == SPEC_POEM.encode()


def test_signing_reproduces_the_example_of_go() -> None:
    sign = Ed25519PrivateKey.from_private_bytes(GO_PRIVATE).sign
    assert sign_note(GO_TEXT, parse_key(GO_KEY), sign).encode() == f"{GO_TEXT}\n{GO_LINE}".encode()


@pytest.mark.parametrize("key", [SPEC_KEY, GO_KEY, GO_SECOND_KEY, SUMDB_KEY, *WITNESS_KEYS])
def test_published_keys_are_written_back_byte_for_byte(key: str) -> None:
    assert parse_key(key).encode() == key


@pytest.mark.parametrize(("public", "case"), WYCHEPROOF, ids=[str(case["tcId"]) for _, case in WYCHEPROOF])
def test_wycheproof_is_judged_as_it_says(public: str, case: dict[str, Any]) -> None:
    arguments = bytes.fromhex(public), bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
    if case["result"] == "valid":
        verify_ed25519(*arguments)
    else:
        with pytest.raises(ProofRefused):
            verify_ed25519(*arguments)


def test_all_of_wycheproof_is_there() -> None:
    assert [case["result"] for _, case in WYCHEPROOF].count("valid") == 88
    assert len(WYCHEPROOF) == 151


# ---- properties ---------------------------------------------------------------------------------


@given(TEXT, st.integers(0, 10_000))
def test_a_signed_note_verifies_until_a_bit_of_it_is_flipped(text: str, bit: int) -> None:
    note = sign_note(text, KEY, SIGN)
    data = note.encode()
    assert parse_note(data) == note
    verify_note(parse_note(data), KEY)
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    with pytest.raises(ProofRefused):
        verify_note(parse_note(bytes(changed)), KEY)


@given(
    TEXT, st.lists(st.builds(Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1)), min_size=1)
)
def test_any_note_is_parsed_back_to_itself(text: str, signatures: list[Signature]) -> None:
    note = Note(text, tuple(signatures[:MAX_SIGNATURES]))
    assert parse_note(note.encode()) == note


@given(NAMES, st.binary(min_size=32, max_size=32), st.sampled_from([1, 4]))
def test_any_key_is_parsed_back_to_itself(name: str, public: bytes, kind: int) -> None:
    key = VerifierKey(name, public, kind)
    assert parse_key(key.encode()) == key


@given(st.binary(min_size=1, max_size=40))
def test_base64_has_one_form(data: bytes) -> None:
    assert from_base64(to_base64(data)) == data


# ---- hostile input ------------------------------------------------------------------------------

LINE = GO_LINE.encode()
GOOD = GO_TEXT.encode() + b"\n" + LINE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\n", id="a newline"),
        pytest.param(b"\n\n", id="two newlines"),
        pytest.param(GO_TEXT.encode(), id="a text alone"),
        pytest.param(GO_TEXT.encode() + b"\n", id="no signature line"),
        pytest.param(GOOD[:-1], id="no newline at the end"),
        pytest.param(GOOD + b"\n", id="a blank line at the end"),
        pytest.param(GOOD + b"Unexpected line.\n", id="a line that is no signature"),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), id="line ends of another system"),
        pytest.param(b"\x01" + GOOD, id="a control character in the text"),
        pytest.param(b"\t" + GOOD, id="a tab in the text"),
        pytest.param(b"\x00" + GOOD, id="a NUL in the text"),
        pytest.param(b"\xff" + GOOD, id="no UTF-8"),
        pytest.param(b"\xed\xa0\x80" + GOOD, id="a surrogate"),
        pytest.param(b"\xc0\x80" + GOOD, id="an overlong form"),
        pytest.param(GOOD.replace("—".encode(), b"-"), id="a hyphen for the dash"),
        pytest.param(GOOD.replace("—".encode(), "\u2013".encode()), id="a short dash"),
        pytest.param(GOOD.replace("— ".encode(), "—".encode()), id="no space after the dash"),
        pytest.param(GOOD.replace("— ".encode(), "—\u00a0".encode()), id="another space after the dash"),
        pytest.param(GOOD.replace(b"PeterNeumann ", b"PeterNeumann  "), id="two spaces"),
        pytest.param(GOOD.replace(b"PeterNeumann", b"Peter Neumann"), id="a space in the name"),
        pytest.param(GOOD.replace(b"PeterNeumann", "Peter\u2003Neumann".encode()), id="a wide space in the name"),
        pytest.param(GOOD.replace(b"PeterNeumann", "Peter\u0085Neumann".encode()), id="a next-line in the name"),
        pytest.param(GOOD.replace(b"PeterNeumann", b"Peter+Neumann"), id="a plus in the name"),
        pytest.param(GOOD.replace(b"PeterNeumann", b""), id="no name"),
        pytest.param(GOOD.replace(b"nAM=\n", b"nAM\n"), id="base64 without padding"),
        pytest.param(GOOD.replace(b"nAM=\n", b"nAN=\n"), id="base64 with stray bits"),
        pytest.param(GOOD.replace(b"nAM=\n", b"nAM==\n"), id="base64 with too much padding"),
        pytest.param(GOOD.replace(b"nAM=\n", b"nAM= \n"), id="a space after base64"),
        pytest.param(GOOD.replace(b"/", b"_"), id="the other base64 alphabet"),
        pytest.param(GOOD.replace(b"nAM=\n", "nÀM=\n".encode()), id="a letter outside ASCII in base64"),
        pytest.param(GO_TEXT.encode() + "\n— PeterNeumann x08gow==\n".encode(), id="a key id without a signature"),
        pytest.param(GO_TEXT.encode() + "\n— PeterNeumann x08=\n".encode(), id="half a key id"),
        pytest.param(GOOD + LINE * MAX_SIGNATURES, id="too many signatures"),
        pytest.param(b"x" * MAX_BYTES + GOOD, id="too long"),
    ],
)
def test_what_is_no_canonical_note_is_refused(data: bytes) -> None:
    with pytest.raises(ProofRefused):
        parse_note(data)


def test_as_many_signatures_as_allowed_are_read() -> None:
    assert len(parse_note(GOOD + LINE * (MAX_SIGNATURES - 1)).signatures) == MAX_SIGNATURES


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a+b", "a\u00a0b", "a\u2028b", "a\u3000b", "a\x1fb", "a\nb", "a\tb", "a\x00", "\ud800"],
)
def test_such_a_name_names_no_key(name: str) -> None:
    assert not is_key_name(name)
    with pytest.raises(ProofRefused):
        VerifierKey(name, bytes(32))


@pytest.mark.parametrize("name", ["example.com/log42", "例え.example/λ", "transparency.dev/DEV:witness", "a\x7fb"])
def test_such_a_name_names_a_key(name: str) -> None:
    assert is_key_name(name)


def test_every_mangling_of_a_key_is_refused() -> None:
    """Go's own test: each true part of a key, and each character replaced by the next one."""
    parts = {GO_KEY[i:j] for i in range(len(GO_KEY)) for j in range(i, len(GO_KEY) + 1)} - {GO_KEY}
    nexts = {GO_KEY[:i] + chr(ord(GO_KEY[i]) + 1) + GO_KEY[i + 1 :] for i in range(len(GO_KEY))}
    accepted = []
    for text in parts | nexts:
        try:
            accepted.append(parse_key(text))
        except ProofRefused:
            continue
    assert accepted == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", id="a longer key"),
        pytest.param("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", id="an unknown type"),
        pytest.param(GO_KEY.replace("c74f20a3", "C74F20A3"), id="the key id in capitals"),
        pytest.param(GO_KEY + "\n", id="a newline after it"),
        pytest.param(" " + GO_KEY, id="a space before it"),
        pytest.param("PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz", id="private"),
    ],
)
def test_what_is_no_canonical_key_is_refused(text: str) -> None:
    with pytest.raises(ProofRefused):
        parse_key(text)


# ---- attacks on verification --------------------------------------------------------------------


def test_a_line_of_another_key_does_not_vouch() -> None:
    with pytest.raises(ProofRefused):
        verify_note(parse_note(GOOD), parse_key(GO_SECOND_KEY))


def test_a_line_under_the_right_name_by_another_key_does_not_vouch() -> None:
    """Attack: the log is signed again by a key of the attacker's under the log's name."""
    other, sign = key_pair(KEY.name, 2)
    with pytest.raises(ProofRefused):
        verify_note(sign_note("text\n", other, sign), KEY)


def test_a_line_that_borrows_name_and_key_id_does_not_hold() -> None:
    """Attack: key ids are short, and can be claimed by anybody."""
    other, sign = key_pair(KEY.name, 2)
    forged = sign_note("text\n", other, sign).signatures[0].signature
    with pytest.raises(ProofRefused):
        verify_note(Note("text\n", (Signature(KEY.name, KEY.key_id, forged),)), KEY)


def test_one_bad_line_of_a_known_key_refuses_the_note() -> None:
    good = sign_note("text\n", KEY, SIGN).signatures[0]
    bad = Signature(KEY.name, KEY.key_id, bytes(64))
    for signatures in [(good, bad), (bad, good)]:
        with pytest.raises(ProofRefused):
            verify_note(Note("text\n", signatures), KEY)


def test_a_key_for_cosigning_neither_signs_nor_vouches() -> None:
    witness, sign = key_pair("w", 3, cosigns=True)
    line = Signature("w", witness.key_id, sign(b"text\n"))
    with pytest.raises(ProofRefused):
        verify_note(Note("text\n", (line,)), witness)
    with pytest.raises(ProofRefused):
        sign_note("text\n", witness, sign)


def test_nothing_leaves_signed_by_the_wrong_key() -> None:
    with pytest.raises(ProofRefused):
        sign_note("text\n", KEY, key_pair(KEY.name, 2)[1])


@pytest.mark.parametrize("text", ["", "no newline", "control \x07\n", "tab\t\n", "\ud800\n"])
def test_a_text_that_no_note_can_have_is_not_shown_to_the_signer(text: str) -> None:
    shown: list[bytes] = []

    def sign(message: bytes) -> bytes:
        shown.append(message)
        return SIGN(message)

    with pytest.raises(ProofRefused):
        sign_note(text, KEY, sign)
    assert shown == []


@pytest.mark.parametrize(("public", "kind"), [(bytes(31), 1), (bytes(33), 1), (b"", 1), (bytes(32), 2), (bytes(32), 6)])
def test_a_key_of_another_size_or_type_is_refused(public: bytes, kind: int) -> None:
    with pytest.raises(ProofRefused):
        VerifierKey("name", public, kind)


def test_the_type_is_part_of_the_key_id() -> None:
    assert VerifierKey(KEY.name, KEY.public, COSIGNATURE).key_id != KEY.key_id
