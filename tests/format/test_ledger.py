"""Whoever has the key and docs/format.md reads who was behind a release, in every format of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

import consentprofile as cp
from consentprofile.usecases import released
from tests.compat.answers import WHOLE
from tests.format import decoder
from tests.format.decoder import Decoder
from tests.release.plain import PlainCell
from tests.release.sets import as_plain

POLICY: Final = Path(__file__).resolve().parents[2] / "examples" / "shop" / "policy.toml"
SPEC: Final = """
format = 1
name = "by platform"
purpose = "analytics"
measure = {measure}
by = ["platform"]
from = 2024-03-01
until = 2024-04-01
zone = "UTC"
[protection]
kind = "threshold"
"""
NOISY: Final = (
    SPEC.format(measure='"overlap"\nof = "platform"')
    .replace('by = ["platform"]\n', "")
    .replace('kind = "threshold"', 'kind = "dp"\nepsilon = 0.5')
)
MEASURES: Final = {"reach": '"reach"', "counts": '"counts"\nlimit = 5'}


class Made:
    """A store with three releases, the last of them noisy, closed, and a decoder on it."""

    def __init__(self, folder: Path) -> None:
        now = datetime(2024, 3, 1, 12, tzinfo=UTC)
        with cp.Store.create(
            folder / "store", policy=POLICY, key=cp.KeyFile(folder / "key"), clock=lambda: now
        ) as store:
            for number in range(14):
                store.give_consent(f"acct-{number}", ["analytics"], notice="2024-01", method="form")
                at = [event(f"acct-{number}", now, place) for place in range(1 + number % 4)]
                store.record_many(at)
            now = datetime(2024, 4, 2, tzinfo=UTC)
            for name, measure in MEASURES.items():
                (folder / f"{name}.toml").write_text(SPEC.format(measure=measure))
                store.release(folder / f"{name}.toml", folder / name)
            (folder / "noisy.toml").write_text(NOISY)
            store.release(folder / "noisy.toml", folder / "noisy")
            self.kept = [
                as_plain(settled)
                for settled in released.earlier(store._session, released.entries(store._session), "analytics")
            ]
        self.folder = folder
        self.decoder = Decoder(folder / "store", (folder / "key").read_text())


def event(account: str, at: datetime, place: int) -> cp.Event:
    platform = "mobile" if place % 3 else "desktop"
    return cp.Event(account=account, kind="login", at=at, id=f"e-{place}", fields={"platform": platform})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made = Made(tmp_path_factory.mktemp("ledger"))
    yield made
    made.decoder.close()


def members(made: Made) -> dict[bytes, int]:
    """The pseudonym of each account, by its compartment's secret, with its number."""
    found = {}
    for number in range(14):
        for slot in made.decoder.slots(f"acct-{number}").values():
            held = made.decoder.unwrap(slot)
            if held is not None and held.purpose == "analytics":
                found[decoder.mac(held.secret, b"\x05")[:16]] = number
    return found


def said(cells: tuple[PlainCell, ...]) -> dict[tuple[str, ...], tuple[object, ...]]:
    """What the package reads, as the decoder says it."""
    return {
        cell.key: (
            dict(zip(sorted(cell.members), cell.adds, strict=True)),
            *(cell.value, cell.own, cell.limit, cell.accounts),
        )
        for cell in cells
    }


def test_members_and_what_they_add_are_decoded(made: Made) -> None:
    numbers = members(made)
    reach, counts, _ = made.decoder.ledger()
    assert [reach[0], counts[0]] == [3, 3]
    added, value, *terms = reach[7]["desktop",]
    assert {numbers[name] for name in added} == set(range(14))
    assert (set(added.values()), value, terms) == ({1}, 15, [True, 1, None])
    added, value, *terms = counts[7]["desktop",]
    assert {numbers[name]: amount for name, amount in added.items()} == {
        number: 1 + (number % 4 == 3) for number in range(14)
    }
    assert terms[1] == 5
    assert counts[7]["tablet",] == ({}, None, True, 5, None)


def test_what_is_decoded_is_what_the_package_reads(made: Made) -> None:
    for entry, kept in zip(made.decoder.ledger()[:2], made.kept[:2], strict=True):
        assert entry[7] == said(kept)


def test_what_is_decoded_is_what_was_handed_out(made: Made) -> None:
    for (_, terms, *_, files), name in zip(made.decoder.ledger()[:2], MEASURES, strict=True):
        assert terms["measure"] == name
        assert files == {path.name: path.read_bytes() for path in (made.folder / name).iterdir()}


def test_what_a_noisy_release_cost_is_decoded_and_nobody_is_behind_it(made: Made) -> None:
    form, terms, *_, charged, files = made.decoder.ledger()[2]
    assert (form, terms["protection"]["kind"], terms["protection"]["epsilon"]) == (4, "dp", 0.5)
    assert charged == [second(datetime(2024, 4, 2, tzinfo=UTC)), ["epsilon", 5 * 10**11, 0]]
    assert files == {path.name: path.read_bytes() for path in (made.folder / "noisy").iterdir()}


def second(at: datetime) -> int:
    return int(at.timestamp())


def test_the_release_of_an_earlier_version_is_decoded_too(tmp_path: Path) -> None:
    WHOLE.unpack(tmp_path)
    with closing(Decoder(tmp_path / "store", (tmp_path / "key").read_text())) as earlier:
        (entry,) = earlier.ledger()
    with WHOLE.open(tmp_path) as store:
        (kept,) = released.earlier(store._session, released.entries(store._session), entry[3])
    assert entry[0] == 1
    assert entry[7] == said(as_plain(kept))
    assert max(len(members) for members, *_ in entry[7].values()) >= 10


def test_the_numbers_of_the_page_are_read_as_it_says() -> None:
    gaps, added = bytes.fromhex("0300c301"), bytes.fromhex("0203c801")
    assert decoder.numbers(gaps) == [3, 0, 195]
    names = b"".join(number.to_bytes(16, "big") for number in range(201))
    rest = [["rest"], None, True, 1, None, bytes(201), b""]
    read = decoder.read_cells(3, [names, [[[], None, True, 100, None, gaps, added], rest]])
    assert read[()][0] == {number.to_bytes(16, "big"): amount for number, amount in ((3, 1), (4, -2), (200, 100))}
