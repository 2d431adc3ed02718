"""A thief of a capability, who has both files of the store too, tries every key in it on everything there is.

Nothing of the package is used for the attack: the keys are taken out of the file by the reader that was written from
docs/format.md, and tried on every sealed record as every kind of record, for every purpose, bound to anything.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from cryptography.exceptions import InvalidTag

import consentprofile as cp
from tests.format import decoder
from tests.support.peer import Peer
from tests.support.people import agree, login, profile, sound
from tests.support.policies import READERS
from tests.support.stores import START, StoreFactory
from tests.usecases.scene import ACCOUNT, AGENT, PURPOSES, Scene, event
from tests.usecases.scene import READERS as SCENE_READERS

KINDS: Final = range(1, 12)
"""Every type of record, and one that there is not."""

SPEC: Final = (
    'format = 1\nname = "r"\npurpose = "planning"\nmeasure = "reach"\nfrom = 2024-02-01\nuntil = 2024-03-01\n'
    'zone = "Europe/Berlin"\n[protection]\nkind = "threshold"\n'
)

PLACES: Final = ("", *PURPOSES)


class Sealed(NamedTuple):
    """A sealed record: where it lies, what it names, and what else it may be bound to."""

    table: str
    slot: int
    generation: int
    sealed: bytes
    bounds: tuple[bytes, ...] = (b"",)


class Loot(NamedTuple):
    """What the thief has: the store's files, its id and the keys of the capability."""

    path: Path
    store: bytes
    keys: tuple[bytes, ...]

    def records(self) -> Iterator[Sealed]:
        """Everything that is sealed in both files."""
        keys = sqlite3.connect(f"{(self.path / 'keys.db').as_uri()}?mode=ro", uri=True)
        data = sqlite3.connect(f"{(self.path / 'data.db').as_uri()}?mode=ro", uri=True)
        for (wrapped,) in keys.execute("SELECT wrapped FROM epoch_key"):
            yield Sealed("epoch_key", 0, 1, wrapped)
        query = "SELECT number, purpose, notice, notice_sha256, declaration, policy FROM terms"
        terms = [hashlib.sha256(decoder.pack(list(row))).digest() for row in keys.execute(query)]
        for number, record in keys.execute("SELECT number, record FROM slot"):
            slot = decoder.read_slot(number, record)
            if any(slot.wrapped):
                bounds = (b"", slot.header, *(slot.header + one for one in terms))
                yield Sealed("slot", number, slot.generation, slot.wrapped, bounds)
        for table in ("block", "evidence", "account", "trail"):
            for row in data.execute(f"SELECT slot, generation, sealed FROM {table}"):
                yield Sealed(table, *row)
        for (body,) in data.execute("SELECT body FROM pack"):
            yield from (Sealed("block", *row) for row in decoder.unpack(body))
        for leaf, sealed in data.execute("SELECT leaf, sealed FROM actor_book"):
            yield Sealed("actor_book", leaf, 1, sealed)
        for number, sealed in data.execute("SELECT number, ledger FROM release"):
            yield Sealed("release", number, 1, sealed)
        keys.close()
        data.close()

    def opened(self, more: tuple[bytes, ...] = ()) -> dict[Sealed, bytes]:
        """What opens under any of these keys, and as what."""
        return {record: plain for record in self.records() if (plain := self.try_on(record, (*self.keys, *more)))}

    def try_on(self, record: Sealed, keys: tuple[bytes, ...]) -> bytes | None:
        """The plaintext of a record under the first of the keys that opens it as anything."""
        names = (*PLACES, *("purpose:" + purpose for purpose in PURPOSES), "index", "officer", "signing", "import")
        purposes = names if record.table == "epoch_key" else PLACES
        for key, kind, purpose, bound in itertools.product(keys, KINDS, purposes, record.bounds):
            to = decoder.associated(self.store, kind, purpose, record.slot, record.generation, bound)
            try:
                return decoder.open_sealed(key, record.sealed, to)
            except InvalidTag:
                continue
        return None


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A store in which everything happened that seals anything, for two accounts and all purposes."""
    made = Scene(tmp_path)
    for account in (ACCOUNT, "acct-18"):
        made.give(*PURPOSES, account=account)
        for number in range(3):
            made.store.record(event("purchase", id=f"p-{number}", account=account, device="d-1", total=5))
            made.store.record(event("login", id=f"l-{number}", account=account, platform="mobile"))
        for purpose, actor in SCENE_READERS.items():
            with made.store.view(purpose, actor, "ticket") as view:
                view.profile(account)
    made.store.suppress("acct-18", "do-not-contact", actor="officer:1")
    made.store.access(ACCOUNT, actor="officer:1")
    (tmp_path / "spec.toml").write_text(SPEC)
    made.store.release(tmp_path / "spec.toml", tmp_path / "out")
    made.store.upkeep.compact(everything=True)
    made.store.record(event("purchase", id="p-9", device="d-2"))
    yield made
    made.store.close()


def steal(scene: Scene, *purposes: str, role: str) -> Loot:
    """A copy of the store's files, as they lie there when nobody has it open, and the keys out of a capability."""
    scene.store.issue_capability(scene.folder / "cap", purposes, role)
    scene.reopen()
    shutil.copytree(scene.folder / "store", scene.folder / "loot")
    found = decoder.open_capability((scene.folder / "cap").read_text())
    return Loot(scene.folder / "loot", found.store, tuple(found.keys.values()))


