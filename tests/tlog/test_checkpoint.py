"""Checkpoints: the signed head of one log, and of no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import ProofRefused
from consentprofile.tlog.checkpoint import (
    Checkpoint,
    open_checkpoint,
    parse_checkpoint,
    parse_decimal,
    sign_checkpoint,
)
from consentprofile.tlog.merkle import EMPTY_ROOT, MAX_SIZE
from consentprofile.tlog.note import parse_key, parse_note, sign_note, to_base64
from tests.tlog.published import (
    SPEC_CHECKPOINT,
    SPEC_CHECKPOINT_TEXT,
    SUMDB_CHECKPOINT,
    SUMDB_KEY,
    WITNESSED_CHECKPOINT,
    key_pair,
)

KEY, SIGN = key_pair("log.example/audit", 1)
ROOT = bytes(range(32))
ROOT_LINE = to_base64(ROOT)
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_the_example_of_the_specification_is_reproduced() -> None:
    note = parse_note(SPEC_CHECKPOINT.encode())
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert to_base64(checkpoint.root) == "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    assert checkpoint.text() == SPEC_CHECKPOINT_TEXT
    assert note.encode() == SPEC_CHECKPOINT.encode()


def test_a_head_of_the_go_checksum_database_opens_under_its_key_and_origin() -> None:
    key = parse_key(SUMDB_KEY)
    checkpoint = open_checkpoint(SUMDB_CHECKPOINT.encode(), key, origin="go.sum database tree")
    assert checkpoint.size == 6476701
    with pytest.raises(ProofRefused, match="another log"):
        open_checkpoint(SUMDB_CHECKPOINT.encode(), key)


def test_a_witnessed_head_of_certificate_transparency_is_written_back() -> None:
    note = parse_note(WITNESSED_CHECKPOINT.encode())
    assert parse_checkpoint(note.text).size == 1432088532
    assert note.encode() == WITNESSED_CHECKPOINT.encode()


@given(LINES, st.integers(1, MAX_SIZE), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3))
def test_any_checkpoint_is_parsed_back_to_itself(origin: str, size: int, root: bytes, more: list[str]) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(more))
    assert parse_checkpoint(checkpoint.text()) == checkpoint


def test_a_signed_checkpoint_opens_under_its_origin() -> None:
    checkpoint = Checkpoint(KEY.name, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(checkpoint, KEY.public, SIGN).encode(), KEY) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("origin\n5\n", id="no root"),
        pytest.param(f"origin\n5\n{ROOT_LINE}", id="no newline at the end"),
        pytest.param(f"\n5\n{ROOT_LINE}\n", id="no origin"),
        pytest.param(f"or\tigin\n5\n{ROOT_LINE}\n", id="a tab in the origin"),
        pytest.param(f"origin\n\n{ROOT_LINE}\n", id="no size"),
        pytest.param(f"origin\n05\n{ROOT_LINE}\n", id="a leading zero"),
        pytest.param(f"origin\n+5\n{ROOT_LINE}\n", id="a sign"),
        pytest.param(f"origin\n-5\n{ROOT_LINE}\n", id="a negative size"),
        pytest.param(f"origin\n 5\n{ROOT_LINE}\n", id="a space"),
        pytest.param(f"origin\n5_0\n{ROOT_LINE}\n", id="a digit separator"),
        pytest.param(f"origin\n\u0665\n{ROOT_LINE}\n", id="a digit outside ASCII"),
        pytest.param(f"origin\n0x5\n{ROOT_LINE}\n", id="hexadecimal"),
        pytest.param(f"origin\n5e1\n{ROOT_LINE}\n", id="an exponent"),
        pytest.param(f"origin\n{2**63}\n{ROOT_LINE}\n", id="more leaves than can be"),
        pytest.param(f"origin\n{'9' * 5000}\n{ROOT_LINE}\n", id="a number of 5,000 digits"),
        pytest.param(f"origin\n0\n{ROOT_LINE}\n", id="an empty log with a root"),
        pytest.param(f"origin\n5\n{to_base64(ROOT[:31])}\n", id="a short root"),
        pytest.param(f"origin\n5\n{to_base64(ROOT * 2)}\n", id="a long root"),
        pytest.param(f"origin\n5\n{ROOT.hex()}\n", id="a root in hexadecimal"),
        pytest.param(f"origin\n5\n{ROOT_LINE[:-1]}\n", id="a root without padding"),
        pytest.param(f"origin\n5\n{ROOT_LINE}\n\n", id="an empty extension line"),
        pytest.param(f"origin\n5\n{ROOT_LINE}\n\nmore\n", id="an extension line after an empty one"),
    ],
)
def test_what_is_no_canonical_checkpoint_is_refused_even_when_it_is_signed(text: str) -> None:
    with pytest.raises(ProofRefused):
        parse_checkpoint(text)
    if text.endswith("\n") and "\t" not in text:
        with pytest.raises(ProofRefused):
            open_checkpoint(sign_note(text, KEY, SIGN).encode(), KEY, origin="origin")


def test_the_head_of_another_log_is_not_taken_even_under_the_same_key() -> None:
    """Attack: one key signs two logs, and the head of one is shown for the other's."""
    text = Checkpoint("log.example/other", 5, ROOT).text()
    with pytest.raises(ProofRefused, match="another log"):
        open_checkpoint(sign_note(text, KEY, SIGN).encode(), KEY)


def test_a_head_signed_by_another_key_is_not_taken() -> None:
    other, sign = key_pair(KEY.name, 2)
    with pytest.raises(ProofRefused):
        open_checkpoint(sign_checkpoint(Checkpoint(KEY.name, 5, ROOT), other.public, sign).encode(), KEY)


def test_an_origin_that_cannot_name_a_key_is_not_signed() -> None:
    with pytest.raises(ProofRefused):
        sign_checkpoint(Checkpoint("with space", 5, ROOT), KEY.public, SIGN)


@given(st.integers(0, MAX_SIZE))
def test_numbers_have_one_form(number: int) -> None:
    assert parse_decimal(str(number)) == number
    with pytest.raises(ProofRefused):
        parse_decimal(f"0{number}")
