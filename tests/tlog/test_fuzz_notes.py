"""A small helping of the fuzzer at every run; the large one has its own command (``fuzz_notes.py``)."""

from __future__ import annotations

import pytest

from tests.tlog import fuzz_notes


def test_malformed_inputs_are_refused_or_canonical() -> None:
    counts = fuzz_notes.run(8_000, seed=1)
    assert counts.total() == 8_000
    assert counts["refused"] > counts["accepted"] > 0


@pytest.mark.parametrize(("target", "good"), fuzz_notes.TARGETS, ids=[t.__name__ for t, _ in fuzz_notes.TARGETS])
def test_what_the_fuzzer_starts_from_is_good(target: object, good: bytes) -> None:
    assert callable(target)
    target(good)


def test_the_fuzzer_notices_what_is_not_written_back() -> None:
    with pytest.raises(fuzz_notes.Broken):
        fuzz_notes._same(b"a", b"b")
