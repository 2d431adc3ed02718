"""What was planted is found nowhere in the clear: not in files, errors, log records or representations; and after a
withdrawal or an erasure nothing that lives opens what is left."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest

import consentprofile as cp
from consentprofile.crypto.aead import SealingKey
from consentprofile.crypto.binding import RecordType
from consentprofile.crypto.keys import SlotKey
from consentprofile.store.ports import ACCOUNT, BLOCK, EVIDENCE, TRAIL, SealedRow
from consentprofile.usecases.session import Session
from tests.support.people import seen
from tests.support.policies import NOTICE, PURPOSES, READERS
from tests.support.scan import find, scan
from tests.support.sealed import every_row
from tests.support.stores import START, StoreFactory, moment

PERSON: Final = "xylograph-person-4711"
CANARIES: Final = (
    PERSON,
    "quixotic-device-0815",
    "zephyrous-event-1234",
    "pyrrhic-method-5555",
    "byzantine-reason-6666",
    "gossamer-actor-7777",
    "labyrinth-request-8888",
    "halcyon-value-9999",
)
_, DEVICE, EVENT, METHOD, REASON, ACTOR, REFERENCE, VALUE = CANARIES

RECORDS: Final = {
    BLOCK: RecordType.BLOCK,
    TRAIL: RecordType.TRAIL,
    ACCOUNT: RecordType.ACCOUNT,
    EVIDENCE: RecordType.EVIDENCE,
}

Sealed = tuple[str, SealedRow, str]
"""The table, the row, and the purpose that its compartment is of."""


def live(store: cp.Store) -> list[str]:
    """A life in a store, everything that can carry a canary carrying one; what was represented on the way."""
    shown: list[object] = []
    event = cp.Event(
        account=PERSON,
        kind="login",
        at=moment(START),
        id=EVENT,
        fields={"channel": "web", "platform": "mobile", "device": DEVICE},
    )
    decision = cp.Decision(account=PERSON, purposes=PURPOSES, notice=NOTICE, method=METHOD)
    shown += [event, decision, store.give_consents([decision]), store.record(event), store.record_many([event])]
    shown.append(store.suppress(PERSON, "quiet", actor=f"officer:{ACTOR}"))
    with store.view("support", f"agent:{ACTOR}", REASON) as view:
        shown += [view, view.profile(PERSON), view.events(PERSON)]
    held = store.access(PERSON, actor=f"officer:{ACTOR}", reason=REASON)
    shown += [held, *held.trail, *held.compartments.values(), store.consents(PERSON), store, store._session]
    shown += [entry for one in held.consents.values() for entry in one.history]
    shown += [vars(store), list(store.audit.log()), store.statistics(), store.check()]
    return [form(thing) for thing in shown for form in (repr, str)]


def misuse(store: cp.Store) -> list[str]:
    """Everything that errors say when they are given canaries."""
    good = cp.Event(account=PERSON, kind="login", at=moment(START), fields={"channel": "web"})
    change = msgspec.structs.replace
    attempts: list[Callable[[], object]] = [
        lambda: store.record(change(good, kind=VALUE)),
        lambda: store.record(change(good, fields={VALUE: 1})),
        lambda: store.record(change(good, fields={"channel": VALUE})),
        lambda: store.record(change(good, fields={"device": VALUE * 20})),
        lambda: store.record(change(good, id=EVENT * 20)),
        lambda: store.record(change(good, account=PERSON + "\n")),
        lambda: store.record(change(good, at=moment(START + 900))),
        lambda: store.record_many([good, change(good, fields={"channel": VALUE})]),
        lambda: store.give_consent(PERSON, [VALUE], notice=NOTICE, method=METHOD),
        lambda: store.give_consent(PERSON, ["support"], notice=VALUE, method=METHOD),
        lambda: store.give_consent(PERSON, ["support"], notice=NOTICE, method=METHOD + "\n"),
        lambda: store.give_consent(PERSON + " ", ["support"], notice=NOTICE, method=METHOD),
        lambda: store.suppress(PERSON, VALUE),
        lambda: store.erase(PERSON + "\0", reference=REFERENCE),
        lambda: store.erase(PERSON, reference=REFERENCE + "\n"),
        lambda: store.erase(PERSON, actor=ACTOR),
        lambda: store.access(PERSON, actor=ACTOR),
        lambda: store.view(VALUE, f"agent:{ACTOR}").__enter__(),
        lambda: store.view("support", f"{ACTOR}:1").__enter__(),
        lambda: store.view("support", ACTOR).__enter__(),
        lambda: store.view("support", READERS["support"], REASON + "\n").__enter__(),
    ]
    said = []
    for attempt in attempts:
        with pytest.raises(cp.ConsentProfileError) as caught:
            attempt()
        chain: BaseException | None = caught.value
        while chain is not None:
            said += [repr(chain), str(chain), str(chain.args), str(vars(chain))]
            chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return said


def sealed_rows(session: Session) -> list[Sealed]:
    """Every sealed row, with the purpose that its associated data names."""
    names = {number: name for name, number in session.purpose_numbers.items()}
    found = []
    for table in RECORDS:
        for row in every_row(session.ground.rows(table)):
            slot = session.ground.keyring.slot(row.slot)
            assert slot is not None
            found.append((table, row, names.get(slot.header.purpose, "")))
    return found


def live_keys(session: Session) -> list[SealingKey]:
    """Every key that the store's key opens: those of the epoch, and one for each slot that holds one."""
    names = {number: name for name, number in session.purpose_numbers.items()}
    assert session.keys.officer is not None
    keys = [session.keys.officer, *session.keys._purposes.values()]
    for slot in session.ground.keyring.every_slot():
        if slot.key_held:
            purpose = names.get(slot.header.purpose, "")
            terms = session.bound(slot.header.terms) if purpose else b""
            opened: SlotKey = session.keys.unwrap(slot, purpose=purpose, terms=terms)
            keys.append(opened._key)
    return keys


