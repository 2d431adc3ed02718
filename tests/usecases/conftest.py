"""A store for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.usecases.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A new store at noon of 15 March 2024, closed afterwards."""
    made = Scene(tmp_path)
    yield made
    made.store.close()