def purpose_of(scene: Scene, loot: Loot) -> dict[int, str]:
    """The purpose of each slot that holds a compartment, as the key of the store knows it."""
    connection = sqlite3.connect(loot.path / "keys.db")
    found = [decoder.read_slot(*row) for row in connection.execute("SELECT number, record FROM slot")]
    connection.close()
    names = scene.store._session.purpose_names
    return {slot.number: names[slot.purpose] for slot in found if slot.kind == 1}


def test_the_attack_opens_everything_with_the_keys_of_the_store(scene: Scene) -> None:
    """So what it does not open with other keys is closed to them, and was not passed over."""
    loot = steal(scene, "support", role="app")
    scene.store.close()
    officer = decoder.Decoder(loot.path, (scene.folder / "key").read_text())
    officer.close()
    whole = loot._replace(keys=tuple(officer.epoch_keys.values()))
    opened = whole.opened()
    inner = tuple(plain[:32] for record, plain in opened.items() if record.table == "slot")
    rest = [record for record in loot.records() if record not in opened]
    closed = [record for record in rest if record.table != "epoch_key" and not loot.try_on(record, inner)]
    assert closed == [], "all but the keys of the epoch, which the root wraps"
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)


@pytest.mark.parametrize("held", [("support",), ("planning",), ("support", "planning")], ids="+".join)
def test_the_keys_of_a_capability_open_its_purposes_and_nothing_else(scene: Scene, held: tuple[str, ...]) -> None:
    """No other compartment, no account id, no evidence, no trail of an officer, no entry of the book, no ledger."""
    with scene.store.view("support", AGENT) as view:
        view.profile(ACCOUNT)
    loot = steal(scene, *held, role="app")
    purposes = purpose_of(scene, loot)
    slots = loot.opened()
    assert {record.table for record in slots} == {"slot"}
    assert {purposes[record.slot] for record in slots} == set(held)
    assert len(slots) == 2 * len(held)
    # And with all that these have given away: the compartments' keys and secrets.
    more = tuple(part for plain in slots.values() for part in (plain[:32], plain[32:]))
    rows = [record for record in loot.opened(more) if record.table != "slot"]
    assert {record.table for record in rows} == {"block", "trail"}
    assert {purposes[record.slot] for record in rows} == set(held)
    sealed = [record for record in loot.records() if record.table in ("block", "trail")]
    mine = [record for record in sealed if purposes.get(record.slot) in held]
    assert sorted(rows) == sorted(mine)
    others = {record.table for record in loot.records() if record not in rows and record not in slots}
    assert others == {"epoch_key", "slot", "block", "trail", "evidence", "account", "actor_book", "release"}


