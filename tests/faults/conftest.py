"""A place for stores, for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stores import StoreFactory, scratch


@pytest.fixture
def stores() -> Iterator[StoreFactory]:
    """A factory of stores whose files are gone after the test."""
    with scratch() as directory:
        yield StoreFactory(directory)
