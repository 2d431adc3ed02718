"""Makes the golden stores of format 1, and writes down what they answer: ``python -m tests.compat.make_stores``.

A store that is there is left alone: golden stores are never made again. (``--again`` was for the days before the format
was released.) What is in them is always the same, but for what is random: keys, nonces, salts and ids.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from unittest.mock import patch

import consentprofile as cp
from consentprofile.store import blocks
from consentprofile.store.runs import Shape
from consentprofile.usecases import compaction
from tests.compat.answers import FOLDER, PASSPHRASE, PHRASE, SPEC, STORES, WHOLE, Golden, ask

POLICY: Final = FOLDER / "policy.toml"
KEY_TEXT: Final = "consentprofile-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
ORIGIN: Final = "shop.example/consent-log"
NOTICE: Final = "2024-01"
EVERY: Final = ("support", "analytics", "marketing")
PLATFORMS: Final = ("desktop", "mobile", "tablet")
CROWD: Final = tuple(f"acct-{number}" for number in range(24))


class Stopped(BaseException):
    """The process ended here."""


class Clock:
    """A clock that is set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def small_slices() -> Iterator[None]:
    """Few blocks are many runs, and a slice of compaction is one step."""
    with (
        patch.object(blocks, "SHAPE", Shape(tail=40, run=16, fan=2)),
        patch.object(compaction, "SLICE_SECONDS", 0.0),
        patch.object(compaction, "MOVES", 0),
    ):
        yield


def stop_at(store: cp.Store, step: str) -> None:
    """Let the process end when pending work has come as far as this."""

    def observe(reached: str) -> None:
        if reached == step:
            raise Stopped

    store._session.ground.pending._observe = observe


def abandon(store: cp.Store, act: Callable[[], object]) -> None:
    """Carry out an act that never ends, and close the files without signing or finishing anything."""
    try:
        act()
    except Stopped:
        store._session.ground.files.close()
        return
    raise AssertionError("it came to an end")


def event(account: str, kind: str, at: datetime, number: int) -> cp.Event:
    """The same event every time for the same arguments."""
    fields: dict[str, str | int | bool] = {
        "channel": ("web", "app")[number % 2],
        "platform": PLATFORMS[number % 3],
        "device": f"device-{number % 2}",
    }
    if kind in {"purchase", "add_to_cart"}:
        fields |= {"total": 100 + number, "acquisition": ("organic", "email")[number % 2]}
    if kind == "support_chat":
        fields["topic"] = ("delivery", "bereavement")[number % 2]
    return cp.Event(account=account, kind=kind, at=at, id=f"{kind}-{number}", fields=fields)


