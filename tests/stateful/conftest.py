"""The laws are tested where everything happens often: tail, runs and merges so small that every path is taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.shapes import arrange_small


@pytest.fixture(scope="module", autouse=True)
def _small_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        arrange_small(patch.setattr)
        yield
