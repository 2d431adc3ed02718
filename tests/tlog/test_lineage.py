"""Lineages: the names that a log has had follow from its leaves, and from nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentprofile.errors import BrokenLog
from consentprofile.tlog.leaf import VERSION, Fact, Leaf, Operation
from consentprofile.tlog.lineage import Lineage, is_earlier, lineage_of, next_origin, origin_at, require_chain
from consentprofile.tlog.note import is_key_name

FIRST, SECOND, THIRD = "shop.example/log", "shop.example/log/lineage-2", "shop.example/log/lineage-3"
TWICE = (Lineage(5, FIRST, SECOND, 9, b"\x01" * 32), Lineage(12, SECOND, THIRD, 20, b"\x02" * 32))


def leaf(facts: tuple[Fact, ...], sequence: int = 5, operation: str = Operation.LINEAGE_BEGUN) -> Leaf:
    return Leaf(VERSION, sequence, 1, operation, "", "officer", bytes(32), facts)


def test_names_are_numbered() -> None:
    assert [next_origin(name, "x") for name in (FIRST, SECOND, THIRD)] == [SECOND, THIRD, "shop.example/log/lineage-4"]
    assert next_origin("log/lineage-", "x") == "log/lineage-/lineage-2"
    assert next_origin("log/lineage-two", "x") == "log/lineage-two/lineage-2"


@given(st.text("ab/-.2", min_size=1, max_size=256))
def test_the_next_name_can_be_a_name_and_is_another_one(origin: str) -> None:
    following = next_origin(origin, "consentprofile.invalid/0123")
    assert is_key_name(following)
    assert len(following) <= 256
    assert following != origin
    assert following == "consentprofile.invalid/0123/lineage-2" or is_earlier(origin, following)


def test_a_leaf_says_what_it_begins() -> None:
    lineage = TWICE[0]
    assert lineage_of(leaf(lineage.facts)) == lineage
    assert lineage_of(leaf(lineage.facts, operation=Operation.RECORDED)) is None


NOTHING_SAID: dict[str, dict[str, int | bytes]] = {
    "nothing": {},
    "no name": {"origin-before": 1, "origin": b"b", "size": 1, "root": b""},
    "no text": {"origin-before": b"\xff", "origin": b"b", "size": 1, "root": b""},
    "no size": {"origin-before": b"a", "origin": b"b", "size": b"1", "root": b""},
    "no root": {"origin-before": b"a", "origin": b"b", "size": 1, "root": 7},
}


@pytest.mark.parametrize("facts", NOTHING_SAID.values(), ids=NOTHING_SAID)
def test_a_leaf_that_does_not_say_it_is_named(facts: dict[str, int | bytes]) -> None:
    with pytest.raises(BrokenLog) as broken:
        lineage_of(leaf(tuple(facts.items()), 7))
    assert broken.value.sequence == 7


@pytest.mark.parametrize(
    ("size", "origin"), [(1, FIRST), (5, FIRST), (6, SECOND), (12, SECOND), (13, THIRD), (99, THIRD)]
)
def test_a_head_has_the_name_of_its_time(size: int, origin: str) -> None:
    """A head over the leaf that begins a lineage is the first under the new name."""
    assert origin_at(TWICE, size, THIRD) == origin


def test_a_log_without_lineages_has_one_name() -> None:
    require_chain((), FIRST)
    assert origin_at((), 3, FIRST) == FIRST


def test_lineages_go_on_from_one_another() -> None:
    require_chain(TWICE, THIRD)
    for lineages, origin in ((TWICE, SECOND), (TWICE[1:], SECOND), ((TWICE[0], TWICE[1]._replace(before="x")), THIRD)):
        with pytest.raises(BrokenLog):
            require_chain(lineages, origin)


def test_which_names_a_log_may_have_had_before() -> None:
    assert is_earlier(FIRST, SECOND)
    assert is_earlier(FIRST, THIRD)
    assert is_earlier(SECOND, THIRD)
    assert not is_earlier(FIRST, "shop.example/logs/lineage-2")
    assert not is_earlier("shop.example", SECOND)
    assert not is_earlier("other/log", SECOND)
    assert not is_earlier("", SECOND)
    assert not is_earlier(THIRD, SECOND)
    assert not is_earlier(SECOND, SECOND)