def make_whole(path: Path, key: cp.KeyProvider) -> None:
    """Every state of consent, blocks in every place, and a withdrawal that was cut off."""
    clock = Clock(datetime(2024, 1, 10, 8, tzinfo=UTC))
    with cp.Store.create(path, policy=POLICY, key=key, clock=clock, origin=ORIGIN) as store:

        def give(account: str, purposes: tuple[str, ...] = EVERY) -> None:
            store.give_consent(account, purposes, notice=NOTICE, method="signup form")

        give("acct-expired", ("analytics",))
        give("acct-given")
        give("acct-renewed", ("support", "marketing"))
        store.record(event("acct-given", "login", clock.now, 0))
        store.record(event("acct-given", "purchase", clock.now, 1))
        clock.now = datetime(2024, 2, 19, 8, tzinfo=UTC)
        give("acct-over", ("marketing",))
        clock.now = datetime(2024, 12, 1, 8, tzinfo=UTC)
        store.renew_consent("acct-renewed", ["support"], notice=NOTICE, method="settings page")
        give("acct-late")
        for account in CROWD:
            give(account, ("support", "analytics"))
        for account in ("acct-withdrawn", "acct-invalidated", "acct-erased", "acct-returned", "acct-quiet"):
            give(account)
        give("acct-stopped")
        store.refuse_consent("acct-refused", ["marketing"], method="banner")
        people = [*CROWD, "acct-given", "acct-quiet", "acct-withdrawn", "acct-erased", "acct-returned", "acct-stopped"]
        for batch in range(40):
            clock.now = datetime(2025, 1, 20, 8, tzinfo=UTC) + timedelta(days=batch)
            kind = ("login", "purchase", "support_chat", "add_to_cart")[batch % 4]
            store.record_many(
                event(account, kind, clock.now, batch) for at, account in enumerate(people) if (at + batch) % 5
            )
            while batch < 30 and store.upkeep.step():
                pass
        for number in range(9):
            store.record(event("acct-7", "login", clock.now, 100 + number))
        clock.now = datetime(2025, 3, 12, 8, tzinfo=UTC)
        store.withdraw_consent("acct-withdrawn", ["marketing", "support"], method="settings page")
        store.invalidate_consent("acct-invalidated", ["analytics"], method="request 4")
        store.suppress("acct-quiet", "do-not-contact", actor="officer:ada")
        store.erase("acct-erased", reference="request 8", actor="officer:ada")
        store.erase("acct-returned", reference="request 9", actor="officer:ada")
        give("acct-returned")
        store.record(event("acct-returned", "login", clock.now, 1))
        store.record(event("acct-refused", "login", clock.now, 1))
        store.upkeep.expire_consents(attended=True)
        store.upkeep.run_retention(attended=True)
        clock.now = WHOLE.now - timedelta(hours=1)
        store.record(event("acct-late", "login", clock.now, 1))
        with store.view("support", actor="support-agent:17", reason="ticket 4") as view:
            view.profile("acct-given")
        try:
            with store.view("support", actor="marketer:3"):
                pass
        except cp.RoleNotAllowed:
            store.access("acct-given", actor="officer:ada", reason="request 7")
        store.release(SPEC, path.with_name("made"))
        for number in range(50, 54):
            store.record_many(event(account, "login", clock.now, number) for account in people[:20])
        while not store._session.ground.blocks.is_merging():
            if not store.upkeep.step():
                raise AssertionError("nothing is left to be merged")
        store.record(event("acct-late", "login", clock.now, 2))
        store.audit.checkpoint()
    store = cp.Store.open(path, key=key, clock=clock)
    stop_at(store, "noted")
    abandon(store, lambda: store.withdraw_consent("acct-stopped", ["support"], method="settings page"))


def make_passphrase(path: Path, key: cp.KeyProvider) -> None:
    """Few accounts, a key that is stretched, and a new key for a compartment that had got as far as ``data.db``."""
    clock = Clock(datetime(2024, 1, 15, 8, tzinfo=UTC))
    with cp.Store.create(path, policy=POLICY, key=key, clock=clock) as store:
        for account in ("acct-old", "acct-new"):
            store.give_consent(account, EVERY, notice=NOTICE, method="letter")
        for month in range(14):
            clock.now = datetime(2024 + month // 12, 1 + month % 12, 20, 8, tzinfo=UTC)
            store.record(event("acct-old", "purchase", clock.now, month))
            store.record(event("acct-new", "login", clock.now, month))
        with store.view("support", actor="support-agent:17") as view:
            view.profile("acct-old")
    clock.now = PHRASE.now
    store = cp.Store.open(path, key=key, clock=clock)
    stop_at(store, "applied")
    abandon(store, lambda: store.upkeep.run_retention(attended=True))


MAKERS: Final[dict[str, Callable[[Path, cp.KeyProvider], None]]] = {
    WHOLE.name: make_whole,
    PHRASE.name: make_passphrase,
}


def archive(golden: Golden, folder: Path, names: Iterable[str]) -> None:
    """Keep these files of ``folder`` as the golden store."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            data = (folder / name).read_bytes()
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    (FOLDER / f"{golden.name}.tar.gz").write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def make(golden: Golden, folder: Path) -> None:
    """Make one store in ``folder``, keep it, and write down what a copy of it answers."""
    key: cp.KeyProvider = cp.Passphrase(PASSPHRASE, memory_kib=19 * 1024, iterations=2, lanes=1)
    names = ["store/keys.db", "store/data.db"]
    if golden is WHOLE:
        (folder / "key").write_text(KEY_TEXT)
        (folder / "key").chmod(0o600)
        key = cp.KeyFile(folder / "key")
        names.append("key")
    with small_slices():
        MAKERS[golden.name](folder / "store", key)
    archive(golden, folder, names)
    copy = folder / "copy"
    golden.unpack(copy)
    golden.expected.write_text(json.dumps(ask(golden, copy), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(again: bool) -> None:
    """Make every store that is not there, or, before the format is released, all of them."""
    for golden in STORES:
        if again or not golden.expected.exists():
            with tempfile.TemporaryDirectory() as folder:
                make(golden, Path(folder))


if __name__ == "__main__":
    main("--again" in sys.argv[1:])