def test_what_a_service_wrote_into_the_actor_book_opens_to_it_and_to_the_officer(scene: Scene) -> None:
    """A service could remember what it read; it cannot read what others did."""
    scene.store.issue_capability(scene.folder / "service.cap", "support", "support-agent")
    key = cp.Capability(scene.folder / "service.cap")
    service = cp.Store.open(scene.folder / "store", key=key, clock=scene.clock)
    with service, service.view("support", "support-agent:canary") as view:
        view.profile(ACCOUNT)
    loot = steal(scene, "support", role="app")
    entries = [(record, plain) for record, plain in loot.opened().items() if record.table == "actor_book"]
    assert [decoder.unpack(plain)[2] for _, plain in entries] == ["canary"]
    (trace,) = scene.store.audit.actor("support-agent:canary")
    assert trace.leaf == entries[0][0].slot
    scene.store.close()
    stranger = decoder.Decoder(scene.folder / "loot", (scene.folder / "key").read_text())
    book = dict(stranger.actor_book())
    stranger.close()
    assert book[trace.leaf][2:5] == ["canary", "read", "support"]
    scene.store = cp.Store.open(scene.folder / "store", key=scene.key, clock=scene.clock)


def test_a_capability_opens_nothing_that_died(scene: Scene) -> None:
    """After an erasure the living files hold nothing for it; an old keyring with it does, as with the root: bounded by
    the shred horizon."""
    old = steal(scene, "support", role="app")
    scene.store.erase([ACCOUNT, "acct-18"])
    scene.reopen()
    shutil.copytree(scene.folder / "store", scene.folder / "after")
    after = old._replace(path=scene.folder / "after")
    assert after.opened() == {}
    assert old.opened() != {}


def test_a_capability_of_before_a_rotation_opens_nothing_after_it(scene: Scene) -> None:
    """And one of today opens no copy of the keyring from before."""
    old = steal(scene, "support", role="app")
    scene.store.rotate_keys(cp.KeyFile(scene.folder / "second key"))
    scene.store.issue_capability(scene.folder / "today.cap", "support", "app")
    today = decoder.open_capability((scene.folder / "today.cap").read_text())
    scene.store.close()
    shutil.copytree(scene.folder / "store", scene.folder / "after")
    assert old._replace(path=scene.folder / "after").opened() == {}
    assert old._replace(keys=tuple(today.keys.values())).opened() == {}
    assert Loot(scene.folder / "after", old.store, tuple(today.keys.values())).opened() != {}


# ---- several processes ------------------------------------------------------------------------------


def issue(stores: StoreFactory, store: cp.Store, role: str) -> Path:
    """A capability for "support" beside the stores."""
    path = stores.directory / f"{role}.cap"
    store.issue_capability(path, "support", role)
    return path


def test_services_read_and_record_while_the_officer_erases(stores: StoreFactory) -> None:
    """Two other processes with a capability each: once an erasure has returned they have nothing of it."""
    path = stores.new()
    accounts = [f"account-{number}" for number in range(12)]
    with stores.open(path) as store, Peer() as reader, Peer() as recorder:
        for account in accounts:
            agree(store, account)
        reader.open(path, issue(stores, store, "agent"), START, capability=True)
        recorder.open(path, issue(stores, store, "app"), START, capability=True)
        for account in accounts:
            for number in range(3):
                recorder.tell(recording(account, number))
            reader.tell(reading(account))
            store.erase(account)
            assert recorder.ask(recording(account, 9), skip=3) == {"answer": {"support": "no_consent"}}
            assert reader.ask(reading(account), skip=1) == {"answer": None}
            assert profile(store, account) is None
        for peer in (reader, recorder):
            peer.close_store()
        sound(store)


def recording(account: str, number: int) -> dict[str, object]:
    """A recording in a command."""
    told = login(account, number)
    return {
        "do": "record",
        "event": {
            "account": account,
            "kind": told.kind,
            "at": told.at.isoformat(),
            "id": told.id,
            "fields": dict(told.fields),
        },
    }


def reading(account: str) -> dict[str, object]:
    """A reading in a command."""
    return {"do": "profile", "purpose": "support", "actor": READERS["support"], "account": account}
