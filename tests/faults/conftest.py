"""A place for stores, for each test, and one with somebody in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.people import ADA, BOB, agree, login
from tests.support.stores import StoreFactory, scratch


@pytest.fixture
def stores() -> Iterator[StoreFactory]:
    """A factory of stores whose files are gone after the test."""
    with scratch() as directory:
        yield StoreFactory(directory)


@pytest.fixture
def path(stores: StoreFactory) -> Path:
    """A closed store: Ada has three events, Bob one."""
    path = stores.new()
    with stores.open(path) as store:
        for account, count in ((ADA, 3), (BOB, 1)):
            agree(store, account)
            store.record_many(login(account, number) for number in range(count))
    return path
