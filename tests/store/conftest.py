"""Both files of a store, as new: closed, and open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consentprofile.store import migrations
from consentprofile.store.files import Files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with both files, as new."""
    migrations.create_files(tmp_path)
    return tmp_path


@pytest.fixture
def files(folder: Path) -> Iterator[Files]:
    """The same, open."""
    opened = Files(folder, wait=0.2, durability="relaxed")
    with opened.writing():
        query = "INSERT INTO keyring (id, store, origin, epoch, changes) VALUES (1, ?, 'shop.example/log', 1, 0)"
        opened.keys.execute(query, (bytes(16),))
    yield opened
    opened.close()
