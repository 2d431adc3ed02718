"""What tests do with accounts, said in few words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import consentprofile as cp
from tests.support.policies import NOTICE, PURPOSES, READERS
from tests.support.stores import START, moment

ADA, BOB = "account-ada", "account-bob"


def agree(store: cp.Store, account: str, purposes: Iterable[str] = PURPOSES) -> None:
    """Give consent."""
    store.give_consent(account, tuple(purposes), notice=NOTICE, method="signup form")


def login(account: str, number: int = 0, *, second: int = START, device: str = "device-1") -> cp.Event:
    """A login with an id of its own for each number."""
    fields = {"channel": "web", "platform": "desktop", "device": device}
    return cp.Event(account=account, kind="login", at=moment(second), id=f"event-{number}", fields=fields)


def profile(store: cp.Store, account: str, purpose: str = "support") -> cp.Profile | None:
    """Read a profile as somebody who may."""
    with store.view(purpose, READERS[purpose]) as view:
        return view.profile(account)


def seen(store: cp.Store, account: str, purpose: str = "support") -> int | None:
    """How many events the profile counts; None where there is none."""
    found = profile(store, account, purpose)
    return None if found is None else found.events


def operations(store: cp.Store) -> list[str]:
    """What the log tells, in order."""
    return [entry.operation for entry in store.audit.log()]


def edit(store: Path, file: str, statement: str, *parameters: object) -> int:
    """Change a file of a closed store as somebody with write access might; how many rows."""
    connection = sqlite3.connect(store / file, isolation_level=None)
    try:
        return connection.execute(statement, parameters).rowcount
    finally:
        connection.close()


def look(store: Path, file: str, query: str, *parameters: object) -> list[tuple[object, ...]]:
    """Query a file of a closed store."""
    connection = sqlite3.connect(store / file, isolation_level=None)
    try:
        return connection.execute(query, parameters).fetchall()
    finally:
        connection.close()


def sign_up(account: str) -> cp.Decision:
    """Consent to every purpose, as a decision."""
    return cp.Decision(account=account, purposes=PURPOSES, notice=NOTICE, method="signup form")


def sound(store: cp.Store) -> None:
    """Require that the log verifies, everything opens, and nothing waits to be tidied up."""
    store.audit.verify()
    assert store.check().findings == ()
