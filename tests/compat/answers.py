"""Everything that the public face says of a golden store, as JSON, and how a later version may answer otherwise."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

import consentprofile as cp

FOLDER: Final = Path(__file__).resolve().parent
SPEC: Final = FOLDER / "platforms.toml"
PASSPHRASE: Final = "a phrase that keeps nothing secret"
READERS: Final = {"support": "support-agent:17", "marketing": "marketer:3"}

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class Golden(msgspec.Struct, frozen=True):
    """A golden store: its name, when its clock stands, and the accounts that are asked about."""

    name: str
    now: datetime
    accounts: tuple[str, ...]
    released: bool

    def key(self, folder: Path) -> cp.KeyProvider:
        """The key, from a folder that :meth:`unpack` filled."""
        file = folder / "key"
        return cp.KeyFile(file) if file.exists() else cp.Passphrase(PASSPHRASE)

    def unpack(self, folder: Path) -> Path:
        """Put a copy of the closed store, and its key file where it has one, into ``folder``; the store's path."""
        with tarfile.open(FOLDER / f"{self.name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        if (folder / "key").exists():
            (folder / "key").chmod(0o600)
        return folder / "store"

    def open(self, folder: Path) -> cp.Store:
        """Open the copy in ``folder``, the clock standing where it stood."""
        return cp.Store.open(folder / "store", key=self.key(folder), clock=lambda: self.now)

    @property
    def expected(self) -> Path:
        """What the version that made it answered, on the day when it was made."""
        return FOLDER / f"{self.name}.json"


WHOLE: Final = Golden(
    "format-1-whole",
    datetime(2025, 3, 20, 9, 30, tzinfo=UTC),
    (
        *("acct-given", "acct-refused", "acct-withdrawn", "acct-renewed", "acct-invalidated", "acct-expired"),
        *("acct-over", "acct-erased", "acct-returned", "acct-quiet", "acct-late", "acct-stopped", "acct-0", "acct-7"),
        *("acct-nobody",),
    ),
    released=True,
)
PHRASE: Final = Golden(
    "format-1-passphrase",
    datetime(2025, 3, 2, 8, 15, tzinfo=UTC),
    ("acct-old", "acct-new", "acct-nobody"),
    released=False,
)
STORES: Final = (WHOLE, PHRASE)


def plain(value: object) -> Json:
    """A value of the public face as JSON."""
    answer: Json = msgspec.json.decode(msgspec.json.encode(list(value) if isinstance(value, Iterator) else value))
    return answer


def ask(golden: Golden, folder: Path) -> dict[str, Json]:
    """Every answer, asked in an order that is always the same: some questions leave leaves, others show them."""
    with golden.open(folder) as store:
        questions: dict[str, Callable[[], object]] = {
            "log": lambda: list(store.audit.log()),
            "head": store.audit.verify,
            "public key": lambda: store.audit.public_key,
            "policy": lambda: (store.policy.digest.hex(), list(store.policy.purposes)),
            "statistics": store.statistics,
            "check": lambda: _without_log(store.check()),
            "actor": lambda: store.audit.actor("support-agent:17"),
        }
        for account in golden.accounts:
            questions[f"consents of {account}"] = lambda account=account: store.consents(account)  # type: ignore[misc]
            questions[f"access of {account}"] = lambda account=account: store.access(account)  # type: ignore[misc]
            questions[f"trail of {account}"] = lambda account=account: store.audit.account(account)  # type: ignore[misc]
            for purpose in READERS:
                questions[f"profile of {account} for {purpose}"] = _view(store, account, purpose, events=False)
                questions[f"events of {account} for {purpose}"] = _view(store, account, purpose, events=True)
        questions |= {
            "officer": lambda: store.audit.actor("officer:ada"),
            "retention": store.upkeep.plan_retention,
            "expiry": store.upkeep.plan_expiry,
        }
        if golden.released:
            questions["release"] = lambda: _release(store, folder)
        return {name: plain(question()) for name, question in questions.items()}


def _view(store: cp.Store, account: str, purpose: str, *, events: bool) -> Callable[[], object]:
    def answer() -> object:
        with store.view(purpose, READERS[purpose], reason="golden") as view:
            return view.events(account) if events else view.profile(account)

    return answer


def _release(store: cp.Store, folder: Path) -> object:
    """What a repeated release hands out."""
    released = store.release(SPEC, folder / "released")
    return released.number, released.repeated, {n: sha256(data).hexdigest() for n, data in released.files.items()}


def _without_log(report: cp.Report) -> object:
    """A report, but for the log's head, which is asked for by itself: pending work has been finished since."""
    return {"findings": report.findings, "keys": report.keys, "rows": report.rows}


def missing(expected: Json, answer: Json, place: str = "") -> list[str]:
    """Where an answer lacks or changes something of what is expected. A later version may know more of a thing."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        return [
            fault
            for name, value in expected.items()
            for fault in (
                missing(value, answer[name], f"{place}/{name}") if name in answer else [f"{place}/{name} is missing"]
            )
        ]
    if isinstance(expected, list) and isinstance(answer, list) and len(expected) == len(answer):
        pairs = enumerate(zip(expected, answer, strict=True))
        return [fault for at, (one, other) in pairs for fault in missing(one, other, f"{place}/{at}")]
    return [] if expected == answer else [f"{place}: {answer!r} instead of {expected!r}"]
