"""Files of rows are read as a bounded stream; what is wrong with a file or a row is told without repeating it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentprofile.errors import UnreadableInput
from consentprofile.model.cells import RowRefused
from consentprofile.usecases.row_files import LONGEST_RECORD, Format, open_rows

Read = list[tuple[int, list[str] | str]]

SECRET: Final = "acct-17"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows"


def read(path: Path | str, format: Format | None = None, columns: Sequence[str] | None = None) -> Read:
    """Every row as (line, cells), every refusal as (line, reason)."""
    with open_rows(path, format, columns=columns) as source:
        return [(line, row.reason if isinstance(row, RowRefused) else list(row)) for line, row in source]


def of(file: Path, data: bytes | str, format: Format | None = None, columns: Sequence[str] | None = None) -> Read:
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read(file, format, columns)


# ---- CSV ----------------------------------------------------------------------------------------


def test_a_csv_file_has_a_header_and_rows_with_their_lines(file: Path) -> None:
    assert of(file, "a,b\n1,2\n3,\n") == [(2, ["1", "2"]), (3, ["3", ""])]
    with open_rows(file) as source:
        assert (source.columns, source.format) == (("a", "b"), "csv")


CSV: Final[tuple[tuple[str, bytes, Read], ...]] = (
    ("byte order mark", b"\xef\xbb\xbfa,b\n1,2\n", [(2, ["1", "2"])]),
    ("CR LF", b"a,b\r\n1,2\r\n", [(2, ["1", "2"])]),
    ("no last line end", b"a,b\n1,2", [(2, ["1", "2"])]),
    ("header only", b"a,b\n", []),
    ("empty lines", b"a,b\n\n1,2\n\n\n3,4\n\n", [(3, ["1", "2"]), (6, ["3", "4"])]),
    ("quotes", b'a,b\n"1,""x""","\n2"\n3,4\n', [(2, ['1,"x"', "\n2"]), (4, ["3", "4"])]),
    ("CR in quotes", b'a,b\n"1\r2",3\n', [(2, ["1\r2", "3"])]),
    ("not ASCII", "a,b\né,€\n".encode(), [(2, ["é", "€"])]),
    ("a brace further on", b"a,b\n{,}\n", [(2, ["{", "}"])]),
    (
        "too few and too many cells",
        b"a,b\n1\n1,2,3\n4,5\n",
        [
            (2, "expected as many cells as the header has (2), found 1"),
            (3, "expected as many cells as the header has (2), found 3"),
            (4, ["4", "5"]),
        ],
    ),
)


@pytest.mark.parametrize(("data", "rows"), [case[1:] for case in CSV], ids=[case[0] for case in CSV])
def test_csv_is_read_as_rfc_4180_has_it(file: Path, data: bytes, rows: Read) -> None:
    assert of(file, data) == rows
    assert of(file, gzip.compress(data)) == rows


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
tables = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=6))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_whatever_csv_can_say_comes_back(
    file: Path, table: list[list[str]], end: str, mark: bool, compressed: bool
) -> None:
    width = len(table[0]) if table else 1
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([[f"column {number}" for number in range(width)], *table])
    data = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    found = of(file, gzip.compress(data, 1) if compressed else data)
    assert [row for _, row in found] == table
    lines = text.getvalue().split("\n")
    assert all(lines[line - 1].startswith('"' + row[0].split("\n")[0].replace('"', '""')) for line, row in found)


