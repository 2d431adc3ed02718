"""A store, what happens in it, and an analyst who asks for whatever the policy lets out.

An attack is told in two worlds that differ in one person's doing. The analyst does the same in both and has only what
is handed out: figures, and refusals. Where both tell the same, nothing was learnt of that person.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import consentprofile as cp
from consentprofile.model.event import Value
from consentprofile.model.policy_file import read_policy
from consentprofile.release.figures import Figure
from consentprofile.usecases import released
from tests.release.sets import as_plain
from tests.release.shop_policy import POLICY_TEXT, spec_text
from tests.support.stores import scratch

K: Final = 10
STEP: Final = 5
"""What figures are rounded to."""

BEGIN: Final = datetime(2024, 1, 1, tzinfo=UTC)
EVERYBODY: Final = ("analytics", "monthly")

TARGET: Final = "acct-target"
"""The person whom an attack is after."""

Answer: TypeAlias = Mapping[tuple[str, ...], tuple[Figure, ...]] | str
"""A table, key by key; or why there is none."""


class Kept(NamedTuple):
    """What the sealed ledger keeps of a cell: the pseudonyms of its members, its value, and whether that is its own."""

    purpose: str
    key: tuple[str, ...]
    members: frozenset[bytes]
    value: int | None
    own: bool


class World:
    """A store of k = 10 and steps of 5; days are numbered from 1 January 2024 on, its clock starts with them."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.now = BEGIN
        self._asked = itertools.count(1)
        key = cp.KeyFile(folder / "key")
        self.store = cp.Store.create(
            folder / "store",
            policy=read_policy(text, "policy.toml"),
            key=key,
            clock=lambda: self.now,
            durability="relaxed",
        )

    def opened(self) -> cp.Store:
        """The same store once more, after it was closed."""
        key = cp.KeyFile(self.folder / "key")
        return cp.Store.open(self.folder / "store", key=key, clock=lambda: self.now, durability="relaxed")

    # ---- what people do --------------------------------------------------------------------------

    def join(self, accounts: Iterable[str], *purposes: str) -> None:
        """Consent is given now, to all purposes that let figures out where none is named."""
        asked = purposes or EVERYBODY
        self.store.give_consents(
            cp.Decision(account=account, purposes=asked, notice="2024-01", method="form") for account in accounts
        )

    def act(self, accounts: Iterable[str], day: int, kind: str = "login", **fields: Value) -> None:
        """Each of the accounts does something at noon of a day, which it is then at the earliest."""
        at = BEGIN + timedelta(days=day, hours=12)
        self.now = max(self.now, at)
        self.store.record_many(cp.Event(account=account, kind=kind, at=at, fields=fields) for account in accounts)

    def until(self, day: int) -> None:
        """The clock moves to the beginning of a day."""
        self.now = BEGIN + timedelta(days=day)

    # ---- what the analyst does -------------------------------------------------------------------

    def ask(self, first: int, last: int, /, **terms: str) -> Answer:
        """Ask about the days from ``first`` until ``last``, exclusive."""
        begin, end = ((BEGIN + timedelta(days=day)).date().isoformat() for day in (first, last))
        return self.ask_for(spec_text(**{"from_": begin, "until": end, **terms}))

    def ask_for(self, text: str) -> Answer:
        """Ask with a specification of one's own."""
        number = next(self._asked)
        spec = self.folder / f"{number}.toml"
        spec.write_text(text, encoding="utf-8")
        try:
            release = self.store.release(spec, self.folder / f"out-{number}")
        except cp.ReleaseError as refused:
            return type(refused).__name__
        return dict(release.figures.cells())

    # ---- what nobody is handed -------------------------------------------------------------------

    def ledger(self) -> list[Kept]:
        """Every cell of the sealed ledger, in its order."""
        session = self.store._session
        return [
            Kept(entry.purpose, cell.key, cell.members, cell.value, cell.own)
            for number, entry in released.entries(session).items()
            for cell in as_plain(released.settled(session, number))
        ]


@contextmanager
def world(*, cadence: int = 7) -> Iterator[World]:
    """A new store, gone afterwards."""
    with scratch() as folder:
        text = POLICY_TEXT.replace('cadence = "7 days"', f'epsilon_per_year = 100, cadence = "{cadence} days"')
        made = World(folder, text + '\n[suppression]\ndeceased = ["*"]\n')
        try:
            yield made
        finally:
            made.store.close()


def seen(life: Callable[[World, bool], Iterable[Answer]], *, cadence: int = 7) -> tuple[list[Answer], list[Answer]]:
    """What the analyst is told in the world in which the person does it, and in the one in which not."""
    told = []
    for does in (True, False):
        with world(cadence=cadence) as one:
            told.append(list(life(one, does)))
    return told[0], told[1]


def people(first: int, count: int) -> list[str]:
    """Account ids."""
    return [f"acct-{number}" for number in range(first, first + count)]


def total(answer: Answer) -> Figure:
    """The one figure of a table without dimensions."""
    assert not isinstance(answer, str), answer
    ((figure, *_),) = answer.values()
    return figure


def figures(*answers: Answer) -> set[Figure]:
    """The figures that there are in these tables: of each row the first one, where it has any."""
    return {row[0] for answer in answers if not isinstance(answer, str) for row in answer.values()} - {None}
