"""Whether blocks are read all at once or each by itself, a release counts the same of any store."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Final

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import consentprofile as cp
from consentprofile.crypto.slots import Slot
from consentprofile.errors import InvalidSpec
from consentprofile.model.event import Value
from consentprofile.model.policy import ReleaseRules
from consentprofile.release import columns
from consentprofile.release.cells import Counted
from consentprofile.release.spec_file import read_spec
from consentprofile.usecases import census, counting
from consentprofile.usecases.counting import Counter
from consentprofile.usecases.session import Session
from tests.model.policy_variants import PURPOSE, policies
from tests.support.stores import scratch
from tests.usecases.scene import Clock, Scene
from tests.usecases.test_policy_laws import BEGIN, DAYS, record, told
from tests.usecases.test_release import SPEC, populated

AT_ONCE, ONE_BY_ONE = 1, 1 << 40
"""Of so many blocks with another event it is read at once. One by one, compartments are fetched and judged, too."""

RULES: Final = ReleaseRules(min_accounts=3, round_to=1, cadence_days=7)

ASKED: Final = {
    "reach by kind": 'measure = "reach"\nby = ["kind"]',
    "reach by topic": 'measure = "reach"\nby = ["topic"]\nwhere = { kind = ["login", "purchase"] }',
    "reach by day": 'measure = "reach"\nby = ["day"]\ncells_per_account = 2',
    "counts by kind": 'measure = "counts"\nby = ["kind"]\nlimit = 3',
    "sums by channel": 'measure = "sums"\nfield = "total"\nlimit = 100\nby = ["channel"]',
    "means": 'measure = "means"\nfield = "rating"\nlimit = 5',
    "frequency": 'measure = "frequency"',
    "transitions": 'measure = "transitions"\nof = "kind"',
    "funnel": 'measure = "funnel"\nsteps = ["login", "purchase", "chat"]',
}


def asked_as(question: str) -> str:
    return (
        f'format = 1\nname = "x"\npurpose = "{PURPOSE}"\n{question}\nfrom = 2024-03-01\nuntil = 2024-06-01\n'
        'zone = "UTC"\n[protection]\nkind = "threshold"\n'
    )


def releasable(policy: cp.Policy) -> cp.Policy:
    """The policy with the same rules of releases as all others, and nobody suppressed."""
    (purpose,) = policy.purpose_list
    ruled = msgspec.structs.replace(purpose, release=RULES)
    return msgspec.structs.replace(policy, purpose_list=(ruled,), suppression_list=())


def counted(session: Session, text: str, fewest: int) -> Counted:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "FEWEST", fewest)
        if fewest == ONE_BY_ONE:
            patch.setattr(counting, "FIRST_SLICE", 1)
            patch.setattr(counting, "LARGEST_SLICE", 1)
        spec = read_spec(text, "spec.toml", session.policy)
        return census.take(session, spec, text, workers=0).standing(session).counted


def assert_same(one: Counted, other: Counted) -> None:
    assert one.pseudonyms.tobytes() == other.pseudonyms.tobytes()
    for left, right in zip(one.cells, other.cells, strict=True):
        assert left.key == right.key
        assert np.array_equal(left.members, right.members)
        assert (left.amounts is None) == (right.amounts is None)
        assert left.amounts is None or np.array_equal(left.amounts, right.amounts)  # type: ignore[arg-type]


@given(policies(1), policies(2), policies(3), st.builds(add, told, told), st.booleans())
def test_both_ways_count_the_same_of_any_store(
    one: cp.Policy, two: cp.Policy, three: cp.Policy, events: list[tuple[str, int, dict[str, Value]]], compact: bool
) -> None:
    """Three policies of any kind; consents under each, one of them renewed, one with every event once more under the
    same id, saying less; then months pass that end retention."""
    clock = Clock(BEGIN)
    again: list[tuple[str, int, dict[str, Value]]] = [(kind, before, {}) for kind, before, _ in events]
    with scratch() as folder:
        key = cp.KeyFile(folder / "key")
        store = cp.Store.create(folder / "store", policy=releasable(one), key=key, clock=clock, durability="relaxed")
        accounts: set[str] = set()
        for number, policy in enumerate((one, two, three), 1):
            if number > 1:
                store.apply_policy(releasable(policy), key=key)
            for account in (f"acct-{number}", f"repeating-{number}", *(["renewing"] if number < 3 else [])):
                store.give_consent(account, [PURPOSE], notice=f"n{number}", method="form")
                accounts.add(account)
            clock.move(hours=2)
            for account in sorted(accounts):
                record(store, account, events, clock.now)
                if account == f"repeating-{number}":
                    record(store, account, again, clock.now)
            clock.move(days=DAYS)
        if compact:
            store.upkeep.compact()
        for _ in range(2):
            for question in ASKED.values():
                try:
                    fast = counted(store._session, asked_as(question), AT_ONCE)
                except InvalidSpec:
                    continue  # this policy does not keep what it takes
                assert_same(fast, counted(store._session, asked_as(question), ONE_BY_ONE))
            clock.move(days=31)
        store.close()


def test_there_are_two_ways(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would not mean much that they agree."""
    populated(scene)
    alone: list[int] = []
    count = Counter._count_alone

    def noting(counter: Counter, pseudonym: bytes, blocks: Sequence[bytes], slot: Slot) -> bool:
        alone.append(slot.number)
        return count(counter, pseudonym, blocks, slot)

    monkeypatch.setattr(Counter, "_count_alone", noting)
    fast = counted(scene.store._session, SPEC, AT_ONCE)
    assert alone == []
    assert_same(fast, counted(scene.store._session, SPEC, ONE_BY_ONE))
    assert len(alone) == len(fast.pseudonyms) > 0