UNREADABLE: Final[tuple[tuple[str, bytes, str], ...]] = (
    ("empty", b"", "has no header"),
    ("empty first line", b"\na,b\n1,2\n", "has no header"),
    ("a column without a name", b"a,,c\n1,2,3\n", "column 2 of the header has no name"),
    ("a column that cannot be printed", b"a,\x07\n1,2\n", "column 2 of the header has no name that can be printed"),
    ("a column twice", b"a,acct-17,acct-17\n", "columns 2 and 3 of the header have the same name"),
    ("Latin-1", b"a,b\n1,\xe9acct-17\n", "is not text in UTF-8"),
    ("UTF-16", "a,b\nacct-17,2\n".encode("utf-16"), "is not text in UTF-8"),
    ("cut off in a character", b"a,b\nacct-17,\xe2\x82", "is not text in UTF-8"),
    ("NUL", b"a,b\nacct-17,\x002\n", "holds a NUL character, after or at line 2"),
    ("NUL in the header", b"a,b\0\n", "holds a NUL character, after or at line 1"),
    ("a quote that stays open", b'a,b\n1,2\n"acct-17,2\n', "is not CSV as RFC 4180 has it"),
    ("a quote that is not doubled", b'a,b\n"acct"-17,2\n', "is not CSV as RFC 4180 has it"),
    ("a carriage return alone", b"a,b\nacct-17,2\r3,4\n", "is not CSV as RFC 4180 has it"),
    ("an endless line", b"a,b\n" + b"acct-17," * (LONGEST_RECORD // 8) + b"1\n", "more than 1048576 characters"),
    ("an endless header", b"acct-17 " * (LONGEST_RECORD // 8 + 1), "more than 1048576 characters"),
    ("an endless cell", b"a,b\n" + b"acct-17" * 20_000 + b",1\n", "too long a cell"),
    ("an endless record", b"a,b\n" + b'"acct-17\n",' * 120_000, "more than 1048576 characters, after or at line"),
    ("a JSON array", b'[{"a": "acct-17"}]', "one JSON object a line"),
)


@pytest.mark.parametrize(("data", "words"), [case[1:] for case in UNREADABLE], ids=[case[0] for case in UNREADABLE])
def test_a_file_that_cannot_be_read_is_told_clearly_and_not_repeated(file: Path, data: bytes, words: str) -> None:
    for stored in (data, gzip.compress(data, 1)):
        with pytest.raises(UnreadableInput) as caught:
            of(file, stored)
        assert words in str(caught.value)
        assert SECRET not in str(caught.value)
        assert caught.value.__context__ is None


def test_rows_before_the_fault_are_handed_out(file: Path) -> None:
    file.write_bytes(b'a,b\n1,2\n3,4\n"5')
    with open_rows(file) as source:
        rows = iter(source)
        assert [next(rows), next(rows)] == [(2, ["1", "2"]), (3, ["3", "4"])]
        with pytest.raises(UnreadableInput):
            next(rows)


# ---- compression --------------------------------------------------------------------------------

PLAIN: Final = b"a,b\n" + b"".join(b"acct-%d,%d\n" % (number, number * 7919) for number in range(5_000))


@given(st.integers(2, len(gzip.compress(PLAIN, mtime=0)) - 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_off_gzip_file_is_never_taken_for_a_whole_one(file: Path, length: int) -> None:
    with pytest.raises(UnreadableInput, match="is cut off in the middle of its compression"):
        of(file, gzip.compress(PLAIN, mtime=0)[:length])


def test_damaged_compression_is_told(file: Path) -> None:
    whole = bytearray(gzip.compress(PLAIN, mtime=0))
    whole[-6] ^= 1  # the checksum
    for data in (bytes(whole), b"\x1f\x8b\x08\x00 this is no deflate stream", b"\x1f\x8bacct-17,1\n"):
        with pytest.raises(UnreadableInput, match="has damaged compression"):
            of(file, data)


def test_gzip_is_known_by_its_first_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(gzip.compress(b"a\n1\n"))
    (tmp_path / "rows.csv.gz").write_bytes(b"a\n1\n")
    assert read(tmp_path / "rows.csv") == read(tmp_path / "rows.csv.gz") == [(2, ["1"])]


def test_several_gzip_members_are_one_file(file: Path) -> None:
    assert of(file, gzip.compress(b"a\n1\n") + gzip.compress(b"2\n")) == [(2, ["1"]), (3, ["2"])]


# ---- NDJSON -------------------------------------------------------------------------------------


def test_a_json_object_is_a_row_in_the_order_of_the_columns(file: Path) -> None:
    data = '{"b": "x", "a": 1}\n\n{"a": 12.50, "c": true}\r\n{"b": null, "c": false}'
    assert of(file, data, columns=["a", "b", "c"]) == [
        (1, ["1", "x", ""]),
        (3, ["12.50", "", "true"]),
        (4, ["", "", "false"]),
    ]
    with open_rows(file, columns=["a", "b", "c"]) as source:
        assert (source.columns, source.format) == (("a", "b", "c"), "ndjson")


def test_without_columns_the_first_object_names_them(file: Path) -> None:
    assert of(file, b'\xef\xbb\xbf{"a": "1", "b": "2"}\n{"b": "3"}\n') == [(1, ["1", "2"]), (2, ["", "3"])]
    with pytest.raises(UnreadableInput, match="must name the columns") as caught:
        of(file, '{"acct-17": [1]}\n')
    assert SECRET not in str(caught.value)


def test_numbers_stay_as_they_are_written(file: Path) -> None:
    numbers = ["0.1000000000000000055", "1" * 5000, "1E400", "-0"]
    assert of(file, "\n".join(f'{{"a": {number}}}' for number in numbers)) == [
        (line, [number]) for line, number in enumerate(numbers, 1)
    ]


REFUSED: Final[tuple[tuple[str, str, str], ...]] = (
    ("not JSON", '{"a": acct-17}', "one JSON object"),
    ("cut off", '{"a": "acct-17', "one JSON object"),
    ("two objects", '{"a": "acct-17"} {"a": "2"}', "one JSON object"),
    ("an array", '["acct-17"]', "one JSON object"),
    ("a text", '"acct-17"', "one JSON object"),
    ("nothing", "null", "one JSON object"),
    ("nested object", '{"a": {"b": "acct-17"}}', "a flat object"),
    ("nested array", '{"a": ["acct-17"]}', "a flat object"),
    ("very deep", '{"a": ' + "[" * 100_000, "one JSON object"),
    ("key twice", '{"a": "acct-17", "a": "acct-18"}', "each key once"),
    ("unknown key", '{"a": "1", "acct-17": "1"}', "no key but a, b"),
    ("not a number", '{"a": NaN}', "neither NaN nor Infinity"),
    ("a control character", '{"a": "acct-17\t"}', "one JSON object"),
)


@pytest.mark.parametrize(("line", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_line_that_is_not_a_flat_object_is_refused_alone(file: Path, line: str, words: str) -> None:
    found = of(file, f'{{"a": "1"}}\n{line}\n{{"a": "2"}}\n', columns=["a", "b"])
    assert (found[0], found[2]) == ((1, ["1", ""]), (3, ["2", ""]))
    number, reason = found[1]
    assert number == 2
    assert isinstance(reason, str)
    assert words in reason
    assert SECRET not in reason


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("abc"), cells, max_size=3), max_size=5), st.booleans())
def test_whatever_flat_json_can_say_comes_back(file: Path, objects: list[dict[str, str]], ascii: bool) -> None:
    text = "".join(json.dumps(one, ensure_ascii=ascii) + "\n" for one in objects)
    assert of(file, text, "ndjson", ["a", "b", "c"]) == [
        (line, [one.get(key, "") for key in "abc"]) for line, one in enumerate(objects, 1)
    ]


def test_an_endless_line_of_json_is_refused_as_a_file(file: Path) -> None:
    with pytest.raises(UnreadableInput, match="more than 1048576 characters"):
        of(file, '{"a": "1"}\n{"a": "' + "x" * LONGEST_RECORD + '"}\n')


def test_many_lines_are_no_long_record(file: Path) -> None:
    line = '{"a": "' + "x" * 1000 + '"}\n'
    assert len(of(file, line * 1500)) == 1500
    assert len(of(file, "a\n" + ("x" * 1000 + "\n") * 1500)) == 1500


def test_a_given_format_is_not_guessed(file: Path) -> None:
    assert of(file, "{a,b\n1,2\n", "csv") == [(2, ["1", "2"])]
    assert of(file, '\n\n{"a": 1}\n', "ndjson", ["a"]) == [(3, ["1"])]


# ---- where rows come from -----------------------------------------------------------------------


def test_a_file_that_is_not_there_is_told_without_its_name(tmp_path: Path) -> None:
    for path in (tmp_path / SECRET, tmp_path):
        with pytest.raises(UnreadableInput, match="cannot be opened") as caught:
            open_rows(path)
        assert str(path) not in str(caught.value)


def test_standard_input_is_read_and_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.BytesIO(gzip.compress(b"a\n1\n"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(given))
    with open_rows("-") as source:
        assert [row for _, row in source] == [["1"]]
        assert (source.total, source.position) == (None, len(given.getvalue()))
    assert not given.closed


def test_a_pipe_is_read_as_it_fills(tmp_path: Path) -> None:
    """Its first bytes may come one by one, so the look at them has to wait for enough."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = gzip.compress(b"a\n1\n")

    def fill() -> None:
        with pipe.open("wb", buffering=0) as out:
            for byte in data:
                out.write(bytes([byte]))

    writer = threading.Thread(target=fill)
    writer.start()
    assert read(pipe) == [(2, ["1"])]
    writer.join()


def test_progress_is_told_in_bytes_of_the_file(file: Path) -> None:
    file.write_bytes(gzip.compress(PLAIN))
    with open_rows(file) as source:
        seen = [source.position for _ in source]
        assert source.total == source.position == file.stat().st_size
    assert seen == sorted(seen)
    assert seen[0] > 0


def test_closing_early_and_failing_early_leave_no_file_open(file: Path) -> None:
    """The test run treats an unclosed file as a failure."""
    file.write_bytes(PLAIN)
    source = open_rows(file)
    next(iter(source))
    source.close()
    source.close()
    with pytest.raises(UnreadableInput):
        of(file, b"")


# ---- given data ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("ecom.csv.gz", 31_106), ("sessions.csv.gz", 131_001)])
def test_given_files_are_read_whole(given_data: Path, name: str, count: int) -> None:
    with open_rows(given_data / name) as source:
        assert [line for line, row in source if not isinstance(row, RowRefused)] == list(range(2, count + 2))