def opened_by(session: Session, sealed: Sealed) -> int:
    """How many of the live keys open the row, wherever it may stand now."""
    table, row, purpose = sealed
    count = 0
    slots = [(row.slot, row.generation)] + [(s.number, s.header.generation) for s in session.ground.keyring.iterate()]
    for key in live_keys(session):
        for number, generation in slots:
            bound = session.keys.binding.associate(RECORDS[table], number, generation, purpose=purpose)
            try:
                key.open(row.sealed, bound)
            except cp.CorruptRecord:
                continue
            count += 1
            break
    return count


def require_nothing_in_the_clear(path: Path) -> None:
    assert scan(path, CANARIES) == []


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """A search that finds nothing proves nothing unless it would have found it."""
    padded = f"..{DEVICE}..".encode()
    (tmp_path / "plain").write_bytes(padded)
    (tmp_path / "wide").write_bytes(padded.decode().encode("utf-16-le"))
    (tmp_path / "hex").write_bytes(padded.hex().encode())
    import base64

    for shift in range(3):
        (tmp_path / f"base64-{shift}").write_bytes(base64.b64encode(b"x" * shift + padded))
    found = {name for name, needle in scan(tmp_path, CANARIES) if needle == DEVICE}
    assert found == {"plain", "wide", "hex", "base64-0", "base64-1", "base64-2"}


@pytest.mark.parametrize("act", ["withdraw", "erase"])
def test_nothing_planted_is_ever_in_the_clear(
    stores: StoreFactory, act: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before and after the end of a consent, with the store open and closed, in files and in all that is said."""
    caplog.set_level(logging.DEBUG)
    path = stores.new()
    with stores.open(path) as store:
        said = live(store) + misuse(store)
        require_nothing_in_the_clear(path)
        if act == "withdraw":
            said.append(repr(store.withdraw_consent(PERSON, PURPOSES, method=METHOD)))
        else:
            said.append(repr(store.erase(PERSON, reference=REFERENCE, actor=f"officer:{ACTOR}")))
        said += misuse(store)
        said.append(json.dumps([msgspec.to_builtins(entry) for entry in store.audit.log()], default=str))
        require_nothing_in_the_clear(path)
    require_nothing_in_the_clear(path)
    said += [record.getMessage() + repr(vars(record)) for record in caplog.records]
    said += list(capfd.readouterr())
    assert [text for text in said if find(text.encode(), CANARIES)] == []


@pytest.mark.parametrize("act", ["withdraw", "erase"])
def test_no_living_key_opens_what_a_dead_one_sealed(stores: StoreFactory, act: str) -> None:
    """Every live key is tried on every row that there was, in its own place and in every other."""
    path = stores.new()
    with stores.open(path) as store:
        live(store)
        # Another account goes on living, and takes over freed slots.
        store.give_consent("somebody else", PURPOSES, notice=NOTICE, method="signup form")
        session = store._session
        tag = session.keys.index.account(PERSON.encode())
        mine = {slot.number for place, slot in session.ground.keyring.slots_of(tag).items() if place != 1}
        before = [sealed for sealed in sealed_rows(session) if sealed[1].slot in mine]
        assert {table for table, _, _ in before} == {BLOCK, TRAIL, ACCOUNT}
        assert [opened_by(session, sealed) for sealed in before] == [1] * len(before)
        if act == "withdraw":
            store.withdraw_consent(PERSON, PURPOSES)
            before = [sealed for sealed in before if sealed[2]]
        else:
            store.erase(PERSON)
        store.give_consent("a third", PURPOSES, notice=NOTICE, method="signup form")
        store.give_consent(PERSON, PURPOSES, notice=NOTICE, method="signup form")
        assert [opened_by(session, sealed) for sealed in before] == [0] * len(before)
        assert seen(store, PERSON) == 0
        assert store.check().findings == ()
