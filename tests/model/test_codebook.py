"""Turning positions back into words: an arrangement that is kept says the same as one that is made anew."""

from __future__ import annotations

from itertools import combinations

import pytest

from consentprofile.model import block
from consentprofile.model.block import Codebook, Packed
from consentprofile.model.policy_file import read_policy
from tests.usecases.scene import POLICY


def test_events_that_leave_out_fields_at_will_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = read_policy(POLICY, "policy.toml")
    numbers = [number for number, pairs in enumerate(Codebook(policy)._pairs) if pairs is not None]
    chosen = [fields for count in range(len(numbers) + 1) for fields in combinations(numbers, count)]
    events: list[Packed] = [[b"i" * 16, 0, 0, *(part for field in fields for part in (field, 0))] for fields in chosen]
    expected = [Codebook(policy).read(event) for event in events]
    monkeypatch.setattr(block, "MOST_ARRANGED", 2)
    codebook = Codebook(policy)
    assert len(chosen) > 2
    for _ in range(2):
        assert [codebook.read(event) for event in events] == expected
    assert len(codebook._columns) == 2
