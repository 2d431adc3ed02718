"""Canaries: what was planted about people is in nothing that a release hands out, says, logs or calls its files.

Every measure, every output: data, manifest, what is derived from them (Parquet with its metadata, drawn words and the
metadata of pictures), the answers of the command line, log records and representations. PNG holds dots only.
"""

from __future__ import annotations

import base64
import importlib
import io
import logging
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

import consentprofile as cp
from consentprofile.cli.main import main
from consentprofile.release.measures.named import MEASURES
from tests.release.attacks.test_oracles import RARE
from tests.release.attacks.world import BEGIN, TARGET, World, world
from tests.release.shop_policy import spec_text
from tests.release.test_pictures import chunks, texts
from tests.support.scan import disguises, find

CROWD: Final = tuple(f"xylograph-{number}@shop.example" for number in range(23))
DEVICE, EVENT, METHOD, OFFICER = "quixotic-device-0815", "zephyrous-event-1234", "pyrrhic-method-5555", "gossamer-7777"
CANARIES: Final = ("xylograph", TARGET, DEVICE, EVENT, METHOD, OFFICER)
SENSITIVE: Final = "bereavement"
"""A value that this purpose does not name: for it, there is no such thing."""

PNG_PARTS: Final = {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


@pytest.fixture(scope="module")
def planted() -> Iterator[World]:
    """A store in which everything that can carry a canary carries one, and one person does what nobody else does."""
    with world() as one:
        for account in (*CROWD, TARGET):
            one.store.give_consent(account, ["analytics"], notice="2024-01", method=METHOD)
        for day, kind in ((1, "login"), (2, "purchase"), (11, "login"), (12, "purchase"), (13, "search")):
            one.now = BEGIN + timedelta(days=day, hours=12)
            late = day > 10
            for account in (TARGET,) if late else (*CROWD, TARGET):
                fields: dict[str, str | int] = {
                    "login": {"platform": "tablet" if late else "mobile", "channel": "web"},
                    "purchase": {
                        "platform": "tablet" if late else "mobile",
                        "device": DEVICE,
                        "total": 40 + 360 * late,
                    },
                    "search": {"page": "p7"},
                }[kind]  # type: ignore[assignment]  # texts and numbers both
                event = cp.Event(account=account, kind=kind, at=one.now, id=f"{EVENT}-{account}-{day}", fields=fields)
                one.store.record(event)
        one.store.record(cp.Event(account=TARGET, kind="purchase", at=one.now, fields={"topic": SENSITIVE}))
        one.until(60)
        one.ask(0, 28)  # so that the ledger names everybody
        yield one


def pseudonyms(one: World) -> set[bytes]:
    """Those of the members of every cell, as the ledger knows them."""
    return {name for cell in one.ledger() for name in cell.members}


def found(data: bytes, names: set[bytes]) -> list[object]:
    """The canaries and pseudonyms that are in there, in whatever form."""
    forms = {form for name in names for form in (name, name.hex().encode(), base64.b64encode(name)[:20])}
    return [*find(data, [*CANARIES, SENSITIVE]), *(form for form in forms if form in data)]


def unfolded(name: str, data: bytes) -> bytes:
    """What a file comes to when it is read: rows and metadata of Parquet, dots of a PNG, words of an SVG."""
    if name.endswith(".parquet"):
        file = importlib.import_module("pyarrow.parquet").ParquetFile(io.BytesIO(data))
        return f"{file.read().to_pylist()}{file.schema_arrow}{file.schema_arrow.metadata}{file.metadata}".encode()
    if name.endswith(".png"):
        assert set(chunks(data)) == PNG_PARTS
        return b""
    return "\n".join(texts(data)).encode() if name.endswith(".svg") else b""


PROTECTIONS: Final[dict[str, dict[str, str]]] = {
    "threshold": {"from_": "2024-01-01", "until": "2024-01-29"},
    "dp": {"from_": "2024-01-01", "until": "2024-02-05", "protection": "{ kind = 'dp', epsilon = 0.5 }"},
}
"""How and over which period: one question is answered once for each."""


@pytest.mark.parametrize("protection", PROTECTIONS.values(), ids=PROTECTIONS)
@pytest.mark.parametrize("asked", RARE.values(), ids=RARE)
def test_nothing_planted_is_in_what_a_release_hands_out(
    planted: World,
    asked: dict[str, str],
    protection: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    number = len(planted.store.released()) + 1
    spec, out = planted.folder / f"spec-{number}.toml", planted.folder / f"release-{number}"
    spec.write_text(spec_text(**{**protection, **asked}), "utf-8")
    plan = planted.store.plan_release(spec)
    release = planted.store.release(spec, out, also=("parquet", "pictures"))
    names = pseudonyms(planted)
    assert len(names) == 24
    for name, data in release.files.items():
        assert found(data, names) == [], name
        assert found(unfolded(name, data), names) == [], name
        assert str(planted.folder).encode() not in data, name
    assert (
        set(release.files) == {path.name for path in out.iterdir()} >= {"data.parquet", "picture.svg", "derived.json"}
    )
    said = [repr(thing) for thing in (plan, release, release.figures, release.figures.rows, *planted.store.released())]
    said += [record.getMessage() + repr(vars(record)) for record in caplog.records if "matplotlib" not in record.name]
    said += list(capfd.readouterr())
    assert [text for text in said if found(text.encode(), names)] == []


@pytest.mark.parametrize("asked", RARE.values(), ids=RARE)
def test_no_exact_count_of_few_is_drawn_or_written(planted: World, asked: dict[str, str]) -> None:
    """One account is behind a row of each of these questions. What is shown is about ten at least."""
    answer = planted.ask(0, 28, **{**asked, "name": '"once more"'})
    assert not isinstance(answer, str)
    shown = [figure for row in answer.values() for figure in row if isinstance(figure, int)]
    assert min(shown, default=10) >= 10


def test_the_command_line_says_nothing_that_was_planted(planted: World, tmp_path: Path) -> None:
    """Plan, release, list and show, in words and as JSON, and what each says when it fails."""
    spec = tmp_path / "spec.toml"
    spec.write_text(spec_text(from_="2024-01-01", until="2024-01-22", by='["platform"]'), "utf-8")
    common = [
        "--store",
        str(planted.folder / "store"),
        "--key-file",
        str(planted.folder / "key"),
        "--as-of",
        "2024-04-01",
    ]
    attempts = [
        ["release", "plan", str(spec)],
        ["release", str(spec), "--out", str(tmp_path / "out")],
        ["release", "list"],
        ["release", "show", "1"],
        ["release", "show", str(tmp_path / "out")],
        ["release", "show", "999"],
        ["release", str(spec), "--out", str(tmp_path)],
    ]
    codes = []
    for attempt in attempts:
        for form in ([], ["--json"]):
            done = CliRunner().invoke(main, [*common, *attempt, *form])
            codes.append(done.exit_code)
            assert found(done.output.encode(), pseudonyms(planted)) == []
    assert codes[:10] == [0] * 10
    assert 0 not in codes[10:]


def test_a_search_that_finds_nothing_would_have_found_it(planted: World) -> None:
    """Planted once more into what is searched: as it is, as hex, as base64, packed into Parquet's place."""
    name = next(iter(pseudonyms(planted)))
    for form in (name, name.hex().encode(), base64.b64encode(name)):
        assert found(b".." + form + b"..", {name})
    for canary in (*CANARIES, SENSITIVE):
        assert all(found(form, set()) for form in disguises(canary))
    assert found(zlib.decompress(zlib.compress(TARGET.encode())), set())


def test_every_measure_is_searched() -> None:
    assert {asked.get("measure", '"reach"').strip('"') for asked in RARE.values()} == set(MEASURES)
